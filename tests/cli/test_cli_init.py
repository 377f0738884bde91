"""`vertex-tuning init`: settings, written once, never over others without a word; and Google's agents, made."""

from __future__ import annotations

import json
import tomllib

import pytest

from tests.projects import PROJECT, SETTINGS, settle
from vertex_tuning.config import SDK_CONFIG, Config, read

OUTPUT = {
    "schema_version": 1,
    "project": SETTINGS.project,
    "project_number": SETTINGS.project_number,
    "location": SETTINGS.location,
    "buckets": {
        "datasets": f"gs://{SETTINGS.bucket}",
        "pipelines": f"gs://{SETTINGS.pipelines_bucket}",
        "artifacts": f"gs://{SETTINGS.artifacts_bucket}",
    },
    "service_accounts": {
        "runner": SETTINGS.service_account,
        "submitter": SETTINGS.submitter,
        "scheduler": SETTINGS.scheduler,
        "reward": SETTINGS.reward_account,
    },
    "registries": {"images": SETTINGS.images, "pipelines": SETTINGS.templates},
    "kms_key": SETTINGS.kms_key,
    "reward_uri": SETTINGS.reward_uri,
    "endpoint": SETTINGS.endpoint,
    "network_attachment": SETTINGS.network_attachment,
    "labels": dict(SETTINGS.labels),
}
FILE = "vertex-tuning.toml"
AGENTS = ("tuning", "open_tuning", "custom_code")


@pytest.fixture
def output(tmp_path):
    path = tmp_path / "sdk_config.json"
    path.write_text(json.dumps(OUTPUT), encoding="utf-8")
    return path


def test_what_terraform_made_becomes_settings(command, output, tmp_path):
    done = command("init", "--from-terraform", str(output))
    assert (done.status, done.out) == (0, f"{FILE}\n")
    assert "vertex-tuning doctor" in done.err
    found = read(tmp_path / FILE)
    assert found.target == "vertex"
    assert {name: found.given()[name] for name in SDK_CONFIG.values()} == {
        name: SETTINGS.given()[name] for name in SDK_CONFIG.values()
    }


def test_standard_input_will_do(command, tmp_path):
    done = command("init", "--from-terraform", "-", input=json.dumps(OUTPUT))
    assert done.status == 0
    assert read(tmp_path / FILE).kms_key == SETTINGS.kms_key


def test_what_is_given_goes_before_what_terraform_made(command, output, tmp_path):
    assert command("init", "--from-terraform", str(output), "--location", "europe-west4").status == 0
    assert read(tmp_path / FILE).location == "europe-west4"


def test_without_terraform_the_environment_counts_and_what_is_given_goes_before(command, tmp_path):
    variables = {"GOOGLE_CLOUD_PROJECT": "by-environment", "VERTEX_TUNING_BUCKET": "gs://b/"}
    done = command("init", "--target", "vertex", "--location", "us-east1", **variables)
    assert done.status == 0
    assert read(tmp_path / FILE) == Config("vertex", "by-environment", "us-east1", "b")


def test_terraform_is_not_mixed_with_the_environment(command, output, tmp_path):
    assert command("init", "--from-terraform", str(output), GOOGLE_CLOUD_PROJECT="another").status == 0
    assert read(tmp_path / FILE).project == PROJECT


