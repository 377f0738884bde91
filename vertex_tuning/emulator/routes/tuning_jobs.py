"""`tuningJobs`, and the metadata contexts that their `experiment` names."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from vertex_tuning import catalog
from vertex_tuning.emulator import optimizing
from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.jobs import validation
from vertex_tuning.emulator.listing import page
from vertex_tuning.emulator.routes import streams
from vertex_tuning.emulator.routes.operations import finished
from vertex_tuning.emulator.status import ApiError, Code, not_found
from vertex_tuning.emulator.wire.schema import schema
from vertex_tuning.rewards.matching import text_of
from vertex_tuning.rewards.rating import Rate

if TYPE_CHECKING:
    from starlette.responses import StreamingResponse

routes = Routes()

_LOCATION = "projects/{project}/locations/{location}"
_JOBS = f"{_LOCATION}/tuningJobs"
# Methods of later days, by the versions that have them.
_NOT_SERVED = {
    "processData": ("v1beta1",),
}


@routes.post(_JOBS, request="TuningJob", response="TuningJob")
async def create(call: Call) -> dict[str, Any]:
    """The body is the job itself."""
    return await call.emulator.jobs.create(call.parent, call.body)


@routes.get(f"{_JOBS}/{{job}}", response="TuningJob")
async def get(call: Call) -> dict[str, Any]:
    """A job, by name."""
    return call.emulator.jobs.get(_name(call))


@routes.get(_JOBS, response="ListTuningJobsResponse")
async def list_jobs(call: Call) -> dict[str, Any]:
    """Newest first."""
    fields = schema("v1beta1").message("TuningJob").fields
    return page(call.emulator.db, "tuningJobs", call.parent, call.query, fields=fields)


@routes.post(f"{_JOBS}/{{job}}:cancel", request="CancelTuningJobRequest")
async def cancel(call: Call) -> dict[str, Any]:
    """Asks it to end; the state tells when it has. google-genai sends no body, the generated clients `{}`."""
    call.emulator.jobs.cancel(_name(call))
    return {}


@routes.post(f"{_JOBS}:rebaseTunedModel", request="RebaseTunedModelRequest", response="Operation")
async def rebase(call: Call) -> dict[str, Any]:
    """The job of a tuned model again, on a newer base. The operation is done when the job is created, and holds it."""
    job = await call.emulator.jobs.rebase(call.parent, call.body)
    response = {"@type": f"type.googleapis.com/google.cloud.aiplatform.{call.version}.TuningJob", **job}
    return finished(call, job["name"], "RebaseTunedModelOperationMetadata", response)


@routes.post(f"{_JOBS}:optimizePrompt", request="OptimizePromptRequest", versions=("v1beta1",))
async def optimize_prompt(call: Call) -> StreamingResponse:
    """A better prompt, as far as a small model can tell; it comes in pieces."""
    return await streams.reply(call, "OptimizePromptResponse", optimizing.optimize(call.emulator, call.body))


@routes.post(
    f"{_JOBS}:validateReinforcementTuningReward",
    request="ValidateReinforcementTuningRewardRequest",
    response="ValidateReinforcementTuningRewardResponse",
    versions=("v1beta1",),
)
async def validate_reward(call: Call) -> dict[str, Any]:
    """What one answer would earn. A reward that cannot be computed for it is told in the answer, not as an error."""
    return await asyncio.to_thread(validation.validate, call.body, _judge(call))


def _judge(call: Call) -> Rate:
    """Asks models of this emulator; from a thread, which waits for the loop."""
    loop, emulator = asyncio.get_running_loop(), call.emulator

    async def ask(name: str, prompt: str, config: dict[str, Any]) -> str:
        contents = [{"role": "user", "parts": [{"text": prompt}]}]
        served = emulator.jobs.served(name)
        answer = await emulator.generation.generate(
            served, {"contents": contents, "generationConfig": config}
        )
        return text_of(answer["candidates"][0].get("content", {}))

    async def ask_all(name: str, prompt: str, times: int, config: dict[str, Any]) -> list[str]:
        async with asyncio.timeout(catalog.limits("reward_autorater")["max_seconds"]):
            return list(await asyncio.gather(*(ask(name, prompt, config) for _ in range(times))))

    def rate(name: str, prompt: str, times: int, config: dict[str, Any]) -> list[str]:
        return asyncio.run_coroutine_threadsafe(ask_all(name, prompt, times, config), loop).result()

    return rate


@routes.get(f"{_LOCATION}/metadataStores/{{store}}/contexts/{{context}}", response="Context")
async def get_context(call: Call) -> dict[str, Any]:
    """The experiment of a job: Google's client fetches it whenever it refreshes the job."""
    name = f"{call.parent}/metadataStores/{call.path['store']}/contexts/{call.path['context']}"
    found = call.emulator.db.get(name)
    if found is None:
        raise not_found(f"Context {name}")
    return found.body


def _name(call: Call) -> str:
    return f"{call.parent}/tuningJobs/{call.path['job']}"


def _refuse(verb: str, versions: tuple[str, ...]) -> None:
    async def refuse(_: Call) -> dict[str, Any]:
        raise ApiError(
            Code.FAILED_PRECONDITION, f"The emulator does not serve tuningJobs.{verb} yet.", rule="VT639"
        )

    routes.post(f"{_JOBS}:{verb}", versions=versions)(refuse)


for _verb, _versions in _NOT_SERVED.items():
    _refuse(_verb, _versions)
