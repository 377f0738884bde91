"""Runs custom jobs, and remembers them.

    PENDING -> RUNNING -> SUCCEEDED | FAILED
    PENDING -> CANCELLED, RUNNING -> CANCELLING -> CANCELLED

A job that had begun when the server died is failed at the next start: what it has done, and what not, nobody knows. One
that had not begun is run then.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vertex_tuning.emulator.custom_jobs import request
from vertex_tuning.emulator.jobs import files, ledger
from vertex_tuning.emulator.settings import processors
from vertex_tuning.emulator.state import Resource, not_before, now
from vertex_tuning.emulator.status import ApiError, Code, not_found
from vertex_tuning.emulator.workers.supervised import Supervised, last_words, variables

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator

log = logging.getLogger(__name__)

Body = dict[str, Any]

KIND = "customJobs"
_MARKED = {"startTime": (ledger.RUNNING,), "endTime": ledger.ENDED}
"""When a job came to these states, it shows for good."""


class CustomJobs:
    """Creates, runs, cancels and deletes custom jobs. As many run at once as there are processors, two at least."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._db = emulator.db
        self._folder = emulator.settings.data_dir / "custom-jobs"
        self._slots = asyncio.Semaphore(max(2, processors()))
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._cancelled: dict[str, asyncio.Event] = {}
        self._processes: dict[str, Supervised] = {}

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of the supervisors, by the jobs' ids."""
        return {ledger.identifier(name): one.pid for name, one in self._processes.items() if one.pid}

    # Life of the service

    async def start(self) -> None:
        """Take up what a former process left."""
        for job in self._db.list(KIND, newest_first=False):
            if job.body["state"] == ledger.PENDING:
                self._begin(job.name)
            elif job.body["state"] == ledger.CANCELLING:
                self._end(job.name, ledger.CANCELLED, _cancelled())
            elif job.body["state"] not in ledger.ENDED:
                self._end(job.name, ledger.FAILED, _interrupted())

    async def stop(self) -> None:
        """End what runs; it fails at the next start."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def reset(self) -> None:
        """Stop all work and forget all files; the emulator forgets the resources."""
        await self.stop()
        await asyncio.to_thread(files.remove, self._folder)

    # What the routes call

    def create(self, parent: str, body: Body) -> Body:
        """Check a request, write the job down, run it as soon as there is room.

        Raises:
            ApiError: 400 with every fault, or with the reason why it is not run here.
        """
        request.check(self._emulator, body)
        name, created = f"{parent}/customJobs/{self._db.new_id()}", now()
        job = {**body, "name": name, "state": ledger.PENDING, "createTime": created, "updateTime": created}
        with self._db.transaction():
            self._db.put(Resource(name, KIND, parent, job), ledger.PENDING)
            self._emulator.project.make_agent(parent.split("/")[1], "custom_code")
        self._begin(name)
        return job

    def get(self, name: str) -> Resource:
        """A job.

        Raises:
            ApiError: 404.
        """
        found = self._db.get(name)
        if found is None or found.kind != KIND:
            raise not_found(f"CustomJob {name}")
        return found

    def cancel(self, name: str) -> None:
        """Ask a job to end. One that waits is CANCELLED at once.

        Raises:
            ApiError: 404, or 400 where it has ended.
        """
        state = self.get(name).body["state"]
        if state in ledger.ENDED:
            raise ApiError(
                Code.FAILED_PRECONDITION,
                f"{name} cannot be cancelled: it has ended, with {state}.",
                rule="VT644",
            )
        if state == ledger.PENDING:
            self._end(name, ledger.CANCELLED, _cancelled())
        elif state != ledger.CANCELLING:
            self._change(name, ledger.CANCELLING)
        if name in self._cancelled:
            self._cancelled[name].set()

    async def delete(self, name: str) -> None:
        """Delete a job, and its log.

        Raises:
            ApiError: 404, or 400 where it has not ended.
        """
        state = self.get(name).body["state"]
        if state not in ledger.ENDED:
            raise ApiError(
                Code.FAILED_PRECONDITION,
                f"{name} cannot be deleted while it is in {state}. Cancel it first (customJobs.cancel).",
                rule="VT678",
            )
        self._db.delete(name)
        await asyncio.to_thread(files.remove, self._folder_of(name))

    # Running

    def _begin(self, name: str) -> None:
        self._cancelled[name] = asyncio.Event()
        task = asyncio.create_task(self._go(name))
        self._tasks[name] = task
        task.add_done_callback(lambda _: (self._tasks.pop(name, None), self._cancelled.pop(name, None)))

    async def _go(self, name: str) -> None:
        async with self._slots:
            if self._cancelled[name].is_set():
                return
            try:
                await self._run(name)
            except ApiError as error:
                self._end(name, ledger.FAILED, error.status())
            except Exception as error:
                full = files.is_full(error)
                incident = uuid.uuid4().hex[:12]
                log.exception("incident %s: %s", incident, name)
                words = f"Internal error encountered. The log has it as incident {incident}."
                failure = files.disk_full() if full else ApiError(Code.INTERNAL, words, rule="VT679")
                with contextlib.suppress(Exception):  # a full disk: it fails at the next start
                    self._end(name, ledger.FAILED, failure.status())
            finally:
                await asyncio.to_thread(files.remove, self._folder_of(name) / "work")

    async def _run(self, name: str) -> None:
        # Written down before anything runs: what has begun is never begun again.
        job = self._change(name, ledger.RUNNING).body
        order = await self._order(job)
        process = Supervised(f"custom job {ledger.identifier(name)}", self._log(name))
        self._processes[name] = process
        try:
            end = await process.run(order, self._cancelled[name], seconds=request.seconds_of(job))
        finally:
            del self._processes[name]
        if self.get(name).body["state"] == ledger.CANCELLING:
            self._end(name, ledger.CANCELLED, _cancelled())
        elif end.late:
            words = f"The job ran longer than its scheduling.timeout of {request.seconds_of(job):g} seconds."
            raise ApiError(Code.DEADLINE_EXCEEDED, words, rule="VT679")
        elif end.words:
            words = f"The replica workerpool0-0 {end.words}{last_words(self._log(name))} The log: {self._log(name)}"
            raise ApiError(Code.INVALID_ARGUMENT, words, rule="VT679")
        else:
            self._end(name, ledger.SUCCEEDED, None)

    async def _order(self, job: Body) -> Body:
        folder = self._folder_of(job["name"]) / "work"
        base = await variables(self._emulator)
        await asyncio.to_thread(folder.mkdir, parents=True)
        return {
            "command": request.command_of(job),
            "environment": request.environment_of(job, base, folder),
            "folder": str(folder),
        }

    def _folder_of(self, name: str) -> Path:
        return self._folder / ledger.identifier(name)

    def _log(self, name: str) -> Path:
        return self._folder_of(name) / "log.txt"

    # Transitions

    def _change(self, name: str, state: str, **fields: Any) -> Resource:
        with self._db.transaction():
            job = self.get(name)
            time = not_before(job.body["updateTime"])
            marks = {name: time for name, states in _MARKED.items() if state in states}
            job.body.update(fields, state=state, updateTime=time, **marks)
            self._db.put(job, state)
        return job

    def _end(self, name: str, state: str, error: Body | None) -> None:
        with self._db.transaction():
            job = self._db.get(name)
            if job is not None and job.body["state"] not in ledger.ENDED:
                self._change(name, state, **({"error": error} if error else {}))


def _cancelled() -> Body:
    return {"code": Code.CANCELLED.number, "message": "The custom job was cancelled."}


def _interrupted() -> Body:
    words = (
        "The emulator ended while the job ran, and its process with it. What it had done is not known, so it is not "
        "run again by itself: submit it again."
    )
    return ApiError(Code.ABORTED, words, rule="VT679").status()
