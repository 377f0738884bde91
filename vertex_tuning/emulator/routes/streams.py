"""Answers that come piece by piece: server-sent events with `alt=sse`, else one JSON array that grows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from typing import Any

from starlette.responses import StreamingResponse

from vertex_tuning.emulator.api import Call
from vertex_tuning.emulator.status import ApiError, Code

Body = dict[str, Any]


async def reply(call: Call, message: str, chunks: AsyncIterator[Body]) -> StreamingResponse:
    """Stream chunks, each of them a `message`.

    Raises:
        ApiError: What is wrong with the request shows before the first chunk, and is an ordinary error.
    """
    first = await while_connected(call, anext(chunks))
    pieces = _chunks(call, message, first, chunks)
    if call.query.get("alt") == "sse":
        return StreamingResponse(_events(pieces), media_type="text/event-stream")
    return StreamingResponse(_array(pieces), media_type="application/json; charset=UTF-8")


async def _chunks(call: Call, message: str, first: Body, rest: AsyncIterator[Body]) -> AsyncIterator[str]:
    yield _render(call, message, first)
    try:
        async for chunk in rest:
            yield _render(call, message, chunk)
    except ApiError as error:
        # The status line is long gone: Google's clients look for an error among the chunks.
        yield json.dumps(error.body(), ensure_ascii=False)


def _render(call: Call, message: str, chunk: Body) -> str:
    return json.dumps(call.emulator.wire.render(message, chunk, call.version), ensure_ascii=False)


async def _events(chunks: AsyncIterator[str]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield f"data: {chunk}\r\n\r\n".encode()


async def _array(chunks: AsyncIterator[str]) -> AsyncIterator[bytes]:
    between = b"["
    async for chunk in chunks:
        yield between + chunk.encode()
        between = b"\n,\r\n"
    yield b"\n]\n"


async def while_connected(call: Call, work: Awaitable[Body]) -> Body:
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
