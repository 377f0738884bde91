"""`vertex-tuning pipeline push`, and what starts a pipeline by its address."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.cli.terminals import COMMAND, PATIENCE
from tests.cli.test_cli_pipeline import OWN
from tests.projects import SETTINGS, settle

REGISTRY = f"{SETTINGS.templates}/sums"


@pytest.fixture
def at_the_project(tmp_path, start_emulator, cli):
    """The command in the folder of a project that has a registry, and a pipeline of a user's own there."""
    emulator = settle(tmp_path, start_emulator)
    (tmp_path / "sums.py").write_text(OWN)
    assert cli("pipeline", "compile", "sums.py").status == 0

    def run(*arguments):
        return cli("pipeline", *arguments, VERTEX_TUNING_EMULATOR=emulator.address)

    return run


def test_a_pipeline_is_pushed_and_submitted_by_the_address_that_was_printed(at_the_project):
    pushed = at_the_project("push", "sums.yaml", "--tag", "v1", "--tag", "stable")
    assert pushed.status == 0, pushed.err
    addresses = pushed.out.split()
    assert addresses[:2] == [f"{REGISTRY}/v1", f"{REGISTRY}/stable"]
    assert addresses[2].startswith(f"{REGISTRY}/sha256:")
    assert f'template_uri = "{REGISTRY}/v1"' in pushed.err
    assert 'one = "..."' in pushed.err, "what must be given"
    assert at_the_project("push", "sums.yaml", "--tag", "v2").out.split()[1] == addresses[2]
    done = at_the_project("submit", addresses[0], "-p", "one=1", "--json")
    assert done.status == 0, done.err
    (run,) = json.loads(at_the_project("runs", "--json").out)
    assert (run["templateUri"], run["state"]) == (addresses[0], "PIPELINE_STATE_SUCCEEDED")


def test_a_push_is_told_as_json(at_the_project):
    found = json.loads(at_the_project("push", "sums.yaml", "--json").out)
    assert found["uri"] == found["pinned"] == f"{REGISTRY}/{found['version']}"
    assert found["tags"] == []


def test_a_schedule_takes_an_address(at_the_project):
    address = json.loads(at_the_project("push", "sums.yaml", "--tag", "weekly", "--json").out)["uri"]
    done = at_the_project("schedule", address, "-p", "one=1", "--cron", "0 3 * * 1", "--json")
    request = json.loads(done.out)["createPipelineJobRequest"]
    assert request["pipelineJob"]["templateUri"] == address


def test_what_is_wrong_with_the_parameters_of_one_by_address_is_said_at_once(at_the_project):
    at_the_project("push", "sums.yaml", "--tag", "v1")
    done = at_the_project("submit", f"{REGISTRY}/v1", "-p", "other=x", "-p", "third=3")
    assert done.status == 1
    assert [rule for rule in ("VT732", "VT733", "VT734") if rule not in done.err] == []


def test_what_cannot_be_pushed_is_said_without_a_traceback(at_the_project, cli):
    done = at_the_project("push", "sums.yaml", "--tag", "no tag", "--registry", "nowhere")
    assert done.status == 1
    assert "VT722" in done.err
    assert "VT723" in done.err
    assert "VT726" in at_the_project("submit", f"{REGISTRY}/v9").err
    assert "VT730" in at_the_project("push", "nothing").err


def test_in_the_cloud_the_image_has_to_be_somewhere(cli, monkeypatch):
    done = cli("pipeline", "push", "supervised", "--target", "vertex", "--project", "p")
    assert done.status == 2
    assert "--image" in done.err


def test_on_the_way_to_google_everything_is_as_it_is_here(tmp_path, start_emulator, cli):
    """What is done at Vertex AI, by Google's own addresses and credentials; they lead through the front door."""
    emulator = settle(tmp_path, start_emulator)
    (tmp_path / "sums.py").write_text(OWN)
    cli("pipeline", "compile", "sums.py")
    environment = {**emulator.environment, "VERTEX_TUNING_HOME": str(tmp_path / "home")}
    del environment["VERTEX_TUNING_EMULATOR"]

    def run(*arguments):
        command = [COMMAND, "pipeline", *arguments, "--target", "vertex", "--json"]
        done = subprocess.run(
            command,
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    for tag in ("v1", "v2"):
        pushed = run("push", "sums.yaml", "--tag", tag)
        assert pushed["uri"] == f"{REGISTRY}/{tag}"
    job = run("submit", pushed["uri"], "-p", "one=1", "--no-wait")
    assert (job["templateUri"], job["templateMetadata"]["version"]) == (pushed["uri"], pushed["version"])
