"""`schedules`: runs that are really started when they are due, by the emulator's clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.jobs.conftest import LOCATION, PATIENCE
from tests.pipelines import small
from tests.running import RunningEmulator

from .conftest import Pipelines, until_written
from .test_pipeline_jobs import refusal

PARENT = f"/v1/{LOCATION}/schedules"


@pytest.fixture
def clock(start_emulator: Callable[..., RunningEmulator]) -> Pipelines:
    """An emulator whose clock is put forward by the test: it stands almost still between."""
    return Pipelines(start_emulator("--simulate", "--speed", "1"))


def body(pipelines: Pipelines, pipeline: Any = small.chain, **fields: Any) -> dict[str, Any]:
    job = pipelines.body(pipeline, fields.pop("parameters", None))
    return {
        "displayName": "nightly",
        "cron": "*/10 * * * *",
        "maxConcurrentRunCount": "2",
        "createPipelineJobRequest": {"parent": LOCATION, "pipelineJob": job},
        **fields,
    }


def create(pipelines: Pipelines, *arguments: Any, **fields: Any) -> dict[str, Any]:
    made = pipelines.call("POST", PARENT, body(pipelines, *arguments, **fields))
    assert isinstance(made, dict), made
    return made


def advance(pipelines: Pipelines, minutes: float) -> None:
    answer = pipelines.call("POST", f"/emulator/clock?advance={minutes * 60}")
    assert isinstance(answer, dict), answer


def until(pipelines: Pipelines, name: str, started: int) -> dict[str, Any]:
    """The schedule, as soon as it has started so many runs."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found: dict[str, Any] = pipelines.call("GET", f"/v1/{name}")
        if int(found.get("startedRunCount", 0)) >= started:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def runs(pipelines: Pipelines, name: str) -> list[dict[str, Any]]:
    answer = pipelines.call("GET", f"/v1/{LOCATION}/pipelineJobs?filter=schedule_name%3D%22{name}%22")
    return list(answer.get("pipelineJobs", []))


def moment(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp)


def test_a_run_is_started_when_it_is_due(clock: Pipelines) -> None:
    made = create(clock)
    assert made["state"] == "ACTIVE"
    due = moment(made["nextRunTime"])
    assert due.minute % 10 == 0
    assert timedelta(0) < due - moment(made["createTime"]) <= timedelta(minutes=10)
    assert runs(clock, made["name"]) == []
    advance(clock, 10)
    found = until(clock, made["name"], 1)
    assert moment(found["lastScheduledRunResponse"]["scheduledRunTime"]) == due
    assert moment(found["nextRunTime"]) == due + timedelta(minutes=10)
    (job,) = runs(clock, made["name"])
    assert job["name"] == found["lastScheduledRunResponse"]["runResponse"]
    assert job["scheduleName"] == made["name"]
    assert clock.until(job["name"], "SUCCEEDED")


def test_it_is_completed_after_its_last_run_or_its_end(clock: Pipelines) -> None:
    made = create(clock, maxRunCount="2")
    advance(clock, 10)
    until(clock, made["name"], 1)
    advance(clock, 10)
    found = until(clock, made["name"], 2)
    assert found["state"] == "COMPLETED"
    assert "nextRunTime" not in found
    end = moment(found["updateTime"]) + timedelta(minutes=1)
    other = create(clock, cron="0 0 1 1 *", endTime=end.isoformat())
    assert other["state"] == "COMPLETED"


