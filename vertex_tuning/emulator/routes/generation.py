"""Asking a model: `:generateContent` and its kin, on endpoints and on publishers' models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.jobs import ServedModel
from vertex_tuning.emulator.routes import streams
from vertex_tuning.emulator.serving import Generation
from vertex_tuning.emulator.status import ApiError, Code, not_found

if TYPE_CHECKING:
    from starlette.responses import StreamingResponse

routes = Routes()

_L = "projects/{project}/locations/{location}"
_TARGETS = (
    f"{_L}/endpoints/{{endpoint}}",
    f"{_L}/publishers/{{publisher}}/models/{{model}}",
    "publishers/{publisher}/models/{model}",
)
"""The last is express mode: an API key stands for the project."""


def generation_of(call: Call) -> Generation:
    """Who answers."""
    generation: Generation = call.emulator.generation
    return generation


def served_by(call: Call) -> ServedModel:
    """What answers for the endpoint or the publisher's model of a path."""
    path = call.path
    if "endpoint" in path:
        return call.emulator.jobs.served(f"{call.parent}/endpoints/{path['endpoint']}")
    name = f"publishers/{path['publisher']}/models/{path['model']}"
    return call.emulator.jobs.served(f"{call.parent}/{name}" if "project" in path else name)


async def _generate(call: Call) -> dict[str, Any]:
    return await streams.while_connected(call, generation_of(call).generate(served_by(call), call.body))


async def _stream(call: Call) -> StreamingResponse:
    chunks = generation_of(call).stream(served_by(call), call.body)
    return await streams.reply(call, "GenerateContentResponse", chunks)


async def _count_tokens(call: Call) -> dict[str, Any]:
    return await generation_of(call).count_tokens(served_by(call), call.body)


async def _malformed(call: Call) -> dict[str, Any]:
    """A tuned model is asked by its endpoint; google-genai sends whatever name it is given.

    Of a model by its number Vertex AI says so (googleapis/python-genai#1679); `models/gemini-2.5-flash` it does not find, as
    Google's own tests have it.
    """
    name = f"{call.parent}/models/{call.path['model']}"
    if not call.path["model"].partition("@")[0].isdigit():
        raise not_found(f"Model {name}")
    raise ApiError(
        Code.INVALID_ARGUMENT,
        f"The Model name {name} is malformed: a model that answers is {call.parent}/publishers/PUBLISHER/models/MODEL. "
        f"A tuned one answers by its endpoint, {call.parent}/endpoints/ENDPOINT.",
        rule="VT806",
    )


async def _compute_tokens(call: Call) -> dict[str, Any]:
    return await generation_of(call).compute_tokens(served_by(call), call.body)


for _verb in ("generateContent", "streamGenerateContent", "countTokens", "computeTokens"):
    routes.post(f"{_L}/models/{{model}}:{_verb}")(_malformed)
for _target in _TARGETS:
    routes.post(
        f"{_target}:generateContent", request="GenerateContentRequest", response="GenerateContentResponse"
    )(_generate)
    routes.post(f"{_target}:streamGenerateContent", request="GenerateContentRequest")(_stream)
    routes.post(f"{_target}:countTokens", request="CountTokensRequest", response="CountTokensResponse")(
        _count_tokens
    )
    routes.post(f"{_target}:computeTokens", request="ComputeTokensRequest", response="ComputeTokensResponse")(
        _compute_tokens
    )
