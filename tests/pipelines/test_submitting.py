"""A pipeline handed to a service, followed, and never started twice; each by Google's own client, or by kfp's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines import small
from tests.running import RunningEmulator
from tests.sdk.test_lost_answers import Proxy
from vertex_tuning import JobCancelledError, JobFailedError, ServiceError, TuningClient, connect
from vertex_tuning.errors import JobTimeoutError, PipelineError
from vertex_tuning.pipelines import kubeflow, scheduling, submitting


@pytest.fixture
def client(emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of the session's emulator, with a home of its own."""
    monkeypatch.setenv("VERTEX_TUNING_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
    with connect("local") as found:
        yield found


def submit(client: TuningClient, pipeline: Any, parameters: Any = None, **options: Any) -> Any:
    return submitting.submit(client.connection, small.spec(pipeline), parameters, **options)


def test_a_run_is_followed_to_its_end_and_tells_of_its_tasks(client: TuningClient) -> None:
    run = submit(client, small.chain, {"text": "four", "n": 3}, labels={"team": "a"}, display_name="shown")
    assert run.id.startswith("chain-")
    seen = [progress.state for progress in run.follow(timeout=120)]
    assert seen[-1] == "SUCCEEDED"
    assert seen == sorted(seen, key=["PENDING", "RUNNING", "SUCCEEDED"].index)
    assert (run.display_name, run.labels) == ("shown", {"team": "a"})
    found = {task.name: task for task in run.tasks}
    assert found["measure"].parameters == {"Output": 4}
    (data,) = found["write"].outputs["data"]
    assert data["schemaTitle"] == "system.Dataset"
    bucket, _, name = data["uri"].removeprefix("gs://").partition("/")
    assert name.startswith("vertex-tuning/pipelines/")
    assert client.connection.storage.bucket(bucket).blob(name).download_as_bytes() == b"four"
    assert run.succeed() is run
    assert run.to_json()["state"] == "PIPELINE_STATE_SUCCEEDED"
    again = submitting.get(client.connection, run.id)
    assert again.name == run.name
    assert [one.name for one in submitting.runs(client.connection, filter='labels.team="a"')] == [run.name]
    run.delete()
    run.delete()
    with pytest.raises(ServiceError):
        submitting.get(client.connection, run.id)


def test_groups_and_states_are_the_same_as_of_a_run_on_this_machine(client: TuningClient) -> None:
    run = submit(client, small.control, caching=False).wait(timeout=120)
    names = {task.id: task.name for task in run.tasks}
    inside = {task.name: names.get(task.parent or 0, "") for task in run.tasks}
    assert inside["for-loop-4-iteration-0"] == "for-loop-4"
    assert {task.name: task.state for task in run.tasks}["condition-2"] == "SKIPPED"
    cached = submit(client, small.chain, caching=True).wait(timeout=120)
    cached = submit(client, small.chain, caching=True).wait(timeout=120)
    assert {task.state for task in cached.tasks} == {"CACHED"}


def test_a_run_that_fails_says_why(client: TuningClient) -> None:
    run = submit(client, small.failing)
    with pytest.raises(JobFailedError, match="The failed tasks are: \\[fail\\]") as raised:
        run.succeed(timeout=120)
    assert raised.value.code == 9
    assert run.error is not None
    assert "seven is bad" in next(task for task in run.tasks if task.name == "fail").error["message"]


def test_a_run_is_cancelled(client: TuningClient, tmp_path: Path) -> None:
    run = submit(client, small.lingering, {"note": str(tmp_path / "note")})
    with pytest.raises(JobTimeoutError, match=f"pipeline watch {run.name}"):
        run.wait(timeout=0.5)
    run.cancel()
    with pytest.raises(JobCancelledError):
        run.succeed(timeout=60)


def test_a_name_names_one_run(client: TuningClient) -> None:
    name = f"nightly-{time.time_ns()}"
    submit(client, small.chain, name=name)
    with pytest.raises(PipelineError, match="VT720"):
        submit(client, small.chain, name=name)
    with pytest.raises(PipelineError, match="VT713"):
        submit(client, small.chain, name="Not a name")


def test_an_identical_run_that_goes_on_is_taken_up(client: TuningClient, tmp_path: Path) -> None:
    parameters = {"note": str(tmp_path / "note")}
    first = submit(client, small.lingering, parameters)
    assert submit(client, small.lingering, parameters).name == first.name
    other = submit(client, small.lingering, parameters, again=True)
    assert other.name != first.name
    for run in (first, other):
        run.cancel()
        run.wait(timeout=60)
    assert submit(client, small.chain).name != submit(client, small.chain, {"text": "other"}).name


@pytest.mark.parametrize("fate", ["swallowed", "spoiled", "busy"])
def test_a_lost_answer_starts_no_second_run(
    emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fate: str
) -> None:
    proxy = Proxy(emulator.port, lambda count: fate if count == 1 else "passed on")
    monkeypatch.setenv("VERTEX_TUNING_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VERTEX_TUNING_EMULATOR", proxy.address)
    label = {"lost": f"{fate}-{time.time_ns()}"}
    with connect("local") as client:
        run = submit(client, small.chain, labels=label)
        assert proxy.creates >= 1
        found = list(submitting.runs(client.connection, filter=f'labels.lost="{label["lost"]}"'))
        assert [one.name for one in found] == [run.name]
    proxy.close()


def test_after_a_crash_the_run_is_found_by_what_was_written_down_first(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    """The program is killed while its request is on the way; the request arrives."""
    killed: list[subprocess.Popen[str]] = []

    def fate(count: int) -> str:
        if count == 1:
            killed[0].kill()
            killed[0].wait()
        return "swallowed" if count == 1 else "passed on"

    proxy = Proxy(emulator.port, fate)
    program = (
        "import json, sys\nfrom vertex_tuning import connect\nfrom vertex_tuning.pipelines import submitting\n"
        "spec = json.load(open(sys.argv[1]))\n"
        "with connect('local') as client:\n"
        "    run = submitting.submit(client.connection, spec, {'note': sys.argv[2]}, labels={'crash': 'yes'})\n"
        "    print(run.name)\n"
        "    run.cancel()\n"
    )
    (tmp_path / "spec.json").write_text(json.dumps(small.spec(small.lingering)))
    command = [sys.executable, "-c", program, str(tmp_path / "spec.json"), str(tmp_path / "note")]
    variables = {
        **os.environ,
        "VERTEX_TUNING_HOME": str(tmp_path / "home"),
        "VERTEX_TUNING_EMULATOR": proxy.address,
    }
    killed.append(subprocess.Popen(command, env=variables, text=True, stdout=subprocess.PIPE))
    assert killed[0].communicate()[0] == ""
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    listed = emulator.call(
        "GET", "/v1/projects/vertex-tuning-local/locations/us-central1/pipelineJobs?filter=labels.crash%3Dyes"
    )["pipelineJobs"]
    assert [job["name"] for job in listed] == [done.stdout.strip()]
    assert proxy.creates == 1
    proxy.close()


def test_a_schedule_starts_runs(
    start_emulator: Callable[..., RunningEmulator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = start_emulator("--simulate", "--speed", "1")
    monkeypatch.setenv("VERTEX_TUNING_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VERTEX_TUNING_EMULATOR", own.address)
    with connect("local") as client:
        made = scheduling.schedule(
            client.connection, small.spec(small.chain), {"text": "timely"}, cron="*/5 * * * *", max_runs=2
        )
        assert (made.state, made.cron, made.started) == ("ACTIVE", "*/5 * * * *", 0)
        assert made.next_run is not None
        made.pause()
        assert (made.state, made.next_run) == ("PAUSED", None)
        made.resume()
        assert made.state == "ACTIVE"
        own.call("POST", "/emulator/clock?advance=300")
        deadline = time.monotonic() + 60
        while not made.refresh().started:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        (run,) = made.runs()
        assert run.wait(timeout=120).state == "SUCCEEDED"
        assert [one.name for one in scheduling.schedules(client.connection)] == [made.name]
        assert scheduling.get_schedule(client.connection, made.name).started == 1
        made.delete()
        made.delete()
        assert list(scheduling.schedules(client.connection)) == []


def test_to_kubeflow_and_followed_the_same_way(
    emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VERTEX_TUNING_HOME", str(tmp_path / "home"))
    run = submitting.submit_to_kubeflow(
        emulator.address, small.spec(small.control), {"n": 2}, name="by kubeflow", experiment="ours"
    )
    assert run.display_name.startswith("by kubeflow ")
    assert [progress.state for progress in run.follow(timeout=120)][-1] == "SUCCEEDED"
    names = {task.id: task.name for task in run.tasks}
    inside = {task.name: names.get(task.parent or 0, "") for task in run.tasks}
    assert inside["for-loop-4-iteration-0"] == "for-loop-4"
    assert run.succeed().to_json()["state"] == "SUCCEEDED"
    assert kubeflow.get(emulator.address, run.id).name == run.name
    run.delete()
    with pytest.raises(ServiceError) as raised:
        kubeflow.get(emulator.address, run.id)
    assert raised.value.code == 404


def test_kubeflows_refusal_is_translated(
    emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VERTEX_TUNING_HOME", str(tmp_path / "home"))
    with pytest.raises(ServiceError, match=r"parameter_values\.not") as raised:
        submitting.submit_to_kubeflow(emulator.address, small.spec(small.chain), {"not": 1})
    assert (raised.value.rule, raised.value.code) == ("VT501", 400)
