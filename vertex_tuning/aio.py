"""The same, awaited: `await aconnect()` gives an `AsyncTuningClient`, whose methods are those of `TuningClient`.

There is one implementation, and it is the synchronous one; here it runs in threads. Google's storage client has no asynchronous
form, and a tuning job is followed for minutes: what counts is that the event loop is never held up.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from vertex_tuning import client as sync
from vertex_tuning import data
from vertex_tuning.asking import Answer, Prompt
from vertex_tuning.batches import Batches, BatchJob, BatchProgress, BatchResult
from vertex_tuning.following import FollowedJob
from vertex_tuning.jobs import Jobs, Progress, TuningJob
from vertex_tuning.lineage import Lineage, Link
from vertex_tuning.models import Checkpoint, Model, Models, TunedModel
from vertex_tuning.prompts import Prompts, SavedPrompt
from vertex_tuning.specs import Spec

if TYPE_CHECKING:
    from vertex_tuning import cost, evaluation, rewards
    from vertex_tuning.doctor import Diagnosis

T = TypeVar("T")
P = TypeVar("P")
J = TypeVar("J", bound="FollowedJob[Any]")

__all__ = [
    "AsyncBatchJob",
    "AsyncCheckpoint",
    "AsyncModel",
    "AsyncTunedModel",
    "AsyncTuningClient",
    "AsyncTuningJob",
    "aconnect",
]


async def aconnect(
    target: str | None = None,
    *,
    project: str | None = None,
    location: str | None = None,
    bucket: str | None = None,
    stand_in: str | None = None,
) -> AsyncTuningClient:
    """`connect`, awaited."""
    made = await asyncio.to_thread(
        lambda: sync.connect(target, project=project, location=location, bucket=bucket, stand_in=stand_in)
    )
    return AsyncTuningClient(made)


class AsyncTuningClient:
    """`TuningClient`, awaited; an asynchronous context manager."""

    def __init__(self, client: sync.TuningClient) -> None:
        self._client = client
        self.connection = client.connection
        self.jobs = AsyncJobs(client.jobs)
        self.models = AsyncModels(client.models)
        self.batches = AsyncBatches(client.batches)
        self.prompts = AsyncPrompts(client.prompts)
        self.lineage = AsyncLineage(client.lineage)

    async def __aenter__(self) -> AsyncTuningClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """`TuningClient.close`, awaited."""
        await asyncio.to_thread(self._client.close)

    async def doctor(self, *, progress: Callable[[int, int], None] | None = None) -> Diagnosis:
        """`TuningClient.doctor`, awaited; progress is told from another thread."""
        return await asyncio.to_thread(lambda: self._client.doctor(progress=progress))

    async def check(
        self, dataset: Any, *, method: str = "supervised", base_model: str = "gemini-2.5-flash"
    ) -> data.DataReport:
        """`TuningClient.check`, awaited."""
        return await asyncio.to_thread(
            lambda: self._client.check(dataset, method=method, base_model=base_model)
        )

    async def validate_reward(
        self, reward: rewards.AnyReward, example: Mapping[str, Any], response: str
    ) -> rewards.Score:
        """`TuningClient.validate_reward`, awaited."""
        return await asyncio.to_thread(lambda: self._client.validate_reward(reward, example, response))

    async def try_reward(
        self, reward: rewards.AnyReward, dataset: Any, *, model: str, **options: Any
    ) -> rewards.Trial:
        """`TuningClient.try_reward`, awaited; options as there."""
        return await asyncio.to_thread(
            lambda: self._client.try_reward(reward, dataset, model=model, **options)
        )

    async def estimate(
        self,
        spec: Spec,
        *,
        answer_tokens: tuple[float, float] | None = None,
        ask: int = 0,
        like: AsyncTuningJob | None = None,
    ) -> cost.Estimate:
        """`TuningClient.estimate`, awaited."""
        job = like.sync if like is not None else None
        return await asyncio.to_thread(
            lambda: self._client.estimate(spec, answer_tokens=answer_tokens, ask=ask, like=job)
        )

    async def evaluate(self, dataset: Any, *, candidate: Any, **options: Any) -> evaluation.Evaluation:
        """`TuningClient.evaluate`, awaited; options as there. Models are given by their names, or as `model.sync`."""
        return await asyncio.to_thread(lambda: self._client.evaluate(dataset, candidate=candidate, **options))

    async def upload(self, dataset: Any, *, progress: data.UploadProgress | None = None) -> str:
        """`TuningClient.upload`, awaited."""
        return await asyncio.to_thread(lambda: self._client.upload(dataset, progress=progress))

    async def tune(
        self,
        spec: Spec,
        *,
        again: bool = False,
        progress: data.UploadProgress | None = None,
        note: Mapping[str, Any] | None = None,
    ) -> AsyncTuningJob:
        """`TuningClient.tune`, awaited."""
        job = await asyncio.to_thread(
            lambda: self._client.tune(spec, again=again, progress=progress, note=note)
        )
        return AsyncTuningJob(job)

    async def batch_predict(
        self, rows: Any, *, model: AsyncModel | Model | str, **options: Any
    ) -> AsyncBatchJob:
        """`TuningClient.batch_predict`, awaited; options as there."""
        asked = model.sync if isinstance(model, AsyncModel) else model
        job = await asyncio.to_thread(lambda: self._client.batch_predict(rows, model=asked, **options))
        return AsyncBatchJob(job)


class AsyncJobs:
    """`Jobs`, awaited."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def get(self, name: str) -> AsyncTuningJob:
        """`Jobs.get`, awaited."""
        return AsyncTuningJob(await asyncio.to_thread(self._jobs.get, name))

    async def of(self, model: AsyncTunedModel | TunedModel) -> AsyncTuningJob | None:
        """`Jobs.of`, awaited."""
        asked = model.sync if isinstance(model, AsyncTunedModel) else model
        found = await asyncio.to_thread(self._jobs.of, asked)
        return None if found is None else AsyncTuningJob(found)

    async def list(self, *, filter: str = "", limit: int | None = None) -> list[AsyncTuningJob]:
        """`Jobs.list`, awaited."""
        found = await asyncio.to_thread(lambda: self._jobs.list(filter=filter, limit=limit))
        return [AsyncTuningJob(job) for job in found]


