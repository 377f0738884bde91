"""A pipeline on this machine: what its steps do and leave, what is told of them, and that nothing of it outlives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.pipelines import small
from vertex_tuning.errors import PipelineError
from vertex_tuning.pipelines.running import LocalRun, run


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own: no cache but its own."""
    monkeypatch.setenv("VERTEX_TUNING_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def done(pipeline: Any, parameters: dict[str, Any] | None = None, **options: Any) -> LocalRun:
    """A run, when it has ended."""
    return run(small.spec(pipeline), parameters, **options).wait()


def states(finished: LocalRun) -> dict[str, str]:
    return {task.name: task.state for task in finished.tasks.values()}


def task(finished: LocalRun, name: str) -> Any:
    return next(one for one in finished.tasks.values() if one.name == name)


def until_written(note: Path) -> list[psutil.Process]:
    """The processes of a step that lingers: its own, and one that it sent away."""
    deadline = time.monotonic() + 60
    while not note.exists() or len(note.read_text().split()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return [psutil.Process(int(pid)) for pid in note.read_text().split()]


def gone(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=15)
    return not [one for one in alive if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


# What is done, and told


def test_steps_hand_on_values_and_artifacts_and_every_event_is_told():
    started = run(small.spec(small.chain), {"text": "some words"})
    events = list(started)
    assert started.state == "SUCCEEDED"
    assert events[0]["event"] == "run"
    assert events[-1]["state"] == "SUCCEEDED"
    assert [event["text"] for event in events if event["event"] == "log"] == ["wrote some words"]
    written = task(started, "write")
    assert written.parameters == {"Output": "some words"}
    (data,) = written.outputs["data"]
    assert Path(data["uri"]).read_text() == "some words"
    assert data["uri"].startswith(str(started.root))
    assert (data["schemaTitle"], data["metadata"]) == ("system.Dataset", {"length": 10})
    measured = task(started, "measure")
    assert measured.parameters == {"Output": 10}
    assert measured.outputs["metrics"][0]["metadata"] == {"length": 10}
    assert written.started <= written.ended <= measured.started


def test_what_was_given_as_a_float_arrives_as_the_whole_number_that_it_is():
    assert task(done(small.chain, {"n": 4.0}), "number").parameters == {"Output": 4}


def test_conditions_loops_and_exit_steps_are_groups_of_what_stands_in_them():
    finished = done(small.control, {"n": 2})
    names = {one.id: one.name for one in finished.tasks.values()}
    inside = {one.name: names.get(one.parent or 0, "") for one in finished.tasks.values()}
    assert states(finished)["condition-2"] == "SKIPPED"
    assert inside["condition-2"] == inside["for-loop-4"] == "exit-handler-1"
    assert inside["for-loop-4-iteration-0"] == inside["for-loop-4-iteration-1"] == "for-loop-4"
    assert inside["last"] == inside["exit-handler-1"] == ""
    looped = [one.parameters["Output"] for one in finished.tasks.values() if one.name == "number-3"]
    assert sorted(looped) == [1, 2]  # side by side: either may begin first
    other = done(small.control, {"n": 7})
    assert states(other)["condition-2"] == "SUCCEEDED"
    assert task(other, "number-2").parameters == {"Output": 10}


def test_after_a_failure_what_does_not_need_the_failed_step_still_runs_and_the_exit_step_is_told():
    started = run(small.spec(small.failing), name="a-failing-run")
    words = [event["text"] for event in started if event["event"] == "log"]
    assert started.state == "FAILED"
    assert states(started) == {
        "exit-handler-1": "FAILED",
        "fail": "FAILED",
        "number": "SKIPPED",
        "write": "SUCCEEDED",
        "last": "SUCCEEDED",
    }
    assert task(started, "fail").error == {
        "code": 9,
        "message": "The replica workerpool0-0 exited with a non-zero status of 1. "
        "Its last words: ValueError: seven is bad\nreally",
    }
    message = "The DAG failed because some tasks failed. The failed tasks are: [fail]."
    assert started.error == {"code": 9, "message": message}
    assert f"the rest is FAILED in a-failing-run: {message}" in words


def test_fail_fast_begins_nothing_more_but_the_exit_step():
    started = run(small.spec(small.many), fail_fast=True)
    told = [(event["task"], event["state"]) for event in started if event["event"] == "task"]
    after = told[told.index(("fail", "FAILED")) + 1 :]
    assert [name for name, state in after if state == "RUNNING"] == ["last"]
    everything = states(done(small.many))
    assert [name for name, state in everything.items() if state == "SKIPPED"] == []


def test_a_step_is_tried_again_and_keeps_its_id(tmp_path):
    started = run(small.spec(small.retried), {"note": str(tmp_path / "note")})
    attempts = [event.get("attempt", 1) for event in started if event["event"] == "task"]
    assert attempts == [1, 2, 1]
    (only,) = started.tasks.values()
    assert (only.state, only.attempt) == ("SUCCEEDED", 2)


def test_a_step_knows_the_job():
    finished = done(small.placeholders, name="my-run")
    found = task(finished, "told").parameters["Output"]
    assert found["job"] == found["name"] == found["resource"] == "my-run"
    assert found["created"].startswith("20")
    assert found["created"].endswith("Z")


def test_steps_get_no_secret_of_another_program(monkeypatch):
    monkeypatch.setenv("OTHER_API_KEY", "secret")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "mine")
    names = ["OTHER_API_KEY", "GOOGLE_CLOUD_PROJECT", "VERTEX_TUNING_TARGET"]
    finished = done(small.surroundings, {"names": names}, environment={"VERTEX_TUNING_TARGET": "local"})
    assert task(finished, "environment").parameters["Output"] == {
        "OTHER_API_KEY": "",
        "GOOGLE_CLOUD_PROJECT": "mine",
        "VERTEX_TUNING_TARGET": "local",
    }


def test_an_imported_file_of_this_machine_is_read_where_it_lies(tmp_path):
    (tmp_path / "data.txt").write_text("four")
    finished = done(small.importing, {"uri": str(tmp_path / "data.txt")})
    assert task(finished, "measure").parameters == {"Output": 4}


def test_a_folder_called_docker_beside_a_program_is_no_hindrance(tmp_path, monkeypatch):
    (tmp_path / "docker").mkdir()
    monkeypatch.chdir(tmp_path)
    assert done(small.chain).state == "SUCCEEDED"


def test_a_run_with_wrong_parameters_fails_with_every_fault():
    finished = done(small.retried, {"not": 1})
    assert finished.state == "FAILED"
    assert finished.error is not None
    assert finished.error["code"] == 3
    assert "parameter not is not found" in finished.error["message"]
    assert "parameter note has no value" in finished.error["message"]


@pytest.mark.parametrize(("spec", "rule"), [({}, "VT712"), ({"pipelineInfo": {"name": "x"}}, "VT712")])
def test_what_is_no_pipeline_is_refused(spec, rule):
    with pytest.raises(PipelineError) as raised:
        run(spec)
    assert raised.value.rule == rule


def test_names_and_folders_that_cannot_be_are_refused(tmp_path):
    with pytest.raises(PipelineError, match="VT713"):
        run(small.spec(small.chain), name="Not/a name")
    (tmp_path / "file").touch()
    with pytest.raises(PipelineError, match="VT711"):
        run(small.spec(small.chain), root=tmp_path / "file" / "below")


# The cache


def test_a_second_run_takes_everything_from_the_cache_metrics_too():
    first, second = done(small.chain), done(small.chain)
    assert set(states(first).values()) == {"SUCCEEDED"}
    assert set(states(second).values()) == {"CACHED"}
    assert task(second, "measure").parameters == task(first, "measure").parameters
    assert task(second, "write").outputs == task(first, "write").outputs


def test_other_inputs_or_caching_switched_off_run_again():
    done(small.chain)
    assert states(done(small.chain, {"text": "other"}))["write"] == "SUCCEEDED"
    assert states(done(small.chain, {"text": "other"}))["number"] == "CACHED"
    assert set(states(done(small.chain, caching=False)).values()) == {"SUCCEEDED"}


def test_an_output_that_is_gone_is_made_again():
    first = done(small.chain)
    Path(task(first, "write").outputs["data"][0]["uri"]).unlink()
    second = done(small.chain)
    assert states(second)["write"] == "SUCCEEDED"


def test_a_change_of_this_packages_code_is_seen_by_the_cache(tmp_path):
    """By a copy of the package, so that the one under test stays as it is."""
    program = (
        "import json, sys; from vertex_tuning.pipelines.running import run\n"
        "spec = json.load(open(sys.argv[1])); done = run(spec).wait()\n"
        "print(json.dumps(sorted({task.state for task in done.tasks.values()})))"
    )
    import shutil

    import vertex_tuning

    copy = tmp_path / "copy" / "vertex_tuning"
    shutil.copytree(Path(vertex_tuning.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "spec.json").write_text(json.dumps(small.spec(small.chain)))

    def states_now() -> list[str]:
        answer = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "spec.json")],
            env={**os.environ, "PYTHONPATH": str(copy.parent)},
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
        )
        return json.loads(answer.stdout)

    assert states_now() == ["SUCCEEDED"]
    assert states_now() == ["CACHED"]
    with (copy / "metrics" / "overlap.py").open("a") as file:
        file.write("\n# changed\n")
    assert states_now() == ["SUCCEEDED"]


