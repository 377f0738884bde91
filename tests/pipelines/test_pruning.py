"""What runs on this machine leave: told with its size, and removed without harm to a run that goes on, or to a later one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines import small
from tests.pipelines.test_running import states, until_written
from vertex_tuning import connect
from vertex_tuning.errors import PipelineError
from vertex_tuning.pipelines import stored
from vertex_tuning.pipelines.running import LocalRun, run


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own."""
    monkeypatch.setenv("VERTEX_TUNING_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def done(
    name: str, pipeline: Any = small.chain, parameters: dict[str, Any] | None = None, **options: Any
) -> LocalRun:
    return run(small.spec(pipeline), parameters, name=name, **options).wait()


def names() -> list[str]:
    return [one.name for one in stored.stored_runs()]


def removed(pruning: stored.Pruning) -> set[str]:
    return {one.name for one in pruning.removed}


def kept(pruning: stored.Pruning) -> dict[str, str]:
    return {fault.where: fault.what for fault in pruning.kept}


def begun_long_ago(name: str, days: int) -> None:
    """As if it had been."""
    path = stored.runs_folder() / name / "run.json"
    known = json.loads(path.read_text())
    then = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - days * 86400))
    path.write_text(json.dumps(known | {"started": then, "ended": then}))


def lingering(note: Path) -> subprocess.Popen[bytes]:
    """A program that runs a pipeline and waits for it."""
    code = (
        "from tests.pipelines import small\n"
        "from vertex_tuning.pipelines.running import run\n"
        f"run(small.spec(small.lingering), {{'note': {str(note)!r}}}, name='lingers').wait()\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    )


# What is told


def test_a_run_is_told_with_how_it_ended_and_what_it_takes_on_the_disk():
    done("well", parameters={"text": "x" * 100_000})
    done("badly", small.failing)
    badly, well = stored.stored_runs()
    assert (well.name, well.pipeline, well.state) == ("well", "chain", "SUCCEEDED")
    assert (badly.name, badly.pipeline, badly.state) == ("badly", "failing", "FAILED")
    assert well.started <= well.ended <= badly.ended
    assert 300_000 < well.bytes < 400_000  # what it was given stands in what it had done, and in its data
    assert list(stored.runs_folder().glob("*/.work-*")) == []
    assert well.to_json()["bytes"] == well.bytes


def test_a_run_that_goes_on_is_told_as_such_until_it_is_stopped(tmp_path):
    with run(small.spec(small.lingering), {"note": str(tmp_path / "note")}, name="lingers"):
        until_written(tmp_path / "note")
        assert stored.stored_runs()[0].state == "RUNNING"
    assert stored.stored_runs()[0].state == "CANCELLED"


def test_a_run_whose_program_was_killed_is_interrupted_and_may_go(tmp_path):
    program = lingering(tmp_path / "note")
    until_written(tmp_path / "note")
    assert stored.stored_runs()[0].state == "RUNNING"
    program.send_signal(signal.SIGKILL)
    program.wait()
    deadline = time.monotonic() + 20
    while stored.stored_runs()[0].state == "RUNNING":  # until nothing of it runs any more
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert stored.stored_runs()[0].state == "INTERRUPTED"
    assert list(stored.runs_folder().glob("lingers/.work-*")) != []
    assert removed(stored.prune(failed=True)) == {"lingers"}
    assert list(stored.runs_folder().iterdir()) == []


def test_a_folder_of_which_nothing_is_known_is_listed_and_goes():
    (stored.runs_folder() / "supervised-20261126103000-1f2a" / "1").mkdir(parents=True)
    (stored.runs_folder() / "mine").mkdir()
    (stored.runs_folder() / "mine" / "run.json").write_text('{"name": "mi')
    assert {(one.name, one.pipeline, one.state) for one in stored.stored_runs()} == {
        ("supervised-20261126103000-1f2a", "supervised", ""),
        ("mine", "", ""),
    }
    assert removed(stored.prune(failed=True)) == set()
    assert len(removed(stored.prune())) == 2


def test_where_nothing_ever_ran_there_is_nothing_to_tell_or_to_remove():
    assert stored.stored_runs() == []
    assert stored.prune() == stored.Pruning()


# What goes, and what stays


def test_what_goes_frees_what_was_said_and_a_later_run_does_it_again(home):
    first = done("first")
    planned = stored.prune(dry_run=True)
    assert first.root.is_dir()
    assert planned.bytes > 0
    assert planned.cached_steps == 2  # `number` left no file: it still counts
    pruned = stored.prune()
    assert (pruned.bytes, pruned.cached_steps) == (planned.bytes, planned.cached_steps)
    assert not first.root.exists()
    assert names() == []
    again = done("again")
    assert again.state == "SUCCEEDED"
    assert states(again) == {"write": "SUCCEEDED", "measure": "SUCCEEDED", "number": "CACHED"}
    assert set(states(done("and-again")).values()) == {"CACHED"}


def test_a_run_stays_as_long_as_another_one_has_outputs_there():
    done("first")
    done("second")
    done("third", parameters={"text": "other"})
    pruned = stored.prune(keep=2)
    assert removed(pruned) == set()
    assert kept(pruned) == {"first": "second has outputs there"}
    with pytest.raises(PipelineError, match="second has outputs there") as refused:
        stored.prune(["first", "third"])
    assert refused.value.rule == "VT729"
    assert len(names()) == 3
    assert removed(stored.prune(["first", "second"])) == {"first", "second"}


def test_what_is_needed_by_one_that_is_needed_stays_too():
    for name, taken in {"first": "gone", "second": "first", "third": "second"}.items():
        stored.Record(name, "chain", None).end("SUCCEEDED")
        stored.take(
            stored.runs_folder() / name / "taken.jsonl", [str(stored.runs_folder() / taken / "1" / "write")]
        )
    begun_long_ago("first", 9)
    begun_long_ago("second", 9)
    pruned = stored.prune(older_than=timedelta(days=7))
    assert kept(pruned) == {"first": "second has outputs there", "second": "third has outputs there"}
    assert removed(pruned) == set()


def test_a_run_that_goes_on_keeps_what_it_took_from_the_cache(tmp_path):
    """A step that comes later reads the file that was taken from a run that somebody would have gone."""
    counted = tmp_path / "counted"
    given = {"counted": str(counted), "note": str(tmp_path / "note"), "seconds": 0.1}
    spec = small.spec(small.in_two_steps)
    for task in spec["root"]["dag"]["tasks"].values():
        task["cachingOptions"] = {"enableCache": True}
    assert run(spec, given, name="first").wait().state == "SUCCEEDED"
    (tmp_path / "note").unlink()
    with run(spec, given | {"seconds": 600.0}, name="second") as second:
        until_written(tmp_path / "note")
        assert counted.read_text() == "once "
        pruned = stored.prune()
        assert removed(pruned) == set()
        assert kept(pruned) == {"first": "second has outputs there", "second": "it goes on"}
        with pytest.raises(PipelineError, match="it goes on"):
            stored.prune(["second"])
    assert second.state == "CANCELLED"
    assert removed(stored.prune()) == {"first", "second"}


def test_the_newest_of_each_pipeline_the_young_and_the_well_ended_stay_where_that_is_wanted():
    for number in range(3):
        done(f"chain-{number}", parameters={"text": str(number)})
    done("badly", small.failing)
    begun_long_ago("chain-0", 9)
    begun_long_ago("badly", 9)
    week = timedelta(days=7)
    assert removed(stored.plan(older_than=week)) == {"chain-0", "badly"}
    assert removed(stored.plan(older_than=week, keep=1)) == {"chain-0"}
    assert removed(stored.plan(keep=2)) == {"chain-0"}
    assert removed(stored.plan(failed=True)) == {"badly"}
    assert removed(stored.plan(["chain-0", "chain-2"], older_than=week)) == {"chain-0"}


def test_all_names_that_there_are_not_are_told_at_once_and_nothing_goes():
    done("first")
    with pytest.raises(PipelineError) as refused:
        stored.prune(["first", "gone", "../runs"])
    assert [fault.where for fault in refused.value.faults] == ["gone", "../runs"]
    assert names() == ["first"]


def test_a_folder_that_somebody_gave_stays_and_only_what_is_kept_of_the_run_goes(tmp_path):
    finished = done("mine", root=tmp_path / "given")
    assert finished.root == tmp_path / "given"
    assert removed(stored.prune()) == {"mine"}
    assert (tmp_path / "given" / "1" / "write" / "data").read_text() == "hello"
    assert set(states(done("again")).values()) == {"CACHED"}


def test_what_is_a_link_to_another_place_is_left_to_who_made_it(tmp_path):
    done("first")
    shutil.move(stored.runs_folder() / "first", tmp_path / "elsewhere")
    (stored.runs_folder() / "first").symlink_to(tmp_path / "elsewhere")
    assert kept(stored.prune()) == {"first": "it is a link to another place"}
    assert (tmp_path / "elsewhere" / "1").is_dir()


# Interruptions, and others at the same time


def test_a_prune_that_was_cut_off_breaks_nothing_and_the_next_one_ends_it(monkeypatch):
    done("first", parameters={"text": "x" * 100_000})
    done("second", parameters={"text": "y"})

    def cut_off(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", cut_off)
        with pytest.raises(KeyboardInterrupt):
            stored.prune(["first"])
    assert names() == ["second"]
    assert states(done("again", parameters={"text": "x" * 100_000}))["write"] == "SUCCEEDED"
    pruned = stored.prune(keep=2)
    assert removed(pruned) == set()
    assert pruned.bytes == pruned.leftover > 100_000
    assert stored.prune(keep=2) == stored.Pruning()


def test_what_the_disk_refuses_is_told_and_the_rest_is_gone(monkeypatch):
    done("first")
    done("second", parameters={"text": "y"})
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    with pytest.raises(PipelineError) as refused:
        stored.prune(["first"])
    assert [(fault.rule, fault.where) for fault in refused.value.faults] == [("VT729", "first")]
    assert names() == ["second"]


def test_what_has_begun_since_it_was_planned_stays(tmp_path):
    done("first")
    planned = stored.plan()
    done("second")
    done_in_time = stored.carry_out(planned)
    assert removed(done_in_time) == set()
    assert kept(done_in_time) == {"first": "second has outputs there"}


def test_runs_and_prunes_at_the_same_time_harm_each_other_not():
    over = threading.Event()
    faults: list[BaseException] = []

    def prune_on() -> None:
        try:
            while not over.is_set():
                stored.prune()
        except BaseException as fault:
            faults.append(fault)

    done("first")
    pruning = [threading.Thread(target=prune_on) for _ in range(2)]
    for thread in pruning:
        thread.start()
    try:
        ended = [done(f"run-{number}").state for number in range(4)]
    finally:
        over.set()
        for thread in pruning:
            thread.join()
    assert ended == ["SUCCEEDED"] * 4
    assert faults == []


def test_the_client_tells_and_prunes(emulator, monkeypatch):
    monkeypatch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
    done("first")
    with connect() as client:
        assert [one.name for one in client.pipelines.stored_runs()] == ["first"]
        assert removed(client.pipelines.prune(older_than=timedelta(days=1))) == set()
        assert removed(client.pipelines.prune(["first"])) == {"first"}
        assert list(client.pipelines.stored_runs()) == []
