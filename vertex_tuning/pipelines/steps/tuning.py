"""The step that tunes: one job, however often the step is run."""

from __future__ import annotations

import hashlib
import logging
import signal
import threading
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from vertex_tuning import PreferenceTuning, SupervisedTuning, catalog, connect, custom
from vertex_tuning.custom import TrainingRun
from vertex_tuning.pipelines.steps._step import step, write_json
from vertex_tuning.specs._spec import MODEL_NAME, Spec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vertex_tuning.client import TuningClient
    from vertex_tuning.following import FollowedJob
    from vertex_tuning.jobs import TuningJob

log = logging.getLogger(__name__)

J = TypeVar("J", bound="FollowedJob[Any]")

STEP = "vertex-tuning-step"
"""Label of a job: the key of the step that began it."""
_MODELS = "vertex-tuning/pipelines/models"
_SPECS: dict[str, type[Spec]] = {"supervised": SupervisedTuning, "preference": PreferenceTuning}
_TERMINATED = 143
"""Exit status of a process that was asked to end, as a shell has it."""
_WORDS = "By the pipeline step that leaves "


class Tuned(NamedTuple):
    """What a step that tunes hands on."""

    model_name: str
    """`projects/.../models/ID@VERSION`, or the `gs://` folder of an open model: `client.models.get` takes either."""
    job: str
    """Resource name; empty where there was nothing to learn from."""


@step
def tune(
    training: str,
    *,
    method: str,
    base_model: str,
    place: str,
    model: str,
    about: dict[str, Any],
    measured: str,
    metrics: dict[str, Any],
    **options: Any,
) -> Tuned:
    """Tune a model, and follow the job to its end.

    The job is labelled by the step. A step that is tried again takes up the job that it began, whatever became of it: no job
    is paid for twice, and one that somebody cancelled stays cancelled. Asked to end (SIGTERM), the step cancels its job.

    Args:
        training: `gs://` URI; empty: nothing to learn, the base model is handed on.
        method: `supervised` or `preference`.
        base_model: A model of the catalog, or a tuned one's name.
        place: URI of an output of this step.
        model: Where a file that names the model is put.
        about: Metadata of the model's artifact, filled here: `resourceName`, `job`, `baseModel`.
        measured: Where a file with the figures of the training is put.
        metrics: Metadata of its artifact, filled here.
        **options: Fields of the spec; 0 and "" stand for what is left out.

    Raises:
        SpecError: What the spec cannot have, all at once.
        JobFailedError: VT601, with the service's own words.
    """
    if not training:
        write_json(model, {"model": base_model})
        write_json(measured, {})
        about["resourceName"] = base_model
        return Tuned(base_model, "")
    with connect() as client:
        fields = {name: value for name, value in options.items() if value not in (0, "", None)}
        where = _where_weights_go(client, base_model, place)
        job = job_of_step(
            client, _SPECS[method], place, base_model=base_model, training=training, **where, **fields
        )
        tuned = job.result()
        name = tuned.name or tuned.output_uri
        about |= {"resourceName": name, "job": job.name, "baseModel": base_model, "endpoint": tuned.endpoint}
        write_json(model, {"model": name, **about})
        metrics |= _last(job.metrics())
        write_json(measured, job.metrics())
        return Tuned(name, job.name)


def job_of_step(client: TuningClient, kind: type[Spec], place: str, **fields: Any) -> TuningJob:
    """The job of a step, when it has ended: the one that it began before, or one that it begins now.

    Args:
        client: Where to.
        kind: Of the spec.
        place: URI of an output of the step.
        **fields: Of the spec.
    """
    with Stoppable() as asked:
        job = asked.of(begin(client, kind, place, **fields))
        log.info("%s", job.name)
        for progress in job.follow():
            log.info("%s", {key: value for key, value in progress.to_json().items() if value != ""})
    return job


def begin(client: TuningClient, kind: type[Spec], place: str, **fields: Any) -> TuningJob:
    """As `job_of_step`, without waiting for its end."""
    labels, words = {STEP: key_of(place)}, f"{_WORDS}{place}"
    return _begun(client, place) or client.tune(
        kind(labels=labels, description=words, **fields), again=True, note={"pipeline": place}
    )


def begin_training(
    client: TuningClient, method: str, config: Mapping[str, Any], place: str, **options: Any
) -> TrainingRun:
    """The custom job of a step: the one that it began before, or one that it begins now.

    Args:
        client: Where to.
        method: Of training.
        config: As for `custom.start_training`.
        place: URI of an output of the step.
        **options: As for `custom.start_training`.
    """
    for run in custom.runs(client.connection, filter=f'labels.{STEP}="{key_of(place)}"'):
        log.info("this step began a job before, and takes it up again")
        return run
    labels = {STEP: key_of(place)}
    return custom.start_training(client, method, config, labels=labels, asked_by=place, again=True, **options)


def key_of(place: str) -> str:
    """Of a step, as a label can hold it."""
    return hashlib.sha256(place.encode()).hexdigest()[:32]


def place_of(job: TuningJob | TrainingRun) -> str:
    """The place of the step that began a job; empty where it was none."""
    if isinstance(job, TrainingRun):
        return job.asked_by
    words = job.resource.description or ""
    return words.removeprefix(_WORDS) if words.startswith(_WORDS) else ""


def _begun(client: TuningClient, place: str) -> TuningJob | None:
    found = client.jobs.list(filter=f'labels.{STEP}="{key_of(place)}"', limit=1)
    for job in found:
        log.info("this step began a job before, and takes it up again")
        return job
    return None


def _where_weights_go(client: TuningClient, base_model: str, place: str) -> dict[str, str]:
    """An open model's weights go to a folder of the step's own, by default."""
    if MODEL_NAME.fullmatch(base_model) or not catalog.base_model(base_model).open:
        return {}
    return {"output_uri": f"gs://{client.connection.artifacts_bucket}/{_MODELS}/{key_of(place)}"}


def _last(measures: list[dict[str, Any]]) -> dict[str, float]:
    """The last figure of each kind."""
    found: dict[str, float] = {}
    for measure in measures:
        found |= {key: float(value) for key, value in measure.items() if isinstance(value, int | float)}
    return found


class Stoppable:
    """Sees to it that a step that is asked to end (SIGTERM) leaves no job behind, also where it is just being begun."""

    def __init__(self) -> None:
        self._job: FollowedJob[Any] | None = None
        self._asked = False
        self._before: Any = None

    def __enter__(self) -> Stoppable:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def of(self, job: J) -> J:
        """From now on, this is the job."""
        self._job = job
        if self._asked:
            self._end()
        return job

    def _take(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._asked = True
        if self._job is not None:
            self._end()

    def _end(self) -> None:
        assert self._job is not None
        log.warning("asked to end: cancelling %s", self._job.name)
        self._job.cancel()
        raise SystemExit(_TERMINATED)