def test_a_run_that_comes_too_early_is_passed_over_or_waits(clock: Pipelines, tmp_path: Path) -> None:
    note = {"note": str(tmp_path / "note")}
    passing = create(clock, small.lingering, parameters=note, maxConcurrentRunCount="1")
    advance(clock, 10)
    until(clock, passing["name"], 1)
    until_written(tmp_path / "note")
    advance(clock, 25)
    time.sleep(0.5)
    assert len(runs(clock, passing["name"])) == 1
    assert moment(clock.call("GET", f"/v1/{passing['name']}")["nextRunTime"]) > moment(
        passing["nextRunTime"]
    ) + timedelta(minutes=15)
    clock.call("POST", f"/v1/{passing['name']}:pause", {})
    waiting = create(
        clock,
        small.lingering,
        parameters={"note": str(tmp_path / "2")},
        maxConcurrentRunCount="1",
        allowQueueing=True,
    )
    advance(clock, 10)
    until(clock, waiting["name"], 1)
    until_written(tmp_path / "2")
    advance(clock, 10)
    time.sleep(0.5)
    (job,) = runs(clock, waiting["name"])
    clock.call("POST", f"/v1/{job['name']}:cancel", {})
    until(clock, waiting["name"], 2)


def test_what_was_missed_while_paused_is_made_up_for_where_that_is_asked_for(clock: Pipelines) -> None:
    made = create(clock, maxConcurrentRunCount="9")
    clock.call("POST", f"/v1/{made['name']}:pause", {})
    paused = clock.call("GET", f"/v1/{made['name']}")
    assert paused["state"] == "PAUSED"
    assert "nextRunTime" not in paused
    advance(clock, 30)
    time.sleep(0.5)
    assert runs(clock, made["name"]) == []
    clock.call("POST", f"/v1/{made['name']}:resume", {})
    time.sleep(0.5)
    assert runs(clock, made["name"]) == []
    assert clock.call("GET", f"/v1/{made['name']}")["state"] == "ACTIVE"
    clock.call("POST", f"/v1/{made['name']}:pause", {})
    advance(clock, 30)
    clock.call("POST", f"/v1/{made['name']}:resume", {"catchUp": True})
    found = until(clock, made["name"], 3)
    assert found["catchUp"] is True
    assert len(runs(clock, made["name"])) == 3
    assert refusal(clock.call("POST", f"/v1/{made['name']}:resume", {}))[:2] == (400, "VT718")


def test_a_change_counts_from_now_on(clock: Pipelines) -> None:
    made = create(clock)
    mask = "updateMask=cron,displayName"
    changed = clock.call(
        "PATCH", f"/v1/{made['name']}?{mask}", {"cron": "0 0 1 1 *", "displayName": "yearly"}
    )
    assert (changed["cron"], changed["displayName"]) == ("0 0 1 1 *", "yearly")
    assert moment(changed["nextRunTime"]).month == 1
    advance(clock, 20)
    time.sleep(0.5)
    assert runs(clock, made["name"]) == []
    assert refusal(clock.call("PATCH", f"/v1/{made['name']}?updateMask=cron", {"cron": "x"}))[1] == "VT716"


def test_schedules_go_on_with_the_next_server_and_are_gone_when_they_are_deleted(
    start_emulator: Callable[..., RunningEmulator], tmp_path: Path
) -> None:
    first = Pipelines(start_emulator("--simulate", "--speed", "1", data_dir=tmp_path / "data"))
    made = create(first)
    first.running.kill()
    second = Pipelines(start_emulator("--simulate", "--speed", "1", data_dir=tmp_path / "data"))
    advance(second, 10)
    until(second, made["name"], 1)
    assert [one["name"] for one in second.call("GET", PARENT)["schedules"]] == [made["name"]]
    assert second.call("DELETE", f"/v1/{made['name']}")["done"]
    assert second.call("GET", f"/v1/{made['name']}")[0] == 404


def test_every_fault_of_a_schedule_is_told(pipelines: Pipelines) -> None:
    given = body(pipelines, cron="* *", displayName="", maxConcurrentRunCount="0")
    status, reason, words = refusal(pipelines.call("POST", PARENT, given))
    assert (status, reason) == (400, "VT716")
    for part in ("schedule.cron", "schedule.display_name", "schedule.max_concurrent_run_count"):
        assert part in words
    given = body(pipelines)
    del given["createPipelineJobRequest"]["pipelineJob"]["pipelineSpec"]
    assert "pipeline_spec is required" in refusal(pipelines.call("POST", PARENT, given))[2]
