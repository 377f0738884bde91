"""`pipelineJobs`: compiled pipelines, run on this machine."""

from __future__ import annotations

from typing import Any

from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.listing import ordered, page, page_of
from vertex_tuning.emulator.pipelines import request
from vertex_tuning.emulator.pipelines.service import KIND
from vertex_tuning.emulator.routes.operations import TYPES, finished
from vertex_tuning.emulator.state import Resource
from vertex_tuning.emulator.wire.schema import schema

routes = Routes()

_JOBS = f"projects/{{project}}/locations/{{location}}/{KIND}"
_JOB = f"{_JOBS}/{{job}}"
_SEARCHED = ("pipelineName", "pipelineJobUserId")


def _name(call: Call) -> str:
    return f"{call.parent}/{KIND}/{call.path['job']}"


def _searched(job: Resource) -> dict[str, Any]:
    """What a filter may ask for beside the job's own fields."""
    return {
        "pipelineName": request.pipeline_of(job.body),
        "pipelineJobUserId": job.name.rsplit("/", 1)[1],
        "state": job.body["state"],
    }


@routes.post(_JOBS, request="PipelineJob", response="PipelineJob")
async def create(call: Call) -> dict[str, Any]:
    """The body is the job itself; its id may be the caller's."""
    identifier = call.query.get("pipelineJobId") or call.query.get("pipeline_job_id") or ""
    return call.emulator.pipelines.create(call.parent, call.body, identifier)


@routes.get(_JOBS, response="ListPipelineJobsResponse")
async def list_jobs(call: Call) -> dict[str, Any]:
    """Newest first, or in the order that is asked for; without what is told of their tasks."""
    fields = (*schema("v1beta1").message("PipelineJob").fields, *_SEARCHED)
    db, query = call.emulator.db, call.query
    found = (
        page_of(ordered(db.list(KIND, call.parent), query, _searched, fields), query, KIND)
        if query.get("orderBy") or query.get("order_by")
        else page(db, KIND, call.parent, query, fields=fields, extra=_searched)
    )
    if KIND in found:
        found[KIND] = [_short(job, query.get("readMask", "")) for job in found[KIND]]
    return found


def _short(job: dict[str, Any], mask: str) -> dict[str, Any]:
    wanted = {part.strip().partition(".")[0] for part in mask.split(",") if part.strip()} - {"*"}
    return {key: value for key, value in job.items() if key != "jobDetail" and (not wanted or key in wanted)}


@routes.get(_JOB, response="PipelineJob")
async def get(call: Call) -> dict[str, Any]:
    """A job, by name."""
    return call.emulator.pipelines.get(_name(call)).body


@routes.post(f"{_JOB}:cancel", request="CancelPipelineJobRequest", response="Empty")
async def cancel(call: Call) -> dict[str, Any]:
    """Asks it to end; the state tells when it has."""
    call.emulator.pipelines.cancel(_name(call))
    return {}


@routes.delete(_JOB, response="Operation")
async def delete(call: Call) -> dict[str, Any]:
    """Deletes a job that has ended."""
    await call.emulator.pipelines.delete(_name(call))
    return finished(call, _name(call), "DeleteOperationMetadata")


@routes.post(f"{_JOBS}:batchCancel", request="BatchCancelPipelineJobsRequest", response="Operation")
async def batch_cancel(call: Call) -> dict[str, Any]:
    """Answers when all have ended."""
    jobs = await call.emulator.pipelines.cancel_all(_named(call))
    return _batch(call, "BatchCancelPipelineJobs", jobs)


@routes.post(f"{_JOBS}:batchDelete", request="BatchDeletePipelineJobsRequest", response="Operation")
async def batch_delete(call: Call) -> dict[str, Any]:
    """All or none."""
    return _batch(call, "BatchDeletePipelineJobs", await call.emulator.pipelines.delete_all(_named(call)))


def _named(call: Call) -> list[str]:
    """The names of a batch, the project by number whatever the caller used."""
    return [f"{call.parent}/{KIND}/{name.rsplit('/', 1)[-1]}" for name in call.body.get("names", [])]


def _batch(call: Call, method: str, jobs: list[dict[str, Any]]) -> dict[str, Any]:
    answer = {"@type": f"{TYPES}.{call.version}.{method}Response", KIND: jobs}
    return finished(call, call.parent, f"{method}OperationMetadata", answer)
