"""A user's view of batches on a running emulator, through google-genai."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.genai import types

from tests.emulator.jobs.conftest import LOCATION, PATIENCE, Bench

BASE = "gemini-2.5-flash"


def line(text: str, tokens: int = 8, **keys: Any) -> dict[str, Any]:
    """A line of the input; its answer is short, and always the same."""
    config = {"maxOutputTokens": tokens, "temperature": 0}
    contents = [{"role": "user", "parts": [{"text": text}]}]
    return {**keys, "request": {"contents": contents, "generationConfig": config}}


def answered(job: types.BatchJob) -> int:
    return (job.completion_stats and job.completion_stats.successful_count) or 0


class Batches:
    """What a test does with batches."""

    def __init__(self, bench: Bench, version: str = "v1beta1") -> None:
        self.bench = bench
        self.genai = bench.genai(version)  # it closes itself where nobody holds it
        self.client = self.genai.batches

    def create(self, lines: Any, model: str = BASE, **config: Any) -> types.BatchJob:
        source = lines if isinstance(lines, str) else self.bench.upload(lines)
        dest = config.pop("dest", f"gs://{self.bench.bucket}/out-{uuid.uuid4().hex[:8]}")
        return self.client.create(model=model, src=source, config={"dest": dest, **config})

    def until(self, name: str, there: Callable[[types.BatchJob], bool]) -> types.BatchJob:
        """The job, as soon as it is as it should be."""
        deadline = time.monotonic() + PATIENCE
        while True:
            job = self.client.get(name=name)
            if there(job):
                return job
            assert not job.done, f"the job ended before that: {job}"
            assert time.monotonic() < deadline, [job, self.bench.log("server"), self.bench.log("serving")]
            time.sleep(0.02)

    def wait(self, name: str) -> types.BatchJob:
        """The job when it has ended."""
        return self.until(name, lambda job: bool(job.done))

    def output(self, job: types.BatchJob) -> list[dict[str, Any]]:
        """The lines of its output."""
        found = self.bench.download(f"{job.output_info.gcs_output_directory}/predictions.jsonl")
        return [json.loads(text) for text in found.splitlines()]

    def raw(self, name: str) -> dict[str, Any]:
        """The job as the wire has it."""
        return self.bench.get(name)

    def body(self, **fields: Any) -> dict[str, Any]:
        """A create request; None leaves a field out."""
        bucket = self.bench.bucket
        body = {
            "displayName": "batch",
            "model": f"publishers/google/models/{BASE}",
            "inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": [f"gs://{bucket}/in.jsonl"]}},
            "outputConfig": {
                "predictionsFormat": "jsonl",
                "gcsDestination": {"outputUriPrefix": f"gs://{bucket}/out"},
            },
            **fields,
        }
        return {key: value for key, value in body.items() if value is not None}

    def post(self, body: dict[str, Any], location: str = LOCATION, version: str = "v1beta1") -> Any:
        return self.bench.call("POST", f"/{version}/{location}/batchPredictionJobs", body)


@pytest.fixture(scope="session")
def bench(emulator: Any) -> Bench:
    """The session's emulator."""
    return Bench(emulator)


@pytest.fixture(scope="session")
def batches(bench: Bench) -> Batches:
    """Batches on the session's emulator."""
    return Batches(bench)


@pytest.fixture(scope="session")
def tuned(bench: Bench) -> dict[str, Any]:
    """A job that succeeded, with two checkpoints; not to be changed or deleted."""
    return bench.tune(epochs=2, tunedModelDisplayName="answers batches")


@pytest.fixture
def own_batches(start_emulator: Callable[..., Any]) -> Callable[..., Batches]:
    """Batches on emulators of the test's own: `own_batches(data_dir=...)`."""

    def start(*arguments: str, data_dir: Path | None = None) -> Batches:
        return Batches(Bench(start_emulator(*arguments, data_dir=data_dir)))

    return start
