"""Asking a model: `:generateContent` and its kin, on endpoints and on publishers' models."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from typing import Any

from starlette.responses import StreamingResponse

from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.jobs import ServedModel
from vertex_tuning.emulator.serving import Generation
from vertex_tuning.emulator.status import ApiError, Code

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
    return await while_connected(call, generation_of(call).generate(served_by(call), call.body))


async def _stream(call: Call) -> StreamingResponse:
    chunks = generation_of(call).stream(served_by(call), call.body)
    # What is wrong with the request shows before the first chunk, and is an ordinary error.
    first = await while_connected(call, anext(chunks))
    if call.query.get("alt") == "sse":
        return StreamingResponse(_events(call, first, chunks), media_type="text/event-stream")
    return StreamingResponse(_array(call, first, chunks), media_type="application/json; charset=UTF-8")


async def _count_tokens(call: Call) -> dict[str, Any]:
    return await generation_of(call).count_tokens(served_by(call), call.body)


async def _compute_tokens(call: Call) -> dict[str, Any]:
    return await generation_of(call).compute_tokens(served_by(call), call.body)


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


async def _chunks(
    call: Call, first: dict[str, Any], rest: AsyncIterator[dict[str, Any]]
) -> AsyncIterator[str]:
    yield _render(call, first)
    try:
        async for chunk in rest:
            yield _render(call, chunk)
    except ApiError as error:
        # The status line is long gone: Google's clients look for an error among the chunks.
        yield json.dumps(error.body(), ensure_ascii=False)


def _render(call: Call, chunk: dict[str, Any]) -> str:
    return json.dumps(
        call.emulator.wire.render("GenerateContentResponse", chunk, call.version), ensure_ascii=False
    )


async def _events(
    call: Call, first: dict[str, Any], rest: AsyncIterator[dict[str, Any]]
) -> AsyncIterator[bytes]:
    async for chunk in _chunks(call, first, rest):
        yield f"data: {chunk}\r\n\r\n".encode()


async def _array(
    call: Call, first: dict[str, Any], rest: AsyncIterator[dict[str, Any]]
) -> AsyncIterator[bytes]:
    between = b"["
    async for chunk in _chunks(call, first, rest):
        yield between + chunk.encode()
        between = b"\n,\r\n"
    yield b"\n]\n"


async def while_connected(call: Call, work: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    """The result of some work, which is given up where the client goes away."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(call.request.receive())  # the body was read: what comes next is the end
    try:
        await asyncio.wait([task, gone], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ApiError(Code.CANCELLED, "The client closed the connection.")
        return task.result()
    finally:
        for future in (task, gone):
            future.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)
