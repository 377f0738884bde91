"""Tuning jobs: follow one to its end, whatever happens to us meanwhile."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from vertex_tuning.errors import ServiceError, SpecError
from vertex_tuning.following import ENDED, FollowedJob, listed, name_of, seconds
from vertex_tuning.retries import again, translated

if TYPE_CHECKING:
    from google.genai import types

    from vertex_tuning.connection import Connection
    from vertex_tuning.models import TunedModel

_JOB = re.compile(r"(?:projects/[^/]+/locations/(?P<location>[^/]+)/)?tuningJobs/[^/]+")

_SPECS = {
    "supervised": "supervised_tuning_spec",
    "preference": "preference_optimization_spec",
    "reinforcement": "reinforcement_tuning_spec",
    "distillation": "distillation_spec",
}


@dataclass(frozen=True, slots=True)
class Progress:
    """How a job does, at one moment."""

    state: str
    """`JOB_STATE_RUNNING`..."""
    sub_state: str
    """`TUNING_JOB_STATE_TUNING`...; empty where the service tells none."""
    step: int | None = None
    """Steps done."""
    steps: int | None = None
    """Steps in all."""
    epoch: float | None = None
    loss: float | None = None
    """Mean over the answer tokens of the last step."""
    tokens_per_second: float | None = None
    elapsed: float | None = None
    """Seconds that it ran, once it has ended."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.state in ENDED

    def to_json(self) -> dict[str, Any]:
        """As a JSON object, without what is not known."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class CheckpointEvaluation:
    """What was measured of one checkpoint."""

    checkpoint_id: str
    """Empty for the result itself, where no checkpoints are kept."""
    scores: dict[str, float]
    """By metric and aggregate: `exact_match`, `rouge`, `pointwise`: the mean; `rouge stddev`... A second metric of a kind is
    `rouge (2)`."""
    output_uri: str
    """`gs://` folder with every answer, and what was found of it."""
    error: str
    """Why there are no scores; empty where there are."""

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


class TuningJob(FollowedJob[Progress]):
    """A tuning job; a handle, which may be made again from its name at any time."""

    group = "jobs"
    _resource: types.TuningJob

    # What is known, as of the last answer

    @property
    def resource(self) -> types.TuningJob:
        """The resource as google-genai gives it."""
        return self._resource

    @property
    def base_model(self) -> str:
        """What it was tuned from."""
        source = self._resource.pre_tuned_model
        return self._resource.base_model or (source.tuned_model_name if source else "") or ""

    @property
    def tuned_from(self) -> str:
        """The base model behind it all: of a tuned model that it goes on from, the one which that was tuned from."""
        source = self._resource.pre_tuned_model
        return (source.base_model if source else self._resource.base_model) or ""

    @property
    def method(self) -> str:
        """The way of tuning, as the catalog calls it; empty where it is none of ours."""
        specs = ((method, getattr(self._resource, spec, None)) for method, spec in _SPECS.items())
        return next((method for method, spec in specs if spec is not None), "")

    @property
    def display_name(self) -> str:
        """Name of the model that it makes."""
        return self._resource.tuned_model_display_name or ""

    @property
    def labels(self) -> dict[str, str]:
        """Labels, the key of `tune()` among them."""
        return dict(self._resource.labels or {})

    @property
    def billable_tokens(self) -> int | None:
        """Training tokens that are paid for, over all epochs, as the service counted them; None where it tells none."""
        stats = _data_stats(self._resource)
        tokens = getattr(stats, "total_billable_token_count", None)
        return int(tokens) if tokens is not None else None

    # Following

    def _ask(self) -> types.TuningJob:
        made: types.TuningJob = _client(self._connection, self.name).tunings.get(name=self.name)
        return made

    def progress(self) -> Progress:
        """How it does, as of the last answer."""
        resource = self._resource
        latest = {} if resource.start_time is None else self._latest_measure()
        done = getattr(resource.tuning_job_metadata, "completed_step_count", None)
        stats = _data_stats(resource)
        steps = getattr(stats, "tuning_step_count", None) or latest.get("steps")
        return Progress(
            state=self.state,
            sub_state=name_of(resource.tuning_job_state),
            step=int(done) if done is not None else latest.get("step"),
            steps=int(steps) if steps is not None else None,
            epoch=latest.get("epoch"),
            loss=latest.get("loss"),
            tokens_per_second=latest.get("tokens_per_second"),
            elapsed=seconds(resource.start_time, resource.end_time),
        )

    def _latest_measure(self) -> dict[str, Any]:
        try:
            return next((measure for measure in reversed(self.metrics()) if "loss" in measure), {})
        except ServiceError:  # to follow a job, its states are enough
            return {}

    def metrics(self) -> list[dict[str, Any]]:
        """Everything measured so far: `step`, `loss`, `epoch`... per step, `eval_loss`... per evaluation.

        Empty where the service keeps none in Cloud Storage.
        """
        uri = self._resource.gcs_metrics_uri
        if not uri:
            return []
        bucket, _, name = uri.removeprefix("gs://").partition("/")
        from google.api_core.exceptions import NotFound

        blob = self._connection.storage.bucket(bucket).blob(name)
        with translated():
            try:
                text = blob.download_as_text()
            except NotFound:
                return []
        return list(_json_objects(text))

    def events(self) -> list[dict[str, Any]]:
        """What is known of its history: `{"time", "event"}`, oldest first."""
        resource = self._resource
        found = [
            ("created", resource.create_time),
            ("started", resource.start_time),
            (self.state, resource.end_time),
        ]
        return [{"time": time.isoformat(), "event": event} for event, time in found if time is not None]

    def evaluations(self) -> list[CheckpointEvaluation]:
        """What the service measured of each checkpoint, as of the last answer; empty where it has not, or was not asked to."""
        return [_evaluation(run) for run in self._resource.evaluate_dataset_runs or ()]

    def result(self, *, timeout: float | None = None) -> TunedModel:
        """Wait for the tuned model.

        Raises:
            JobFailedError: VT601, with the service's own words.
            JobCancelledError: VT602.
            JobTimeoutError: VT603. The job goes on.
        """
        from vertex_tuning.models import TunedModel

        self.succeed(timeout=timeout)
        return TunedModel.of_job(self._connection, self._resource)

    def cancel(self) -> None:
        """Ask it to end; `wait()` tells when it has."""
        client = _client(self._connection, self.name)
        again(lambda: client.tunings.cancel(name=self.name))


class Jobs:
    """The tuning jobs of a project and location."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, name: str) -> TuningJob:
        """A job, by its name or by its id alone.

        Raises:
            SpecError: VT320, not a job's name.
        """
        if not name.isdigit() and _JOB.fullmatch(name) is None:
            raise SpecError(
                "VT320",
                f'"{name}" is not the name of a tuning job',
                fix="projects/PROJECT/locations/LOCATION/tuningJobs/ID, or its ID; see: vertex-tuning jobs list",
            )
        full = name if "/" in name else f"tuningJobs/{name}"
        client = _client(self._connection, name)
        return TuningJob(self._connection, again(lambda: client.tunings.get(name=full)))

    def of(self, model: TunedModel) -> TuningJob | None:
        """The job that made a tuned model; None where nothing tells which."""
        name = model.made_by()
        return self.get(name) if name else None

    def list(self, *, filter: str = "", limit: int | None = None) -> list[TuningJob]:
        """Jobs, newest first.

        Args:
            filter: As the service understands it: `state="JOB_STATE_RUNNING"`, `labels.team="a"`.
            limit: No more than these.
        """
        found = listed(self._connection.genai.tunings.list, filter=filter, limit=limit)
        return [TuningJob(self._connection, resource) for resource in found]


