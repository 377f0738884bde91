"""`customJobs`: a command, run as a process of this machine where its image is ours."""

from __future__ import annotations

from typing import Any

from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.listing import page
from vertex_tuning.emulator.routes.operations import finished
from vertex_tuning.emulator.wire.schema import schema

routes = Routes()

_JOBS = "projects/{project}/locations/{location}/customJobs"
_JOB = f"{_JOBS}/{{job}}"


def _name(call: Call) -> str:
    return f"{call.parent}/customJobs/{call.path['job']}"


@routes.post(_JOBS, request="CustomJob", response="CustomJob")
async def create(call: Call) -> dict[str, Any]:
    """The body is the job itself."""
    return call.emulator.custom_jobs.create(call.parent, call.body)


@routes.get(_JOBS, response="ListCustomJobsResponse")
async def list_jobs(call: Call) -> dict[str, Any]:
    """Newest first."""
    fields = schema("v1beta1").message("CustomJob").fields
    return page(call.emulator.db, "customJobs", call.parent, call.query, fields=fields)


@routes.get(_JOB, response="CustomJob")
async def get(call: Call) -> dict[str, Any]:
    """A job, by name."""
    return call.emulator.custom_jobs.get(_name(call)).body


@routes.post(f"{_JOB}:cancel", request="CancelCustomJobRequest", response="Empty")
async def cancel(call: Call) -> dict[str, Any]:
    """Asks it to end; the state tells when it has."""
    call.emulator.custom_jobs.cancel(_name(call))
    return {}


@routes.delete(_JOB, response="Operation")
async def delete(call: Call) -> dict[str, Any]:
    """Deletes a job that has ended, and its log."""
    await call.emulator.custom_jobs.delete(_name(call))
    return finished(call, _name(call), "DeleteOperationMetadata")
