"""`models deploy` and `models undeploy`: money is spent only where somebody said so."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.cli.conftest import BASE, rows, write_rows

LLAMA = "meta/llama3_1@llama-3.1-8b-instruct"
SHORT = ["--temperature", "0", "--max-output-tokens", "4"]


@pytest.fixture(scope="session")
def job(emulator, tmp_path_factory) -> dict[str, str]:
    """A job on an open model: its name, and the folder of its weights."""
    from vertex_tuning import SupervisedTuning, connect

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VERTEX_TUNING_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
        with connect("local") as client:
            out = f"gs://{client.connection.ensure_bucket()}/cli-deploy"
            training = write_rows(tmp_path_factory.mktemp("data") / "train.jsonl", rows(tag=" deploy"))
            made = client.tune(
                SupervisedTuning(base_model=LLAMA, training=training, epochs=1, output_uri=out)
            ).wait()
            return {"name": made.name, "weights": out}


@pytest.fixture
def weights(cli: Callable, job: dict[str, str]) -> Iterator[str]:
    """The folder, not deployed before nor after."""
    yield job["weights"]
    assert cli("models", "undeploy", job["weights"]).status == 0


def test_an_open_model_is_deployed_shown_asked_and_undeployed(cli, command, weights, job):
    done = cli("models", "deploy", weights)
    assert (done.status, done.out, done.rule) == (1, "", "VT355")
    assert "by the hour" in done.err
    shown = cli("models", "show", weights)
    assert (shown.status, shown.out.splitlines()[1]) == (0, "Endpoint: none")
    assert f"vertex-tuning models deploy {weights}" in shown.out
    assert cli("models", "show", weights, "--json").json["endpoint"] == ""
    assert cli("models", "generate", weights, "hi").rule == "VT351"

    done = command("models", "deploy", job["name"], "--yes")
    assert done.status == 0, done.err
    endpoint = done.out.strip()
    assert "/endpoints/" in endpoint
    assert f"vertex-tuning models undeploy {weights}" in done.err
    assert cli("models", "deploy", weights, "--yes", "--json").json["endpoint"] == endpoint
    shown = cli("models", "show", weights)
    assert endpoint in shown.out
    assert "/chat/completions" in shown.out
    found = cli("models", "generate", weights, "Opposite of hot?", *SHORT, "--json").json
    assert found["prompt_tokens"] > 0
    streamed = cli("models", "generate", weights, "Opposite of hot?", *SHORT, "--stream")
    assert streamed.out == f"{found['text']}\n"
    done = cli("models", "undeploy", job["name"])
    assert (done.status, done.out) == (0, f"{weights} is not deployed any more.\n")
    found = cli("models", "undeploy", weights, "--json").json
    assert (found["endpoint"], found["was_deployed"]) == ("", False)
    told = cli("models", "undeploy", "gs://nosuch/x")
    assert (told.status, told.out) == (0, "gs://nosuch/x was not deployed; there was nothing to undeploy.\n")


def test_on_a_terminal_it_asks_and_no_is_no(terminal, weights):
    asked = terminal("models", "deploy", weights)
    asked.until("Deploy")
    asked.type("n\r")
    assert asked.end() == 1
    assert "by the hour" in asked.text


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["deploy", "{tuned}", "--yes"], "VT350"),
        (["undeploy", "{tuned}"], "VT350"),
        (["deploy", "{weights}", "--yes", "--machine-type", "g2-standard-12"], "VT353"),
        (["deploy", "gs://no-such-bucket-here/out", "--yes"], "VT501"),
        (["deploy", BASE, "--yes"], "VT316"),
        (["deploy", "a/b", "--yes"], "VT316"),
    ],
)
def test_what_cannot_be_deployed_is_said_in_a_sentence(cli, tuned, weights, arguments, rule):
    done = cli("models", *(argument.format(tuned=tuned, weights=weights) for argument in arguments))
    assert (done.status, done.out, done.rule) == (1, "", rule)
