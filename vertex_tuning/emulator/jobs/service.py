"""The queue of tuning jobs: one trains, the others wait in PENDING, in the order in which they came. All are simulated at once.

Two of them on a small machine take longer than one after the other. After a crash `start` takes up what was
left; what was running comes first. A job stays what it was made as: one that is to be trained is, whatever the emulator does by
then, and a simulated one fails where nothing is simulated any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from vertex_tuning import catalog
from vertex_tuning.emulator.jobs import files, ledger, plan, rebase, request, simulated
from vertex_tuning.emulator.jobs.deployments import Deployments
from vertex_tuning.emulator.jobs.files import JobFolder
from vertex_tuning.emulator.jobs.ledger import Ledger, identifier
from vertex_tuning.emulator.jobs.registry import Registry
from vertex_tuning.emulator.jobs.run import Run
from vertex_tuning.emulator.jobs.served import ServedModel
from vertex_tuning.emulator.jobs.simulated import SimulatedTrainer
from vertex_tuning.emulator.jobs.trainer import Trainer
from vertex_tuning.emulator.jobs.uploading import Uploads
from vertex_tuning.emulator.state import Resource, now
from vertex_tuning.emulator.status import ApiError, Code, not_found
from vertex_tuning.errors import SpecError

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator
    from vertex_tuning.emulator.jobs.deployments import Chosen

log = logging.getLogger(__name__)


class TuningJobs:
    """Creates, queues, runs, cancels and remembers tuning jobs."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._db = emulator.db
        self._ledger = Ledger(emulator.db)
        self._folder = emulator.settings.data_dir / "jobs"
        self.registry = Registry(emulator.db, self._forget)
        self.uploads = Uploads(emulator, self.registry)
        self.deployments = Deployments(emulator, self.registry)
        self._simulate = emulator.settings.simulate is not None
        self._trainer = Trainer(emulator.settings.data_dir / "logs" / "trainer.log")
        self._simulator = SimulatedTrainer()
        self._waiting: deque[str] = deque()
        self._simulations: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._runs: dict[str, Run] = {}
        self._work: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the training child, or None."""
        return self._trainer.pid

    # Life of the service

    async def start(self) -> None:
        """Take up what a former process left, and begin to work."""
        left = self._ledger.unfinished()
        if not self._simulate:
            for job in filter(_is_simulated, left):
                self._ledger.fail(job.name, _simulation_ended().status())
            left = self._ledger.unfinished()
        # Those that had begun go on first; those that were to be cancelled are, when their turn comes.
        left.sort(key=lambda job: job.body["state"] == ledger.PENDING)
        if self._folder.exists():
            await asyncio.to_thread(self._sweep, {identifier(job.name) for job in left})
        await asyncio.to_thread(self.uploads.sweep)
        for job in left:
            self._enqueue(job)
        self._work = asyncio.create_task(self._serve())

    async def stop(self) -> None:
        """End the trainer; what it trains goes on at the next start."""
        working = [*self._simulations, *([self._work] if self._work else [])]
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        await self._trainer.stop()

    async def reset(self) -> None:
        """Stop all work and forget all files; the emulator forgets the resources."""
        await self.stop()
        self._waiting.clear()
        await asyncio.to_thread(files.remove, self._folder)
        await asyncio.to_thread(self.uploads.reset)
        self._work = asyncio.create_task(self._serve())

    def _sweep(self, unfinished: set[str]) -> None:
        """Remove folders that nothing needs: a crash kept a job from being written down, or tidied up."""
        needed = unfinished | self.registry.jobs()
        for path in self._folder.iterdir():
            if path.name not in needed:
                files.remove(path)

    def _enqueue(self, job: Resource) -> None:
        if _is_simulated(job):
            task = asyncio.create_task(self._go(job.name, self._simulator))
            self._simulations.add(task)
            task.add_done_callback(self._simulations.discard)
        else:
            self._waiting.append(job.name)
            self._wake.set()

    async def _serve(self) -> None:
        while True:
            while not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            await self._go(self._waiting.popleft(), self._trainer)

    async def _go(self, name: str, trainer: Trainer | SimulatedTrainer) -> None:
        run = Run(self._emulator, trainer, self.registry, name, self._folder_of(name))
        self._runs[name] = run
        try:
            await run.go()
        except Exception:
            # The run has said what it could; the others must not wait for it.
            log.exception("%s", name)
        finally:
            del self._runs[name]

    def _forget(self, version: Resource) -> None:
        if "folder" in version.private:
            self.uploads.forget(version)
        else:
            self._folder_of(version.private["job"]).remove()

    def _folder_of(self, name: str) -> JobFolder:
        return JobFolder(self._folder / identifier(name))

    # What the routes call

    async def create(self, parent: str, body: dict[str, Any], *, deploy_to: str = "") -> dict[str, Any]:
        """Check a request, put its data aside, write the job down, queue it.

        Args:
            parent: Where it runs.
            body: The job.
            deploy_to: An endpoint that its model takes over, instead of getting one of its own.

        Raises:
            ApiError: 400 with every fault; 404, 409, 429.
        """
        source = request.check(self._emulator, parent, body)
        decided = plan.make(self._emulator, body, source)
        name = f"{parent}/tuningJobs/{self._db.new_id()}"
        folder = self._folder_of(name)
        created = now()
        job = {**body, "name": name, "state": ledger.PENDING, "createTime": created, "updateTime": created}
        if self._simulate:
            job["labels"] = {**job.get("labels", {}), simulated.LABEL: "true"}
        if source.version is not None:
            job["preTunedModel"] = {**body["preTunedModel"], "baseModel": source.base.id}
        try:
            await asyncio.to_thread(plan.take_in, self._emulator, folder, body, decided)
            if not self._simulate and (self._runs or self._waiting):
                job["tuningJobState"] = ledger.WAITING_FOR_QUOTA
            private = {"plan": decided.to_json(), "deploy_to": deploy_to}
            made = Resource(name, ledger.KIND, parent, job, private)
            known = {"stand_in": decided.stand_in, "teacher": decided.teacher_stand_in}
            with self._db.transaction():
                self._db.put(made, ledger.PENDING, {key: value for key, value in known.items() if value})
                self._emulator.project.make_agent(
                    parent.split("/")[1], "open_tuning" if source.base.open else "tuning"
                )
        except BaseException as error:
            folder.remove()
            if files.is_full(error):
                raise files.disk_full() from error
            raise
        self._enqueue(made)
        return job

    async def rebase(self, parent: str, asked: dict[str, Any]) -> dict[str, Any]:
        """Create the job of a tuned model again, on a newer base; errors as of `create`."""
        body, endpoint = rebase.decide(self._emulator, parent, asked)
        return await self.create(parent, body, deploy_to=endpoint)

    def get(self, name: str) -> dict[str, Any]:
        """A job's body.

        Raises:
            ApiError: 404.
        """
        return self._ledger.get(name).body

    def cancel(self, name: str) -> None:
        """Ask a job to end. A job that waits is CANCELLED at once, one that trains within two seconds.

        Raises:
            ApiError: 404, or 400 where it has ended.
        """
        self._ledger.begin_cancel(name, rule="VT644")
        if name in self._runs:
            self._runs[name].cancel()
            return
        with contextlib.suppress(ValueError):
            self._waiting.remove(name)
        self._ledger.cancelled(name)
        self._folder_of(name).remove()

    def counts(self) -> dict[str, int]:
        """How many jobs there are in each state."""
        with self._db.transaction() as sql:
            rows = sql.execute(
                "SELECT json_extract(body, '$.state'), COUNT(*) FROM resources WHERE kind = ? GROUP BY 1",
                (ledger.KIND,),
            ).fetchall()
        return dict(rows)

    def served(self, name: str) -> ServedModel:
        """What answers for an endpoint or a publisher's model.

        Raises:
            ApiError: 404; 400 where weights are missing, or no model is deployed.
        """
        before, publishers, rest = f"/{name}".partition("/publishers/")
        if publishers:
            return self._base(before, rest)
        _, project, *tail = name.split("/")
        full = "/".join(["projects", self._emulator.settings.number_of(project), *tail])
        chosen = self.deployments.choose(full)
        return self.served_version(chosen.version, chosen.checkpoint_id, chosen)

    def served_version(
        self, version: Resource, checkpoint_id: str, deployed: Chosen | None = None
    ) -> ServedModel:
        """What answers for a checkpoint of a model's version, deployed or not.

        Raises:
            ApiError: 400 where weights are missing.
        """
        made = version.private
        checkpoint = self._emulator.settings.data_dir / made["checkpoints"][checkpoint_id]["path"]
        # A simulated model has no weights of its own: its base answers.
        trained = not simulated.is_note(checkpoint)
        whole = made["mode"] == "full" and trained
        return ServedModel(
            checkpoint if whole else plan.weights(self._emulator, made["stand_in"]),
            checkpoint if trained and not whole else None,
            made["base_model"] or version.name.rpartition("/")[2],
            catalog.stand_in(made["stand_in"]),
            deployed,
            is_gemini=bool(made["base_model"]),
        )

    def _base(self, before: str, rest: str) -> ServedModel:
        publisher, _, model = rest.partition("/models/")
        # Open models bear their publisher in their id, Google's own among them.
        full = f"{publisher}/{model}"
        try:
            base = catalog.base_model(full if full in catalog.models() or publisher != "google" else model)
        except SpecError as error:
            name = f"{before}/publishers/{rest}".lstrip("/")
            raise not_found(f"Publisher Model `{name}`") from error
        stand_in = plan.stand_in_of(self._emulator, base)
        folder = plan.weights(self._emulator, stand_in.name)
        return ServedModel(folder, None, base.id, stand_in, is_gemini=not base.open)


def _is_simulated(job: Resource) -> bool:
    return bool(job.private["plan"].get("simulated"))


def _simulation_ended() -> ApiError:
    return ApiError(
        Code.ABORTED,
        "The job was simulated, and the emulator was started again without --simulate: nothing goes on with it. Submit it "
        "again, to be trained.",
        rule="VT648",
    )
