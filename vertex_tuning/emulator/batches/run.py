"""One job, from its turn to its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from vertex_tuning.emulator.batches import lines, request
from vertex_tuning.emulator.batches.answers import Answers, Folder
from vertex_tuning.emulator.jobs import files, ledger
from vertex_tuning.emulator.jobs.ledger import Ledger
from vertex_tuning.emulator.state import not_before
from vertex_tuning.emulator.status import ApiError, Code

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator
    from vertex_tuning.emulator.jobs import ServedModel
    from vertex_tuning.emulator.state import Resource

log = logging.getLogger(__name__)

AT_ONCE = 16
"""Requests of all batches that are answered at once: half of what the serving process takes into one batch of its own."""
_EVERY = 1.0
"""Seconds between two looks at how far it is."""
_SHARE = 20
"""A large output is copied less often: copying takes at most one part in so many."""


class Run:
    """One job at work.

    Args:
        emulator: Whose models answer.
        books: Where its states are written down.
        name: The job's.
        folder: Its files.
        gate: Lets `AT_ONCE` requests through, of all jobs together.
    """

    def __init__(
        self, emulator: Emulator, books: Ledger, name: str, folder: Folder, gate: asyncio.Semaphore
    ) -> None:
        self.name = name
        self._emulator = emulator
        self._ledger = books
        self._folder = folder
        self._gate = gate
        self._work: asyncio.Task[None] | None = None
        self._cancelled = False

    def cancel(self) -> None:
        """Stop asking; what was answered is kept."""
        self._cancelled = True
        if self._work is not None:
            self._work.cancel()

    async def go(self) -> None:
        """Work until the job has ended; only the end of the server, which cancels this task, stops it."""
        try:
            await self._go()
        except ApiError as error:
            await self._fail(error)
        except Exception as error:
            if files.is_full(error):
                await self._fail(files.disk_full())
                return
            incident = uuid.uuid4().hex[:12]
            log.exception("incident %s: %s", incident, self.name)
            message = f"Internal error encountered. The log has it as incident {incident}."
            await self._fail(ApiError(Code.INTERNAL, message))

    async def _go(self) -> None:
        job = self._ledger.get(self.name)
        if job.body["state"] in ledger.ENDED:
            return
        self._cancelled |= job.body["state"] == ledger.CANCELLING
        with contextlib.closing(Answers(self._folder)) as answers:
            try:
                if not self._cancelled:
                    await self._ask(job, answers)
                await asyncio.to_thread(self._export, answers)
            except Exception:
                await self._leave(answers, job.private["lines"])
                raise
            self._end(answers, job.private["lines"])
        await asyncio.to_thread(self._folder.remove)

    async def _ask(self, job: Resource, answers: Answers) -> None:
        self._ledger.change(
            self.name,
            ledger.RUNNING,
            {"answered": len(answers.lines)},
            state=ledger.RUNNING,
            startTime=job.body.get("startTime") or not_before(job.body["createTime"]),
            outputInfo={"gcsOutputDirectory": job.private["directory"]},
        )
        served = request.served(self._emulator, job.private["target"])
        self._work = asyncio.create_task(self._answer_all(served, answers, job.private["lines"]))
        try:
            await asyncio.wait([self._work])
        finally:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)
        if not self._work.cancelled():
            self._work.result()

    async def _leave(self, answers: Answers, total: int) -> None:
        """What was answered before a job failed is the user's all the same."""
        with contextlib.suppress(ApiError, OSError, sqlite3.Error):
            await asyncio.to_thread(self._export, answers)
            self._ledger.change(self.name, "stopped", **_figures(answers, total))

    def _end(self, answers: Answers, total: int) -> None:
        figures = _figures(answers, total)
        if not self._cancelled:
            self._ledger.succeed(self.name, lambda _: figures)
            return
        with self._emulator.db.transaction():
            info = {"gcsOutputDirectory": self._directory}
            self._ledger.change(self.name, "stopped", outputInfo=info, **figures)
            self._ledger.cancelled(self.name, "The batch prediction job was cancelled.")

    # Answering

    async def _answer_all(self, served: ServedModel, answers: Answers, total: int) -> None:
        left = (found for found in lines.read(self._folder.input) if found[0] not in answers.lines)
        tasks = [asyncio.create_task(self._answer(served, answers, left)) for _ in range(AT_ONCE)]
        telling = asyncio.create_task(self._tell(answers, total))
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in (*tasks, telling):
                task.cancel()
            await asyncio.gather(*tasks, telling, return_exceptions=True)

    async def _answer(self, served: ServedModel, answers: Answers, left: Iterator[tuple[int, bytes]]) -> None:
        for number, line in left:
            answers.add(number, await lines.answer(self._emulator, served, line, self._gate))
            # A line that is refused at once must not keep the others, and the server, waiting.
            await asyncio.sleep(0)

    # Telling

    async def _tell(self, answers: Answers, total: int) -> None:
        """Write down how far it is, and leave in Cloud Storage what there is so far."""
        pause, told = _EVERY, -1
        while True:
            await asyncio.sleep(pause)
            if answers.size == told:
                continue
            started, told = time.monotonic(), answers.size
            stats = answers.stats(total)
            try:
                await _to_its_end(self._export, answers)
            except (ApiError, OSError):
                log.exception("the answers of %s so far could not be written", self.name)
            self._ledger.change(self.name, "progress", dict(stats), completionStats=stats)
            pause = max(_EVERY, _SHARE * (time.monotonic() - started))

    @property
    def _directory(self) -> str:
        return str(self._ledger.get(self.name).private["directory"])

    def _export(self, answers: Answers) -> None:
        path = answers.copy(answers.size)
        self._emulator.storage.write(f"{self._directory}/predictions.jsonl", path, "application/jsonl")

    async def _fail(self, error: ApiError) -> None:
        await self._ledger.fail_where_there_is_room(self.name, error, self._folder.remove)


def _figures(answers: Answers, total: int) -> dict[str, Any]:
    """What became of the lines, as a job shows it."""
    failures = {"partialFailures": answers.failures} if answers.failures else {}
    return {"completionStats": answers.stats(total), **failures}


async def _to_its_end(function: Callable[[Answers], None], answers: Answers) -> None:
    """Work in a thread, which cannot be stopped: whoever is cancelled meanwhile waits for it."""
    work = asyncio.ensure_future(asyncio.to_thread(function, answers))
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.gather(work, return_exceptions=True)
        raise
