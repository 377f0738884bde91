"""Starts pipeline jobs by the clock.

    ACTIVE <-> PAUSED, ACTIVE -> COMPLETED

What was due while the emulator did not run is not made up for; what was due while a schedule was paused is, where it is resumed
so (`catchUp`).
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vertex_tuning import catalog
from vertex_tuning.emulator.clock import CLOCK
from vertex_tuning.emulator.pipelines import cron, request
from vertex_tuning.emulator.state import Resource, not_before, now, spelled
from vertex_tuning.emulator.status import ApiError, Code, invalid, not_found

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator

log = logging.getLogger(__name__)

Body = dict[str, Any]

KIND = "schedules"
CHANGEABLE = (
    "displayName",
    "cron",
    "startTime",
    "endTime",
    "maxRunCount",
    "maxConcurrentRunCount",
    "maxConcurrentActiveRunCount",
    "allowQueueing",
    "createPipelineJobRequest",
)
_REQUEST = "createPipelineJobRequest"
_LONGEST_WAIT = 3600.0
_TROUBLED = 60.0
"""Seconds until a schedule is tried again that could not be looked after."""
_QUEUE_GLANCE = 1.0
"""Seconds between looks whether a run that waits for others may begin."""


class Schedules:
    """Creates, changes, pauses and deletes schedules, and starts what is due."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._db = emulator.db
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """From now on."""
        for schedule in self._db.list(KIND):
            if schedule.body["state"] == "ACTIVE":
                self._plan(schedule, CLOCK.now(), "taken up")
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Start nothing more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    # What the routes call

    def create(self, parent: str, body: Body) -> Body:
        """Check a request, and start what it asks for when it is due.

        Raises:
            ApiError: 400 with every fault; what a run of it would be refused for is said now.
        """
        self._check(body, parent)
        created = now()
        schedule = {
            "startTime": created,
            **body,
            "name": f"{parent}/{KIND}/{self._db.new_id()}",
            "state": "ACTIVE",
            "createTime": created,
            "updateTime": created,
            "startedRunCount": "0",
        }
        found = Resource(schedule["name"], KIND, parent, schedule)
        self._plan(found, CLOCK.now(), "created")
        self._changed.set()
        return found.body

    def get(self, name: str) -> Resource:
        """A schedule.

        Raises:
            ApiError: 404.
        """
        found = self._db.get(name)
        if found is None or found.kind != KIND:
            raise not_found(f"The Schedule {name}")
        return found

    def change(self, name: str, changes: Body) -> Body:
        """Other fields; it is due by them from now on.

        Raises:
            ApiError: 404; 400 with every fault, or where it is completed.
        """
        with self._db.transaction():
            schedule = self.get(name)
            if schedule.body["state"] == "COMPLETED":
                raise _state_error(name, "changed", "COMPLETED")
            schedule.body.update(changes)
            self._check(schedule.body, schedule.parent)
            self._plan(schedule, CLOCK.now(), "changed")
        self._changed.set()
        return schedule.body

    def pause(self, name: str) -> None:
        """ACTIVE -> PAUSED."""
        with self._db.transaction():
            schedule = self.get(name)
            if schedule.body["state"] != "ACTIVE":
                raise _state_error(name, "paused", schedule.body["state"])
            schedule.body.update(state="PAUSED", lastPauseTime=now())
            # Kept for who catches up: what would have been next.
            schedule.private["missed"] = schedule.body.pop("nextRunTime", "")
            self._put(schedule, "PAUSED")

    def resume(self, name: str, *, catch_up: bool) -> None:
        """PAUSED -> ACTIVE; `catch_up`: what was due meanwhile is started first."""
        with self._db.transaction():
            schedule = self.get(name)
            if schedule.body["state"] != "PAUSED":
                raise _state_error(name, "resumed", schedule.body["state"])
            schedule.body.update(state="ACTIVE", lastResumeTime=now(), catchUp=catch_up)
            missed = schedule.private.pop("missed", "")
            if catch_up and missed:
                schedule.body["nextRunTime"] = missed
                self._put(schedule, "ACTIVE")
            else:
                self._plan(schedule, CLOCK.now(), "ACTIVE")
        self._changed.set()

    def delete(self, name: str) -> None:
        """Forget it; what runs goes on."""
        self.get(name)
        self._db.delete(name)

    # Checks

    def _check(self, body: Body, parent: str) -> None:
        faults: list[tuple[str, str]] = []
        longest = catalog.limits("display_name")["max_bytes"]
        if not 0 < len(body.get("displayName", "").encode()) <= longest:
            faults.append(("schedule.display_name", f"display_name must have 1 to {longest} bytes of UTF-8."))
        try:
            cron.parse(body.get("cron", ""))
        except ValueError as error:
            faults.append(("schedule.cron", str(error)))
        if int(body.get("maxConcurrentRunCount") or 0) < 1:
            faults.append(("schedule.max_concurrent_run_count", "It must be 1 or more."))
        if int(body.get("maxRunCount") or 1) < 1:
            faults.append(("schedule.max_run_count", "It must be 1 or more."))
        if "endTime" in body and _moment(body["endTime"]) <= _moment(body.get("startTime", "") or now()):
            faults.append(("schedule.end_time", "It must be after the start."))
        asked = body.get(_REQUEST, {})
        if _REQUEST not in body:
            faults.append(
                (
                    f"schedule.{_REQUEST}",
                    "The emulator starts pipeline jobs: create_pipeline_job_request is required.",
                )
            )
        elif (given := asked.get("parent", parent)).rsplit("/", 1)[-1] != parent.rsplit("/", 1)[-1]:
            faults.append(
                ("schedule.create_pipeline_job_request.parent", f"'{given}' is not where the schedule is.")
            )
        if faults:
            raise invalid(*faults, rule="VT716")
        request.check(self._emulator, asked.get("pipelineJob", {}), "")

    # The clock

    async def _watch(self) -> None:
        while True:
            self._changed.clear()
            wait = _LONGEST_WAIT
            for schedule in self._db.list(KIND, newest_first=False):
                if schedule.body["state"] == "ACTIVE":
                    try:
                        wait = min(wait, self._look_after(schedule.name))
                    except Exception:  # deleted meanwhile, or a full disk: the others go on
                        if self._db.get(schedule.name) is not None:
                            log.exception("%s could not be looked after", schedule.name)
                            wait = min(wait, _TROUBLED * CLOCK.speed)
            await self._until_changed(wait)

    async def _until_changed(self, seconds: float) -> None:
        """Wait so long by the emulator's clock, or until a schedule changes."""
        waits = [asyncio.create_task(CLOCK.sleep(seconds)), asyncio.create_task(self._changed.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    def _look_after(self, name: str) -> float:
        """Start what is due of a schedule; seconds until it wants to be looked at again."""
        while True:
            schedule = self.get(name)
            if schedule.body["state"] != "ACTIVE":
                return _LONGEST_WAIT
            due = _moment(schedule.body["nextRunTime"])
            left = (due - CLOCK.now()).total_seconds()
            if left > 0:
                return left
            if self._is_full(schedule):
                if schedule.body.get("allowQueueing"):
                    return _QUEUE_GLANCE * CLOCK.speed
                self._plan(schedule, due, "skipped")
            else:
                self._fire(schedule, due)

    def _is_full(self, schedule: Resource) -> bool:
        body = schedule.body
        most = int(body["maxConcurrentRunCount"])
        if body.get("maxConcurrentActiveRunCount"):
            most = min(most, int(body["maxConcurrentActiveRunCount"]))
        return self._emulator.pipelines.running_of(schedule.name) >= most

    def _fire(self, schedule: Resource, due: datetime) -> None:
        asked = schedule.body[_REQUEST]
        stem = asked.get("pipelineJobId", "")
        identifier = f"{stem[:110]}-{due:%Y%m%d%H%M%S}" if stem else ""
        try:
            job = self._emulator.pipelines.create(
                schedule.parent, dict(asked["pipelineJob"]), identifier, schedule=schedule.name
            )
            answer = job["name"]
        except ApiError as error:
            answer = f"{error.code.name}: {error.message}"
            log.warning("%s: a run could not be started: %s", schedule.name, answer)
        schedule.body["startedRunCount"] = str(int(schedule.body["startedRunCount"]) + 1)
        schedule.body["lastScheduledRunResponse"] = {"scheduledRunTime": spelled(due), "runResponse": answer}
        self._plan(schedule, due, "run")

    def _plan(self, schedule: Resource, after: datetime, event: str) -> None:
        """Write down when it is due next, after a moment; or that it never is again."""
        body = schedule.body
        start = _moment(body["startTime"])
        found = cron.parse(body["cron"]).after(max(after, start))
        over = found is None or ("endTime" in body and found > _moment(body["endTime"]))
        if "maxRunCount" in body and int(body["startedRunCount"]) >= int(body["maxRunCount"]):
            over = True
        body.pop("nextRunTime", None)
        if body["state"] == "PAUSED":
            schedule.private["missed"] = spelled(found) if found and not over else ""
        elif over or found is None:
            body["state"] = "COMPLETED"
        else:
            body["nextRunTime"] = spelled(found)
        self._put(schedule, event)

    def _put(self, schedule: Resource, event: str) -> None:
        schedule.body["updateTime"] = not_before(schedule.body["updateTime"])
        self._db.put(schedule, event)


def _moment(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp)


def _state_error(name: str, what: str, state: str) -> ApiError:
    return ApiError(Code.FAILED_PRECONDITION, f"{name} cannot be {what} while it is {state}.", rule="VT718")