class AsyncFollowedJob(Generic[J, P]):
    """A job's handle, awaited. What is known already is read without waiting: `job.sync`, `job.state`."""

    def __init__(self, job: J) -> None:
        self.sync = job
        """The job itself."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {self.state}>"

    @property
    def name(self) -> str:
        """Resource name."""
        return self.sync.name

    @property
    def state(self) -> str:
        """State, as of the last answer."""
        return self.sync.state

    async def refresh(self) -> Self:
        """`FollowedJob.refresh`, awaited."""
        await asyncio.to_thread(self.sync.refresh)
        return self

    async def follow(self, *, timeout: float | None = None) -> AsyncIterator[P]:
        """`FollowedJob.follow`, as an asynchronous iterator."""
        async for progress in _iterate(lambda: self.sync.follow(timeout=timeout)):
            yield progress

    async def wait(self, *, timeout: float | None = None) -> Self:
        """`FollowedJob.wait`, awaited."""
        async for _ in self.follow(timeout=timeout):
            pass
        return self

    async def succeed(self, *, timeout: float | None = None) -> Self:
        """`FollowedJob.succeed`, awaited."""
        if not self.sync.ended:
            await self.wait(timeout=timeout)
        await asyncio.to_thread(self.sync.succeed)
        return self

    async def cancel(self) -> None:
        """Ask it to end, awaited; `wait()` tells when it has."""
        await asyncio.to_thread(self.sync.cancel)


class AsyncTuningJob(AsyncFollowedJob[TuningJob, Progress]):
    """`TuningJob`, awaited."""

    async def metrics(self) -> list[dict[str, Any]]:
        """`TuningJob.metrics`, awaited."""
        return await asyncio.to_thread(self.sync.metrics)

    async def result(self, *, timeout: float | None = None) -> AsyncTunedModel:
        """`TuningJob.result`, awaited."""
        await self.succeed(timeout=timeout)
        return AsyncTunedModel(await asyncio.to_thread(self.sync.result))


class AsyncBatches:
    """`Batches`, awaited."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches

    async def get(self, name: str) -> AsyncBatchJob:
        """`Batches.get`, awaited."""
        return AsyncBatchJob(await asyncio.to_thread(self._batches.get, name))

    async def list(self, *, filter: str = "", limit: int | None = None) -> list[AsyncBatchJob]:
        """`Batches.list`, awaited."""
        found = await asyncio.to_thread(lambda: self._batches.list(filter=filter, limit=limit))
        return [AsyncBatchJob(job) for job in found]


