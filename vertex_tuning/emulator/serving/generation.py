"""The server's side of serving: requests in, answers out, a child in between."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, Any

from vertex_tuning.emulator.serving import request
from vertex_tuning.emulator.serving.answers import Answer
from vertex_tuning.emulator.serving.protocol import Message
from vertex_tuning.emulator.settings import processors
from vertex_tuning.emulator.status import ApiError, Code
from vertex_tuning.emulator.workers.process import Worker

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator
    from vertex_tuning.emulator.jobs import ServedModel

log = logging.getLogger(__name__)

MAX_IN_FLIGHT = 512
"""Requests that the child holds at once; more are refused, as a quota would."""
_MODULE = "vertex_tuning.emulator.serving.child"


class Generation:
    """Answers with the models that are served. Its child starts when needed, and after a death again."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._log_path = emulator.settings.data_dir / "logs" / "serving.log"
        self._worker: Worker | None = None
        self._starting = asyncio.Lock()
        self._in_flight: dict[str, asyncio.Queue[Message]] = {}

    @property
    def pid(self) -> int | None:
        """Process id of the serving child, or None."""
        return self._worker.pid if self._worker else None

    # Life of the child

    async def warm(self) -> None:
        """Start the child, if it does not run; returns before it is ready. Its imports take seconds."""
        async with self._starting:
            if self._worker is not None and self._worker.running:
                return
            worker = Worker(
                _MODULE,
                "serving",
                log_path=self._log_path,
                on_message=self._message,
                on_exit=lambda status: self._exit(worker, status),
                arguments=[str(processors())],
            )
            self._worker = worker
            await worker.start()

    async def stop(self, why: str = "The emulator is shutting down.") -> None:
        """End the child; whoever waits is told."""
        worker, self._worker = self._worker, None
        if worker:
            await worker.stop()
        self._fail_all(why)

    async def reset(self) -> None:
        """Forget what the child holds of models that are gone."""
        await self.stop("The emulator was reset.")

    def _message(self, message: Message) -> None:
        queue = self._in_flight.get(message.get("id", ""))
        if queue is not None:
            queue.put_nowait(message)

    def _exit(self, worker: Worker, status: int) -> None:
        if worker is not self._worker:
            return
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        log.warning("the serving process %s", how)
        self._fail_all(f"The serving process {how}; it starts again with the next request.")

    def _fail_all(self, message: str) -> None:
        for queue in self._in_flight.values():
            queue.put_nowait(
                {"event": "failed", "code": Code.UNAVAILABLE.name, "message": message, "rule": "VT804"}
            )

    # What the routes call

    async def generate(
        self, served: ServedModel, body: dict[str, Any], *, text: str | None = None
    ) -> dict[str, Any]:
        """A whole answer: `GenerateContentResponse`.

        Args:
            served: Whom to ask.
            body: Canonical `GenerateContentRequest`.
            text: What to go on with instead of the body's contents, without a chat template.

        Raises:
            ApiError: 400; 429 where too many wait; 503 where the child died over it.
        """
        order = request.order(served, body, stream=False, text=text)
        answer = Answer(served.name)
        ends: list[Message] = []
        async for event in self._ask(order.to_json()):
            if event["event"] == "begun":
                answer.begun(event)
            elif event["event"] == "end":
                ends.append(event)
                if len(ends) == order.candidates:
                    break
        return answer.whole(ends)

    async def stream(self, served: ServedModel, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """The same, piece by piece as it is made; whoever stops listening stops the work.

        Raises:
            ApiError: As `generate`; before the first piece, or in the midst where the child dies.
        """
        order = request.order(served, body, stream=True)
        answer = Answer(served.name)
        left = order.candidates
        async for event in self._ask(order.to_json()):
            if event["event"] == "begun":
                answer.begun(event)
            elif event["event"] == "text":
                yield answer.chunk(event)
            elif event["event"] == "end":
                left -= 1
                yield answer.last(event, usage=not left)
                if not left:
                    return

    async def count_tokens(self, served: ServedModel, body: dict[str, Any]) -> dict[str, Any]:
        """`CountTokensResponse`: what the prompt costs, the chat template's tokens included."""
        # The request to generate may be counted with its config; both stand for the same prompt.
        contents, system = request.prompt(served, body)
        event = await self._answer(
            {"op": "count", "model": str(served.model), "contents": contents, "system": system}
        )
        return {
            "totalTokens": event["tokens"],
            "totalBillableCharacters": event["characters"],
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": event["tokens"]}],
        }

    async def compute_tokens(self, served: ServedModel, body: dict[str, Any]) -> dict[str, Any]:
        """`ComputeTokensResponse`: the tokens of each content's text."""
        contents, _ = request.prompt(served, body)
        event = await self._answer({"op": "tokens", "model": str(served.model), "contents": contents})
        return {"tokensInfo": event["infos"]}

    async def _answer(self, message: Message) -> Message:
        async for event in self._ask({**message, "id": uuid.uuid4().hex}):
            return event
        raise AssertionError("a question always has an answer")

    async def _ask(self, message: Message) -> AsyncIterator[Message]:
        """Send a message and yield what comes back, until the caller has enough."""
        if len(self._in_flight) >= MAX_IN_FLIGHT:
            raise ApiError(
                Code.RESOURCE_EXHAUSTED,
                f"Resource exhausted: {MAX_IN_FLIGHT} requests are being answered. Please try again later.",
                rule="VT805",
            )
        identifier = message["id"]
        queue: asyncio.Queue[Message] = asyncio.Queue()
        self._in_flight[identifier] = queue
        finished = False
        try:
            await self.warm()
            assert self._worker is not None
            self._worker.send(message)
            while True:
                event = await queue.get()
                if event["event"] == "failed":
                    finished = True
                    raise ApiError(Code[event["code"]], event["message"], rule=event.get("rule", ""))
                yield event
        finally:
            del self._in_flight[identifier]
            if not finished and self._worker is not None:
                # Nothing to cancel is nothing to do: the child does not know the id any more.
                self._worker.send({"op": "cancel", "id": identifier})
