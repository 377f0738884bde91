"""The state machine of tuning jobs.

    PENDING -> RUNNING -> SUCCEEDED | FAILED          (RUNNING: PROCESSING_DATASET -> TUNING -> POST_PROCESSING)
       any of these -> CANCELLING -> CANCELLED

One job trains, the others wait in PENDING: two of them on a small machine take longer than one after the other. Every
transition is a row of the event log before anybody can see it. After a crash, `start` takes up what was left: a running job
goes on from its last checkpoint.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import time
from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vertex_tuning import catalog
from vertex_tuning.emulator.jobs import plan, request
from vertex_tuning.emulator.jobs.registry import Registry, label_value
from vertex_tuning.emulator.jobs.trainer import Event, Trainer
from vertex_tuning.emulator.state import Resource, now
from vertex_tuning.emulator.status import ApiError, Code, not_found
from vertex_tuning.errors import SpecError

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator

log = logging.getLogger(__name__)

ENDED = frozenset({"JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED"})
_MAX_ATTEMPTS = 5
_REPORT_EVERY = 1.0
_MEASURES = ("step", "steps", "epoch", "loss", "accuracy", "tokens_per_second", "learning_rate", "eval_loss", "eval_accuracy")


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What answers for a name: the weights, and the adapter on them."""

    model: Path
    """Folder of the weights."""
    adapter: Path | None
    """Folder of a PEFT adapter."""
    name: str
    """As `modelVersion` of a response shows it."""
    stand_in: catalog.StandIn


