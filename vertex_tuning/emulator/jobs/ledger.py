"""Jobs in the database. A transition and the event that tells of it are one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from vertex_tuning.emulator.jobs import files
from vertex_tuning.emulator.state import Database, Resource, not_before
from vertex_tuning.emulator.status import ApiError, Code, not_found

KIND = "tuningJobs"
PENDING = "JOB_STATE_PENDING"
RUNNING = "JOB_STATE_RUNNING"
SUCCEEDED = "JOB_STATE_SUCCEEDED"
FAILED = "JOB_STATE_FAILED"
CANCELLING = "JOB_STATE_CANCELLING"
CANCELLED = "JOB_STATE_CANCELLED"
ENDED = frozenset({SUCCEEDED, FAILED, CANCELLED, "JOB_STATE_EXPIRED"})

WAITING_FOR_QUOTA = "TUNING_JOB_STATE_WAITING_FOR_QUOTA"
PROCESSING_DATASET = "TUNING_JOB_STATE_PROCESSING_DATASET"
WAITING_FOR_CAPACITY = "TUNING_JOB_STATE_WAITING_FOR_CAPACITY"
TUNING = "TUNING_JOB_STATE_TUNING"
POST_PROCESSING = "TUNING_JOB_STATE_POST_PROCESSING"

_ROOM_EVERY = 1.0
"""Seconds between two looks at whether a full disk has room again."""


def identifier(name: str) -> str:
    """The last part of a resource name: `tuningJobs/42` -> `42`."""
    return name.rsplit("/", 1)[1]


class Ledger:
    """Reads jobs, and writes their transitions.

    Args:
        db: Where they are.
        kind: Their collection.
        title: What one is called where it is not found.
    """

    def __init__(self, db: Database, kind: str = KIND, title: str = "TuningJob") -> None:
        self.db = db
        self.kind = kind
        self._title = title

    def find(self, name: str) -> Resource | None:
        """A job, or None."""
        found = self.db.get(name)
        return found if found is not None and found.kind == self.kind else None

    def get(self, name: str) -> Resource:
        """A job.

        Raises:
            ApiError: 404.
        """
        found = self.find(name)
        if found is None:
            raise not_found(f"{self._title} {name}")
        return found

    def unfinished(self) -> list[Resource]:
        """The jobs that have not ended, oldest first."""
        found = self.db.list(self.kind, newest_first=False)
        return [job for job in found if job.body["state"] not in ENDED]

    def change(
        self,
        name: str,
        event: str,
        data: dict[str, Any] | None = None,
        *,
        private: dict[str, Any] | None = None,
        **fields: Any,
    ) -> Resource:
        """Change fields of a job that has not ended, and say why.

        A job that is being cancelled stays so: then its state and its sub-state are left as they are.
        """
        with self.db.transaction():
            job = self.get(name)
            if job.body["state"] in ENDED:
                return job
            if job.body["state"] == CANCELLING:
                fields.pop("state", None)
                fields.pop("tuningJobState", None)
            job.body.update(fields, updateTime=not_before(job.body["updateTime"]))
            job.private.update(private or {})
            self.db.put(job, event, data)
        return job

    def begin_cancel(self, name: str, *, rule: str) -> None:
        """RUNNING or PENDING -> CANCELLING, or as it is.

        Raises:
            ApiError: 404; 400, by this rule, where it has ended.
        """
        with self.db.transaction():
            job = self.get(name)
            state = job.body["state"]
            if state in ENDED:
                words = f"{name} cannot be cancelled: it has ended, with {state}."
                raise ApiError(Code.FAILED_PRECONDITION, words, rule=rule)
            if state == CANCELLING:
                return
            job.body.pop("tuningJobState", None)
            job.body.update(state=CANCELLING, updateTime=not_before(job.body["updateTime"]))
            self.db.put(job, CANCELLING)

    def succeed(self, name: str, fields: Callable[[Resource], dict[str, Any]]) -> Resource:
        """-> SUCCEEDED, with what `fields` makes of the job, in the same transaction."""
        with self.db.transaction():
            job = self.get(name)
            job.body.update(fields(job))
            return self._end(job, SUCCEEDED, {})

    def fail(self, name: str, error: dict[str, Any]) -> None:
        """-> FAILED, with a `google.rpc.Status`."""
        self._end_with(name, FAILED, error)

    async def fail_where_there_is_room(
        self, name: str, error: ApiError, remove_files: Callable[[], None]
    ) -> None:
        """-> FAILED, and no files. Where the disk is full, that cannot be written down at once: it is tried until it can."""
        while True:
            try:
                self.fail(name, error.status())
                break
            except Exception as full:
                if not files.is_full(full):
                    raise
                await asyncio.to_thread(remove_files)
                await asyncio.sleep(_ROOM_EVERY)
        await asyncio.to_thread(remove_files)

    def cancelled(self, name: str, words: str = "The tuning job was cancelled.") -> None:
        """-> CANCELLED."""
        self._end_with(name, CANCELLED, {"code": Code.CANCELLED.number, "message": words})

    def _end_with(self, name: str, state: str, error: dict[str, Any]) -> None:
        with self.db.transaction():
            job = self.find(name)
            if job is not None and job.body["state"] not in ENDED:
                job.body["error"] = error
                self._end(job, state, {"error": error})

    def _end(self, job: Resource, state: str, data: dict[str, Any]) -> Resource:
        time = not_before(job.body["updateTime"])
        job.body.pop("tuningJobState", None)
        job.body.update(state=state, endTime=time, updateTime=time)
        self.db.put(job, state, data)
        return job
