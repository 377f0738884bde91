"""The emulator's time: the machine's own or, where jobs are simulated, one that runs faster and can be put forward."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import UTC, datetime


class Clock:
    """Tells the time, and waits for it. One to a process: `CLOCK`."""

    def __init__(self) -> None:
        self.speed = 1.0
        """Seconds here for each second of the machine's."""
        self._began = time.monotonic()
        self._origin: float | None = None
        self._moved = asyncio.Event()

    def quicken(self, speed: float, after: float = 0.0) -> None:
        """Run at another speed from now on.

        Args:
            speed: Seconds here for each second of the machine's.
            after: Not before this moment (seconds since 1970): what was written down is past, after a restart too.
        """
        self._origin, self._began, self.speed = max(self.seconds(), after), time.monotonic(), speed

    def advance(self, seconds: float) -> None:
        """Put it forward; whoever waits for a moment that is past now goes on."""
        self._origin, self._began = self.seconds() + seconds, time.monotonic()
        self._moved.set()
        self._moved = asyncio.Event()

    def seconds(self) -> float:
        """Seconds since 1970."""
        if self._origin is None:
            return time.time()
        return self._origin + (time.monotonic() - self._began) * self.speed

    def now(self) -> datetime:
        """The moment, in UTC."""
        return datetime.fromtimestamp(self.seconds(), UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait, by this clock."""
        end = self.seconds() + seconds
        while (left := end - self.seconds()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left / self.speed):
                    await self._moved.wait()


CLOCK = Clock()
