"""A tuning user's view of a running emulator: buckets, data sets, jobs."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google import genai
from google.auth import credentials as google_credentials
from google.genai import types

ENDED = {"JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED"}
LOCATION = "projects/vertex-tuning-local/locations/us-central1"
LLAMA = "meta/llama3_1@llama-3.1-8b-instruct"
FINAL = "postprocess/node-0/checkpoints/final"
PATIENCE = 150.0
"""Seconds until a test gives up waiting; a busy machine needs many."""


class Token(google_credentials.Credentials):
    """Credentials that never ask for anything."""

    def __init__(self) -> None:
        super().__init__()
        self.token = "emulator"

    def refresh(self, request: object) -> None:
        self.token = "emulator"


def row(question: str, answer: str) -> dict[str, Any]:
    return {
        "contents": [
            {"role": "user", "parts": [{"text": question}]},
            {"role": "model", "parts": [{"text": answer}]},
        ]
    }


COLOURS = [row(f"Say {colour}.", colour) for colour in ("red", "green", "blue", "black")] * 10


class Bench:
    """What a test does to an emulator."""

    def __init__(self, running: Any, bucket_location: str = "US") -> None:
        self.running = running
        self.call: Callable[..., Any] = running.call
        self.bucket = self.new_bucket(bucket_location)

    def new_bucket(self, location: str) -> str:
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        body = {"name": name, "location": location}
        assert (
            self.call("POST", "/storage/v1/b?project=vertex-tuning-local", body)["location"]
            == location.upper()
        )
        return name

    def upload(self, data: list[dict[str, Any]] | bytes, bucket: str = "", name: str = "") -> str:
        """Put rows (or bytes) into an object; its URI."""
        if not isinstance(data, bytes):
            data = "".join(json.dumps(item) + "\n" for item in data).encode()
        bucket, name = bucket or self.bucket, name or f"{uuid.uuid4().hex[:8]}.jsonl"
        path = f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={urllib.parse.quote(name)}"
        url = self.running.address + path
        request = urllib.request.Request(
            url, data, {"content-type": "application/octet-stream"}, method="POST"
        )
        with urllib.request.urlopen(request) as response:
            assert response.status == 200
        return f"gs://{bucket}/{name}"

    def download(self, uri: str) -> bytes:
        bucket, _, name = uri.removeprefix("gs://").partition("/")
        path = f"/storage/v1/b/{bucket}/o/{urllib.parse.quote(name, safe='')}?alt=media"
        with urllib.request.urlopen(self.running.address + path) as response:
            return bytes(response.read())

    def objects(self, prefix: str) -> list[str]:
        bucket, _, name = prefix.removeprefix("gs://").partition("/")
        found = self.call("GET", f"/storage/v1/b/{bucket}/o?prefix={urllib.parse.quote(name)}")
        return [item["name"] for item in found.get("items", [])]

    def body(self, uri: str = "", *, epochs: int = 1, **fields: Any) -> dict[str, Any]:
        """A create request."""
        spec = {
            "trainingDatasetUri": uri or self.upload(COLOURS),
            "hyperParameters": {"epochCount": epochs},
            **fields.pop("spec", {}),
        }
        body = {"baseModel": "gemini-2.5-flash", "supervisedTuningSpec": spec, **fields}
        return {key: value for key, value in body.items() if value is not None}

    def post(self, body: dict[str, Any], location: str = LOCATION, version: str = "v1beta1") -> Any:
        return self.call("POST", f"/{version}/{location}/tuningJobs", body)

    def create(self, uri: str = "", **options: Any) -> str:
        """Create a job; its name."""
        location = options.pop("location", LOCATION)
        answer = self.post(self.body(uri, **options), location)
        assert isinstance(answer, dict), answer
        return str(answer["name"])

    def get(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/v1beta1/{name}")
        return found

    def until(
        self, name: str, there: Callable[[dict[str, Any]], bool], patience: float = PATIENCE
    ) -> dict[str, Any]:
        """The job, as soon as it is as it should be."""
        deadline = time.monotonic() + patience
        while True:
            job = self.get(name)
            if there(job):
                return job
            assert job["state"] not in ENDED, f"the job ended before that: {job}"
            assert time.monotonic() < deadline, [
                *("the job did not get there", job, self.call("GET", "/emulator/status")),
                *(self.events(name), self.log("server"), self.log("trainer")),
            ]
            time.sleep(0.02)

    def wait(self, name: str) -> dict[str, Any]:
        """The job when it has ended."""
        return self.until(name, lambda job: job["state"] in ENDED)

    def tune(self, uri: str = "", **options: Any) -> dict[str, Any]:
        """Create a job and wait until it has succeeded."""
        job = self.wait(self.create(uri, **options))
        assert job["state"] == "JOB_STATE_SUCCEEDED", job
        return job

    def events(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("GET", f"/emulator/events?resource={name}&limit=10000")[
            "events"
        ]
        return found

    def log(self, name: str) -> str:
        """The end of a log of the emulator's, for a test that failed."""
        path: Path = self.running.data_dir / "logs" / f"{name}.log"
        return path.read_text(encoding="utf-8")[-3000:] if path.exists() else ""

    def genai(self, version: str = "v1beta1") -> genai.Client:
        return genai.Client(
            vertexai=True,
            project="vertex-tuning-local",
            location="us-central1",
            credentials=Token(),
            http_options=types.HttpOptions(base_url=self.running.address, api_version=version),
        )


@pytest.fixture(scope="session")
def bench(emulator: Any) -> Bench:
    """The session's emulator."""
    return Bench(emulator)


@pytest.fixture(scope="session")
def tuned(bench: Bench) -> dict[str, Any]:
    """A job that succeeded, with two checkpoints; not to be changed or deleted."""
    return bench.tune(epochs=2, tunedModelDisplayName="tuned", labels={"team": "a"})


def tune_open(bench: Bench, **spec: Any) -> str:
    """Tune an open model until it has learnt; the folder of its weights."""
    out = f"gs://{bench.new_bucket('US')}/out"
    bench.tune(bench.upload(COLOURS * 3), baseModel=LLAMA, outputUri=out, spec=spec)
    return f"{out}/{FINAL}"


@pytest.fixture(scope="session")
def adapter(bench: Bench) -> str:
    """Where an adapter lies that says what colour it is asked for."""
    return tune_open(bench, hyperParameters={"epochCount": 8, "adapterSize": "ADAPTER_SIZE_SIXTEEN"})


@pytest.fixture(scope="session")
def whole(bench: Bench) -> str:
    """The same with all weights."""
    return tune_open(bench, tuningMode="TUNING_MODE_FULL", hyperParameters={"epochCount": 8})


@pytest.fixture(scope="session")
def deployed(bench: Bench, adapter: str) -> str:
    """An endpoint on which that adapter is deployed by Model Garden's call; not to be changed."""
    asked = {"customModel": {"gcsUri": adapter}, "endpointConfig": {"endpointDisplayName": "garden"}}
    done = bench.call("POST", f"/v1beta1/{LOCATION}:deploy", asked)
    assert done["done"], done
    return str(done["response"]["endpoint"])


@pytest.fixture
def own_bench(start_emulator: Callable[..., Any]) -> Callable[..., Bench]:
    """Benches on emulators of the test's own: `own_bench(data_dir=...)`."""

    def start(*arguments: str, data_dir: Path | None = None) -> Bench:
        return Bench(start_emulator(*arguments, data_dir=data_dir))

    return start
