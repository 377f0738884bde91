"""`tuningJobs`."""

from __future__ import annotations

from typing import Any

from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.listing import page
from vertex_tuning.emulator.status import ApiError, Code

routes = Routes()

_JOBS = "projects/{project}/locations/{location}/tuningJobs"


@routes.post(_JOBS, request="TuningJob", response="TuningJob")
async def create(call: Call) -> dict[str, Any]:
    """The body is the job itself."""
    return call.emulator.jobs.create(call.parent, call.body)


@routes.get(f"{_JOBS}/{{job}}", response="TuningJob")
async def get(call: Call) -> dict[str, Any]:
    """A job, by name."""
    jobs = call.emulator.jobs
    return jobs.shown(jobs.get(f"{call.parent}/tuningJobs/{call.path['job']}"))


@routes.get(_JOBS, response="ListTuningJobsResponse")
async def list_jobs(call: Call) -> dict[str, Any]:
    """Newest first."""
    jobs = call.emulator.jobs
    found = call.emulator.db.list("tuningJobs", call.parent)
    for job in found:
        jobs.shown(job)
    return page(found, call.query, "tuningJobs")


@routes.post(f"{_JOBS}/{{job}}:cancel")
async def cancel(call: Call) -> dict[str, Any]:
    """Asks it to end; the state tells when it has. google-genai sends no body, the generated clients `{}`."""
    call.emulator.jobs.cancel(f"{call.parent}/tuningJobs/{call.path['job']}")
    return {}


def _refused(verb: str, versions: tuple[str, ...]) -> None:
    @routes.post(f"{_JOBS}:{verb}", versions=versions)
    async def refuse(_: Call) -> dict[str, Any]:
        raise ApiError(Code.UNIMPLEMENTED, f"The emulator does not serve tuningJobs.{verb} yet.", rule="VT610")


for _verb, _versions in (
    ("rebaseTunedModel", ("v1", "v1beta1")),
    ("optimizePrompt", ("v1beta1",)),
    ("processData", ("v1beta1",)),
    ("validateReinforcementTuningReward", ("v1beta1",)),
):
    _refused(_verb, _versions)
