"""`schedules`: pipeline jobs that are started by the clock."""

from __future__ import annotations

from typing import Any

from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.listing import ordered, page, page_of
from vertex_tuning.emulator.pipelines.schedules import CHANGEABLE, KIND
from vertex_tuning.emulator.routes import changes
from vertex_tuning.emulator.routes.operations import finished
from vertex_tuning.emulator.wire.schema import schema

routes = Routes()

_SCHEDULES = f"projects/{{project}}/locations/{{location}}/{KIND}"
_SCHEDULE = f"{_SCHEDULES}/{{schedule}}"


def _name(call: Call) -> str:
    return f"{call.parent}/{KIND}/{call.path['schedule']}"


@routes.post(_SCHEDULES, request="Schedule", response="Schedule")
async def create(call: Call) -> dict[str, Any]:
    """The body is the schedule itself."""
    return call.emulator.schedules.create(call.parent, call.body)


@routes.get(_SCHEDULES, response="ListSchedulesResponse")
async def list_schedules(call: Call) -> dict[str, Any]:
    """Newest first, or in the order that is asked for."""
    fields = tuple(schema("v1beta1").message("Schedule").fields)
    db, query = call.emulator.db, call.query
    if query.get("orderBy") or query.get("order_by"):
        return page_of(ordered(db.list(KIND, call.parent), query, None, fields), query, KIND)
    return page(db, KIND, call.parent, query, fields=fields)


@routes.get(_SCHEDULE, response="Schedule")
async def get(call: Call) -> dict[str, Any]:
    """A schedule, by name."""
    return call.emulator.schedules.get(_name(call)).body


@routes.patch(_SCHEDULE, request="Schedule", response="Schedule")
async def patch(call: Call) -> dict[str, Any]:
    """Other fields; runs that were started are left alone."""
    return call.emulator.schedules.change(_name(call), changes.read(call, "schedule", CHANGEABLE))


@routes.post(f"{_SCHEDULE}:pause", request="PauseScheduleRequest", response="Empty")
async def pause(call: Call) -> dict[str, Any]:
    """Starts nothing more for now."""
    call.emulator.schedules.pause(_name(call))
    return {}


@routes.post(f"{_SCHEDULE}:resume", request="ResumeScheduleRequest", response="Empty")
async def resume(call: Call) -> dict[str, Any]:
    """Goes on, with what was missed where that is asked for."""
    call.emulator.schedules.resume(_name(call), catch_up=bool(call.body.get("catchUp")))
    return {}


@routes.delete(_SCHEDULE, response="Operation")
async def delete(call: Call) -> dict[str, Any]:
    """Forgets it; what runs goes on."""
    call.emulator.schedules.delete(_name(call))
    return finished(call, _name(call), "DeleteOperationMetadata")
