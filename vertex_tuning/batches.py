"""Batch prediction: many requests in one job, and their answers in the order in which they were asked."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from vertex_tuning import catalog, data
from vertex_tuning.asking import Answer, answer_of, config_of
from vertex_tuning.data.requests import ID, prepare
from vertex_tuning.errors import SpecError
from vertex_tuning.following import ENDED, FollowedJob, listed, seconds
from vertex_tuning.journal import LABEL
from vertex_tuning.models import NEVER, Checkpoint, Model, Models, TunedModel, by_id, locations
from vertex_tuning.retries import again, passed_over

if TYPE_CHECKING:
    from google.genai import types

    from vertex_tuning.connection import Connection

FOLDER = "vertex-tuning/batches"
_JOB = re.compile(r"projects/[^/]+/locations/(?P<location>[^/]+)/batchPredictionJobs/[^/]+")
_TUNED = re.compile(r"projects/[^/]+/locations/(?P<location>[^/]+)/models/[^/]+")
_CREATE_TIMEOUT = 120.0
"""Seconds. Creating a job takes a moment; without a limit, google-genai would wait for ever for an answer that was lost."""


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """How a batch does, at one moment."""

    state: str
    """`JOB_STATE_RUNNING`..."""
    answered: int = 0
    """Rows with an answer."""
    refused: int = 0
    """Rows that were refused, one by one."""
    total: int | None = None
    """Rows in all, where the service tells."""
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
class BatchResult:
    """What became of a row."""

    id: str
    """The row's `id`; where it had none, its number from 1."""
    answer: Answer | None
    """None where there is none."""
    error: str
    """Why there is no answer, in the service's words; empty where there is one."""
    row: dict[str, Any] = field(repr=False)
    """The row as it was sent: `request`, and keys of one's own."""

    @property
    def text(self) -> str:
        """The text of the answer; empty where there is none."""
        return self.answer.text if self.answer is not None else ""

    def to_json(self) -> dict[str, Any]:
        """As a JSON object, with the row's own keys."""
        kept = {key: value for key, value in self.row.items() if key not in ("request", ID)}
        found: dict[str, Any] = {ID: self.id, **kept}
        if self.answer is None:
            return {**found, "error": self.error}
        return {
            **found,
            "text": self.answer.text,
            "finish_reason": self.answer.finish_reason,
            "prompt_tokens": self.answer.prompt_tokens,
            "answer_tokens": self.answer.answer_tokens,
        }


class BatchJob(FollowedJob[BatchProgress]):
    """A batch prediction job; a handle, which may be made again from its name at any time."""

    group = "batch"
    _resource: types.BatchJob

    # What is known, as of the last answer

    @property
    def resource(self) -> types.BatchJob:
        """The resource as google-genai gives it."""
        return self._resource

    @property
    def model(self) -> str:
        """Who answers."""
        return self._resource.model or ""

    @property
    def display_name(self) -> str:
        """What it is called."""
        return self._resource.display_name or ""

    @property
    def input_uri(self) -> str:
        """`gs://` URI of the requests."""
        uris = self._resource.src.gcs_uri if self._resource.src else None
        return uris[0] if uris else ""

    @property
    def output_uri(self) -> str:
        """`gs://` folder of the answers; empty until it has begun."""
        info = self._resource.output_info
        return (info.gcs_output_directory if info else "") or ""

    @property
    def _batches(self) -> Any:
        return _client(self._connection, self.name).batches

    # Following

    def _ask(self) -> types.BatchJob:
        made: types.BatchJob = self._batches.get(name=self.name)
        return made

    def progress(self) -> BatchProgress:
        """How it does, as of the last answer."""
        stats = self._resource.completion_stats
        answered = int((stats and stats.successful_count) or 0)
        refused = int((stats and stats.failed_count) or 0)
        left = int((stats and stats.incomplete_count) or 0)
        return BatchProgress(
            state=self.state,
            answered=answered,
            refused=refused,
            total=answered + refused + left if stats and left >= 0 else None,
            elapsed=seconds(self._resource.start_time, self._resource.end_time),
        )

    def results(self, *, timeout: float | None = None, partial: bool = False) -> list[BatchResult]:
        """Wait for the answers: one result for each row, in the order of the rows.

        A row that was refused has an `error`; the others do not suffer.

        Args:
            timeout: Seconds to wait; None: as long as it takes.
            partial: Take what there is, of a job that still runs, or failed, or was cancelled. A row without an answer says so.

        Raises:
            JobFailedError: VT601, with the service's own words.
            JobCancelledError: VT602.
            JobTimeoutError: VT603. The job goes on.
        """
        if not partial:
            self.succeed(timeout=timeout)
        answers = _Answers(self._output())
        return [
            _result(number, row, answers.of(row))
            for number, row in enumerate(_objects(self._read(self.input_uri)), 1)
        ]

    def _output(self) -> Iterator[dict[str, Any]]:
        if not self.output_uri:
            return
        bucket, _, folder = self.output_uri.removeprefix("gs://").partition("/")
        storage = self._connection.storage
        blobs = again(lambda: list(storage.list_blobs(bucket, prefix=f"{folder.rstrip('/')}/")))
        for blob in blobs:
            if blob.name.endswith(".jsonl"):
                yield from _objects(self._read(f"gs://{bucket}/{blob.name}"))

    def _read(self, uri: str) -> bytes:
        bucket, _, name = uri.removeprefix("gs://").partition("/")
        found: bytes = again(lambda: self._connection.storage.bucket(bucket).blob(name).download_as_bytes())
        return found

    def cancel(self) -> None:
        """Ask it to end; `wait()` tells when it has. What was answered is kept: `results(partial=True)`."""
        again(lambda: self._batches.cancel(name=self.name))

    def delete(self) -> None:
        """Forget a job that has ended; no fault if it is gone. Its answers stay in Cloud Storage."""
        with passed_over(404):
            again(lambda: self._batches.delete(name=self.name))