def test_it_may_be_said_twice(command, output, tmp_path):
    assert command("init", "--from-terraform", str(output)).status == 0
    path = tmp_path / FILE
    path.write_text("# ours\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    done = command("init", "--from-terraform", str(output))
    assert (done.status, "says that already" in done.err) == (0, True)
    assert path.read_text(encoding="utf-8").startswith("# ours\n")


def test_other_settings_are_not_written_over_and_the_difference_is_shown(command, tmp_path):
    before = 'project = "mine"\nlocation = "us-east1"\n'
    (tmp_path / FILE).write_text(before, encoding="utf-8")
    done = command("init", "--project", "yours", "--location", "us-east1")
    assert (done.status, done.rule) == (1, "VT115")
    assert '-project = "mine"' in done.err
    assert '+project = "yours"' in done.err
    assert "us-east1" not in done.err
    assert (tmp_path / FILE).read_text(encoding="utf-8") == before
    assert command("init", "--project", "yours", "--location", "us-east1", "--force").status == 0
    assert read(tmp_path / FILE).project == "yours"


def test_a_file_that_is_no_settings_is_not_written_over_either(command, tmp_path):
    (tmp_path / FILE).write_bytes(b"\xff[")
    assert command("init", "--project", "p").status == 1
    assert (tmp_path / FILE).read_bytes() == b"\xff["


def test_json_says_what_was_written_and_whether(command, tmp_path):
    done = command("init", "--project", "p", "--json")
    assert done.json == {"file": FILE, "written": True, "settings": {"target": "local", "project": "p"}}
    assert command("init", "--project", "p", "--json").json["written"] is False


def test_vertex_ai_needs_a_project(command, tmp_path):
    done = command("init", "--target", "vertex")
    assert (done.status, done.rule) == (1, "VT116")
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize("where", ["nowhere/settings.toml", "."])
def test_a_place_that_cannot_be_written_to_is_help(command, tmp_path, where):
    done = command("init", "--project", "p", "--output", where)
    assert done.status in (1, 2)
    assert done.err


def test_what_is_no_output_of_terraform_is_help(command, tmp_path):
    done = command("init", "--from-terraform", "-", input="{}")
    assert (done.status, done.rule) == (1, "VT112")
    empty = command("init", "--from-terraform", "-", input="")
    assert "VT112  standard input: there is nothing in it" in empty.err


def test_a_file_of_another_name_is_told_to_be_found_by_no_command(command, tmp_path):
    done = command("init", "--project", "p", "--output", "other.toml")
    assert (done.status, done.out) == (0, "other.toml\n")
    assert f"once its name is {FILE}" in done.err
    assert "doctor" not in done.err


def test_commands_find_what_it_wrote(command, emulator, tmp_path):
    assert command("init", "--project", "found-again").status == 0
    (tmp_path / "below").mkdir()
    done = command("doctor", "--json")
    assert done.json["project"] == "found-again"


def test_a_file_further_up_that_counts_no_more_is_named(cli, tmp_path, monkeypatch):
    (tmp_path / FILE).write_text('project = "above"\n', encoding="utf-8")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    done = cli("init", "--project", "below")
    assert done.status == 0
    assert f"instead of {tmp_path / FILE}" in done.err
    assert read(tmp_path / "below" / FILE).project == "below"


def test_on_a_terminal_it_asks_for_what_is_missing(terminal, tmp_path):
    shown = terminal("init", cwd=tmp_path)
    for question, answer in (
        ("Vertex AI", "local"),
        ("Project id", "asked-for"),
        ("Location", ""),
        ("Bucket", "gs://mine"),
    ):
        shown.until(question)
        shown.type(f"{answer}\n")
    assert shown.end() == 0
    assert read(tmp_path / FILE) == Config("local", "asked-for", "us-central1", "mine")


def test_nobody_is_asked_where_everything_is_said(terminal, output, tmp_path):
    shown = terminal("init", "--from-terraform", str(output), cwd=tmp_path)
    assert shown.end() == 0
    assert tomllib.loads((tmp_path / FILE).read_text(encoding="utf-8"))["project"] == PROJECT


# Agents


@pytest.fixture
def fresh(start_emulator, tmp_path, env):
    """A project in which no agent that only a job makes exists."""
    seed = "[agents]\n" + "".join(f"{name} = false\n" for name in AGENTS)
    emulator = settle(tmp_path, start_emulator, seed)
    env["VERTEX_TUNING_EMULATOR"] = emulator.address
    return emulator


def test_agents_are_made_by_jobs_that_are_cancelled(command, fresh):
    missing = command("doctor", "--json").json
    assert [row["rule"] for row in missing["findings"] if row["rule"]] == ["VT145"] * len(AGENTS)
    assert missing["commands"] == ["vertex-tuning init --make-agents"]
    done = command("init", "--make-agents", "--yes", "--json")
    assert done.status == 0, done.err
    assert {row["agent"] for row in done.json["made"]} == set(AGENTS)
    for row in done.json["made"]:
        job = fresh.call("GET", f"/v1/{row['job']}")
        assert job["state"] in ("JOB_STATE_CANCELLING", "JOB_STATE_CANCELLED"), job
    # They exist now. What they may do is for whoever owns the project to say.
    found = command("doctor", "--json").json
    assert {row["rule"] for row in found["findings"] if row["rule"]} == {"VT144", "VT155"}
    assert found["terraform"] == ["tuning_agents = { exist = true }"]


def test_no_money_is_spent_where_nobody_agreed(command, fresh):
    done = command("init", "--make-agents")
    assert (done.status, done.rule) == (1, "VT118")
    assert "on Vertex AI" in done.err
    assert command("jobs", "list", "--json").json == []


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("n", 1)])
def test_on_a_terminal_it_asks_before_money_is_spent(terminal, command, fresh, tmp_path, answer, status):
    shown = terminal("init", "--make-agents", cwd=tmp_path)
    shown.until("Start them?")
    assert "US$" in shown.text
    shown.type(f"{answer}\n")
    assert shown.end() == status
    assert len(command("jobs", "list", "--json").json) == (2 if status == 0 else 0)


def test_where_all_agents_exist_nothing_is_started(command, start_emulator, tmp_path, env):
    env["VERTEX_TUNING_EMULATOR"] = settle(tmp_path, start_emulator).address
    done = command("init", "--make-agents", "--yes")
    assert (done.status, done.out) == (0, "Every agent that the settings ask something for exists.\n")
    assert command("jobs", "list", "--json").json == []
