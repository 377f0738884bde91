"""`catalog`: what is on offer, since when and by whom; and what is nearest where something is not."""

from __future__ import annotations

import json
from itertools import product

import pytest

from vertex_tuning import catalog

FLASH = "gemini-2.5-flash"
LLAMA = "meta/llama3_1@llama-3.1-8b"


@pytest.fixture(autouse=True)
def nobody_is_asked(alone, home):
    yield
    assert not home.exists()


def test_every_model_is_listed_a_line_each(cli):
    done = cli("catalog")
    assert (done.status, done.err) == (0, "")
    head, *lines = done.out.splitlines()
    assert head.split()[:2] == ["model", "tuning"]
    assert [line.split()[0] for line in lines] == list(catalog.models())
    (line,) = [line for line in lines if line.startswith(f"{FLASH} ")]
    assert "supervised, preference, distillation" in line
    assert "1 2 4 8 16" in line
    assert line.endswith("2026-09-25")


def test_a_model_is_told_cell_by_cell_with_date_and_source(cli):
    done = cli("catalog", FLASH, COLUMNS="1000")
    assert (done.status, done.err) == (0, "")
    for name, cell in catalog.cells(FLASH).items():
        (line,) = [line for line in done.out.splitlines() if line.startswith(f"{name.replace('_', ' ')}  ")]
        assert str(cell.date) in line
        assert cell.source.title in line
        assert cell.note in line
        if cell.source.kind != "documentation":
            assert f"({cell.source.kind})" in line


def test_a_models_page_can_be_read_through_a_pipe(cli):
    done = cli("catalog", FLASH)
    assert (done.status, done.err) == (0, "")
    assert max(map(len, done.out.splitlines())) <= 120
    assert set(catalog.base_model(FLASH).regions) <= set(done.out.split()), "nothing is cut off"


def test_as_json_every_cell_has_date_and_source(cli):
    found = cli("catalog", "--limits", "--prices", "--json").json
    assert set(found) == {"models", "limits", "prices"}
    assert set(found["models"]) == set(catalog.models())
    cells, stack = [], [found]
    while stack:
        item = stack.pop()
        if isinstance(item, dict) and "value" in item:
            cells.append(item)
        elif isinstance(item, dict):
            stack += item.values()
        else:
            assert isinstance(item, str)  # A title, or the currency.
    assert len(cells) > 500
    for cell in cells:
        assert set(cell) == {"value", "date", "source", "note"}
        assert cell["date"] == cell["source"]["date"] > "2026"
        assert cell["source"]["kind"] in catalog.KINDS
    prices = found["prices"]["per_million_training_tokens"]
    assert prices["supervised"][FLASH]["value"] == 5.0
    assert prices["reinforcement"]["gemini-3.5-flash"]["value"] is None


