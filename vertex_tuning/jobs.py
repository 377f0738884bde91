"""Tuning jobs: follow one to its end, whatever happens to us meanwhile."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from vertex_tuning.errors import JobCancelledError, JobFailedError, JobTimeoutError, ServiceError, SpecError
from vertex_tuning.retries import again, is_passing, translated

if TYPE_CHECKING:
    from google.genai import types

    from vertex_tuning.connection import Connection
    from vertex_tuning.models import TunedModel

P = TypeVar("P")
P_co = TypeVar("P_co", covariant=True)

# An explicit list of what ends a job: a state that we do not know goes on.
ENDED = frozenset(
    {
        "JOB_STATE_SUCCEEDED",
        "JOB_STATE_FAILED",
        "JOB_STATE_CANCELLED",
        "JOB_STATE_EXPIRED",
        "JOB_STATE_PARTIALLY_SUCCEEDED",
    }
)
SUCCEEDED = frozenset({"JOB_STATE_SUCCEEDED", "JOB_STATE_PARTIALLY_SUCCEEDED"})
_JOB = re.compile(r"(?:projects/[^/]+/locations/(?P<location>[^/]+)/)?tuningJobs/[^/]+")
_FIRST_WAIT = 0.2
_LONGEST_WAIT = 15.0
_BACK_OFF = 1.3
_PATIENCE = 120.0
"""Seconds without any answer from the service, after which nobody waits any longer."""

_CURES = {
    3: "mend the data or the spec, and tune again",
    8: "wait, or ask for more quota",
    9: "mend what the message names, and tune again",
    13: "submit it again: the trouble was the service's",
    14: "submit it again: the trouble was the service's",
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


class TuningJob:
    """A tuning job; a handle, which may be made again from its name at any time."""

    def __init__(self, connection: Connection, resource: types.TuningJob) -> None:
        self._connection = connection
        self._resource = resource

    def __repr__(self) -> str:
        return f"<TuningJob {self.name} {self.state}>"

    # What is known, as of the last answer

    @property
    def name(self) -> str:
        """`projects/.../locations/.../tuningJobs/...`."""
        return self._resource.name or ""

    @property
    def id(self) -> str:
        """The last part of the name."""
        return self.name.rsplit("/", 1)[-1]

    @property
    def state(self) -> str:
        """`JOB_STATE_...`, as of the last answer; see `refresh`."""
        return name_of(self._resource.state)

    @property
    def ended(self) -> bool:
        """Whether it has ended, well or not."""
        return self.state in ENDED

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

    def to_json(self) -> dict[str, Any]:
        """The resource as JSON."""
        return dict(self._resource.model_dump(mode="json", exclude_none=True))

    # Following

    def refresh(self) -> TuningJob:
        """Ask the service how it does; returns itself."""
        client = _client(self._connection, self.name)
        self._resource = again(lambda: client.tunings.get(name=self.name))
        return self

    def follow(self, *, timeout: float | None = None) -> Iterator[Progress]:
        """Yield whenever something changed, until the job has ended.

        Passing trouble on the way to the service is waited out; the job does not notice.

        Args:
            timeout: Seconds to follow; None: as long as it takes.

        Raises:
            JobTimeoutError: VT603. The job goes on.
            ServiceError: VT501 refused; VT502, nobody has answered for two minutes.
        """
        yield from followed(self, timeout, "jobs watch")

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

    def wait(self, *, timeout: float | None = None) -> TuningJob:
        """Wait until it has ended, well or not; returns itself.

        Raises:
            JobTimeoutError: VT603. The job goes on.
        """
        for _ in self.follow(timeout=timeout):
            pass
        return self

    def result(self, *, timeout: float | None = None) -> TunedModel:
        """Wait for the tuned model.

        Raises:
            JobFailedError: VT601, with the service's own words.
            JobCancelledError: VT602.
            JobTimeoutError: VT603. The job goes on.
        """
        from vertex_tuning.models import TunedModel

        if not self.ended:
            self.wait(timeout=timeout)
        if self.state not in SUCCEEDED:
            raise failure(self.name, self.state, self._resource.error)
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

    def list(self, *, filter: str = "", limit: int | None = None) -> list[TuningJob]:
        """Jobs, newest first.

        Args:
            filter: As the service understands it: `state="JOB_STATE_RUNNING"`, `labels.team="a"`.
            limit: No more than these.
        """
        config: Any = {"page_size": min(limit or 100, 100)}
        if filter:
            config["filter"] = filter
        found: list[TuningJob] = []
        pages = again(lambda: self._connection.genai.tunings.list(config=config))
        while True:
            found += [TuningJob(self._connection, resource) for resource in pages.page]
            if limit is not None and len(found) >= limit:
                return found[:limit]
            try:
                again(pages.next_page)
            except IndexError:
                return found


class _Followed(Protocol[P_co]):
    """What can be followed."""

    @property
    def name(self) -> str: ...

    @property
    def state(self) -> str: ...

    @property
    def ended(self) -> bool: ...

    def refresh(self) -> Any: ...

    def progress(self) -> P_co: ...


def followed(job: _Followed[P], timeout: float | None, command: str) -> Iterator[P]:
    """Yield the progress of a job whenever it changed, until it has ended; see `TuningJob.follow`.

    Args:
        job: To be followed.
        timeout: Seconds.
        command: Of ours, by which it can be followed later: `jobs watch`.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    wait, last = _FIRST_WAIT, None
    heard = time.monotonic()
    while True:
        try:
            job.refresh()
            heard = time.monotonic()
        except ServiceError as error:
            if error.code:
                heard = time.monotonic()
            if not is_passing(error) or time.monotonic() - heard > _PATIENCE:
                raise
        now = job.progress()
        if now != last:
            wait, last = _FIRST_WAIT, now
            yield now
        if job.ended:
            return
        if deadline is not None and time.monotonic() >= deadline:
            raise JobTimeoutError(
                "VT603",
                f"the job is still in {job.state} after {timeout:g} s",
                job=job.name,
                fix=f"it goes on; follow it later: vertex-tuning {command} {job.name}",
            )
        left = wait if deadline is None else min(wait, max(0.0, deadline - time.monotonic()))
        time.sleep(left)
        wait = min(wait * _BACK_OFF, _LONGEST_WAIT)


def failure(name: str, state: str, error: Any) -> JobFailedError | JobCancelledError:
    """What a job that ended badly says."""
    code = int(getattr(error, "code", None) or 0)
    words = getattr(error, "message", None) or "no reason was given"
    if state == "JOB_STATE_CANCELLED":
        return JobCancelledError("VT602", "the job was cancelled", where=name, job=name, code=code)
    return JobFailedError(
        "VT601",
        f"the job ended in {state}: {words}",
        where=name,
        job=name,
        code=code,
        fix=_CURES.get(code, ""),
    )


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


def name_of(value: Any) -> str:
    """The name of an enum's member, or of one that google-genai does not know."""
    return str(getattr(value, "value", value) or "")


def seconds(start: datetime | None, end: datetime | None) -> float | None:
    """From one time to another; None where either is not known."""
    return round((end - start).total_seconds(), 1) if start and end else None
