"""Compiled pipelines in a registry of the emulator's, and jobs that name them by their address."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.emulator.pipeline_jobs.conftest import PREFIX, Pipelines, states, tasks
from tests.emulator.project import discovery
from tests.pipelines import small
from tests.projects import NUMBER, PROJECT, SETTINGS, running, settle
from tests.running import RunningEmulator

REGISTRY = SETTINGS.templates
HOST = f"/kfp.pkg.dev/us-central1/{PROJECT}/vt-pipelines"
REPOSITORY = f"projects/{PROJECT}/locations/us-central1/repositories/vt-pipelines"
LOCATION = f"projects/{PROJECT}/locations/us-central1"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEmulator]:
    """A project with a registry, for the tests of this file."""
    with running(tmp_path_factory.mktemp("registry")) as emulator:
        yield emulator


def upload(emulator: RunningEmulator, content: str | bytes, tags: str = "", **headers: str) -> Any:
    """As kfp does it; the words of an error, or package and version."""
    answer = requests.post(
        emulator.address + HOST, data={"tags": tags}, files={"content": content}, headers=headers, timeout=60
    )
    if answer.status_code != 200:
        return answer.status_code, answer.json()["error"]["message"]
    return tuple(answer.text.split("/"))


def named(pipeline: Any) -> tuple[str, str]:
    """A pipeline under a name that no other test has: the name, and its YAML."""
    name = f"t-{uuid.uuid4().hex[:12]}"
    text = small.text(pipeline)
    own = f"name: {small.spec(pipeline)['pipelineInfo']['name']}\n"
    assert own in text
    return name, text.replace(own, f"name: {name}\n")


def job(address: str, parameters: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    config = {
        "gcsOutputDirectory": f"gs://{SETTINGS.pipelines_bucket}/clock",
        "parameterValues": parameters or {},
    }
    return {"displayName": "by address", "templateUri": address, "runtimeConfig": config, **fields}


def ended(emulator: RunningEmulator, name: str) -> dict[str, Any]:
    deadline = time.monotonic() + 120
    while True:
        found: dict[str, Any] = emulator.call("GET", f"/v1/{name}")
        if found["state"].removeprefix(PREFIX) in ("SUCCEEDED", "FAILED", "CANCELLED"):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


# What a registry keeps


def test_a_version_is_what_its_file_is_and_tags_move(project: RunningEmulator) -> None:
    name, text = named(small.chain)
    first = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    assert upload(project, text, "v1,latest", description="the first") == (name, first)
    assert upload(project, text) == (name, first)
    other = text.replace("hello", "goodbye")
    assert upload(project, other, "latest")[1] != first
    package = f"/v1/{REPOSITORY}/packages/{name}"
    versions = project.call("GET", f"{package}/versions?view=FULL")["versions"]
    assert versions[0]["name"].endswith(first)
    assert versions[0]["description"] == "the first"
    assert [[tag["name"].rpartition("/")[2] for tag in one["relatedTags"]] for one in versions] == [
        ["v1"],
        ["latest"],
    ]
    assert requests.get(f"{project.address}{HOST}/{name}/{first}", timeout=60).text == text
    assert requests.get(f"{project.address}{HOST}/{name}/latest", timeout=60).text == other


def test_the_api_answers_in_googles_own_words(project: RunningEmulator) -> None:
    name, text = named(small.chain)
    _, version = upload(project, text, "v1")
    package = f"/v1/{REPOSITORY}/packages/{name}"
    for schema, path in (
        ("Package", package),
        ("ListPackagesResponse", f"/v1/{REPOSITORY}/packages?pageSize=1"),
        ("Version", f"{package}/versions/{version}?view=FULL"),
        ("ListVersionsResponse", f"{package}/versions?view=FULL"),
        ("Tag", f"{package}/tags/v1"),
        ("ListTagsResponse", f"{package}/tags"),
    ):
        answer = project.call("GET", path)
        assert isinstance(answer, dict), (path, answer)
        assert discovery.faults("artifactregistry.v1", schema, answer) == []
    by_number = project.call("GET", package.replace(PROJECT, NUMBER))
    assert by_number["name"] == package.removeprefix("/v1/")
    gone = project.call("DELETE", package)
    assert discovery.faults("artifactregistry.v1", "Operation", gone) == []
    assert project.call("GET", f"{package}/tags/v1")[0] == 404


def test_a_tag_is_made_once_and_moved_only_where_it_is(project: RunningEmulator) -> None:
    name, text = named(small.chain)
    _, version = upload(project, text)
    package = f"/v1/{REPOSITORY}/packages/{name}"
    body = {"name": "", "version": f"{REPOSITORY}/packages/{name}/versions/{version}"}
    assert project.call("PATCH", f"{package}/tags/v1?updateMask=version", body)[0] == 404
    assert project.call("POST", f"{package}/tags?tagId=v1", body)["version"] == body["version"]
    assert project.call("POST", f"{package}/tags?tagId=v1", body)[0] == 409
    assert project.call("PATCH", f"{package}/tags/v1?updateMask=version", body)["version"] == body["version"]
    assert project.call("POST", f"{package}/tags?tagId=no%20tag", body)[0] == 400
    assert project.call("POST", f"{package}/tags?tagId=v2", {"version": "sha256:none"})[0] == 404
    assert project.call("POST", f"{package}/tags?tagId=v2", {})[0] == 400
    assert project.call("DELETE", f"{package}/versions/{version}")[0] == 400, "it is tagged"
    assert project.call("DELETE", f"{package}/tags/v1") == {}
    assert project.call("DELETE", f"{package}/versions/{version}")["done"] is True
    assert project.call("GET", f"{package}/versions/{version}")[0] == 404


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not YAML"),
        ("hello", "no root"),
        (b"\xff\xfe\x00", "not YAML"),
        ("root: {dag: {}}\n", "cannot be one"),
        ("root: {dag: {}}\npipelineInfo: {name: A/B}\n", "cannot be one"),
        ("root: {dag: {}}\npipelineInfo: {name: 2026-11-26}\n", "plain values"),
        ("", "no root"),
    ],
)
def test_what_is_no_compiled_pipeline_is_refused(
    project: RunningEmulator, content: str | bytes, words: str
) -> None:
    status, message = upload(project, content)
    assert status == 400
    assert words in message


def test_nothing_is_kept_of_an_upload_with_a_bad_tag(project: RunningEmulator) -> None:
    name, text = named(small.chain)
    assert upload(project, text, "v1,no tag")[0] == 400
    assert project.call("GET", f"/v1/{REPOSITORY}/packages/{name}")[0] == 404


def test_a_registry_that_is_not_there_is_not_found(project: RunningEmulator) -> None:
    for path, status in (
        (HOST.replace("vt-pipelines", "others"), 404),
        (HOST.replace("us-central1", "us-east1"), 404),
        (HOST.replace("vt-pipelines", "vt-images"), 400),
    ):
        files = {"content": small.text(small.chain)}
        assert requests.post(project.address + path, files=files, timeout=60).status_code == status
    assert requests.post(project.address + HOST, data={"tags": "v1"}, timeout=60).status_code == 400
    assert project.call("GET", f"/v1/{REPOSITORY}-none/packages")[0] == 404


def test_a_host_of_a_registry_answers_nothing_else(project: RunningEmulator) -> None:
    headers = {"Host": "us-central1-kfp.pkg.dev"}
    name, text = named(small.chain)
    upload(project, text, "v1")
    assert requests.get(f"{project.address}/{PROJECT}/vt-pipelines/{name}/v1", headers=headers, timeout=60).ok
    for path in (f"/v1/{REPOSITORY}/packages", "/emulator/status", f"/{PROJECT}"):
        answer = requests.get(project.address + path, headers=headers, timeout=60)
        assert answer.status_code == 404, path
    elsewhere = {"Host": "europe-west4-kfp.pkg.dev"}
    answer = requests.get(
        f"{project.address}/{PROJECT}/vt-pipelines/{name}/v1", headers=elsewhere, timeout=60
    )
    assert answer.status_code == 404


# Jobs by address


def test_a_job_by_address_alone_runs_and_says_which_version_it_was(project: RunningEmulator) -> None:
    name, text = named(small.chain)
    _, version = upload(project, text, "v1")
    address = f"{REGISTRY}/{name}/v1"
    made = project.call("POST", f"/v1/{LOCATION}/pipelineJobs", job(address, {"text": "four"}))
    assert made["name"].rpartition("/")[2].startswith(name)
    found = ended(project, made["name"])
    assert found["state"] == f"{PREFIX}SUCCEEDED", found.get("error")
    assert states(found)["measure"] == "SUCCEEDED"
    assert found["templateUri"] == address
    assert found["templateMetadata"] == {"version": version}
    assert found["pipelineSpec"]["pipelineInfo"]["name"] == name


def test_a_pipeline_in_the_request_goes_before_its_template(project: RunningEmulator) -> None:
    name, text = named(small.chain)
    upload(project, text, "v1")
    body = job(f"{REGISTRY}/{name}/v1", {"n": 7}, pipelineSpec=small.spec(small.control))
    found = ended(project, project.call("POST", f"/v1/{LOCATION}/pipelineJobs", body)["name"])
    assert "last" in tasks(found)
    assert "measure" not in tasks(found)
    assert found["templateMetadata"]["version"].startswith("sha256:")


def test_everything_that_is_wrong_with_a_job_by_address_is_said_at_once(project: RunningEmulator) -> None:
    name, text = named(small.chain)
    upload(project, text, "v1")
    body = job(f"{REGISTRY}/{name}/v1", {"n": "three", "colour": "red"}, labels={"A": "b"})
    status, answer = project.call("POST", f"/v1/{LOCATION}/pipelineJobs", body)
    fields = [one["field"] for one in answer["error"]["details"][0]["fieldViolations"]]
    assert status == 400
    assert [field.rpartition(".")[2] for field in fields] == ["labels", "n", "colour"]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (f"{REGISTRY}/nothing/v1", "not found"),
        (f"{REGISTRY}/nothing/sha256:00", "not found"),
        ("https://us-kfp.pkg.dev/ml-pipeline/templates/xgboost/v1", "not found"),
        (f"{REGISTRY}/nothing", "should be https://LOCATION-kfp.pkg.dev"),
        ("https://example.com/pipeline.yaml", "only templates of Artifact Registry"),
    ],
)
def test_a_template_that_is_not_there_is_named(project: RunningEmulator, address: str, words: str) -> None:
    status, answer = project.call("POST", f"/v1/{LOCATION}/pipelineJobs", job(address, {"n": 1}))
    assert status == 400
    (violation,) = answer["error"]["details"][0]["fieldViolations"]
    assert violation["field"] == "pipeline_job.template_uri"
    assert address in violation["description"]
    assert words in violation["description"]


def schedule(address: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "displayName": "by address",
        "cron": "*/10 * * * *",
        "maxConcurrentRunCount": "2",
        "createPipelineJobRequest": {"parent": LOCATION, "pipelineJob": job(address, parameters)},
    }


def test_what_a_run_by_address_would_be_refused_for_is_said_of_its_schedule(project: RunningEmulator) -> None:
    name, text = named(small.chain)
    upload(project, text, "weekly")
    body = schedule(f"{REGISTRY}/{name}/weekly", {"colour": "red"})
    status, answer = project.call("POST", f"/v1/{LOCATION}/schedules", body)
    assert status == 400
    assert "colour" in answer["error"]["message"]


def test_a_schedule_starts_what_the_tag_leads_to_when_it_is_due(
    tmp_path: Path, start_emulator: Callable[..., RunningEmulator]
) -> None:
    emulator = settle(tmp_path, start_emulator, more=("--simulate", "--speed", "1"))
    name, text = named(small.chain)
    address = f"{REGISTRY}/{name}/weekly"
    versions = [upload(emulator, text, "weekly")[1]]
    made = emulator.call("POST", f"/v1/{LOCATION}/schedules", schedule(address))
    kept = made["createPipelineJobRequest"]["pipelineJob"]
    assert (kept["templateUri"], "pipelineSpec" in kept) == (address, False)
    query = f"filter=schedule_name%3D%22{made['name']}%22"
    for count in (1, 2):
        emulator.call("POST", "/emulator/clock?advance=600")
        deadline = time.monotonic() + 60
        while (
            len(runs := emulator.call("GET", f"/v1/{LOCATION}/pipelineJobs?{query}").get("pipelineJobs", []))
            < count
        ):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert runs[0]["templateMetadata"] == {"version": versions[-1]}
        versions.append(upload(emulator, text.replace("hello", "goodbye"), "weekly")[1])
    assert len(set(versions)) == 2


def test_a_registry_is_there_after_a_crash_and_empty_after_a_reset(
    tmp_path: Path, start_emulator: Callable[..., RunningEmulator]
) -> None:
    emulator = settle(tmp_path, start_emulator)
    name, text = named(small.chain)
    package, version = upload(emulator, text, "v1")
    emulator.kill()
    emulator = settle(tmp_path, start_emulator)
    assert requests.get(f"{emulator.address}{HOST}/{package}/v1", timeout=60).text == text
    made = emulator.call("POST", f"/v1/{LOCATION}/pipelineJobs", job(f"{REGISTRY}/{name}/{version}"))
    assert ended(emulator, made["name"])["state"] == f"{PREFIX}SUCCEEDED"
    emulator.call("POST", "/emulator/reset")
    assert emulator.call("GET", f"/v1/{REPOSITORY}/packages") == {}
    assert upload(emulator, text) == (package, version)


def test_without_a_project_of_its_own_there_is_no_registry(emulator: RunningEmulator) -> None:
    assert upload(emulator, small.text(small.chain)) == (404, "Requested entity was not found.")


def test_a_bucket_with_a_usual_name_is_no_registry(pipelines: Pipelines) -> None:
    name = f"kfp-{uuid.uuid4().hex[:8]}"
    pipelines.call("POST", f"/storage/v1/b?project={PROJECT}", {"name": name})
    answer = requests.put(f"{pipelines.running.address}/{name}/x", data=json.dumps({}), timeout=60)
    assert answer.status_code == 200