class TuningJobs:
    """Creates, queues, runs, cancels and remembers tuning jobs."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._db = emulator.db
        self.registry = Registry(emulator.db)
        self._folder = emulator.settings.data_dir / "jobs"
        self._trainer = Trainer(emulator.settings.data_dir / "logs" / "trainer.log")
        self._waiting: deque[str] = deque()
        self._wake = asyncio.Event()
        self._running = ""
        self._worker: asyncio.Task[None] | None = None
        self._measures: list[str] = []
        self._reported = 0.0

    @property
    def pid(self) -> int | None:
        """Process id of the training child, or None."""
        return self._trainer.pid

    # Life of the service

    async def start(self) -> None:
        """Take up what a former process left, and begin to work."""
        left = [job for job in self._db.list("tuningJobs", newest_first=False) if job.body["state"] not in ENDED]
        for job in left:
            if job.body["state"] == "JOB_STATE_CANCELLING":
                self._end(job.name, "JOB_STATE_CANCELLED", _cancelled())
        # What was running goes on first.
        left.sort(key=lambda job: job.body["state"] != "JOB_STATE_RUNNING")
        self._waiting.extend(job.name for job in left if job.body["state"] != "JOB_STATE_CANCELLING")
        self._wake.set()
        self._worker = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """End the trainer; what it trains goes on at the next start."""
        if self._worker:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        await self._trainer.stop()

    async def reset(self) -> None:
        """Stop all work and forget all files."""
        await self.stop()
        self._waiting.clear()
        self._running = ""
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
        self._worker = asyncio.create_task(self._work())

    def counts(self) -> dict[str, int]:
        """How many jobs there are in each state."""
        return dict(Counter(job.body["state"] for job in self._db.list("tuningJobs")))

    # What the routes call

    def create(self, parent: str, body: dict[str, Any]) -> dict[str, Any]:
        """Check a request, write the job down, queue it.

        Raises:
            ApiError: 400 with every fault.
        """
        source = request.check(self._emulator, parent, body)
        identifier = self._db.new_id()
        folder = self._folder / identifier
        config = plan.training_config(self._emulator, folder, body, source)
        plan.take_data(self._emulator, folder, body)
        created = now()
        job = {
            **body,
            "name": f"{parent}/tuningJobs/{identifier}",
            "state": "JOB_STATE_PENDING",
            "createTime": created,
            "updateTime": created,
            "experiment": f"{parent}/metadataStores/default/contexts/"
            f"tuning-experiment-{created[:19].translate({45: None, 58: None, 84: None})}{identifier[-6:]}",
        }
        if source.version is not None:
            job["preTunedModel"] = {
                "tunedModelName": source.version.name,
                "checkpointId": source.checkpoint_id,
                "baseModel": source.base.id,
            }
        private = {
            "config": config,
            "base_model": source.base.id,
            "source": source.version.name if source.version else None,
            "attempts": 0,
        }
        resource = Resource(job["name"], "tuningJobs", parent, job, private)
        self._db.put(resource, "JOB_STATE_PENDING", {"stand_in": config["stand_in"]})
        self._waiting.append(job["name"])
        self._wake.set()
        return job

    def get(self, name: str) -> Resource:
        """A job.

        Raises:
            ApiError: 404.
        """
        found = self._db.get(name)
        if found is None or found.kind != "tuningJobs":
            raise not_found(f"TuningJob {name}")
        return found

    def shown(self, job: Resource) -> dict[str, Any]:
        """A job's body as it is now: the endpoint of its model follows the default checkpoint."""
        made = job.private.get("version")
        version = self._db.get(made) if made else None
        if version is not None:
            endpoint = version.body["deployedModels"][0]["endpoint"]
            job.body["tunedModel"] = {**job.body["tunedModel"], "endpoint": endpoint}
        return job.body

    def cancel(self, name: str) -> None:
        """Ask a job to end; it is CANCELLED within two seconds.

        Raises:
            ApiError: 404, or 400 where it has ended.
        """
        job = self.get(name)
        state = job.body["state"]
        if state in ENDED:
            raise ApiError(
                Code.FAILED_PRECONDITION, f"{name} cannot be cancelled: it has ended already, in {state}."
            )
        self._change(name, "JOB_STATE_CANCELLING", state="JOB_STATE_CANCELLING")
        if name == self._running:
            self._trainer.cancel(name.rsplit("/", 1)[1])
        else:
            self._waiting.remove(name)
            self._end(name, "JOB_STATE_CANCELLED", _cancelled())

    def served(self, name: str) -> ServedModel:
        """What answers for an endpoint or a publisher's model.

        Raises:
            ApiError: 404; 400 where weights are missing.
        """
        if "/publishers/" in f"/{name}":
            publisher, _, model = name.partition("publishers/")[2].partition("/models/")
            try:
                base = catalog.base_model(model if publisher == "google" else f"{publisher}/{model}")
            except SpecError as error:
                raise not_found(f"Publisher Model `{name}`") from error
            return ServedModel(
                plan.weights_of(self._emulator, base), None, base.id, plan.stand_in_of(self._emulator, base)
            )
        endpoint = self._db.get(name)
        if endpoint is None or endpoint.kind != "endpoints":
            raise not_found(f"Endpoint `{name}`")
        if "model_dir" not in endpoint.private:
            raise ApiError(Code.FAILED_PRECONDITION, f"Endpoint `{name}` has no model deployed.")
        made = endpoint.private
        adapter = Path(made["adapter"]) if made["adapter"] else None
        base = catalog.base_model(made["base_model"])
        return ServedModel(Path(made["model_dir"]), adapter, base.id, plan.stand_in_of(self._emulator, base))

    # The work

    async def _work(self) -> None:
        while True:
            while not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            self._running = self._waiting.popleft()
            try:
                await self._train(self._running)
            except asyncio.CancelledError:
                raise
            except Exception as error:
                log.exception("job %s", self._running)
                self._fail(self._running, Code.INTERNAL.number, f"The emulator failed: {error}")
            finally:
                self._running = ""

    async def _train(self, name: str) -> None:
        job = self._db.get(name)
        if job is None or job.body["state"] in ENDED:
            return
        self._measures = _kept_measures(Path(job.private["config"]["output"]))
        self._change(
            name,
            "JOB_STATE_RUNNING",
            state="JOB_STATE_RUNNING",
            tuningJobState="TUNING_JOB_STATE_PROCESSING_DATASET",
            startTime=job.body.get("startTime", now()),
            gcsMetricsUri=self._metrics_uri(job),
        )
        while True:
            last: dict[str, Event] = {}
            well = await self._trainer.run(
                name.rsplit("/", 1)[1],
                job.private["config"],
                lambda event, last=last: self._on_event(name, event, last),  # type: ignore[misc]
            )
            current = self._db.get(name)
            if current is None:
                return
            if current.body["state"] == "JOB_STATE_CANCELLING":
                self._end(name, "JOB_STATE_CANCELLED", _cancelled())
                return
            if "failed" in last:
                self._fail(name, last["failed"]["code"], last["failed"]["message"])
                return
            if well and "done" in last:
                await self._succeed(name, last["done"])
                return
            if not self._try_again(name):
                return

    def _try_again(self, name: str) -> bool:
        """After the trainer died: whether the job goes on from its last checkpoint."""
        with self._db.transaction():
            job = self.get(name)
            job.private["attempts"] += 1
            if job.private["attempts"] < _MAX_ATTEMPTS:
                self._db.put(job, "trainer died", {"attempt": job.private["attempts"]})
                return True
        self._fail(
            name,
            Code.INTERNAL.number,
            f"The training process ended {_MAX_ATTEMPTS} times without a result; the emulator's trainer.log has its "
            "words. Memory may have run out: a smaller batch or shorter examples need less.",
        )
        return False

    def _on_event(self, name: str, event: Event, last: dict[str, Event]) -> None:
        kind = event["event"]
        if kind in ("done", "failed"):
            last[kind] = event
        elif kind == "dataset":
            self._change(
                name,
                "TUNING_JOB_STATE_TUNING",
                tuningJobState="TUNING_JOB_STATE_TUNING",
                tuningDataStats={"supervisedTuningDataStats": event["stats"]},
            )
        elif kind == "checkpoint":
            self._db.record(name, "checkpoint", {key: event[key] for key in ("checkpoint_id", "epoch", "step")})
        elif kind in ("step", "eval"):
            measure = {key: event[key] for key in _MEASURES if key in event}
            self._measures.append(json.dumps({**measure, "time": now()}))
            if kind == "step" and time.monotonic() - self._reported >= _REPORT_EVERY:
                self._report(name, event)

    def _report(self, name: str, event: Event) -> None:
        self._reported = time.monotonic()
        self._change(
            name,
            "progress",
            {key: event[key] for key in ("step", "steps", "epoch", "loss") if key in event},
            tuningJobMetadata={
                "completedEpochCount": str(int(event["epoch"])),
                "completedStepCount": str(event["step"]),
            },
        )
        self._write_measures(name)

    def _metrics_uri(self, job: Resource) -> str:
        bucket = f"{self._emulator.settings.project}-vertex-tuning-metrics"
        return f"gs://{bucket}/{job.name.rsplit('/', 1)[1]}/metrics.jsonl"

    def _write_measures(self, name: str) -> None:
        lines = "".join(f"{line}\n" for line in self._measures)
        job = self.get(name)
        self._emulator.storage.write(job.body["gcsMetricsUri"], lines.encode(), "application/jsonl")

    async def _succeed(self, name: str, done: Event) -> None:
        self._change(
            name,
            "TUNING_JOB_STATE_POST_PROCESSING",
            tuningJobState="TUNING_JOB_STATE_POST_PROCESSING",
            tuningJobMetadata={
                "completedEpochCount": str(int(done["epochs"])),
                "completedStepCount": str(done["steps"]),
            },
        )
        self._write_measures(name)
        job = self.get(name)
        output = Path(job.private["config"]["output"])
        checkpoints = [
            {**checkpoint, "path": str(output / "checkpoints" / checkpoint["checkpoint_id"])}
            for checkpoint in done["checkpoints"]
        ]
        if job.private["config"]["open_model"]:
            await asyncio.to_thread(self._export, job.body["outputUri"], checkpoints)
            self._end(name, "JOB_STATE_SUCCEEDED", None)
            return
        with self._db.transaction():
            tuned = self._register(job, checkpoints)
            job = self.get(name)
            job.private["version"] = tuned["model"]
            job.body["tunedModel"] = tuned
            self._db.put(job, "model registered", {"model": tuned["model"]})
            self._end(name, "JOB_STATE_SUCCEEDED", None)

    def _export(self, output_uri: str, checkpoints: list[dict[str, Any]]) -> None:
        """The layout of open-model tuning: `checkpoint-N` folders, and the last one as `final`."""
        root = f"{output_uri.rstrip('/')}/postprocess/node-0/checkpoints"
        for number, checkpoint in enumerate(checkpoints, 1):
            self._emulator.storage.copy_tree(Path(checkpoint["path"]), f"{root}/checkpoint-{number}")
        self._emulator.storage.copy_tree(Path(checkpoints[-1]["path"]), f"{root}/final")

    def _register(self, job: Resource, checkpoints: list[dict[str, Any]]) -> dict[str, Any]:
        base = catalog.base_model(job.private["base_model"])
        project, location = job.parent.rsplit("/locations/", 1)
        parent = f"{project}/locations/{base.serving_location(location)}"
        identifier = job.name.rsplit("/", 1)[1]
        display = job.body.get("tunedModelDisplayName") or f"tuned-model-{identifier}"
        model = None
        source = self._db.get(job.private["source"]) if job.private["source"] else None
        if source is not None and "tunedModelDisplayName" in job.body:
            # Tuned on under the same name: another version. Under another name: another model.
            model = source.parent if source.body.get("displayName") == display else None
        elif source is not None:
            model, display = source.parent, source.body.get("displayName", display)
        body: dict[str, Any] = {
            "displayName": display,
            "labels": {
                **job.body.get("labels", {}),
                "tune-type": "sft",
                "google-vertex-llm-tuning-base-model-id": label_value(base.id),
                "google-vertex-llm-tuning-job-id": identifier,
            },
        }
        for field in ("description", "encryptionSpec"):
            if field in job.body:
                body[field] = job.body[field]
        config = job.private["config"]
        return self.registry.add_version(
            parent=parent,
            model=model,
            body=body,
            private={
                "base_model": base.id,
                "mode": config["mode"],
                "model_dir": config["model"],
                "job": job.name,
            },
            checkpoints=checkpoints,
            export_last_only=config["last_checkpoint_only"],
        )

    # Transitions

    def _change(self, name: str, event: str, data: dict[str, Any] | None = None, **fields: Any) -> None:
        with self._db.transaction():
            job = self.get(name)
            if job.body["state"] == "JOB_STATE_CANCELLING" and fields.get("state") not in ENDED:
                fields.pop("state", None)
            job.body.update(fields, updateTime=now())
            self._db.put(job, event, data)

    def _end(self, name: str, state: str, error: dict[str, Any] | None) -> None:
        with self._db.transaction():
            job = self.get(name)
            job.body.pop("tuningJobState", None)
            ended = now()
            job.body.update(state=state, endTime=ended, updateTime=ended)
            if error:
                job.body["error"] = error
            self._db.put(job, state, error)

    def _fail(self, name: str, code: int, message: str) -> None:
        if self._db.get(name) is not None:
            self._end(name, "JOB_STATE_FAILED", {"code": code, "message": message})


def _cancelled() -> dict[str, Any]:
    return {"code": Code.CANCELLED.number, "message": "The tuning job was cancelled."}


def _kept_measures(output: Path) -> list[str]:
    """What the trainer measured before it was interrupted: it keeps a copy beside its checkpoints."""
    try:
        return (output / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
