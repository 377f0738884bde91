"""The training child: a process that has everything imported, and forks once per job."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vertex_tuning.emulator.workers.process import Worker

log = logging.getLogger(__name__)

Event = dict[str, Any]


class Trainer:
    """Runs one job at a time in the training child, which is started when first needed, and again after a death."""

    def __init__(self, log_path: Path) -> None:
        self._log_path = log_path
        self._worker: Worker | None = None
        self._job = ""
        self._on_event: Callable[[Event], None] = lambda _: None
        self._ended: asyncio.Future[bool] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the child, or None."""
        return self._worker.pid if self._worker else None

    async def run(self, job: str, config: dict[str, Any], on_event: Callable[[Event], None]) -> bool:
        """Train; `on_event` gets the trainer's events. False where the child died, or was killed, before its end."""
        if self._worker is None or not self._worker.running:
            self._worker = Worker(
                "vertex_tuning.emulator.workers.zygote",
                "trainer",
                log_path=self._log_path,
                on_message=self._message,
                on_exit=self._exit,
            )
            await self._worker.start()
        self._job, self._on_event = job, on_event
        self._ended = asyncio.get_running_loop().create_future()
        self._worker.send({"op": "run", "job": job, "kind": "supervised", "config": config})
        try:
            return await self._ended
        finally:
            self._job = ""

    def cancel(self, job: str) -> None:
        """Kill a job; `run` returns False."""
        if self._worker and self._job == job:
            self._worker.send({"op": "cancel", "job": job})

    async def stop(self) -> None:
        """End the child, and what it trains."""
        if self._worker:
            await self._worker.stop()

    def _message(self, message: Event) -> None:
        if message.get("job") != self._job or not self._job:
            return
        if message["event"] == "exit":
            self._end(message["status"] == 0)
        else:
            self._on_event(message)

    def _exit(self, status: int) -> None:
        if self._job:
            log.warning("the trainer ended with status %d while it held job %s", status, self._job)
        self._end(False)

    def _end(self, well: bool) -> None:
        if self._ended and not self._ended.done():
            self._ended.set_result(well)