class Batches:
    """The batch prediction jobs of a project and location."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, name: str) -> BatchJob:
        """A job, by its name or by its id alone.

        Raises:
            SpecError: VT346, not a job's name.
        """
        if not name.isdigit() and _JOB.fullmatch(name) is None:
            raise SpecError(
                "VT346",
                f'"{name}" is not the name of a batch prediction job',
                fix="projects/PROJECT/locations/LOCATION/batchPredictionJobs/ID, or its ID; see: vertex-tuning batch list",
            )
        if not name.isdigit():
            client = _client(self._connection, name)
            return BatchJob(self._connection, again(lambda: client.batches.get(name=name)))

        def ask(location: str) -> BatchJob:
            client = self._connection.genai_in(location)
            return BatchJob(self._connection, again(lambda: client.batches.get(name=name)))

        return by_id(self._connection, ask)

    def list(self, *, filter: str = "", limit: int | None = None) -> list[BatchJob]:
        """Jobs, newest first: in the connection's location, and in the multi-region of models tuned there from Gemini 3.x.

        Args:
            filter: As the service understands it: `state="JOB_STATE_RUNNING"`, `display_name="a"`.
            limit: No more than these.
        """
        found = [
            job
            for location in locations(self._connection)
            for job in jobs_in(self._connection, location, filter=filter, limit=limit)
        ]
        found.sort(key=lambda job: job.resource.create_time or NEVER, reverse=True)
        return found[:limit]


def jobs_in(
    connection: Connection, location: str, *, filter: str = "", limit: int | None = None
) -> list[BatchJob]:
    """The jobs in a location, newest first; see `Batches.list`."""
    found = listed(connection.genai_in(location).batches.list, filter=filter, limit=limit)
    return [BatchJob(connection, resource) for resource in found]


@dataclass(frozen=True, slots=True)
class Order:
    """A batch, ready to be asked for: the requests are in the bucket."""

    model: str
    """As google-genai takes it."""
    location: str
    source: str
    """`gs://` URI of the requests."""
    destination: str
    """`gs://` folder; empty: one of our own."""
    display_name: str

    @property
    def digest(self) -> str:
        """The same for an identical batch."""
        return hashlib.sha256(json.dumps(["batch", *asdict(self).values()]).encode()).hexdigest()

    def ask(self, connection: Connection, key: str) -> BatchJob:
        """Ask for it, with the key as its label."""
        from google.genai import types

        # google-genai has no field for labels and keys; the body does.
        settings = connection.config
        body: dict[str, Any] = {"labels": {**settings.labels, LABEL: key}}
        if settings.kms_key:
            body["encryptionSpec"] = {"kmsKeyName": settings.kms_key}
        options = types.HttpOptions(timeout=int(_CREATE_TIMEOUT * 1000), extra_body=body)
        config = types.CreateBatchJobConfig(
            display_name=self.display_name or f"batch-{key[:8]}",
            dest=self.destination or f"gs://{connection.bucket}/{FOLDER}/{key}",
            http_options=options,
        )
        made = connection.genai_in(self.location).batches.create(
            model=self.model, src=self.source, config=config
        )
        return BatchJob(connection, made)


def order(
    connection: Connection,
    rows: Any,
    model: Model | str,
    *,
    display_name: str,
    output_uri: str,
    progress: data.UploadProgress | None,
    options: dict[str, Any],
) -> Order:
    """Check the model and the rows, and upload them; see `TuningClient.batch_predict`."""
    name, location = _model(connection, model)
    connection.ensure_bucket()
    if data.in_cloud_storage(rows):
        if options:
            raise SpecError(
                "VT345",
                f"what lies in Cloud Storage is sent as it is: {', '.join(options)} cannot be added",
                where=str(rows),
                fix="write generationConfig into its requests, or give the rows themselves",
            )
        source = str(rows)
    else:
        base = _base(connection, options)
        with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
            data.raise_for_faults(prepare(rows, base, cast("BinaryIO", file)))
            file.flush()
            source = data.upload(connection, file.name, progress=progress)
    return Order(name, location, source, output_uri.rstrip("/"), display_name)


def _model(connection: Connection, model: Model | str) -> tuple[str, str]:
    """What google-genai takes, and the location that it is in."""
    if (isinstance(model, str) and model.startswith("gs://")) or (
        isinstance(model, TunedModel) and model.output_uri
    ):
        raise SpecError(
            "VT344",
            "the weights of an open model answer no batch: a batch is answered by a Gemini model, tuned or not",
            where="model",
            fix="deploy() the model, and ask it row by row: model.generate",
        )
    if isinstance(model, Checkpoint) or (isinstance(model, str) and "/endpoints/" in model):
        raise SpecError(
            "VT344",
            "a batch is answered by a model, not by an endpoint or a checkpoint of its own",
            where="model",
            fix="give the tuned model; to ask another checkpoint, make it the default: TunedModel.make_default",
        )
    if isinstance(model, str):
        tuned = "/models/" in model and model.startswith("projects/")
        models = Models(connection)
        model = models.get(model) if tuned or model.partition("@")[0].isdigit() else models.base(model)
    if isinstance(model, TunedModel):
        match = _TUNED.match(model.name)
        return model.name, match["location"] if match else connection.location
    return catalog.base_model(model.served_as).id, connection.location


def _base(connection: Connection, options: dict[str, Any]) -> dict[str, Any]:
    """What every request has, of options as `Model.generate` takes them: just what google-genai would send."""
    if not options:
        return {}
    from google.genai import _common, types
    from google.genai import models as genai_models

    parameters = types._GenerateContentParameters(model="any", contents="any", config=config_of(options))
    # There is no public way to have a request made without having it sent.
    made = genai_models._GenerateContentParameters_to_vertex(connection.genai._api_client, parameters)
    body: dict[str, Any] = _common.encode_unserializable_types(_common.convert_to_dict(made))
    return {key: value for key, value in body.items() if key not in ("_url", "contents", "config", "model")}


def _client(connection: Connection, name: str) -> Any:
    match = _JOB.fullmatch(name)
    return connection.genai_in(match["location"]) if match else connection.genai


# Answers, back to the rows that they are for


class _Answers:
    """Output lines, by what they answer.

    They come in any order. A line is known by its id and its request; where a service has dropped the id, by the request, and
    answers to the same request are as good for the one row as for the other.
    """

    def __init__(self, output: Iterable[dict[str, Any]]) -> None:
        self._found: defaultdict[str, deque[dict[str, Any]]] = defaultdict(deque)
        for line in output:
            self._found[_mark(line, line.get(ID))].append(line)

    def of(self, row: dict[str, Any]) -> dict[str, Any] | None:
        """The output line of a row."""
        for mark in (_mark(row, row.get(ID)), _mark(row, None)):
            if self._found.get(mark):
                return self._found[mark].popleft()
        return None


def _mark(line: dict[str, Any], identifier: Any) -> str:
    text = json.dumps([identifier, line.get("request")], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _result(number: int, row: dict[str, Any], line: dict[str, Any] | None) -> BatchResult:
    identifier = str(row.get(ID, number))
    if line is None:
        return BatchResult(identifier, None, "it was not answered", row)
    if line.get("status") or not line.get("response"):
        return BatchResult(identifier, None, _words(str(line.get("status") or "an empty response")), row)
    from google.genai import types

    return BatchResult(
        identifier, answer_of(types.GenerateContentResponse.model_validate(line["response"])), "", row
    )


def _words(status: str) -> str:
    """`Bad Request: {"error": {"message": "..."}}` as people say it."""
    _, _, text = status.partition(": ")
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return status


def _objects(text: bytes) -> Iterator[dict[str, Any]]:
    """Lines as JSON objects; what is none stands as the `request` of one, as the service shows it."""
    for line in text.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        if not line.strip():
            continue
        shown = line.decode("utf-8", "replace").strip()
        try:
            found = json.loads(shown)
        except (ValueError, RecursionError):
            found = None
        yield found if isinstance(found, dict) else {"request": shown}