# The end of it


def test_stopping_a_run_ends_all_that_it_started(tmp_path):
    note = tmp_path / "note"
    with run(small.spec(small.lingering), {"note": str(note)}) as started:
        processes = until_written(note)
    assert started.state == "CANCELLED"
    assert states(started) == {"linger": "CANCELLED"}
    assert gone(processes)
    assert list(started) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_does_not_outlive_who_started_it(tmp_path, number):
    note = tmp_path / "note"
    program = (
        "import json, sys; from vertex_tuning.pipelines.running import run\n"
        "run(json.load(open(sys.argv[1])), {'note': sys.argv[2]}).wait()"
    )
    (tmp_path / "spec.json").write_text(json.dumps(small.spec(small.lingering)))
    starter = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "spec.json"), str(note)])
    processes = until_written(note)
    family = psutil.Process(starter.pid).children(recursive=True)
    starter.send_signal(number)
    starter.wait()
    assert gone([*processes, *family])


def test_a_child_that_is_killed_fails_its_run(tmp_path):
    note = tmp_path / "note"
    started = run(small.spec(small.lingering), {"note": str(note)})
    processes = until_written(note)
    child = processes[0].parents()
    next(one for one in child if "vertex_tuning.pipelines.child" in one.cmdline()).kill()
    started.wait()
    assert started.state == "FAILED"
    assert started.error is not None
    assert started.error["code"] == 13
    assert gone(processes)


def test_nothing_is_left_but_the_outputs(tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)
    finished = done(small.chain)
    assert list(scratch.iterdir()) == []
    note = tmp_path / "note"
    with run(small.spec(small.lingering), {"note": str(note)}):
        until_written(note)
    assert list(scratch.iterdir()) == [], "nor after a run that was stopped"
    assert sorted(path.name for path in (finished.root / "1").iterdir()) == ["measure", "number", "write"]
