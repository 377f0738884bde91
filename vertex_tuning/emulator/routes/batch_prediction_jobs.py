"""`batchPredictionJobs`."""

from __future__ import annotations

from typing import Any

from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.listing import page
from vertex_tuning.emulator.routes.operations import finished
from vertex_tuning.emulator.wire.schema import schema

routes = Routes()

_JOBS = "projects/{project}/locations/{location}/batchPredictionJobs"


@routes.post(_JOBS, request="BatchPredictionJob", response="BatchPredictionJob")
async def create(call: Call) -> dict[str, Any]:
    """The body is the job itself."""
    return await call.emulator.batches.create(call.parent, call.body)


@routes.get(f"{_JOBS}/{{job}}", response="BatchPredictionJob")
async def get(call: Call) -> dict[str, Any]:
    """A job, by name."""
    return call.emulator.batches.get(_name(call))


@routes.get(_JOBS, response="ListBatchPredictionJobsResponse")
async def list_jobs(call: Call) -> dict[str, Any]:
    """Newest first."""
    fields = schema("v1beta1").message("BatchPredictionJob").fields
    return page(call.emulator.db, "batchPredictionJobs", call.parent, call.query, fields=fields)


@routes.post(f"{_JOBS}/{{job}}:cancel", request="CancelBatchPredictionJobRequest")
async def cancel(call: Call) -> dict[str, Any]:
    """Asks it to end; the state tells when it has."""
    call.emulator.batches.cancel(_name(call))
    return {}


@routes.delete(f"{_JOBS}/{{job}}", response="Operation")
async def delete(call: Call) -> dict[str, Any]:
    """Forgets one that has ended."""
    call.emulator.batches.delete(_name(call))
    return finished(call, call.parent, "DeleteOperationMetadata")


def _name(call: Call) -> str:
    return f"{call.parent}/batchPredictionJobs/{call.path['job']}"
