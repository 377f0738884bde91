"""The workflow for users: what it may do, and its steps, run as GitHub runs them, against the emulator."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.running import RunningEmulator
from vertex_tuning import config
from vertex_tuning.config import SDK_CONFIG

SAMPLES = Path(__file__).parents[2] / "samples"
TEXT = (SAMPLES / "ci" / "tune.yml").read_text(encoding="utf-8")
WORKFLOW: dict[Any, Any] = yaml.safe_load(TEXT)
EVENTS = WORKFLOW[True]  # YAML 1.1 takes `on` for a truth
JOBS: dict[str, Any] = WORKFLOW["jobs"]
ALWAYS = "${{ !cancelled() }}"
SHA = "4f1175566e0c9d1bd5e3f4b1a7c0d2e4f6a8b0c2"


@dataclass(frozen=True)
class Step:
    """A step that was run."""

    name: str
    status: int
    out: str


@dataclass(frozen=True)
class Repository:
    """A user's repository with the sample in it, on a runner of its own."""

    folder: Path

    def run(self, job: str, **changes: str) -> list[Step]:
        """Run the `run:` steps of a job, each in a shell as GitHub starts it, until one fails; some run all the same."""
        held: dict[str, str] = {**WORKFLOW["env"], **JOBS[job].get("env", {})}
        done: list[Step] = []
        for step in JOBS[job]["steps"]:
            failed = any(earlier.status for earlier in done)
            if "run" not in step or (failed and step.get("if") != ALWAYS):
                continue
            environment = {
                **os.environ,
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "VERTEX_TUNING_HOME": str(self.folder / "home"),
                "GITHUB_SHA": SHA,
                "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"),
                "PIP_NO_INDEX": "1",  # what is to be installed is there, and nothing may be fetched here
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
                **held,
                **step.get("env", {}),
                **changes,
            }
            script = self.folder / "step.sh"
            script.write_text(step["run"], encoding="utf-8")
            ended = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
                env=environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=170,
                check=False,
            )
            assert "Traceback" not in ended.stderr
            done.append(Step(step["name"], ended.returncode, ended.stdout + ended.stderr))
        return done

    @property
    def summary(self) -> str:
        """What the page of the run shows."""
        path = self.folder / "summary.md"
        return path.read_text(encoding="utf-8") if path.exists() else ""


def statuses(steps: list[Step]) -> dict[str, int]:
    return {step.name: step.status for step in steps}


def told(steps: list[Step]) -> str:
    return "\n".join(f"[{step.name}: {step.status}]\n{step.out}" for step in steps)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    folder = tmp_path / "repository"
    shutil.copytree(SAMPLES / "ci", folder)
    data = folder / "data"
    data.mkdir()
    for name, source in {"train": "train", "validation": "validation", "held-out": "validation"}.items():
        shutil.copy(SAMPLES / "data" / f"tickets-{source}.jsonl", data / f"{name}.jsonl")
    return Repository(folder)


@pytest.fixture
def vertex(start_emulator, repository) -> RunningEmulator:
    """An emulator in the place of Vertex AI: the project of the sample's settings."""
    return start_emulator("--config", str(repository.folder / "vertex-tuning.toml"))


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
    assert set(re.findall(r"-json sdk_config \| jq -r \.([\w.]+)", page)) <= set(SDK_CONFIG)
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
def test_a_pull_request_is_rehearsed_to_the_gate(repository):
    done = repository.run("rehearse", STAND_IN="tiny-0.9m", EPOCHS="6", MAX_OUTPUT_TOKENS="8")
    assert set(statuses(done).values()) == {0}, told(done)
    assert [step.name for step in done] == [
        *("Install", "Check the data", "Fetch the model that stands in", "Rehearse", "Report")
    ]
    assert "on Vertex AI" in told(done), "what the same would cost there is said"
    assert "## The gate is open" in repository.summary


def test_data_with_a_fault_is_stopped_before_anything_else(repository):
    with (repository.folder / "data" / "train.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"contents": [{"role": "assistant", "parts": [{"text": "Hello."}]}]}\n')
    done = repository.run("rehearse", STAND_IN="tiny-0.9m")
    assert statuses(done) == {"Install": 0, "Check the data": 1, "Report": 0}, told(done)
    assert "line 121" in told(done)
    assert repository.summary == ""


@pytest.mark.slow
def test_after_a_merge_one_job_is_started_however_often_the_run_is(repository, vertex):
    place = {
        "VERTEX_TUNING_TARGET": "local",
        "VERTEX_TUNING_EMULATOR": vertex.address,
        "MAX_OUTPUT_TOKENS": "8",
    }
    first = repository.run("tune", **place, MARGIN="-1")
    assert set(statuses(first).values()) == {0}, told(first)
    assert [step.name for step in first] == ["Install", "Estimate", "Tune", "Report"]
    assert "## The gate is open" in repository.summary
    estimate = json.loads((repository.folder / "estimate.json").read_text(encoding="utf-8"))
    assert 0 < estimate["usd"][0] < estimate["usd"][1] < float(WORKFLOW["env"]["AT_MOST_USD"])

    # GitHub starts it again, on another machine; and this time the model has to be much better.
    shutil.rmtree(repository.folder / "home")
    second = repository.run("tune", **place, MARGIN="0.99")
    assert statuses(second) == {"Install": 0, "Estimate": 0, "Tune": 3, "Report": 0}, told(second)
    assert "## The gate is closed" in repository.summary
    (job,) = jobs(vertex)
    assert job["labels"]["commit"] == SHA
    assert all(f"Job: {job['name']}\n" in told(steps) for steps in (first, second))


def test_what_may_cost_too_much_is_not_started(repository, vertex):
    place = {"VERTEX_TUNING_TARGET": "local", "VERTEX_TUNING_EMULATOR": vertex.address}
    done = repository.run("tune", **place, AT_MOST_USD="0.01")
    assert statuses(done) == {"Install": 0, "Estimate": 1, "Report": 0}, told(done)
    assert "VT180" in told(done)
    assert jobs(vertex) == []