def _client(connection: Connection, name: str) -> Any:
    match = _JOB.fullmatch(name)
    location = match["location"] if match else None
    return connection.genai_in(location) if location else connection.genai


def _json_objects(text: str) -> Iterator[dict[str, Any]]:
    """Lines that are JSON objects; what else a service may put there is not ours to judge."""
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict):
                yield found


def _data_stats(resource: types.TuningJob) -> Any:
    """What the service says about the training set, whatever the way of tuning."""
    stats = resource.tuning_data_stats
    fields = tuple(
        f"{name}_data_stats"
        for name in ("supervised_tuning", "preference_optimization", "reinforcement_tuning", "distillation")
    )
    found = next((found for name in fields if (found := getattr(stats, name, None)) is not None), None)
    return getattr(found, "training_dataset_stats", found)


_VALUES = {
    "exact_match_metric_value": "exact_match",
    "bleu_metric_value": "bleu",
    "rouge_metric_value": "rouge",
    "pointwise_metric_result": "pointwise",
}
"""Fields of an aggregate, and what is measured by it."""


def _evaluation(run: types.EvaluateDatasetRun) -> CheckpointEvaluation:
    response = run.evaluate_dataset_response
    output = response.aggregation_output if response else None
    scores: dict[str, float] = {}
    for result in (output and output.aggregation_results) or ():
        aggregate = name_of(result.aggregation_metric).lower()
        for field, name in _VALUES.items():
            score = getattr(getattr(result, field), "score", None)
            if score is None:
                continue
            key = name if aggregate in ("average", "") else f"{name} {aggregate.replace('_', ' ')}"
            number = 1
            while (found := key if number == 1 else f"{key} ({number})") in scores:
                number += 1
            scores[found] = float(score)
    info = response.output_info if response else None
    return CheckpointEvaluation(
        run.checkpoint_id or "",
        scores,
        (info.gcs_output_directory if info else "") or "",
        (run.error.message if run.error else "") or "",
    )
