"""Jobs of which each is a supervised process: a few run at once, the others wait for their turn.

PENDING -> RUNNING -> SUCCEEDED | FAILED
PENDING -> CANCELLED, RUNNING -> CANCELLING -> CANCELLED
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from vertex_tuning.emulator.jobs import files
from vertex_tuning.emulator.jobs.ledger import identifier
from vertex_tuning.emulator.settings import processors
from vertex_tuning.emulator.state import Resource, not_before
from vertex_tuning.emulator.status import ApiError, Code, not_found
from vertex_tuning.emulator.workers.supervised import Supervised

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator

log = logging.getLogger(__name__)

Body = dict[str, Any]


class States:
    """The states of such a job, as its kind spells them: `JOB_STATE_`, `PIPELINE_STATE_`."""

    def __init__(self, prefix: str) -> None:
        self.pending = f"{prefix}PENDING"
        self.running = f"{prefix}RUNNING"
        self.succeeded = f"{prefix}SUCCEEDED"
        self.failed = f"{prefix}FAILED"
        self.cancelling = f"{prefix}CANCELLING"
        self.cancelled = f"{prefix}CANCELLED"
        self.ended = frozenset({self.succeeded, self.failed, self.cancelled})


class SupervisedJobs(ABC):
    """Runs, cancels and remembers jobs; as many run at once as there are processors, two at least. A kind says what it runs.

    Args:
        emulator: Whose they are.
        folder: Below its data: where a job has a folder of its own.
    """

    kind: ClassVar[str]
    """Their collection: `customJobs`."""
    title: ClassVar[str]
    """What one is called where it is not found: `CustomJob`."""
    states: ClassVar[States]
    cancelled: ClassVar[Body]
    """The error of a job that was cancelled."""
    cancel_rule: ClassVar[str]
    """One that has ended cannot be cancelled."""
    delete_rule: ClassVar[str]
    """One that has not ended cannot be deleted."""
    failed_rule: ClassVar[str]
    """It failed."""

    def __init__(self, emulator: Emulator, folder: str) -> None:
        self._emulator = emulator
        self._db = emulator.db
        self._folder = emulator.settings.data_dir / folder
        self._slots = asyncio.Semaphore(max(2, processors()))
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stops: dict[str, asyncio.Event] = {}
        self._processes: dict[str, Supervised] = {}

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of the supervisors, by the jobs' ids."""
        return {identifier(name): one.pid for name, one in self._processes.items() if one.pid}

    # Life of the service

    @abstractmethod
    async def start(self) -> None:
        """Take up what a former process left."""

    async def stop(self) -> None:
        """End what runs; `start` says what becomes of it."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def reset(self) -> None:
        """Stop all work and forget all files; the emulator forgets the resources."""
        await self.stop()
        await asyncio.to_thread(files.remove, self._folder)

    # What the routes call

    def get(self, name: str) -> Resource:
        """A job.

        Raises:
            ApiError: 404.
        """
        found = self._db.get(name)
        if found is None or found.kind != self.kind:
            raise not_found(f"{self.title} {name}")
        return found

    def cancel(self, name: str) -> None:
        """Ask a job to end. One that waits is CANCELLED at once.

        Raises:
            ApiError: 404, or 400 where it has ended.
        """
        state = self.get(name).body["state"]
        if state in self.states.ended:
            words = f"{name} cannot be cancelled: it has ended, with {state}."
            raise ApiError(Code.FAILED_PRECONDITION, words, rule=self.cancel_rule)
        if state == self.states.pending:
            self._end(name, self.states.cancelled, self.cancelled)
        elif state != self.states.cancelling:
            self._change(name, self.states.cancelling)
        if name in self._stops:
            self._stops[name].set()

    def _check_ended(self, job: Resource) -> None:
        """Only such a job may be deleted."""
        if (state := job.body["state"]) not in self.states.ended:
            raise ApiError(
                Code.FAILED_PRECONDITION,
                f"{job.name} cannot be deleted while it is in {state}. Cancel it first ({self.kind}.cancel).",
                rule=self.delete_rule,
            )

    # Running

    def _begin(self, name: str) -> None:
        self._stops[name] = asyncio.Event()
        task = asyncio.create_task(self._go(name))
        self._tasks[name] = task
        task.add_done_callback(lambda _: (self._tasks.pop(name, None), self._stops.pop(name, None)))

    async def _go(self, name: str) -> None:
        async with self._slots:
            if self._stops[name].is_set():
                return
            try:
                await self._run(name)
            except ApiError as error:
                self._end(name, self.states.failed, error.status())
            except Exception as error:
                incident = uuid.uuid4().hex[:12]
                log.exception("incident %s: %s", incident, name)
                words = f"Internal error encountered. The log has it as incident {incident}."
                full = files.is_full(error)
                failure = files.disk_full() if full else ApiError(Code.INTERNAL, words, rule=self.failed_rule)
                with contextlib.suppress(Exception):  # a full disk: `start` finds it as it was
                    self._end(name, self.states.failed, failure.status())

    @abstractmethod
    async def _run(self, name: str) -> None:
        """Run a job to its end.

        Raises:
            ApiError: It failed.
        """

    # Transitions

    def _time(self, name: str) -> str:
        return not_before(self.get(name).body["updateTime"])

    def _change(self, name: str, state: str, **fields: Any) -> Resource:
        with self._db.transaction():
            job = self.get(name)
            time = self._time(name)
            job.body.update(fields, state=state, updateTime=time)
            if state == self.states.running:
                job.body.setdefault("startTime", time)
            elif state in self.states.ended:
                job.body["endTime"] = time
            self._db.put(job, state)
        return job

    def _end(self, name: str, state: str, error: Body | None, **fields: Any) -> None:
        with self._db.transaction():
            job = self._db.get(name)
            if job is not None and job.body["state"] not in self.states.ended:
                self._change(name, state, **fields, **({"error": error} if error else {}))
