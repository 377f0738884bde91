"""The same for GitLab: when its jobs run, and the script of the one that has a token, run against the emulator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from google.auth import identity_pool

from tests.samples.repositories import COMMIT, Repository, Step, told

CI = Path(__file__).parents[2] / "samples" / "ci"
PIPELINE: dict[str, Any] = yaml.safe_load((CI / "gitlab-ci.yml").read_text(encoding="utf-8"))
WORKFLOW: dict[Any, Any] = yaml.safe_load((CI / "tune.yml").read_text(encoding="utf-8"))
POOL = "projects/123456789012/locations/global/workloadIdentityPools/vt-ci/providers/gitlab"
SUBMITTER = "vt-submitter@demo-tuning.iam.gserviceaccount.com"


def run(repository: Repository, job: str, **changes: str) -> Step:
    """The script of a job, in one shell."""
    folder = str(repository.folder)
    usual = {
        "CI_COMMIT_SHA": COMMIT,
        "CI_PROJECT_DIR": folder,
        "WORKLOAD_IDENTITY_PROVIDER": POOL,
        "SUBMITTER": SUBMITTER,
        "GOOGLE_TOKEN": "a.b.c",
        **PIPELINE["variables"],
        **PIPELINE[job]["variables"],
    }
    usual = {name: value.replace("$CI_PROJECT_DIR", folder) for name, value in usual.items()}
    return repository.run(job, "\n".join(PIPELINE[job]["script"]), **usual | changes)


def test_a_merge_request_gets_no_token_and_main_alone_does():
    rehearse, tune = PIPELINE["rehearse"], PIPELINE["tune"]
    assert rehearse["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "merge_request_event"'}]
    assert "id_tokens" not in rehearse
    assert rehearse["variables"]["VERTEX_TUNING_TARGET"] == "local"
    assert tune["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "push" && $CI_COMMIT_BRANCH == "main"'}]
    assert tune["resource_group"], "one at a time"
    assert "id_tokens" not in PIPELINE["default"]


def test_both_workflows_ask_for_the_same():
    """So what the one's rehearsal proves holds of the other's."""
    assert WORKFLOW["env"].items() <= PIPELINE["variables"].items()
    watched = PIPELINE["workflow"]["rules"][0]["changes"]
    theirs = WORKFLOW[True]["push"]["paths"]
    assert {path.removesuffix("/*") for path in watched} - {".gitlab-ci.yml"} == {*theirs} - {
        ".github/workflows/tune.yml"
    }
    ours = {line for job in ("rehearse", "tune") for line in PIPELINE[job]["script"]}
    steps = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
    for name in ("Fetch the model that stands in", "Rehearse", "Tune"):
        assert {step["run"] for step in steps if step.get("name") == name} <= ours


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_after_a_merge_googles_clients_are_told_how_to_get_a_token_and_the_job_is_started(repository, vertex):
    place = {"VERTEX_TUNING_TARGET": "local", "VERTEX_TUNING_EMULATOR": vertex.address}
    done = run(repository, "tune", **place, EPOCHS="1", MARGIN="-1", MAX_OUTPUT_TOKENS="8")
    assert done.status == 0, told([done])
    assert "## The gate is open" in repository.read("report.md")
    (job,) = vertex.call("GET", "/v1/projects/demo-tuning/locations/us-central1/tuningJobs")["tuningJobs"]
    assert job["labels"]["commit"] == COMMIT
    credentials = identity_pool.Credentials.from_file(str(repository.folder / "credentials.json"))
    assert credentials.service_account_email == SUBMITTER
    assert credentials.info["audience"] == f"//iam.googleapis.com/{POOL}"
    assert credentials.retrieve_subject_token(None) == "a.b.c"
