"""The training child: a process that has everything imported, and forks once per job."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vertex_tuning.emulator.workers.process import Worker

log = logging.getLogger(__name__)

Event = dict[str, Any]

_MODULE = "vertex_tuning.emulator.workers.zygote"
_START_LIMIT = 300.0
"""Seconds for the imports of a busy machine."""
_SILENCE_LIMIT = 1800.0
"""Seconds without a word from a job, after which it is taken to hang. A step of a large batch takes long."""
_CANCEL_GRACE = 1.0
_TAIL = 2000


@dataclass(frozen=True, slots=True)
class Exit:
    """How a job's process ended."""

    well: bool
    words: str = ""
    """What there is to say where it did not end well."""


class Trainer:
    """Runs one job at a time in the training child, which starts when first needed, and after a death."""

    def __init__(self, log_path: Path) -> None:
        self._log_path = log_path
        self._worker: Worker | None = None
        self._ready = asyncio.Event()
        self._job = ""
        self._on_event: Callable[[Event], None] = lambda _: None
        self._heard = 0.0
        self._started = 0.0
        self._ended: asyncio.Future[Exit] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the child, or None."""
        return self._worker.pid if self._worker else None

    async def warm(self) -> None:
        """Start the child, if it does not run; returns before it is ready."""
        if self._worker is not None and self._worker.running:
            return
        self._ready.clear()
        # Python buffers what it prints into a file; a killed child's words would be lost.
        environment = {"PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore::FutureWarning"}
        worker = Worker(
            _MODULE,
            "trainer",
            log_path=self._log_path,
            on_message=self._message,
            on_exit=lambda status: self._exit(worker, status),
            environment=environment,
        )
        self._worker, self._started = worker, time.monotonic()
        await worker.start()

    async def run(self, job: str, order: dict[str, Any], on_event: Callable[[Event], None]) -> Exit:
        """Train until the job's process has ended.

        Args:
            job: Id of the job.
            order: What the trainer is told: the `kind` of training and its `config`.
            on_event: Gets the trainer's events, as they come.
        """
        ended: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._job, self._on_event, self._ended = job, on_event, ended
        self._heard = time.monotonic()
        try:
            await self.warm()
            assert self._worker is not None
            self._worker.send({"op": "run", "job": job, **order})
            while not ended.done():
                limit = _SILENCE_LIMIT if self._ready.is_set() else _START_LIMIT
                left = self._heard + limit - time.monotonic()
                if left <= 0:
                    log.error("job %s: nothing heard for %.0f seconds; the trainer is killed", job, limit)
                    self._worker.kill()
                    left = limit
                await asyncio.wait([ended], timeout=left)
            return ended.result()
        finally:
            self._job, self._ended = "", None

    async def cancel(self, job: str) -> None:
        """End a job's process; `run` returns when it is gone. A child that does not obey is killed too."""
        ended = self._ended
        if self._worker is None or self._job != job or ended is None:
            return
        self._worker.send({"op": "cancel", "job": job})
        await asyncio.wait([ended], timeout=_CANCEL_GRACE)
        if not ended.done():
            self._worker.kill()
            await asyncio.wait([ended])

    async def stop(self) -> None:
        """End the child, and what it trains."""
        if self._worker:
            await self._worker.stop()

    def _message(self, message: Event) -> None:
        self._heard = time.monotonic()
        if message.get("ready"):
            self._ready.set()
            log.info("the trainer is ready after %.1f seconds", time.monotonic() - self._started)
        elif self._job and message.get("job") == self._job:
            if message["event"] == "exit":
                self._end(self._outcome(message))
            else:
                self._on_event(message)

    def _outcome(self, message: Event) -> Exit:
        if message["status"] == 0:
            return Exit(True)
        if signal := message.get("signal"):
            return Exit(False, f"The training process was killed by signal {signal}.{self._memory(signal)}")
        return Exit(False, f"The training process ended with status {message['status']}.{self._last_words()}")

    def _exit(self, worker: Worker, status: int) -> None:
        if worker is not self._worker:
            return
        self._ready.clear()
        if self._job:
            log.warning("the trainer ended with status %d while it held job %s", status, self._job)
            how = (
                f"was killed by signal {-status}.{self._memory(-status)}"
                if status < 0
                else f"ended with status {status}."
            )
            self._end(Exit(False, f"The trainer {how}{self._last_words()}"))

    def _end(self, outcome: Exit) -> None:
        if self._ended and not self._ended.done():
            self._ended.set_result(outcome)

    @staticmethod
    def _memory(signal: int) -> str:
        return (
            " The system does that when memory runs out: a smaller batch or shorter examples need less."
            * (signal == 9)
        )

    def _last_words(self) -> str:
        """The last line of the log, where an exception stands."""
        with contextlib.suppress(OSError), self._log_path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            lines = file.read().decode("utf-8", "replace").strip().splitlines()
            if lines:
                return f" Its last words: {lines[-1][-500:]}"
        return ""
