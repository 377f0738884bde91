"""A pipeline author's view of a running emulator."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.emulator.jobs.conftest import LOCATION, PATIENCE, Bench
from tests.pipelines import small
from tests.running import RunningEmulator

PREFIX = "PIPELINE_STATE_"
ENDED = {"SUCCEEDED", "FAILED", "CANCELLED"}


class Pipelines(Bench):
    """What a test does to an emulator with pipelines; states come without their prefix."""

    def body(self, pipeline: Any, parameters: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
        config = {
            "gcsOutputDirectory": f"gs://{self.bucket}/root",
            "parameterValues": parameters or {},
            **fields.pop("config", {}),
        }
        spec = fields.pop("spec", None) or small.spec(pipeline)
        return {"displayName": "a run", "pipelineSpec": spec, "runtimeConfig": config, **fields}

    def post(self, body: dict[str, Any], identifier: str = "") -> Any:
        query = f"?pipelineJobId={identifier}" if identifier else ""
        return self.call("POST", f"/v1/{LOCATION}/pipelineJobs{query}", body)

    def submit(self, pipeline: Any, parameters: dict[str, Any] | None = None, **options: Any) -> str:
        """A job's name."""
        answer = self.post(self.body(pipeline, parameters, **options), f"run-{uuid.uuid4().hex[:8]}")
        assert isinstance(answer, dict), answer
        return str(answer["name"])

    def get(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/v1/{name}")
        return found

    def until(self, name: str, *states: str) -> dict[str, Any]:
        """The job, as soon as it is in one of these states."""
        deadline = time.monotonic() + PATIENCE
        while True:
            job = self.get(name)
            state = job["state"].removeprefix(PREFIX)
            if state in states:
                return job
            assert state not in ENDED, (state, job.get("error"))
            assert time.monotonic() < deadline, job
            time.sleep(0.05)

    def run(self, pipeline: Any, parameters: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        """A job, when it has ended."""
        return self.until(self.submit(pipeline, parameters, **options), *ENDED)

    def text(self, uri: str) -> str:
        """An object, as text; a missing one is an error."""
        import urllib.parse
        import urllib.request

        bucket, _, name = uri.removeprefix("gs://").partition("/")
        path = f"/storage/v1/b/{bucket}/o/{urllib.parse.quote(name, safe='')}?alt=media"
        with urllib.request.urlopen(self.running.address + path) as response:
            return str(response.read().decode())


def tasks(job: dict[str, Any]) -> dict[str, Any]:
    """Its tasks, by name."""
    return {task["taskName"]: task for task in job["jobDetail"].get("taskDetails", [])}


def states(job: dict[str, Any]) -> dict[str, str]:
    return {name: task["state"] for name, task in tasks(job).items()}


def until_written(note: Path) -> list[psutil.Process]:
    """The processes of a step that lingers: its own, and one that it sent away."""
    deadline = time.monotonic() + PATIENCE
    while not note.exists() or len(note.read_text().split()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return [psutil.Process(int(pid)) for pid in note.read_text().split()]


def gone(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=20)
    return not [one for one in alive if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture(scope="module")
def pipelines(emulator: RunningEmulator) -> Pipelines:
    """The session's emulator, with a bucket."""
    return Pipelines(emulator)
