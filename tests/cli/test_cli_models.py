"""`models`: what can be tuned, what was, and what it answers."""

from __future__ import annotations

import pytest

from tests.cli.conftest import BASE

SHORT = ["--temperature", "0", "--max-output-tokens", "8"]


def test_what_can_be_tuned_is_known_without_asking_anybody(cli, alone, home):
    done = cli("models", "list", "--base")
    assert (done.status, done.err) == (0, "")
    assert any(line.startswith(f"{BASE} ") and "1 2 4 8 16" in line for line in done.out.splitlines())
    found = {model["id"]: model for model in cli("models", "list", "--base", "--json").json}
    assert found[BASE].keys() >= {"methods", "adapter_sizes", "regions", "stand_in"}
    assert found[BASE]["retires"] == "2026-10-16"
    assert not home.exists()


def test_tuned_models_are_listed_with_their_endpoints(cli, tuned):
    found = {model["name"]: model for model in cli("models", "list", "--json", "--limit", "100").json}
    assert "/endpoints/" in found[tuned]["endpoint"]
    done = cli("models", "list", "--limit", "100", COLUMNS="40")
    assert found[tuned]["display_name"]
    assert f"{tuned}  {found[tuned]['endpoint']}  {found[tuned]['display_name']}" in done.out
    assert len(cli("models", "list", "--json", "--limit", "1").json) == 1


def test_a_model_is_shown_with_its_checkpoints_and_a_program_that_asks_it(cli, tuned):
    done = cli("models", "show", tuned)
    assert done.status == 0
    assert tuned in done.out
    assert "from google import genai" in done.out
    by_id = cli("models", "show", tuned.rpartition("/")[2], "--json").json
    assert by_id["name"].rpartition("/")[2] == tuned.rpartition("/")[2]
    assert [item["epoch"] for item in by_id["checkpoints"]] == [1, 2]
    assert [item["default"] for item in by_id["checkpoints"]] == [False, True]
    assert all(item["endpoint"] in done.out for item in by_id["checkpoints"])


@pytest.mark.parametrize("which", ["tuned", "base"])
def test_a_model_answers_whole_in_pieces_and_by_label(cli, tuned, which):
    model = tuned if which == "tuned" else BASE
    ask = ["models", "generate", model, "Opposite of hot?", *SHORT]
    plain = cli(*ask)
    assert (plain.status, plain.err) == (0, "")
    streamed = cli(*ask, "--stream")
    assert (streamed.status, streamed.out, streamed.err) == (0, plain.out, "")
    found = cli(*ask, "--json").json
    assert f"{found['text']}\n" == plain.out
    assert found["finish_reason"] in ("STOP", "MAX_TOKENS")
    assert found["prompt_tokens"] > 0
    assert found["answer_tokens"] > 0
    pieces = cli(*ask, "--stream", "--json").lines
    assert "".join(piece["text"] for piece in pieces) == found["text"]
    labels = ["--label", "cold", "--label", "warm"]
    assert cli(*ask, *labels).out in ("cold\n", "warm\n")
    assert cli(*ask, *labels, "--stream").out in ("cold\n", "warm\n")
    assert cli(*ask, "--system", "Be brief.", "--json").json["prompt_tokens"] > found["prompt_tokens"]


def test_a_dash_is_a_prompt_from_standard_input(cli, command):
    done = command("models", "generate", BASE, "-", "--json", *SHORT, input="Opposite of hot?")
    assert done.json == cli("models", "generate", BASE, "Opposite of hot?", "--json", *SHORT).json


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["show", "123"], "VT501"),
        (["show", "no/such/name"], "VT316"),
        (["show", "gemini-2.5-flash"], "VT316"),
        (["show", ""], "VT316"),
        (["show", "no such name"], "VT501"),
        (["generate", "gemini-9", "hi"], "VT301"),
        (["generate", "123", "hi"], "VT501"),
        (["generate", "projects/p/locations/us-central1/models/9@1", "hi"], "VT501"),
        (["generate", BASE, "hi", "--temperature", "9"], "VT501"),
        (["generate", BASE, "hi", "--temperature", "9", "--stream"], "VT501"),
        (["generate", BASE, "hi", "--label", ""], "VT323"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_what_cannot_be_asked_is_said_in_a_sentence(cli, arguments, rule):
    done = cli("models", *arguments)
    assert (done.status, done.out, done.rule) == (1, "", rule)
    found = cli("models", *arguments, "--json")
    assert (found.status, found.err) == (1, "")
    assert found.json["error"]["rule"] == rule


def test_a_model_that_there_is_not_may_be_one_of_ones_own(cli):
    for name in ("nosuch", "gemini-2.5-flsh"):
        done = cli("models", "generate", name, "hi")
        assert (done.status, done.rule) == (1, "VT301")
        assert "vertex-tuning models list" in done.err
    assert "gemini-2.5-flash" in done.err