class AsyncBatchJob(AsyncFollowedJob[BatchJob, BatchProgress]):
    """`BatchJob`, awaited."""

    async def results(self, *, timeout: float | None = None, partial: bool = False) -> list[BatchResult]:
        """`BatchJob.results`, awaited."""
        if not partial:
            await self.succeed(timeout=timeout)
        return await asyncio.to_thread(lambda: self.sync.results(partial=partial))

    async def delete(self) -> None:
        """`BatchJob.delete`, awaited."""
        await asyncio.to_thread(self.sync.delete)


class AsyncModels:
    """`Models`, awaited."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def base(self, name: str) -> AsyncModel:
        """`Models.base`; it asks nobody, and is not awaited."""
        return AsyncModel(self._models.base(name))

    async def get(self, name: str) -> AsyncTunedModel:
        """`Models.get`, awaited."""
        return AsyncTunedModel(await asyncio.to_thread(self._models.get, name))

    async def list(self, *, limit: int | None = None) -> list[AsyncTunedModel]:
        """`Models.list`, awaited."""
        return [
            AsyncTunedModel(model)
            for model in await asyncio.to_thread(lambda: self._models.list(limit=limit))
        ]


class AsyncPrompts:
    """`Prompts`, awaited; a prompt itself has nothing to wait for."""

    def __init__(self, prompts: Prompts) -> None:
        self._prompts = prompts

    async def save(self, text: str, *, model: str, **options: Any) -> SavedPrompt:
        """`Prompts.save`, awaited; options as there."""
        return await asyncio.to_thread(lambda: self._prompts.save(text, model=model, **options))

    async def get(self, prompt: SavedPrompt | str, version: str | int | None = None) -> SavedPrompt:
        """`Prompts.get`, awaited."""
        return await asyncio.to_thread(self._prompts.get, prompt, version)

    async def list(self, *, filter: str = "", limit: int | None = None) -> list[SavedPrompt]:
        """`Prompts.list`, awaited."""
        return await asyncio.to_thread(lambda: self._prompts.list(filter=filter, limit=limit))

    async def versions(self, prompt: SavedPrompt | str, *, limit: int | None = None) -> Sequence[SavedPrompt]:
        """`Prompts.versions`, awaited."""
        return await asyncio.to_thread(lambda: self._prompts.versions(prompt, limit=limit))

    async def restore(self, prompt: SavedPrompt | str, version: str | int) -> SavedPrompt:
        """`Prompts.restore`, awaited."""
        return await asyncio.to_thread(self._prompts.restore, prompt, version)

    async def delete(self, prompt: SavedPrompt | str, version: str | int | None = None) -> bool:
        """`Prompts.delete`, awaited."""
        return await asyncio.to_thread(self._prompts.delete, prompt, version)


class AsyncLineage:
    """`Lineage`, awaited."""

    def __init__(self, lineage: Lineage) -> None:
        self._lineage = lineage

    async def of(self, model: AsyncTunedModel | TunedModel | str) -> Link:
        """`Lineage.of`, awaited."""
        return await asyncio.to_thread(self._lineage.of, _plain(model))

    async def note(
        self, model: AsyncTunedModel | TunedModel | str, kind: str, body: Mapping[str, Any], **options: Any
    ) -> str:
        """`Lineage.note`, awaited; options as there."""
        return await asyncio.to_thread(lambda: self._lineage.note(_plain(model), kind, body, **options))


def _plain(model: AsyncTunedModel | TunedModel | str) -> TunedModel | str:
    return model.sync if isinstance(model, AsyncTunedModel) else model


class AsyncModel:
    """`Model`, awaited."""

    def __init__(self, model: Model) -> None:
        self.sync = model
        """The model itself."""

    @property
    def served_as(self) -> str:
        """What to give google-genai as `model`."""
        return self.sync.served_as

    async def generate(self, prompt: Prompt, **options: Any) -> Answer:
        """`Model.generate`, awaited."""
        return await asyncio.to_thread(lambda: self.sync.generate(prompt, **options))

    async def stream(self, prompt: Prompt, **options: Any) -> AsyncIterator[str]:
        """`Model.stream`, as an asynchronous iterator."""
        async for text in _iterate(lambda: self.sync.stream(prompt, **options)):
            yield text

    async def count_tokens(self, prompt: Prompt) -> int:
        """`Model.count_tokens`, awaited."""
        return await asyncio.to_thread(self.sync.count_tokens, prompt)


class AsyncCheckpoint(AsyncModel):
    """`Checkpoint`, awaited: `checkpoint.sync` has its epoch, its step, and whether it is the default."""

    sync: Checkpoint

    def as_base(self) -> dict[str, str]:
        """Fields of a spec that tunes on from it."""
        return self.sync.as_base()

    @property
    def checkpoint_id(self) -> str:
        """Its id, from `1` on by training order."""
        return self.sync.checkpoint_id


class AsyncTunedModel(AsyncModel):
    """`TunedModel`, awaited."""

    sync: TunedModel

    def as_base(self) -> dict[str, str]:
        """Fields of a spec that tunes on from it."""
        return self.sync.as_base()

    @property
    def name(self) -> str:
        """Resource name with the version."""
        return self.sync.name

    async def made_by(self) -> str:
        """`TunedModel.made_by`, awaited."""
        return await asyncio.to_thread(self.sync.made_by)

    async def checkpoints(self) -> list[AsyncCheckpoint]:
        """`TunedModel.checkpoints`, awaited."""
        return [AsyncCheckpoint(item) for item in await asyncio.to_thread(self.sync.checkpoints)]

    async def make_default(self, checkpoint: AsyncCheckpoint | Checkpoint | str) -> None:
        """`TunedModel.make_default`, awaited."""
        chosen = checkpoint.sync if isinstance(checkpoint, AsyncCheckpoint) else checkpoint
        await asyncio.to_thread(self.sync.make_default, chosen)

    async def deploy(self, **options: Any) -> AsyncTunedModel:
        """`TunedModel.deploy`, awaited; options as there. On Vertex AI it costs money until `undeploy()`."""
        await asyncio.to_thread(lambda: self.sync.deploy(**options))
        return self

    async def undeploy(self) -> bool:
        """`TunedModel.undeploy`, awaited."""
        return await asyncio.to_thread(self.sync.undeploy)

    async def delete(self) -> None:
        """`TunedModel.delete`, awaited."""
        await asyncio.to_thread(self.sync.delete)


async def _iterate(begin: Callable[[], Iterator[T]]) -> AsyncIterator[T]:
    """An iterator that blocks, as one that is awaited. When it is dropped, the thread behind it ends at its next item."""
    loop = asyncio.get_running_loop()
    items: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
    dropped = threading.Event()

    def put(kind: str, value: Any) -> None:
        if not dropped.is_set() and not loop.is_closed():
            loop.call_soon_threadsafe(items.put_nowait, (kind, value))

    def work() -> None:
        try:
            for item in begin():
                if dropped.is_set():
                    return
                put("item", item)
            put("end", None)
        except BaseException as error:
            put("error", error)

    threading.Thread(target=work, name="vertex-tuning-iterate", daemon=True).start()
    try:
        while True:
            kind, value = await items.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
    finally:
        dropped.set()
