"""What a job measures, in Cloud Storage while it runs: a copy of the trainer's `metrics.jsonl`."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from vertex_tuning.emulator.jobs.ledger import identifier
from vertex_tuning.emulator.status import ApiError
from vertex_tuning.emulator.storage.errors import StorageError

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator

log = logging.getLogger(__name__)

_EVERY = 1.0
_SHARE = 20
"""A long file is copied less often: copying takes at most one part in so many."""


def uri_of(emulator: Emulator, job: str) -> str:
    """Where a job's measurements lie: `gcsMetricsUri`."""
    return f"gs://{_bucket(emulator, job)}/{identifier(job)}/metrics.jsonl"


def _bucket(emulator: Emulator, job: str) -> str:
    settings = emulator.settings
    number = job.split("/")[1]
    project = (
        settings.project if number == settings.project_number and ":" not in settings.project else number
    )
    return f"{project}-vertex-tuning-metrics"


class Publisher:
    """Copies one job's measurements while it trains."""

    def __init__(self, emulator: Emulator, job: str, source: Path) -> None:
        self._emulator = emulator
        self._job = job
        self._source = source
        self._size = -1

    async def run(self) -> None:
        """Copy whenever there is something new, until cancelled."""
        pause = _EVERY
        while True:
            await asyncio.sleep(pause)
            started = time.monotonic()
            await self.publish()
            pause = max(_EVERY, _SHARE * (time.monotonic() - started))

    async def publish(self) -> None:
        """Copy now, if there is something new. A job does not fail for want of its curves."""
        try:
            await asyncio.to_thread(self._publish)
        except (ApiError, StorageError, OSError):
            log.exception("the metrics of %s could not be written", self._job)

    def _publish(self) -> None:
        try:
            data = self._source.read_bytes()
        except FileNotFoundError:
            data = b""
        data = data[: data.rfind(b"\n") + 1]  # a line may be half written
        if len(data) == self._size:
            return
        uri = uri_of(self._emulator, self._job)
        self.make_bucket()
        self._emulator.storage.write(uri, data, "application/jsonl")
        self._size = len(data)

    def make_bucket(self) -> None:
        """Have the bucket there."""
        name, storage = _bucket(self._emulator, self._job), self._emulator.storage
        if storage.buckets.find(name) is None:
            _, number, _, location, *_ = self._job.split("/")
            storage.buckets.insert(
                number, {"name": name, "location": "US" if location == "global" else location}
            )
