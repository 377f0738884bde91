"""A process that runs a user's code: below a supervisor (`vertex_tuning/supervisor.py`), led to this emulator and no further."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vertex_tuning.emulator import environment
from vertex_tuning.emulator.workers.process import Worker, scrubbed_environment

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator

GRACE = 10.0
"""Seconds for the supervisor to end what it holds."""
_TAIL = 2000


async def variables(emulator: Emulator) -> dict[str, str]:
    """A scrubbed environment, with what leads Google's clients to the emulator."""
    bundle, credentials = await emulator.keys.bundle(), await emulator.keys.key_file()
    found = environment.variables(emulator.record, bundle, credentials)
    return environment.applied(found, scrubbed_environment())


@dataclass(frozen=True, slots=True)
class End:
    """How a process ended."""

    status: int | None
    """Its exit status, negative: a signal; None: it was ended with its supervisor, or could not start."""
    missing: str
    """Why it could not start."""
    supervisor: int
    """Exit status of the supervisor."""
    late: bool
    """Its time was over."""

    @property
    def words(self) -> str:
        """How, as Vertex AI says it; empty where it ended well."""
        if self.missing:
            return f"could not start: {self.missing}."
        if self.status is None:
            return f"was ended with its supervisor (status {self.supervisor})."
        if self.status < 0:
            return f"was killed by signal {-self.status}."
        return f"exited with a non-zero status of {self.status}." if self.status else ""


class Supervised:
    """One process, with all that it starts.

    Args:
        name: For the log.
        log: Where its output goes.
    """

    def __init__(self, name: str, log: Path) -> None:
        self._said: dict[str, Any] = {}
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._worker = Worker(
            "vertex_tuning.supervisor",
            name,
            log_path=log,
            on_message=self._said.update,
            on_exit=lambda status: None if self._ended.done() else self._ended.set_result(status),
            arguments=[str(os.getpid())],
        )

    @property
    def pid(self) -> int | None:
        """Process id of the supervisor."""
        return self._worker.pid

    async def run(self, order: dict[str, Any], stop: asyncio.Event, *, seconds: float | None = None) -> End:
        """Run it to its end, or until it is stopped; nothing of it is left then, however that comes.

        Args:
            order: `command`, `folder`, `environment`.
            stop: Ends it.
            seconds: How long it may run.
        """
        await self._worker.start()
        stopped = asyncio.create_task(stop.wait())
        try:
            self._worker.send(order)
            waited: list[asyncio.Future[Any]] = [self._ended, stopped]
            await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            late = not self._ended.done() and not stopped.done()
        finally:
            stopped.cancel()
            await self._worker.stop(GRACE)
        return End(self._said.get("status"), self._said.get("missing", ""), await self._ended, late)


def last_words(log: Path) -> str:
    """` Its last words: ...` of a log; empty where it has none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            lines = file.read().decode("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    return f" Its last words: {lines[-1][-500:]}" if lines else ""
