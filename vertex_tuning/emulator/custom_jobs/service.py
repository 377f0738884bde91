"""Runs custom jobs, and remembers them.

A job that had begun when the server died is failed at the next start: what it has done, and what not, nobody knows. One
that had not begun is run then.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from vertex_tuning.emulator.custom_jobs import request
from vertex_tuning.emulator.jobs import files, ledger
from vertex_tuning.emulator.state import Resource, now
from vertex_tuning.emulator.status import ApiError, Code
from vertex_tuning.emulator.workers.supervised import Supervised, last_words, variables
from vertex_tuning.emulator.workers.supervised_jobs import Body, States, SupervisedJobs

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator

KIND = "customJobs"


class CustomJobs(SupervisedJobs):
    """Creates, runs, cancels and deletes custom jobs."""

    kind = KIND
    title = "CustomJob"
    states = States("JOB_STATE_")
    cancelled = {"code": Code.CANCELLED.number, "message": "The custom job was cancelled."}  # noqa: RUF012
    cancel_rule, delete_rule, failed_rule = "VT644", "VT678", "VT679"

    def __init__(self, emulator: Emulator) -> None:
        super().__init__(emulator, "custom-jobs")

    async def start(self) -> None:
        """Take up what a former process left."""
        for job in self._db.list(KIND, newest_first=False):
            if job.body["state"] == self.states.pending:
                self._begin(job.name)
            elif job.body["state"] == self.states.cancelling:
                self._end(job.name, self.states.cancelled, self.cancelled)
            elif job.body["state"] not in self.states.ended:
                self._end(job.name, self.states.failed, _interrupted())

    # What the routes call

    def create(self, parent: str, body: Body) -> Body:
        """Check a request, write the job down, run it as soon as there is room.

        Raises:
            ApiError: 400 with every fault, or with the reason why it is not run here.
        """
        request.check(self._emulator, body)
        name, created = f"{parent}/customJobs/{self._db.new_id()}", now()
        job = {
            **body,
            "name": name,
            "state": self.states.pending,
            "createTime": created,
            "updateTime": created,
        }
        with self._db.transaction():
            self._db.put(Resource(name, KIND, parent, job), self.states.pending)
            self._emulator.project.make_agent(parent.split("/")[1], "custom_code")
        self._begin(name)
        return job

    async def delete(self, name: str) -> None:
        """Delete a job, and its log.

        Raises:
            ApiError: 404, or 400 where it has not ended.
        """
        self._check_ended(self.get(name))
        self._db.delete(name)
        await asyncio.to_thread(files.remove, self._folder_of(name))

    # Running

    async def _run(self, name: str) -> None:
        # Written down before anything runs: what has begun is never begun again.
        job = self._change(name, self.states.running).body
        process = Supervised(f"custom job {ledger.identifier(name)}", self._log(name))
        self._processes[name] = process
        try:
            end = await process.run(
                await self._order(job), self._stops[name], seconds=request.seconds_of(job)
            )
        finally:
            del self._processes[name]
            await asyncio.to_thread(files.remove, self._folder_of(name) / "work")
        if self.get(name).body["state"] == self.states.cancelling:
            self._end(name, self.states.cancelled, self.cancelled)
        elif end.late:
            words = f"The job ran longer than its scheduling.timeout of {request.seconds_of(job):g} seconds."
            raise ApiError(Code.DEADLINE_EXCEEDED, words, rule="VT679")
        elif end.words:
            words = f"The replica workerpool0-0 {end.words}{last_words(self._log(name))} The log: {self._log(name)}"
            raise ApiError(Code.INVALID_ARGUMENT, words, rule="VT679")
        else:
            self._end(name, self.states.succeeded, None)

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


def _interrupted() -> Body:
    words = (
        "The emulator ended while the job ran, and its process with it. What it had done is not known, so it is not "
        "run again by itself: submit it again."
    )
    return ApiError(Code.ABORTED, words, rule="VT679").status()
