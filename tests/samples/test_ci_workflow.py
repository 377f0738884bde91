"""The workflow for users: what it may do, and its steps, run as GitHub runs them, against the emulator."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.running import RunningEmulator
from tests.samples.repositories import COMMIT, Repository, Step, told
from vertex_tuning import config

SAMPLES = Path(__file__).parents[2] / "samples"
TEXT = (SAMPLES / "ci" / "tune.yml").read_text(encoding="utf-8")
WORKFLOW: dict[Any, Any] = yaml.safe_load(TEXT)
EVENTS = WORKFLOW[True]  # YAML 1.1 takes `on` for a truth
JOBS: dict[str, Any] = WORKFLOW["jobs"]
ALWAYS = "${{ !cancelled() }}"


def run(repository: Repository, job: str, **changes: str) -> list[Step]:
    """The `run:` steps of a job, each in a shell of its own, until one fails; some are run all the same."""
    usual = {
        "GITHUB_SHA": COMMIT,
        "GITHUB_STEP_SUMMARY": str(repository.folder / "summary.md"),
        **WORKFLOW["env"],
        **JOBS[job].get("env", {}),
    }
    done: list[Step] = []
    for step in JOBS[job]["steps"]:
        failed = any(earlier.status for earlier in done)
        if "run" in step and (not failed or step.get("if") == ALWAYS):
            done.append(repository.run(step["name"], step["run"], **usual | step.get("env", {}) | changes))
    return done


def statuses(steps: list[Step]) -> dict[str, int]:
    return {step.name: step.status for step in steps}


def jobs(emulator: RunningEmulator) -> list[dict[str, Any]]:
    found: dict[str, Any] = emulator.call("GET", "/v1/projects/demo-tuning/locations/us-central1/tuningJobs")
    return found.get("tuningJobs", [])


def test_a_pull_request_may_read_the_repository_and_nothing_else():
    assert WORKFLOW["permissions"] == {}, "what a job may, it says itself"
    job = JOBS["rehearse"]
    assert job["permissions"] == {"contents": "read"}
    assert job["if"] == "github.event_name == 'pull_request'"
    assert job["env"]["VERTEX_TUNING_TARGET"] == "local"
    assert "secrets." not in TEXT
    assert "vars." not in json.dumps(job), "nobody lets it in anywhere"
    assert not any("google-github-actions" in step.get("uses", "") for step in job["steps"])
    assert "pull_request_target" not in EVENTS, "that would hand a stranger's code the repository's rights"


def test_only_a_merge_to_main_gets_a_token_of_googles():
    job = JOBS["tune"]
    assert job["permissions"] == {"contents": "read", "id-token": "write"}
    assert job["if"] == "github.event_name == 'push' && github.ref == 'refs/heads/main'"
    assert EVENTS["push"]["branches"] == ["main"]
    assert "environment" not in job, "the token's subject would name it, where the pool lets in a branch"
    auth = next(step for step in job["steps"] if "google-github-actions/auth@" in step.get("uses", ""))
    assert set(auth["with"]) == {"workload_identity_provider", "service_account"}


@pytest.mark.parametrize("job", JOBS)
def test_a_job_ends_and_does_not_run_beside_itself(job):
    assert 0 < JOBS[job]["timeout-minutes"] < 360, "GitHub ends it at 360, in the midst of whatever it does"
    assert JOBS[job]["concurrency"]["group"]
    # A rehearsal that is overtaken is of no use; a job that is paid for is followed to its end.
    assert JOBS[job]["concurrency"]["cancel-in-progress"] == (job == "rehearse")


def test_actions_are_pinned_to_commits_and_say_of_which_version():
    used = re.findall(r"uses: (.*)", TEXT)
    assert len(used) == sum("uses" in step for job in JOBS.values() for step in job["steps"]) > 5
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)


def test_nothing_of_the_event_gets_into_a_shell():
    for job in JOBS.values():
        assert all("${{" not in step.get("run", "") for step in job["steps"])


def test_what_a_change_can_break_starts_the_workflow():
    watched = set(EVENTS["pull_request"]["paths"])
    assert watched == set(EVENTS["push"]["paths"])
    assert {"data/**", "tune.sh", "requirements.txt"} <= watched


def test_what_the_pages_take_from_terraform_is_there():
    page = (SAMPLES / "ci" / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"-json sdk_config \| jq -r \.([\w.]+)", page)) <= set(config.SDK_CONFIG)
    outputs = (SAMPLES.parent / "terraform" / "outputs.tf").read_text(encoding="utf-8")
    taken = set(re.findall(r"output -(?:raw|json) (\w+)", page))
    assert {"sdk_config"} < taken <= set(re.findall(r'^output "(\w+)"', outputs, re.MULTILINE))
    assert set(re.findall(r"gh variable set (\w+)", page)) == set(re.findall(r"vars\.(\w+)", TEXT))


def test_the_settings_are_as_init_writes_them():
    path = SAMPLES / "ci" / "vertex-tuning.toml"
    comment, _, settings = path.read_text(encoding="utf-8").partition("\n")
    assert comment.startswith("# ")
    assert tomllib.loads(config.read(path).to_toml()) == tomllib.loads(settings)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_pull_request_is_rehearsed_to_the_gate(repository):
    done = run(repository, "rehearse", STAND_IN="tiny-0.9m", EPOCHS="6", MAX_OUTPUT_TOKENS="8")
    assert set(statuses(done).values()) == {0}, told(done)
    assert [step.name for step in done] == [
        *("Install", "Check the data", "Fetch the model that stands in", "Rehearse", "Report")
    ]
    assert "on Vertex AI" in told(done), "what the same would cost there is said"
    assert "## The gate is open" in repository.read("summary.md")


def test_data_with_a_fault_is_stopped_before_anything_else(repository):
    with (repository.folder / "data" / "train.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"contents": [{"role": "assistant", "parts": [{"text": "Hello."}]}]}\n')
    done = run(repository, "rehearse", STAND_IN="tiny-0.9m")
    assert statuses(done) == {"Install": 0, "Check the data": 1, "Report": 0}, told(done)
    assert "line 121" in told(done)
    assert repository.read("summary.md") == ""


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_after_a_merge_one_job_is_started_however_often_the_run_is(repository, vertex):
    place = {
        "VERTEX_TUNING_TARGET": "local",
        "VERTEX_TUNING_EMULATOR": vertex.address,
        "EPOCHS": "1",
        "MAX_OUTPUT_TOKENS": "8",
    }
    first = run(repository, "tune", **place, MARGIN="-1")
    assert set(statuses(first).values()) == {0}, told(first)
    assert [step.name for step in first] == ["Install", "Estimate", "Tune", "Report"]
    assert "## The gate is open" in repository.read("summary.md")
    estimate = json.loads(repository.read("estimate.json"))
    assert 0 < estimate["usd"][0] < estimate["usd"][1] < float(WORKFLOW["env"]["AT_MOST_USD"])

    # GitHub starts it again, on another machine; and this time the model has to be much better.
    shutil.rmtree(repository.home)
    second = run(repository, "tune", **place, MARGIN="0.99")
    assert statuses(second) == {"Install": 0, "Estimate": 0, "Tune": 3, "Report": 0}, told(second)
    assert "## The gate is closed" in repository.read("summary.md")
    (job,) = jobs(vertex)
    assert job["labels"]["commit"] == COMMIT
    assert all(f"Job: {job['name']}\n" in told(steps) for steps in (first, second))


def test_what_may_cost_too_much_is_not_started(repository, vertex):
    place = {"VERTEX_TUNING_TARGET": "local", "VERTEX_TUNING_EMULATOR": vertex.address}
    done = run(repository, "tune", **place, AT_MOST_USD="0.01")
    assert statuses(done) == {"Install": 0, "Estimate": 1, "Report": 0}, told(done)
    assert "VT180" in told(done)
    assert jobs(vertex) == []
