"""Runs pipeline jobs, and remembers them.

A job that had begun when the server died goes on at the next start: its steps that were done are not done again, those that were
not are begun anew, as they are when they are retried.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vertex_tuning.config import home
from vertex_tuning.emulator.jobs import files, ledger
from vertex_tuning.emulator.pipelines import details, request
from vertex_tuning.emulator.pipelines.details import Details, contexts
from vertex_tuning.emulator.pipelines.outputs import Outputs
from vertex_tuning.emulator.state import Resource, now
from vertex_tuning.emulator.status import ApiError, Code
from vertex_tuning.emulator.workers.supervised import End, Supervised, last_words, variables
from vertex_tuning.emulator.workers.supervised_jobs import Body, States, SupervisedJobs

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator

KIND = "pipelineJobs"
_MODULE = "vertex_tuning.pipelines.child"
_GLANCE = 0.1
"""Seconds between looks for what a run tells."""
_GRACE = 5.0
"""Seconds for steps that are asked to end: one that tunes cancels its job."""
_MOST_AT_ONCE = 32
"""Jobs in one batch call; Google's own limit."""


class PipelineJobs(SupervisedJobs):
    """Creates, runs, cancels and deletes pipeline jobs."""

    kind = KIND
    title = "The PipelineJob"
    states = States("PIPELINE_STATE_")
    cancelled = details.cancelled()
    cancel_rule = delete_rule = "VT718"
    failed_rule = "VT719"

    def __init__(self, emulator: Emulator) -> None:
        super().__init__(emulator, "pipelines")

    async def start(self) -> None:
        """Take up what a former process left."""
        for job in self._db.list(KIND, newest_first=False):
            if job.body["state"] == self.states.cancelling:
                self._end(job.name, self.states.cancelled, self.cancelled)
            elif job.body["state"] not in self.states.ended:
                self._begin(job.name)

    # What the routes call

    def create(
        self, parent: str, body: Body, identifier: str, *, schedule: str = "", private: Body | None = None
    ) -> Body:
        """Check a request, write the job down, run it as soon as there is room.

        Args:
            parent: Where.
            body: The `PipelineJob`.
            identifier: `pipelineJobId`; empty: one is made.
            schedule: The schedule that asks for it.
            private: What is kept with it and not shown.

        Raises:
            ApiError: 400 with every fault, or for what is not run here; 409 where the id is taken.
        """
        body = request.check(self._emulator, body, identifier)
        number, created = self._db.new_id(), now()
        name = f"{parent}/{KIND}/{identifier or _fresh(request.pipeline_of(body), created)}"
        if self._db.get(name) is not None:
            raise ApiError(Code.ALREADY_EXISTS, f"The PipelineJob {name} already exists.", rule="VT717")
        job = {
            **body,
            "name": name,
            "state": self.states.pending,
            "createTime": created,
            "updateTime": created,
        }
        job["displayName"] = body.get("displayName") or ledger.identifier(name)
        if schedule:
            job["scheduleName"] = schedule
        job["jobDetail"] = contexts(job)
        self._db.put(
            Resource(name, KIND, parent, job, {**(private or {}), "folder": number}), self.states.pending
        )
        self._begin(name)
        return job

    async def delete(self, name: str) -> None:
        """Delete a job, and what it left on this machine; its objects in Cloud Storage stay.

        Raises:
            ApiError: 404, or 400 where it has not ended.
        """
        await self.delete_all([name])

    async def cancel_all(self, names: list[str]) -> list[Body]:
        """Cancel jobs, passing over those that have ended; comes back when all have, with those that were cancelled.

        Raises:
            ApiError: 404, or 400 where there are too many or none is left to cancel.
        """
        _check_count(names)
        left = [name for name in names if self.get(name).body["state"] not in self.states.ended]
        if not left:
            raise ApiError(Code.FAILED_PRECONDITION, "All of these pipeline jobs have ended.", rule="VT718")
        for name in left:
            self.cancel(name)
        # One that waited for its turn has ended already, and its task still waits for that turn.
        ending = [name for name in left if self.get(name).body["state"] not in self.states.ended]
        await asyncio.gather(*(self._tasks[name] for name in ending if name in self._tasks))
        return [self.get(name).body for name in left]

    async def delete_all(self, names: list[str]) -> list[Body]:
        """Delete jobs: all or none.

        Raises:
            ApiError: 404, or 400 where there are too many, or one has not ended.
        """
        _check_count(names)
        jobs = [self.get(name) for name in names]
        for job in jobs:
            self._check_ended(job)
        with self._db.transaction():
            for job in jobs:
                self._db.delete(job.name)
        for job in jobs:
            await asyncio.to_thread(files.remove, self._folder_of(job))
        return [job.body for job in jobs]

    def running_of(self, schedule: str) -> int:
        """How many jobs of a schedule have not ended."""
        return sum(
            job.body.get("scheduleName") == schedule and job.body["state"] not in self.states.ended
            for job in self._db.list(KIND, schedule.rsplit("/schedules/", 1)[0])
        )

    # Running

    async def _run(self, name: str) -> None:
        # What steps that are ended leave in their temporary folders goes with this one.
        with tempfile.TemporaryDirectory(prefix="vertex-tuning-", ignore_cleanup_errors=True) as scratch:
            await self._run_in(name, scratch)

    async def _run_in(self, name: str, scratch: str) -> None:
        job = self.get(name)
        resumed = job.body["state"] == self.states.running
        job = self._change(name, self.states.running)
        folder = self._folder_of(job)
        order = await self._order(job, folder, resumed)
        order["environment"]["TMPDIR"] = scratch
        run = _Run(
            self._db,
            job,
            Outputs(self._emulator.storage, self._folder, folder.name, request.folder_of(job.body)),
        )
        process = Supervised(f"pipeline job {ledger.identifier(name)}", folder / "child.txt")
        self._processes[name] = process
        ending = asyncio.create_task(process.run(order, self._stops[name]))
        try:
            with (
                (folder / "events.jsonl").open("rb") as told,
                (folder / "log.txt").open("a", encoding="utf-8") as words,
            ):
                lines = _Lines(told)
                while True:
                    over = ending.done()  # looked at first: what was told before the end is read after it
                    for event in lines.new():
                        if event["event"] == "log":
                            words.write(f"[{event['task']}] {event['text']}\n")
                        elif event["event"] == "task":
                            self._show(
                                name, await asyncio.to_thread(run.take, event, self._time(name)), event
                            )
                        else:
                            run.last = event
                    words.flush()
                    if over:
                        break
                    await asyncio.wait([ending], timeout=_GLANCE)
        finally:
            if not ending.done():
                ending.cancel()
                await asyncio.gather(ending, return_exceptions=True)
            del self._processes[name]
            await asyncio.to_thread(files.remove, folder / "work")
        self._conclude(name, run, ending.result(), folder)

    async def _order(self, job: Resource, folder: Path, resumed: bool) -> Body:
        """What the supervisor is to run: the child, with this job, led back to this emulator."""
        body, work = job.body, folder / "work"
        config = body["runtimeConfig"]
        child = {
            "name": ledger.identifier(job.name),
            "pipelineSpec": body["pipelineSpec"],
            "runtimeConfig": config,
            "local": {
                "id": job.private["folder"],
                "resource": job.name,
                "created": body["createTime"],
                "scheduled": body["createTime"],
                "root": str(folder / "outputs"),
                "cache": str(self._folder / "cache"),
                "resumed": resumed,
            },
        }

        def write() -> None:
            work.mkdir(parents=True, exist_ok=True)
            (folder / "job.json").write_text(json.dumps(child), encoding="utf-8")
            (folder / "events.jsonl").write_bytes(b"")

        await asyncio.to_thread(write)
        _, project, _, location, *_ = job.name.split("/")
        settings = self._emulator.settings
        base = await variables(self._emulator)
        return {
            "grace": _GRACE,
            "command": [
                sys.executable,
                "-m",
                _MODULE,
                str(folder / "job.json"),
                str(folder / "events.jsonl"),
            ],
            "folder": str(work),
            "environment": {
                **base,
                # Nothing of the user's own is found there.
                "HOME": str(work),
                "PWD": str(work),
                "PATH": os.pathsep.join([str(Path(sys.executable).parent), base.get("PATH", os.defpath)]),
                # But weights and journals are those of this machine.
                "VERTEX_TUNING_HOME": str(home()),
                "VERTEX_TUNING_TARGET": "local",
                "VERTEX_TUNING_PROJECT": settings.project if project == settings.project_number else project,
                "VERTEX_TUNING_LOCATION": location,
                "VERTEX_TUNING_BUCKET": request.bucket_of(body),
                "GOOGLE_CLOUD_LOCATION": location,
                "GOOGLE_CLOUD_REGION": location,
            },
        }

    def _conclude(self, name: str, run: _Run, end: End, folder: Path) -> None:
        time = self._time(name)
        state = self.get(name).body["state"]
        if state == self.states.cancelling:
            run.details.end("CANCELLED", time, self.cancelled)
            self._end(name, self.states.cancelled, self.cancelled, jobDetail=run.details.body)
        elif run.last.get("state") == "SUCCEEDED":
            self._end(name, self.states.succeeded, None)
        elif run.last.get("state") == "FAILED":
            self._end(name, self.states.failed, self._failure(name, run.last["error"], folder))
        else:
            words = f"The process of the run {end.words or 'ended before the run did.'}{last_words(folder / 'child.txt')}"
            error = ApiError(Code.INTERNAL, words, rule="VT719").status()
            run.details.end("FAILED", time, error)
            self._end(name, self.states.failed, error, jobDetail=run.details.body)

    def _failure(self, name: str, error: Body, folder: Path) -> Body:
        """The error of a run, in Vertex AI's words, and where more is said."""
        _, project, *_, identifier = name.split("/")
        words = (
            f"{error['message']}; Job (project_id = {self._emulator.settings.project}, job_id = {identifier}) is failed "
            f"due to the above error.; Failed to handle the job: {{project_number = {project}, job_id = {identifier}}} "
            f"The log of its tasks: {folder / 'log.txt'}"
        )
        code = next(one for one in Code if one.number == error["code"])
        return ApiError(code, words, rule="VT719").status()

    def _folder_of(self, job: Resource) -> Path:
        return self._folder / str(job.private["folder"])

    def _show(self, name: str, detail: Body, event: Body) -> None:
        """Write down what became of a task."""
        with self._db.transaction():
            job = self.get(name)
            job.body.update(jobDetail=detail, updateTime=self._time(name))
            self._db.put(job, "task", {"task": event["task"], "state": event["state"]})


