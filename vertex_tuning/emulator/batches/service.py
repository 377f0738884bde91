"""The queue of batch prediction jobs: a few run at once and share the serving process, the others wait in PENDING.

After a crash `start` takes up what was left; what was running comes first.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from vertex_tuning import catalog
from vertex_tuning.emulator.batches import lines, request
from vertex_tuning.emulator.batches.answers import Folder
from vertex_tuning.emulator.batches.run import AT_ONCE, Run
from vertex_tuning.emulator.clock import CLOCK
from vertex_tuning.emulator.jobs import files, ledger
from vertex_tuning.emulator.jobs.ledger import Ledger, identifier
from vertex_tuning.emulator.state import Resource, now
from vertex_tuning.emulator.status import ApiError, Code

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator

log = logging.getLogger(__name__)

KIND = "batchPredictionJobs"
_RUNNING = 4
"""Jobs that run at once: a short one need not wait for a long one, and each still gets on."""


class BatchJobs:
    """Creates, queues, runs, cancels, deletes and remembers batch prediction jobs."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._db = emulator.db
        self._ledger = Ledger(emulator.db, KIND, "BatchPredictionJob")
        self._folder = emulator.settings.data_dir / "batches"
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._waiting: deque[str] = deque()
        self._runs: dict[str, Run] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # Life of the service

    async def start(self) -> None:
        """Take up what a former process left, and go on."""
        left = self._ledger.unfinished()
        left.sort(key=lambda job: job.body["state"] == ledger.PENDING)
        if self._folder.exists():
            await asyncio.to_thread(self._sweep, {identifier(job.name) for job in left})
        self._waiting.extend(job.name for job in left)
        self._fill()

    async def stop(self) -> None:
        """Stop asking; what runs goes on at the next start."""
        self._waiting.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def reset(self) -> None:
        """Stop all work and forget all files; the emulator forgets the resources."""
        await self.stop()
        await asyncio.to_thread(files.remove, self._folder)

    def _sweep(self, needed: set[str]) -> None:
        """Remove folders that nothing needs: a crash kept a job from being written down, or tidied up."""
        for path in self._folder.iterdir():
            if path.name not in needed:
                files.remove(path)

    def _fill(self) -> None:
        while self._waiting and len(self._runs) < _RUNNING:
            name = self._waiting.popleft()
            self._runs[name] = Run(self._emulator, self._ledger, name, self._folder_of(name), self._gate)
            task = asyncio.create_task(self._work(self._runs[name]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _work(self, run: Run) -> None:
        try:
            await run.go()
        except Exception:
            # The run has said what it could; the others must not suffer.
            log.exception("%s", run.name)
        finally:
            del self._runs[run.name]
            self._fill()

    def _folder_of(self, name: str) -> Folder:
        return Folder(self._folder / identifier(name))

    # What the routes call

    async def create(self, parent: str, body: dict[str, Any]) -> dict[str, Any]:
        """Check a request, put its input aside, write the job down, queue it.

        Raises:
            ApiError: 400 with every fault; 404, 409, 429.
        """
        order = request.check(self._emulator, parent, body)
        name = f"{parent}/{KIND}/{self._db.new_id()}"
        folder = self._folder_of(name)
        created = now()
        job = {**body, "name": name, "state": ledger.PENDING, "createTime": created, "updateTime": created}
        if order.version:
            job["modelVersionId"] = order.version
        prefix = body["outputConfig"]["gcsDestination"]["outputUriPrefix"].rstrip("/")
        moment = CLOCK.now().replace(tzinfo=None).isoformat(timespec="microseconds")
        try:
            count = await asyncio.to_thread(self._take_in, folder, order.source)
            private = {
                "target": order.target,
                "lines": count,
                "directory": f"{prefix}/prediction-model-{moment}Z",
            }
            self._db.put(Resource(name, KIND, parent, job, private), ledger.PENDING, {"lines": count})
        except BaseException as error:
            folder.remove()
            if files.is_full(error):
                raise files.disk_full() from error
            raise
        self._waiting.append(name)
        self._fill()
        return job

    def _take_in(self, folder: Folder, uri: str) -> int:
        """Put the input aside: what happens to it later does not change the job. How many lines it has."""
        folder.path.mkdir(parents=True)
        try:
            files.take(self._emulator.storage.open_path(uri), folder.input)
        except FileNotFoundError as error:
            raise request.taken_away() from error
        count, any_object = lines.count(folder.input)
        most = catalog.limits("batch")["max_requests"]
        if not any_object:
            what = (
                "has nothing but blank lines"
                if not count
                else "is not JSONL: none of its lines is a JSON object"
            )
            raise request.not_jsonl(uri, f'{what}. Each line is {{"request": {{...}}}}.')
        if count > most:
            raise request.not_jsonl(
                uri, f"has {count:,} requests; a batch may have up to {most:,}. Split it."
            )
        return count

    def get(self, name: str) -> dict[str, Any]:
        """A job's body.

        Raises:
            ApiError: 404.
        """
        return self._ledger.get(name).body

    def cancel(self, name: str) -> None:
        """Ask a job to end: it does within two seconds, and leaves what was answered so far.

        Raises:
            ApiError: 404, or 400 where it has ended.
        """
        self._ledger.begin_cancel(name, rule="VT655")
        if name in self._runs:
            self._runs[name].cancel()
            return
        with contextlib.suppress(ValueError):
            self._waiting.remove(name)
        self._ledger.cancelled(name, "The batch prediction job was cancelled before it began.")
        self._folder_of(name).remove()

    def delete(self, name: str) -> None:
        """Forget a job that has ended; what it wrote to Cloud Storage is the user's, and stays.

        Raises:
            ApiError: 404, or 400 where it has not ended.
        """
        state = self._ledger.get(name).body["state"]
        if state not in ledger.ENDED:
            raise ApiError(
                Code.FAILED_PRECONDITION,
                f"{name} cannot be deleted: it is in {state}. Cancel it first, or wait for its end.",
                rule="VT656",
            )
        self._db.delete(name)
