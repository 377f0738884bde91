"""`pipelineJobs`: compiled pipelines really run, their tasks are told as Vertex AI tells them, and nothing outlives them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.emulator.jobs.conftest import LOCATION
from tests.pipelines import small
from tests.running import RunningEmulator

from .conftest import Pipelines, gone, states, tasks, until_written


def refusal(answer: Any) -> tuple[int, str, str]:
    """Status, reason and words of an answer that is an error."""
    assert isinstance(answer, tuple), answer
    error = answer[1]["error"]
    return answer[0], error["details"][-1]["reason"], error["message"]


# What is done, and told


def test_a_pipeline_runs_and_its_tasks_are_told(pipelines: Pipelines) -> None:
    made = pipelines.post(
        pipelines.body(small.chain, {"text": "some words", "n": 3.0}, labels={"team": "a"}), "my-run"
    )
    assert made["state"] == "PIPELINE_STATE_PENDING"
    assert made["name"] == "projects/123456789012/locations/us-central1/pipelineJobs/my-run"
    job = pipelines.until(made["name"], "SUCCEEDED")
    assert job["labels"] == {"team": "a"}
    assert "error" not in job
    assert job["createTime"] <= job["startTime"] <= job["endTime"] <= job["updateTime"]
    assert job["pipelineSpec"] == small.spec(small.chain)
    written, measured = tasks(job)["write"], tasks(job)["measure"]
    assert written["state"] == "SUCCEEDED"
    assert written["execution"]["metadata"] == {"input:text": "some words", "output:Output": "some words"}
    assert written["execution"]["state"] == "COMPLETE"
    assert [one["state"] for one in written["pipelineTaskStatus"]] == ["RUNNING", "SUCCEEDED"]
    (data,) = written["outputs"]["data"]["artifacts"]
    assert data["schemaTitle"] == "system.Dataset"
    assert data["metadata"] == {"length": 10}
    place = f"gs://{pipelines.bucket}/root/123456789012/my-run/write_{written['taskId']}/data"
    assert data["uri"] == place
    assert measured["inputs"]["data"]["artifacts"][0]["uri"] == place
    assert measured["execution"]["metadata"]["output:Output"] == 10
    assert measured["outputs"]["metrics"]["artifacts"][0]["metadata"] == {"length": 10}
    assert written["startTime"] <= written["endTime"] <= measured["startTime"]
    assert tasks(job)["number"]["execution"]["metadata"]["output:Output"] == 3


def test_artifacts_are_in_cloud_storage_by_the_time_their_task_has_succeeded(pipelines: Pipelines) -> None:
    job = pipelines.run(small.chain, {"text": "over there"})
    written = tasks(job)["write"]["outputs"]["data"]["artifacts"][0]["uri"]
    assert pipelines.text(written) == "over there"
    metrics = tasks(job)["measure"]["outputs"]["metrics"]["artifacts"][0]["uri"]
    with pytest.raises(urllib.error.HTTPError, match="404"):  # metrics are metadata, and no object
        pipelines.text(metrics)


def test_conditions_loops_and_exit_handlers_are_tasks_that_others_stand_in(pipelines: Pipelines) -> None:
    job = pipelines.run(small.control)
    found = tasks(job)
    names = {task["taskId"]: name for name, task in found.items()}
    inside = {name: names.get(task.get("parentTaskId", ""), "") for name, task in found.items()}
    assert states(job)["condition-2"] == "NOT_TRIGGERED"
    assert inside["for-loop-4-iteration-1"] == "for-loop-4"
    assert inside["for-loop-4"] == inside["condition-2"] == "exit-handler-1"
    assert inside["exit-handler-1"] == inside["last"] == ""
    assert found["for-loop-4"]["execution"]["schemaTitle"] == "system.DagExecution"
    assert found["last"]["execution"]["schemaTitle"] == "system.ContainerExecution"


def test_a_failing_task_fails_its_run_in_vertex_ais_words(pipelines: Pipelines) -> None:
    job = pipelines.run(small.failing)
    assert job["state"] == "PIPELINE_STATE_FAILED"
    assert job["error"]["code"] == 9
    identifier = job["name"].rsplit("/", 1)[1]
    assert job["error"]["message"].startswith(
        "The DAG failed because some tasks failed. The failed tasks are: [fail].; "
        f"Job (project_id = vertex-tuning-local, job_id = {identifier}) is failed due to the above error.; "
    )
    assert states(job) == {
        "exit-handler-1": "FAILED",
        "fail": "FAILED",
        "write": "SUCCEEDED",
        "number": "NOT_TRIGGERED",
        "last": "SUCCEEDED",
    }
    assert "ValueError: seven is bad\nreally" in tasks(job)["fail"]["error"]["message"]
    assert tasks(job)["last"]["execution"]["metadata"]["output:Output"] == "FAILED"
    log = Path(job["error"]["message"].rpartition("The log of its tasks: ")[2]).read_text(encoding="utf-8")
    assert "[fail] ValueError: seven is bad\n" in log


def test_fail_fast_is_heard(pipelines: Pipelines) -> None:
    job = pipelines.run(small.many, config={"failurePolicy": "PIPELINE_FAILURE_POLICY_FAIL_FAST"})
    told = [
        (event["data"]["task"], event["data"]["state"])
        for event in pipelines.call("GET", f"/emulator/events?resource={job['name']}")["events"]
        if event["kind"] == "task"
    ]
    after = told[told.index(("fail", "FAILED")) + 1 :]
    assert [name for name, state in after if state == "RUNNING"] == ["last"]


def test_a_second_run_takes_its_tasks_from_the_cache(pipelines: Pipelines) -> None:
    first = pipelines.run(small.chain, {"text": "cached"})
    second = pipelines.run(small.chain, {"text": "cached"})
    assert set(states(second).values()) == {"SKIPPED"}
    assert tasks(second)["write"]["execution"]["state"] == "CACHED"
    assert (
        tasks(second)["write"]["outputs"]["data"]["artifacts"][0]["uri"]
        == tasks(first)["write"]["outputs"]["data"]["artifacts"][0]["uri"]
    )


def test_an_importer_reads_cloud_storage(pipelines: Pipelines) -> None:
    uri = pipelines.upload(b"twelve bytes", name="folder/data.txt")
    job = pipelines.run(small.importing, {"uri": uri})
    found = tasks(job)
    assert found["importer"]["outputs"]["artifact"]["artifacts"][0]["uri"] == uri
    assert found["importer"]["execution"]["schemaTitle"] == "system.ImporterExecution"
    assert found["measure"]["inputs"]["data"]["artifacts"][0]["uri"] == uri
    assert found["measure"]["execution"]["metadata"]["output:Output"] == 12
    pipelines.upload(b"other", name="folder/data.txt")
    other = pipelines.run(small.importing, {"uri": uri})
    assert tasks(other)["measure"]["execution"]["metadata"]["output:Output"] == 5


def test_steps_are_led_back_to_this_emulator_and_know_their_job(pipelines: Pipelines) -> None:
    names = ["VERTEX_TUNING_EMULATOR", "VERTEX_TUNING_TARGET", "VERTEX_TUNING_PROJECT"]
    names += [
        "VERTEX_TUNING_LOCATION",
        "VERTEX_TUNING_BUCKET",
        "HTTPS_PROXY",
        "HOME",
        "AWS_SECRET_ACCESS_KEY",
    ]
    job = pipelines.run(small.surroundings, {"names": names})
    found = tasks(job)["environment"]["execution"]["metadata"]["output:Output"]
    assert found["VERTEX_TUNING_EMULATOR"] == found["HTTPS_PROXY"] == pipelines.running.address
    assert found["VERTEX_TUNING_TARGET"] == "local"
    assert found["VERTEX_TUNING_PROJECT"] == "vertex-tuning-local"
    assert found["VERTEX_TUNING_LOCATION"] == "us-central1"
    assert found["VERTEX_TUNING_BUCKET"] == pipelines.bucket
    assert found["HOME"].startswith(str(pipelines.running.data_dir))
    assert found["AWS_SECRET_ACCESS_KEY"] == ""
    told = pipelines.run(small.placeholders)
    found = tasks(told)["told"]["execution"]["metadata"]["output:Output"]
    assert found["resource"] == told["name"]
    assert found["name"] == told["name"].rsplit("/", 1)[1]
    assert found["created"] == told["createTime"]


# Lists


def test_jobs_are_listed_filtered_and_ordered_without_what_is_told_of_their_tasks(
    pipelines: Pipelines,
) -> None:
    first = pipelines.run(small.chain, displayName="zebra", labels={"set": "listed"})
    second = pipelines.run(small.failing, displayName="ant", labels={"set": "listed"})

    def listed(query: str) -> list[str]:
        answer = pipelines.call("GET", f"/v1/{LOCATION}/pipelineJobs?{query}")
        assert not any("jobDetail" in job for job in answer.get("pipelineJobs", []))
        return [job["name"] for job in answer.get("pipelineJobs", [])]

    ours = "filter=labels.set%3D%22listed%22"
    assert listed(ours) == [second["name"], first["name"]]
    assert listed(f"{ours}&orderBy=create_time") == [first["name"], second["name"]]
    assert listed(f"{ours}&orderBy=display_name%20desc") == [first["name"], second["name"]]
    assert listed(f"{ours}%20AND%20state%3DPIPELINE_STATE_FAILED") == [second["name"]]
    assert listed(f"{ours}%20AND%20pipeline_name%3D%22chain%22") == [first["name"]]
    assert listed(f"{ours}%20AND%20display_name%3D%22ant%22") == [second["name"]]
    page = pipelines.call("GET", f"/v1/{LOCATION}/pipelineJobs?{ours}&pageSize=1&orderBy=create_time")
    rest = pipelines.call(
        "GET",
        f"/v1/{LOCATION}/pipelineJobs?{ours}&pageSize=1&orderBy=create_time&pageToken={page['nextPageToken']}",
    )
    names = [job["name"] for answer in (page, rest) for job in answer["pipelineJobs"]]
    assert names == [first["name"], second["name"]]
    masked = pipelines.call("GET", f"/v1/{LOCATION}/pipelineJobs?{ours}&readMask=name,state")
    assert set(masked["pipelineJobs"][0]) == {"name", "state"}
    assert pipelines.call("GET", f"/v1/{LOCATION}/pipelineJobs?orderBy=nonsense")[0] == 400


# What is refused


def test_every_fault_of_a_request_is_told(pipelines: Pipelines) -> None:
    body = pipelines.body(small.chain, {"n": 1.5, "not": 1, "text": 3})
    body["runtimeConfig"]["gcsOutputDirectory"] = "gs://no-such-bucket/x"
    body["labels"] = {"Bad": "label"}
    status, reason, words = refusal(pipelines.post(body, "Bad_id"))
    assert (status, reason) == (400, "VT716")
    for part in (
        "Bad_id",
        "no-such-bucket does not exist",
        "Label key 'Bad'",
        "parameter_values.not",
        "NUMBER_INTEGER, and the value is 1.5",
        "STRING, and the value is 3",
    ):
        assert part in words, part


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda spec: spec.pop("root"), "The pipeline has no tasks"),
        (lambda spec: spec["pipelineInfo"].clear(), "pipelineInfo.name is required"),
        (lambda spec: spec["components"].pop("comp-write"), "There is no component comp-write"),
        (
            lambda spec: spec["deploymentSpec"]["executors"].pop("exec-write"),
            "There is no executor exec-write",
        ),
        (lambda spec: spec["root"]["dag"]["tasks"].pop("write"), "It depends on write"),
    ],
)
def test_a_pipeline_that_hangs_together_badly_is_refused(
    pipelines: Pipelines, change: Callable[[Any], Any], words: str
) -> None:
    spec = small.spec(small.chain)
    change(spec)
    assert words in refusal(pipelines.post(pipelines.body(None, spec=spec)))[2]


def test_containers_are_refused_by_name(pipelines: Pipelines) -> None:
    spec = small.spec(small.chain)
    spec["deploymentSpec"]["executors"]["exec-write"]["container"]["command"] = ["sh", "-c", "true"]
    status, reason, words = refusal(pipelines.post(pipelines.body(None, spec=spec)))
    assert (status, reason) == (400, "VT715")
    assert "not lightweight Python components: write." in words


def test_an_id_names_one_job(pipelines: Pipelines) -> None:
    body = pipelines.body(small.chain)
    pipelines.post(body, "only-one")
    assert refusal(pipelines.post(body, "only-one"))[:2] == (409, "VT717")


def test_no_local_code_runs_no_pipeline(start_emulator: Callable[..., RunningEmulator]) -> None:
    strict = Pipelines(start_emulator("--no-local-code"))
    assert refusal(strict.post(strict.body(small.chain)))[:2] == (400, "VT715")


def test_a_step_that_wants_a_package_that_is_not_there_says_which(pipelines: Pipelines) -> None:
    assert pipelines.run(small.with_packages_at_hand)["state"] == "PIPELINE_STATE_SUCCEEDED"
    job = pipelines.run(small.with_packages_to_install)
    assert (
        "VT714  this step wants packages that are not installed here: no-such-package-at-all==1.0"
        in (tasks(job)["wanting"]["error"]["message"])
    )


# The end of a run


def test_a_cancelled_run_ends_with_all_that_it_started(pipelines: Pipelines, tmp_path: Path) -> None:
    name = pipelines.submit(small.lingering, {"note": str(tmp_path / "note")})
    processes = until_written(tmp_path / "note")
    assert pipelines.call("POST", f"/v1/{name}:cancel", {}) == {}
    job = pipelines.until(name, "CANCELLED")
    assert job["error"] == {"code": 1, "message": "The pipeline job was cancelled."}
    assert states(job) == {"linger": "CANCELLED"}
    assert gone(processes)
    assert refusal(pipelines.call("POST", f"/v1/{name}:cancel", {}))[:2] == (400, "VT718")


def test_a_job_that_runs_is_not_deleted_and_one_that_has_ended_leaves_nothing(
    pipelines: Pipelines, tmp_path: Path
) -> None:
    name = pipelines.submit(small.lingering, {"note": str(tmp_path / "note")})
    until_written(tmp_path / "note")
    assert refusal(pipelines.call("DELETE", f"/v1/{name}"))[:2] == (400, "VT718")
    pipelines.call("POST", f"/v1/{name}:cancel", {})
    pipelines.until(name, "CANCELLED")
    folders = set((pipelines.running.data_dir / "pipelines").iterdir())
    assert pipelines.call("DELETE", f"/v1/{name}")["done"]
    assert pipelines.call("GET", f"/v1/{name}")[0] == 404
    assert len(folders - set((pipelines.running.data_dir / "pipelines").iterdir())) == 1


def test_batches_are_cancelled_together_and_deleted_all_or_none(pipelines: Pipelines, tmp_path: Path) -> None:
    ended = pipelines.run(small.chain)["name"]
    names = [
        pipelines.submit(small.lingering, {"note": str(tmp_path / f"note-{index}")}) for index in range(2)
    ]
    for index in range(2):
        until_written(tmp_path / f"note-{index}")
    missing = ended + "-not"
    batch = f"/v1/{LOCATION}/pipelineJobs:batch"
    assert pipelines.call("POST", f"{batch}Delete", {"names": [ended, missing]})[0] == 404
    assert pipelines.get(ended)["state"] == "PIPELINE_STATE_SUCCEEDED"
    cancelled = pipelines.call("POST", f"{batch}Cancel", {"names": [*names, ended]})
    assert [job["state"] for job in cancelled["response"]["pipelineJobs"]] == ["PIPELINE_STATE_CANCELLED"] * 2
    deleted = pipelines.call("POST", f"{batch}Delete", {"names": [*names, ended]})
    assert len(deleted["response"]["pipelineJobs"]) == 3
    assert [pipelines.call("GET", f"/v1/{name}")[0] for name in [*names, ended]] == [404] * 3


def test_a_process_that_is_killed_fails_its_run(pipelines: Pipelines, tmp_path: Path) -> None:
    name = pipelines.submit(small.lingering, {"note": str(tmp_path / "note")})
    processes = until_written(tmp_path / "note")
    parents = processes[0].parents()
    next(one for one in parents if "vertex_tuning.pipelines.child" in one.cmdline()).kill()
    job = pipelines.until(name, "FAILED")
    assert job["error"]["code"] == 13
    assert "was killed by signal 9" in job["error"]["message"]
    assert states(job) == {"linger": "FAILED"}
    assert gone(processes)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_does_not_outlive_the_server_and_goes_on_with_the_next_one(
    start_emulator: Callable[..., RunningEmulator], tmp_path: Path, number: signal.Signals
) -> None:
    """What was done is not done again, though none of its steps may be cached."""
    first = Pipelines(start_emulator(data_dir=tmp_path / "data"))
    notes = {"counted": str(tmp_path / "counted"), "note": str(tmp_path / "note")}
    name = first.submit(small.in_two_steps, {**notes, "seconds": 600.0})
    processes = until_written(tmp_path / "note")
    family = psutil.Process(first.running.process.pid).children(recursive=True)
    before = tasks(first.get(name))["count"]
    first.running.process.send_signal(number)
    first.running.process.wait()
    assert gone([*processes, *family])
    (tmp_path / "note").unlink()
    second = Pipelines(start_emulator(data_dir=tmp_path / "data"))
    again = until_written(tmp_path / "note")
    job = second.get(name)
    assert job["state"] == "PIPELINE_STATE_RUNNING"
    assert (tmp_path / "counted").read_text() == "once "
    assert states(job) == {"count": "SUCCEEDED", "linger-after": "RUNNING"}
    found = tasks(job)["count"]
    assert (
        found["execution"]["metadata"] == before["execution"]["metadata"]
    )  # it left its output where it had left it
    assert second.text(found["outputs"]["place"]["artifacts"][0]["uri"]) == "here"
    second.call("POST", f"/v1/{name}:cancel", {})
    second.until(name, "CANCELLED")
    assert gone(again)


def test_a_reset_ends_what_runs(start_emulator: Callable[..., RunningEmulator], tmp_path: Path) -> None:
    own = Pipelines(start_emulator())
    name = own.submit(small.lingering, {"note": str(tmp_path / "note")})
    processes = until_written(tmp_path / "note")
    own.call("POST", "/emulator/reset", {})
    assert gone(processes)
    assert own.call("GET", f"/v1/{name}")[0] == 404


def test_more_jobs_than_processors_wait_in_pending(
    start_emulator: Callable[..., RunningEmulator], tmp_path: Path
) -> None:
    own = Pipelines(start_emulator())
    room = max(2, len(os.sched_getaffinity(0)))
    names = [own.submit(small.lingering, {"note": str(tmp_path / f"{index}")}) for index in range(room + 1)]
    for index in range(room):
        until_written(tmp_path / f"{index}")
    assert own.get(names[-1])["state"] == "PIPELINE_STATE_PENDING"
    own.call("POST", f"/v1/{names[-1]}:cancel", {})
    assert own.get(names[-1])["state"] == "PIPELINE_STATE_CANCELLED"
    assert "taskDetails" not in own.get(names[-1])["jobDetail"]


def test_a_simulation_runs_pipelines_too(start_emulator: Callable[..., RunningEmulator]) -> None:
    """Their steps are code; what the steps start at the emulator is simulated."""
    own = Pipelines(start_emulator("--simulate"))
    assert own.run(small.chain)["state"] == "PIPELINE_STATE_SUCCEEDED"


def test_the_server_needs_no_kfp_itself() -> None:
    code = "import sys; import vertex_tuning.emulator.server; print([n for n in ('kfp', 'yaml') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