class _Run:
    """What is known of a run while it runs."""

    def __init__(self, db: Any, job: Resource, outputs: Outputs) -> None:
        self.details = Details(db, job.body)
        self.last: Body = {}
        """The last that was said of the run as a whole."""
        self._outputs = outputs

    def take(self, event: Body, time: str) -> Body:
        """Note what became of a task, its outputs put into Cloud Storage first; how all tasks are then."""
        if "inputs" in event:
            event = {**event, "inputs": self._outputs.seen(event["inputs"])}
        if "outputs" in event:
            event = {**event, "outputs": self._outputs.put(self.details.unique(event), event["outputs"])}
        self.details.take(event, time)
        return self.details.body


class _Lines:
    """Lines of JSON of a file that grows."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._rest = b""

    def new(self) -> Iterator[Body]:
        """Those that are whole now."""
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        for line in lines:
            yield json.loads(line)


def _fresh(pipeline: str, created: str) -> str:
    """An id for a job of a pipeline, as Google's client makes them: by name and time."""
    stem = re.sub(r"[^a-z0-9]+", "-", pipeline.lower()).strip("-")[:100]
    stem = stem if stem[:1].isalpha() else f"pipeline-{stem}"
    return f"{stem}-{re.sub(r'[^0-9]', '', created)[:14]}-{uuid.uuid4().hex[:4]}"


def _check_count(names: list[str]) -> None:
    if not 0 < len(names) <= _MOST_AT_ONCE:
        words = f"names must hold 1 to {_MOST_AT_ONCE} pipeline jobs, and holds {len(names)}."
        raise ApiError(Code.INVALID_ARGUMENT, words, rule="VT716")