@pytest.mark.parametrize(
    ("arguments", "rules", "nearest"),
    [
        ([FLASH, "--method", "reinforcement"], ["VT302"], "gemini-3.5-flash, reinforcement tuning"),
        (["gemini-2.5-pro", "--method", "preference"], ["VT302"], f"{FLASH}, preference tuning"),
        (["gemini-2.5-pro", "--adapter-size", "16"], ["VT304"], "supervised tuning, adapter size 8"),
        ([FLASH, "--region", "global"], ["VT305"], "supervised tuning, in us-central1"),
        (["gemini-3.5-flash", "--region", "europe-west1"], ["VT305"], "in europe-west4"),
        (
            ["gemini-3.5-flash", "--method", "reinforcement", "--region", "europe-west4"],
            ["VT305"],
            "gemini-3.5-flash, reinforcement tuning, in us-central1",
        ),
        (["qwen/qwen3@qwen3-4b", "--mode", "adapter"], ["VT303"], "mode full"),
        (
            ["qwen/qwen3@qwen3-4b", "--mode", "adapter", "--adapter-size", "8"],
            ["VT303", "VT304"],
            "qwen/qwen3@qwen3-4b, supervised tuning, mode full",
        ),
        ([LLAMA, "--method", "distillation"], ["VT302"], f"{LLAMA}-instruct, distillation"),
        (["gemini-3.1-pro"], None, ""),
        (["gemini-3.1-pro", "--method", "supervised"], ["VT302"], "gemini-2.5-pro, supervised tuning"),
        (["--region", "mars-north1"], ["VT305"], "us-central1"),
        (["--method", "preference", "--mode", "full"], ["VT303"], "mode adapter"),
        (["--method", "reinforcement", "--adapter-size", "64"], ["VT304"], "adapter size 16"),
        ([FLASH, "--method", "preference", "--region", "europe-west4", "--adapter-size", "4"], None, ""),
        ([LLAMA, "--mode", "full", "--region", "global"], None, ""),
        (["--method", "distillation", "--mode", "adapter"], None, ""),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_is_not_on_offer_is_1_and_told_with_the_nearest_that_is(cli, arguments, rules, nearest):
    done, found = cli("catalog", *arguments), cli("catalog", *arguments, "--json")
    if rules is None:
        assert (done.status, done.err, found.status, found.err) == (0, "", 0, "")
        assert found.json["models"]
        return
    assert (done.status, done.out, done.rule) == (1, "", "VT372")
    assert nearest in done.err
    assert "s of 2026-" in done.err  # "As of", or "as of"
    assert (found.status, found.err) == (1, "")
    assert found.json["error"]["rule"] == "VT372"
    assert [fault["rule"] for fault in found.json["faults"]] == rules
    assert catalog.fit(**found.json["nearest"]).ok


def test_the_command_and_the_catalog_say_the_same_of_every_model_and_method(cli):
    for model, method in product(catalog.models(), catalog.METHODS):
        done = cli("catalog", model, "--method", method, "--json")
        found = catalog.fit(model, method)
        assert done.status == (0 if found.ok else 1)
        if not found.ok:
            assert done.json["nearest"] == found.nearest.to_json()


def test_a_method_and_a_region_choose_models(cli):
    found = cli("catalog", "--method", "distillation", "--region", "europe-west4", "--json").json["models"]
    assert set(found) == {
        name
        for name, model in catalog.models().items()
        if "distillation" in model.methods and "europe-west4" in model.regions_for("distillation")
    }
    assert FLASH not in found


def test_limits_and_prices_are_told_with_what_is_not_known(cli):
    limits = cli("catalog", FLASH, "--limits").out
    assert "131,072" in limits
    assert "reinforcement  max" not in limits  # It does not take that.
    prices = cli("catalog", "gemini-3.5-flash", "--prices").out
    assert "unknown" in prices
    assert "x 1.5" in prices
    alone = cli("catalog", "--prices").out.splitlines()
    (line,) = [line for line in alone if "gemini-2.5-pro " in line and "USD" in line]
    assert "25.00" in line
    assert "(third party)" in line
    assert not [line for line in alone if " 0.00 " in line]


def test_a_model_that_is_not_known_is_told_the_nearest(cli):
    done = cli("catalog", "gemini-2.5-flsh")
    assert (done.status, done.out, done.rule) == (1, "", "VT301")
    assert FLASH in done.err


def test_a_way_of_tuning_that_there_is_not_is_a_command_line_that_cannot_be_read(cli):
    done = cli("catalog", "--method", "rlhf")
    assert done.status == 2
    assert all(method in done.err for method in catalog.METHODS)


@pytest.mark.parametrize("columns", [200, 100, 40])
def test_on_a_terminal_of_any_width_nothing_is_cut_off(terminal, columns):
    shown = terminal("catalog", FLASH, columns=columns)
    assert shown.end() == 0
    assert {"us-central1", "me-west1", "gemini-3.1-pro", "2026-09-25"} <= set(shown.text.split())
    assert "…" not in shown.text


def test_names_are_completed(command):
    words = command(
        _VERTEX_TUNING_COMPLETE="bash_complete", COMP_WORDS="vertex-tuning catalog gemini-3.5", COMP_CWORD="2"
    )
    assert set(words.out.split()) == {"plain,gemini-3.5-flash", "plain,gemini-3.5-flash-lite"}


def test_it_is_quick_to_answer_and_says_json_where_it_is_asked(command):
    done = command("catalog", FLASH, "--method", "reinforcement", "--json")
    assert done.status == 1
    assert json.loads(done.out)["nearest"]["model"] == "gemini-3.5-flash"
