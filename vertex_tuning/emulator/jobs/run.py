"""One job, from its turn to its end.

    RUNNING   PROCESSING_DATASET -> WAITING_FOR_CAPACITY -> TUNING -> POST_PROCESSING   -> SUCCEEDED | FAILED
       any of these -> CANCELLING -> CANCELLED

A run can be begun again at any point: what is done is in the database (`trained`) or beside the checkpoints
(the trainer's state), and the end is one transaction. So a server that was killed just begins every run once
more that had not ended.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from vertex_tuning import catalog
from vertex_tuning.emulator.jobs import custom, evaluation, files, ledger, measures, outcome, plan, request
from vertex_tuning.emulator.jobs.files import JobFolder
from vertex_tuning.emulator.jobs.ledger import Ledger, identifier
from vertex_tuning.emulator.jobs.plan import Plan
from vertex_tuning.emulator.jobs.served import ServedModel
from vertex_tuning.emulator.jobs.simulated import SimulatedTrainer
from vertex_tuning.emulator.jobs.trainer import Event, Exit, Trainer
from vertex_tuning.emulator.state import Resource, not_before
from vertex_tuning.emulator.status import ApiError, Code
from vertex_tuning.emulator.storage.errors import StorageError

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator
    from vertex_tuning.emulator.jobs.dropping import Dropped
    from vertex_tuning.emulator.jobs.registry import Registry
    from vertex_tuning.emulator.jobs.teaching import Lesson

log = logging.getLogger(__name__)

MAX_DEATHS = 5
"""How often in a row the trainer may die without getting any further."""
_PROGRESS_EVERY = 1.0
_DATA_FAULT = Code.INVALID_ARGUMENT.number


class Run:
    """The work of one job."""

    def __init__(
        self,
        emulator: Emulator,
        trainer: Trainer | SimulatedTrainer,
        registry: Registry,
        name: str,
        folder: JobFolder,
    ) -> None:
        self.name = name
        self._emulator = emulator
        self._trainer = trainer
        self._registry = registry
        self._ledger = Ledger(emulator.db)
        self._folder = folder
        self._trains = isinstance(trainer, Trainer)
        self._publisher = measures.Publisher(emulator, name, folder.output / "metrics.jsonl")
        self._cancelled = asyncio.Event()
        self._said: dict[str, Event] = {}
        self._progressed = 0.0

    def cancel(self) -> None:
        """Ask it to end; the job is CANCELLING already."""
        self._cancelled.set()

    async def go(self) -> None:
        """Work until the job has ended; only the end of the server, which cancels this task, stops it."""
        try:
            await self._go()
        except ApiError as error:
            await self._fail(error)
        except Exception as error:
            if files.is_full(error):
                await self._fail(files.disk_full())
            else:
                incident = uuid.uuid4().hex[:12]
                log.exception("incident %s: %s", incident, self.name)
                await self._fail(
                    ApiError(
                        Code.INTERNAL, f"Internal error encountered. The log has it as incident {incident}."
                    )
                )

    async def _go(self) -> None:
        job = self._ledger.get(self.name)
        if job.body["state"] in ledger.ENDED:
            return
        if job.body["state"] != ledger.CANCELLING:
            job = self._begin(job)
            decided = Plan(**job.private["plan"])
            if decided.drop_media and "trained" not in job.private:
                await self._or_cancelled(self._drop(job, decided))
            if decided.method == "distillation" and self._trains and "lesson" not in job.private:
                await self._or_cancelled(self._teach(decided))
            if "trained" not in job.private and not self._cancelled.is_set():
                await self._train(decided)
            await self._finish()
        if self._ledger.get(self.name).body["state"] == ledger.CANCELLING:
            self._ledger.cancelled(self.name)
            await asyncio.to_thread(self._folder.remove)

    def _begin(self, job: Resource) -> Resource:
        stamp = "".join(char for char in job.body["createTime"] if char.isdigit())
        experiment = f"{job.parent}/metadataStores/default/contexts/tuning-experiment-{stamp}"
        # Of a job that is simulated nothing is measured.
        uri = measures.uri_of(self._emulator, self.name)
        more: dict[str, Any] = {"gcsMetricsUri": uri} if self._trains else {}
        with self._emulator.db.transaction():
            job = self._ledger.change(
                self.name,
                ledger.RUNNING,
                state=ledger.RUNNING,
                tuningJobState=ledger.POST_PROCESSING
                if "trained" in job.private
                else ledger.PROCESSING_DATASET,
                startTime=job.body.get("startTime") or not_before(job.body["createTime"]),
                experiment=job.body.get("experiment", experiment),
                **more,
            )
            outcome.add_experiment(self._emulator.db, job)
        return job

    async def _drop(self, job: Resource, decided: Plan) -> None:
        """Leave rows out that the stand-in cannot see or hear: told first, so that a crash does not make it forget them."""
        from vertex_tuning.emulator.jobs import dropping

        if "dropped" not in job.private:
            spec = request.spec_of(job.body)
            names = (request.training_uri(job.body), spec.get("validationDatasetUri"))
            look = partial(dropping.find, self._folder, decided.method, decided.base_model, names)
            found = await asyncio.to_thread(look)
            private = {"dropped": found.to_json()}
            if not found.training and not found.validation:
                return
            job = self._ledger.change(self.name, "rows dropped", found.told(), private=private)
        await asyncio.to_thread(dropping.drop, self._folder, dropping.Dropped(**job.private["dropped"]))

    @property
    def _dropped(self) -> Dropped:
        from vertex_tuning.emulator.jobs.dropping import Dropped

        return Dropped(**self._ledger.get(self.name).private.get("dropped", {}))

    # The teacher, in distillation

    async def _teach(self, decided: Plan) -> None:
        """Have the prompts answered, and put the answers where the user finds them."""
        from vertex_tuning.emulator.jobs import teaching  # not before it is needed: the server starts without

        emulator, folder = self._emulator, self._folder
        job = self._ledger.get(self.name)
        names = (request.training_uri(job.body), request.spec_of(job.body).get("validationDatasetUri"))
        await asyncio.to_thread(teaching.check, folder, names, decided.base_model)
        adapter = folder.teacher if folder.teacher.exists() else None
        stand_in = catalog.stand_in(decided.teacher_stand_in)
        served = ServedModel(plan.weights(emulator, stand_in.name), adapter, decided.teacher, stand_in)
        gone, held_gone = (
            {row for row, _ in rows} for rows in (self._dropped.training, self._dropped.validation)
        )
        lesson = await teaching.teach(emulator, served, folder.training, folder.labelled, self._taught, gone)
        if folder.validation.exists():
            held_out = await teaching.teach(
                emulator, served, folder.validation, folder.labelled_validation, self._taught, held_gone
            )
            lesson.prompt_tokens += held_out.prompt_tokens
            lesson.answer_tokens += held_out.answer_tokens
        uri = f"{_output(job).rstrip('/')}/{teaching.LABELLED}"
        usage = {
            "teacher_prompt_tokens": lesson.prompt_tokens,
            "teacher_answer_tokens": lesson.answer_tokens,
            "teacher_rows": lesson.rows,
            "teacher_dropped": len(lesson.dropped),
        }
        folder.output.mkdir(parents=True, exist_ok=True)
        (folder.output / "metrics.jsonl").write_text(
            f"{json.dumps({'step': 0, **usage})}\n", encoding="utf-8"
        )
        await self._publisher.publish()
        await asyncio.to_thread(emulator.storage.write, uri, folder.labelled, "application/jsonl")
        self._ledger.change(
            self.name, "teacher has answered", {"uri": uri, **usage}, private={"lesson": lesson.to_json()}
        )

    def _taught(self, lesson: Lesson) -> None:
        if time.monotonic() - self._progressed >= _PROGRESS_EVERY:
            self._progressed = time.monotonic()
            done = {"rows": lesson.rows, "dropped": len(lesson.dropped)}
            self._ledger.change(self.name, "teacher answers", done)

    async def _or_cancelled(self, work: Coroutine[Any, Any, None]) -> None:
        """Do some work, which is given up where the job is cancelled."""
        working = asyncio.create_task(work)
        cancelled = asyncio.create_task(self._cancelled.wait())
        try:
            await asyncio.wait([working, cancelled], return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
        finally:
            for task in (working, cancelled):
                task.cancel()
            await asyncio.gather(working, cancelled, return_exceptions=True)

    # Training

    async def _train(self, decided: Plan) -> None:
        job = self._ledger.get(self.name)
        before = self._dropped
        dropped = sorted([*before.training, *job.private.get("lesson", {}).get("dropped", ())])
        config = plan.config(self._emulator, self._folder, job.body, decided, dropped, before.validation)
        order = {"kind": decided.method, "config": config}
        publishing = asyncio.create_task(self._publisher.run() if self._trains else asyncio.sleep(0))
        try:
            while not self._cancelled.is_set():
                ended = await self._attempt(order)
                if self._cancelled.is_set():
                    return
                if "failed" in self._said:
                    failed = self._said["failed"]
                    error = await self._diverged(failed) if "checkpoints" in failed else _failure(failed)
                    if self._cancelled.is_set():
                        return
                    raise error
                if ended.well and "done" in self._said:
                    return
                await self._after_death(ended)
        finally:
            publishing.cancel()
            await asyncio.gather(publishing, return_exceptions=True)

    async def _attempt(self, order: dict[str, Any]) -> Exit:
        self._said = {}
        training = asyncio.create_task(self._trainer.run(identifier(self.name), order, self._on_event))
        cancelled = asyncio.create_task(self._cancelled.wait())
        try:
            await asyncio.wait([training, cancelled], return_when=asyncio.FIRST_COMPLETED)
            if not training.done():
                await self._trainer.cancel(identifier(self.name))
            return await training
        finally:
            for task in (training, cancelled):
                task.cancel()
            await asyncio.gather(training, cancelled, return_exceptions=True)

    async def _diverged(self, event: Event) -> ApiError:
        """What is still good is put where the user finds it; the job's error says where."""
        job = self._ledger.get(self.name)
        decided = Plan(**job.private["plan"])
        words, kept = str(event["message"]), event["checkpoints"]
        given = request.spec_of(job.body).get("hyperParameters", {})
        for name in ("learningRateMultiplier", "learningRate"):
            if given.get(name):
                words += f" {name} is {given[name]:g}."
        if not kept:
            return ApiError(Code.INVALID_ARGUMENT, words, rule="VT680")
        root = _output(job)
        paths = [self._folder.checkpoint(checkpoint["checkpoint_id"]) for checkpoint in kept]
        storage, stopped = self._emulator.storage, self._cancelled.is_set
        leave = partial(custom.leave, storage, root, paths, decided.mode, stopped, final=False)
        try:
            await asyncio.to_thread(self._publisher.make_bucket)
            written = await asyncio.to_thread(leave)
            self._emulator.db.record(self.name, "weights written", {"objects": written})
            where = f"lies in {custom.place(root, len(kept))}"
        except (ApiError, StorageError) as error:
            where = f"could not be written to {root}: {error}"
        step = kept[-1]["step"]
        which = f"of step {step}" if step else "which is what it started from"
        words += f" The last finite checkpoint, {which}, {where}."
        return ApiError(Code.INVALID_ARGUMENT, words, rule="VT680")

    async def _after_death(self, ended: Exit) -> None:
        """The trainer died: the job goes on from its last checkpoint, unless that happens again and again."""
        job = self._ledger.get(self.name)
        deaths = job.private.get("deaths", 0) + 1
        words = ended.words or "The training process ended without a result."
        self._ledger.change(
            self.name, "trainer died", {"deaths": deaths, "how": words}, private={"deaths": deaths}
        )
        if deaths >= MAX_DEATHS:
            raise ApiError(
                Code.INTERNAL,
                f"The trainer died {deaths} times in a row without getting any further. {words} "
                f"The whole story: {self._emulator.settings.data_dir / 'logs' / 'trainer.log'}",
                rule="VT641",
            )
        log.warning("%s: %s It goes on from its last checkpoint.", self.name, words)
        await asyncio.sleep(0.1 * deaths)

    def _on_event(self, event: Event) -> None:
        kind = event["event"]
        if kind == "failed":
            self._said[kind] = event
        elif kind == "done":
            self._said[kind] = event
            self._ledger.change(
                self.name,
                ledger.POST_PROCESSING,
                tuningJobState=ledger.POST_PROCESSING,
                tuningJobMetadata=_completed(event["epochs"], event["steps"]),
                private={"trained": {key: event[key] for key in ("steps", "epochs", "checkpoints")}},
            )
        elif kind == "dataset":
            self._ledger.change(
                self.name,
                ledger.WAITING_FOR_CAPACITY,
                tuningJobState=ledger.WAITING_FOR_CAPACITY,
                tuningDataStats=event["stats"],
            )
        elif kind == "checkpoint":
            data = {key: event[key] for key in ("checkpoint_id", "epoch", "step")}
            self._ledger.change(
                self.name,
                "checkpoint",
                data,
                private={"deaths": 0},
                tuningJobMetadata=_completed(event["epoch"], event["step"]),
            )
        elif kind == "split" and "split" not in self._ledger.get(self.name).private:
            sides = {key: event[key] for key in ("training", "validation")}
            self._ledger.change(self.name, "validation set split off", sides, private={"split": sides})
        elif kind == "rewards":
            data = {key: value for key, value in event.items() if key not in ("event", "job")}
            self._emulator.db.record(self.name, "rewards awaited", data)
        elif kind == "step":
            self._step(event)

    def _step(self, event: Event) -> None:
        shown = ("step", "steps", "epoch", "loss")
        data: dict[str, Any] = {key: event[key] for key in shown if key in event}
        if "step" not in self._said:
            self._said["step"] = event
            private = {}
            job = self._ledger.get(self.name)
            if event["step"] > job.private.get("from_step", 0):
                # It went on from a later step than the last time: what it had done was not lost.
                private = {"from_step": event["step"], "deaths": 0}
            self._ledger.change(self.name, ledger.TUNING, data, private=private, tuningJobState=ledger.TUNING)
        if time.monotonic() - self._progressed >= _PROGRESS_EVERY:
            self._progressed = time.monotonic()
            self._ledger.change(
                self.name, "progress", data, tuningJobMetadata=_completed(int(event["epoch"]), event["step"])
            )

    # The end

    async def _finish(self) -> None:
        await self._publish()
        if self._cancelled.is_set():
            return
        job = self._ledger.get(self.name)
        decided = Plan(**job.private["plan"])
        trained = job.private["trained"]["checkpoints"]
        base = catalog.base_model(decided.base_model)
        if "evaluationConfig" in request.spec_of(job.body) and self._trains:
            await self._or_cancelled(self._evaluate(decided, trained))
            if self._cancelled.is_set():
                return
        if base.open:
            paths = [self._folder.checkpoint(checkpoint["checkpoint_id"]) for checkpoint in trained]
            written = await asyncio.to_thread(
                custom.leave,
                self._emulator.storage,
                job.body["outputUri"],
                paths,
                decided.mode,
                self._cancelled.is_set,
            )
            if self._cancelled.is_set():
                return
            self._emulator.db.record(self.name, "weights written", {"objects": written})
        self._ledger.succeed(
            self.name, lambda job: outcome.of(self._emulator, self._registry, job, self._folder)
        )
        await asyncio.to_thread(self._folder.remove if base.open else self._folder.keep_checkpoints)

    async def _evaluate(self, decided: Plan, trained: list[dict[str, Any]]) -> None:
        """Have each checkpoint answer the validation set. Whatever comes of that, the model is there, and the job succeeds."""
        for checkpoint in trained:
            job = self._ledger.get(self.name)
            runs = job.body.get("evaluateDatasetRuns", [])
            if any(run["checkpointId"] == checkpoint["checkpoint_id"] for run in runs):
                continue  # before a crash
            try:
                found = await self._evaluate_one(job, decided, checkpoint)
            except (ApiError, StorageError) as error:
                status = error.status() if isinstance(error, ApiError) else _refused(error).status()
                found = {"error": status}
            run = {"checkpointId": checkpoint["checkpoint_id"], **found}
            self._ledger.change(self.name, "checkpoint evaluated", run, evaluateDatasetRuns=[*runs, run])

    async def _evaluate_one(self, job: Resource, decided: Plan, checkpoint: dict[str, Any]) -> dict[str, Any]:
        from vertex_tuning.emulator.jobs import evaluating

        spec, number = request.spec_of(job.body), checkpoint["checkpoint_id"]
        work = evaluating.Evaluation(
            self._emulator,
            spec["evaluationConfig"],
            *plan.served(self._emulator, self._folder, decided, spec["evaluationConfig"], number),
        )

        def told(rows: int) -> None:
            if time.monotonic() - self._progressed >= _PROGRESS_EVERY:
                self._progressed = time.monotonic()
                self._ledger.change(self.name, "evaluation", {"checkpoint": number, "rows": rows})

        journal = self._folder.path / f"evaluation-{number}.jsonl"
        gone = {row for row, _ in self._dropped.validation}
        rows = await work.run(self._folder.validation, journal, told, gone)
        whole = evaluating.aggregated(work.metrics, rows)
        root = evaluation.output(spec["evaluationConfig"]).rstrip("/")
        folder = f"{root}/evaluation-{identifier(self.name)}/checkpoint-{number}"
        uri = spec["validationDatasetUri"]
        summary = {**checkpoint, "dataset": uri, "rows": len(rows), "metrics": whole}
        await asyncio.to_thread(evaluating.leave, self._emulator.storage, folder, rows, summary)
        dataset = {"gcsSource": {"uris": [uri]}}
        found = evaluating.results(work.metrics, whole)
        response = {
            "outputInfo": {"gcsOutputDirectory": folder},
            "aggregationOutput": {"dataset": dataset, **({"aggregationResults": found} if found else {})},
        }
        lacking = evaluating.fault(work.metrics, whole, rows)
        return {"evaluateDatasetResponse": response, **({"error": lacking.status()} if lacking else {})}

    async def _publish(self) -> None:
        if self._trains:
            await self._publisher.publish()

    async def _fail(self, error: ApiError) -> None:
        await self._publish()
        await self._ledger.fail_where_there_is_room(self.name, error, self._folder.remove)


def _completed(epochs: int, steps: int) -> dict[str, str]:
    return {"completedEpochCount": str(epochs), "completedStepCount": str(steps)}


def _output(job: Resource) -> str:
    """The folder for what a job leaves: the user's own, or the one with its measurements."""
    return str(job.body.get("outputUri") or job.body["gcsMetricsUri"].rpartition("/")[0])


def _refused(error: StorageError) -> ApiError:
    """What Cloud Storage would not take."""
    return ApiError(Code.FAILED_PRECONDITION, f"The results could not be written: {error}", rule="VT684")


def _failure(event: Event) -> ApiError:
    """What the trainer said, as the job's error."""
    code = next((code for code in Code if code.number == event.get("code")), Code.INTERNAL)
    rule = {_DATA_FAULT: "VT642", Code.RESOURCE_EXHAUSTED.number: "VT643"}.get(code.number, "VT641")
    return ApiError(code, str(event.get("message", "The trainer gave no reason.")), rule=rule)
