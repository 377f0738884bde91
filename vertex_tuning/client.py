"""The one door: `connect()` gives a `TuningClient`, and everything is reached from it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import warnings
from datetime import date
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from vertex_tuning import batches, catalog, data
from vertex_tuning import config as settings
from vertex_tuning.connection import Connection
from vertex_tuning.errors import ServiceError, SpecError, UnknownPriceError
from vertex_tuning.jobs import Jobs, TuningJob
from vertex_tuning.journal import LABEL, Journal
from vertex_tuning.lineage import Lineage
from vertex_tuning.models import Model, Models
from vertex_tuning.once import Once
from vertex_tuning.places import open_connection
from vertex_tuning.prompts import Prompts

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    from google.genai import types

    from vertex_tuning import cost, evaluation, rewards
    from vertex_tuning.doctor import Diagnosis
    from vertex_tuning.pipelines.door import Pipelines
    from vertex_tuning.specs import Spec

log = logging.getLogger(__name__)

_EVALUATIONS = "vertex-tuning/evaluations"
_TUNED = "vertex-tuning/tuned"
"""Where an open model's checkpoints go, each job's into a folder of its own."""
_CREATE_TIMEOUT = 120.0
"""Seconds. Creating a job takes a moment; without a limit, google-genai would wait for ever for an answer that was lost."""


def connect(
    target: str | None = None,
    *,
    project: str | None = None,
    location: str | None = None,
    bucket: str | None = None,
    stand_in: str | None = None,
) -> TuningClient:
    """Connect to the local emulator, or to Vertex AI.

    `local` finds the emulator that runs (`VERTEX_TUNING_EMULATOR`, or the user's own), or starts one that ends with the client.
    `vertex` uses application default credentials.

    Args:
        target: `local` or `vertex`. Left out: as configured, else `local`.
        project: Google Cloud project id.
        location: Region. Left out: as configured, else `us-central1`.
        bucket: Bucket for data sets. Needed for `vertex`; made where it is not there for `local`.
        stand_in: Serve every model by this stand-in, or by size (`small=NAME,large=NAME`): where the emulator that runs does
            not, one is started for this client.

    Raises:
        ConfigurationError: VT1xx, with what to set.
        EmulatorError: VT4xx, the emulator cannot be had.
    """
    config = settings.load(target=target, project=project, location=location, bucket=bucket)
    return TuningClient(open_connection(config, stand_in=stand_in))


class TuningClient:
    """Tunes, follows, lists and asks. A context manager: what was started for it ends with it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        """Google's clients, for what is not here: `client.connection.genai`, `.storage`."""
        self.jobs = Jobs(connection)
        self.models = Models(connection)
        self.batches = batches.Batches(connection)
        self.prompts = Prompts(connection)
        self.lineage = Lineage(connection)
        self._journal = Journal(settings.home() / "journal")

    def __enter__(self) -> TuningClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, and end an emulator that was started for this client."""
        self.connection.close()

    @cached_property
    def pipelines(self) -> Pipelines:
        """Pipelines: run on this machine, or handed to the service."""
        from vertex_tuning.pipelines.door import Pipelines

        return Pipelines(self.connection)

    def doctor(self, *, progress: Callable[[int, int], None] | None = None) -> Diagnosis:
        """Look at the project that the settings name, and at all that they name in it: is it ready? Nothing is changed.

        Args:
            progress: Told how far it is: (checks done, checks in all).

        Returns:
            Every finding, each fault with its cure; that something is broken raises nothing.
        """
        from vertex_tuning.doctor import diagnose

        return diagnose(self.connection, progress=progress)

    def check(
        self, dataset: Any, *, method: str = "supervised", base_model: str = "gemini-2.5-flash"
    ) -> data.DataReport:
        """Check a data set as `tune` would, without sending anything; `method` as for `data.check`."""
        return data.check(dataset, method=method, base_model=base_model)

    def validate_reward(
        self, reward: rewards.AnyReward, example: Mapping[str, Any], response: str
    ) -> rewards.Score:
        """Ask the service what one answer would earn; `reward.score(example, response)` says the same without it.

        Args:
            reward: Of `vertex_tuning.rewards`.
            example: A row: `contents`, `references`...
            response: The answer.

        Raises:
            ServiceError: VT501, the service refused the reward.
        """
        from vertex_tuning.rewarding import validate

        return validate(self.connection, reward, example, response)

    def try_reward(
        self,
        reward: rewards.AnyReward,
        dataset: Any,
        *,
        model: str,
        answers: int = 4,
        rows: int = 50,
        progress: Callable[[int, int], None] | None = None,
        retry: bool = False,
        **options: Any,
    ) -> rewards.Trial:
        """Try a reward out before it is paid for: on answers sampled from a model, and on answers that try to cheat.

        Args:
            reward: Of `vertex_tuning.rewards`.
            dataset: Rows for reinforcement tuning: a path, or rows.
            model: A model of the catalog, or the name of a tuned one.
            answers: To each prompt. Of one alone nobody can tell whether the reward tells answers apart.
            rows: The first of the set.
            progress: Told how far it is: (answers there, answers in all).
            retry: Make calls of the reward again that failed for a passing reason, after the waits of a tuning job, about a
                minute in all. Else each is made once, and `passing` of the trial says how many a job would make again.
            **options: As `Model.generate` has them: `temperature`, `max_output_tokens`...

        Raises:
            DatasetError: Every fault of the data.
        """
        from vertex_tuning.rewarding import try_reward

        found = self.models.get(model) if "/models/" in model else self.models.base(model)
        return try_reward(
            reward,
            dataset,
            found,
            self.connection,
            answers=answers,
            rows=rows,
            progress=progress,
            retry=retry,
            options=options,
        )

    def estimate(
        self,
        spec: Spec,
        *,
        answer_tokens: tuple[float, float] | None = None,
        ask: int = 0,
        like: TuningJob | None = None,
    ) -> cost.Estimate:
        """What a job will cost on Vertex AI, before it is submitted: tokens, money, and time where something is known to go by.

        Args:
            spec: Any tuning spec. Its training set is read, and not uploaded.
            answer_tokens: Of a teacher's answer, or of a try, from the least to the most.
            ask: Have the service count the tokens of the first so many rows, by the model's own tokenizer: it costs nothing, and
                tells more than 3 to 5 characters a token.
            like: An earlier job of this kind: it takes as long for a token.

        Raises:
            DatasetError: VT201 the training set is in Cloud Storage, or every fault of it.
            UnknownPriceError: VT795; the error's `estimate` has the tokens.
            ServiceError: The service does not count.
        """
        from vertex_tuning import cost

        base = self._tuned_from(spec.base_model) if spec.continues else spec.base_model
        return cost.estimate(
            spec,
            base_model=base,
            answer_tokens=answer_tokens,
            characters_per_token=self._characters_per_token(spec, base, ask) if ask else None,
            tokens_per_second=_speed(like) if like is not None else None,
        )

    def _tuned_from(self, name: str) -> str:
        """The base model of a tuned one, as the job says that made it."""
        job = self.jobs.of(self.models.get(name))
        base = job.tuned_from if job else ""
        if not base:
            what = "which model it was tuned from is not known"
            fix = "estimate it with the base model in its place"
            raise UnknownPriceError("VT795", what, where=name, fix=fix)
        return base

    def _check_tuned_from(self, spec: Spec) -> None:
        """Hold what goes on from a tuned model against the catalog: which it was tuned from, its job tells."""
        base = None
        try:
            job = self.jobs.of(self.models.get(spec.base_model))
        except ServiceError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                raise
            return  # who may tune need not be allowed to look at models: then the service alone will tell
        with contextlib.suppress(SpecError):  # a base model that the catalog does not know
            base = catalog.base_model(job.tuned_from) if job and job.method else None
        if job and base:
            spec.check_tuned_from(base, job.method, self.connection.location)

    def _characters_per_token(self, spec: Spec, base: str, rows: int) -> float:
        """Of the first rows of a training set, as the service counts them."""
        from itertools import islice

        from vertex_tuning.data.counting import texts
        from vertex_tuning.retries import again

        found = [text for row in islice(data.read(spec.training), rows) for text in texts(row)]
        counted = again(lambda: self.connection.genai.models.count_tokens(model=base, contents=list(found)))
        return sum(map(len, found)) / max(1, counted.total_tokens or 0)

    def evaluate(
        self,
        dataset: Any,
        *,
        candidate: Any,
        baseline: Any = None,
        measures: Sequence[Any] = ("exact_match",),
        gate: evaluation.Gate | None = None,
        judge: Any = None,
        rows: int | None = None,
        kept: str | os.PathLike[str] | None = None,
        price: tuple[float, float] | None = None,
        confidence: float = 0.95,
        at_once: int = 8,
        progress: Callable[[int, int], None] | None = None,
        **options: Any,
    ) -> evaluation.Evaluation:
        """Hold a model against another on the same rows: is it better, how sure is that, and may it go on?

        Both are asked one by one. Temperature is 0 and an answer has 256 tokens at most, unless `options` say otherwise.

        Args:
            dataset: Rows that nobody was trained on, of any form: a path, or rows.
            candidate: A model, the name of one, or a function of a row; a list of these where there is one for each seed.
            baseline: The same. Left out: what the candidate was tuned from.
            measures: `exact_match`, `label_accuracy`, `token_f1`, `rouge_l`, `valid_json`; rewards of `vertex_tuning.rewards`;
                functions `(answer, row) -> float`.
            gate: Conditions; see `vertex_tuning.evaluation.Gate`.
            judge: Says which of two answers is better, in both orders: a model or the name of one, or a function
                `(row, first, second) -> float`.
            rows: The first of the set alone.
            kept: JSONL file of answers. What is in it is not asked for again, and what is asked is written there as it comes.
            price: USD per million tokens of the base model: (prompt, answer); left out, as the catalog has it. What a tuned
                model costs follows from it.
            confidence: Coverage of intervals, in (0, 1).
            at_once: Rows asked about at a time.
            progress: Told how far it is: (answers there, answers in all).
            **options: As `Model.generate` has them: `labels`, `schema`, `max_output_tokens`...

        Raises:
            DatasetError: Every fault of the data.
            EvaluationError: VT75x, what cannot be measured or compared.
            ServiceError: A model cannot be asked. What was answered until then is kept.
        """
        from vertex_tuning.evaluation.systems import evaluate

        return evaluate(
            self.connection,
            dataset,
            candidate=candidate,
            baseline=baseline,
            measures=measures,
            gate=gate,
            judge=judge,
            limit=rows,
            kept=kept,
            price=price,
            confidence=confidence,
            at_once=at_once,
            progress=progress,
            options=options,
        )

    def upload(self, dataset: Any, *, progress: data.UploadProgress | None = None) -> str:
        """Put a data set into the bucket, unless it is there; returns its `gs://` URI."""
        return data.upload(self.connection, dataset, progress=progress)

    def tune(
        self,
        spec: Spec,
        *,
        again: bool = False,
        progress: data.UploadProgress | None = None,
        note: Mapping[str, Any] | None = None,
    ) -> TuningJob:
        """Check the spec and the data, upload, and start the job.

        An identical job that still runs, because an earlier run of this program was interrupted, is taken up instead of paid
        for twice; a log line says so. One that has ended is mentioned, and a new one is started.

        Args:
            spec: What to do.
            again: Start another job even where an identical one runs.
            progress: Told how the upload goes: (bytes done, bytes in all).
            note: What else is to be known of the model's lineage: the run of a pipeline, say.

        Raises:
            SpecError: The model cannot be tuned in this location, or with the key of the settings.
            DatasetError: Every fault of the data.
            ServiceError: The service refused the job.
            ConfigurationError: VT108, no bucket is set; VT111, the journal cannot be written: no job without its key.
        """
        from vertex_tuning.specs import Spec

        given: Any = spec  # people hand over the path of their data
        if not isinstance(given, Spec):
            what, fix = (
                f"{type(given).__name__} is not a spec",
                "SupervisedTuning(base_model=..., training=...)",
            )
            raise SpecError("VT315", what, where="spec", fix=fix)
        spec = spec.completed(self.connection.config)
        spec.check_location(self.connection.location)
        for warning in spec.warnings(self.connection.location, date.today()):
            log.warning("%s", warning)
        if spec.continues:
            self._check_tuned_from(spec)
        training, validation = self._data_sets(spec, progress)
        folder = f"gs://{self.connection.artifacts_bucket}/{_TUNED}"
        digest = _digest(spec, training, validation)
        if not again:
            found = self._once.identical(digest)
            if found is not None:
                return found
        uris = {"training": training, **({"validation": validation} if validation else {})}

        def ask(key: str) -> TuningJob:
            placed = spec.put_into(f"{folder}/{key}")
            self.lineage.begin(key, placed, uris, note)
            return TuningJob(self.connection, self._ask(placed, training, validation, key))

        return self._once.create(digest, ask)

    def _data_sets(self, spec: Spec, progress: data.UploadProgress | None) -> tuple[str, str | None]:
        """Both sets, checked before the first byte is sent, as `gs://` URIs."""
        given = [spec.training] if spec.validation is None else [spec.training, spec.validation]
        # Rows are read twice, to check and to send them; what may be read only once is kept.
        sets = [item if data.is_path(item) else list(item) for item in given]
        base_model = "gemini-2.5-flash" if spec.continues else spec.base_model
        reports = data.check_job(*sets, method=spec.method, base_model=base_model)
        data.raise_for_faults(*reports)
        read = [item for item in sets if not data.in_cloud_storage(item)]
        for item, report in zip(read, reports, strict=True):
            data.look_for_references(spec.needed, item, report)
        data.raise_for_faults(*reports)
        for warning in [warning for report in reports for warning in report.warnings]:
            log.warning("%s", warning)
        uris: list[str] = [
            str(item)
            if data.in_cloud_storage(item)
            else data.upload(self.connection, item, progress=progress)
            for item in sets
        ]
        return uris[0], uris[1] if len(uris) > 1 else None

    def batch_predict(
        self,
        rows: Any,
        *,
        model: Model | str,
        display_name: str | None = None,
        output_uri: str | None = None,
        again: bool = False,
        progress: data.UploadProgress | None = None,
        **options: Any,
    ) -> batches.BatchJob:
        """Ask a model many things in one job.

        An identical job that still runs, because an earlier run of this program was interrupted, is taken up instead of paid
        for twice, as `tune` does.

        Args:
            rows: Prompts (texts), turns, or GenerateContent requests, each with an `id` where one is wanted:
                `{"id": "a", "prompt": "..."}`; the path of a JSONL file of such rows; or a `gs://` URI of lines as the
                service takes them, which are sent as they are.
            model: A model of the catalog, a tuned model, or the name of one.
            display_name: What the job is called.
            output_uri: `gs://` folder for the answers. Left out: one in the bucket for data sets.
            again: Start another job even where an identical one runs.
            progress: Told how the upload goes: (bytes done, bytes in all).
            **options: As `Model.generate` has them: `system`, `labels`, `schema`, `temperature`, `max_output_tokens`... What
                a row says itself comes first.

        Raises:
            SpecError: VT301, VT316, VT344 not a model that can answer; VT345 options for rows that are in Cloud Storage.
            DatasetError: Every fault of the rows.
            ServiceError: The service refused the job.
            ConfigurationError: VT111, the journal cannot be written: no job without its key.
        """
        order = batches.order(
            self.connection,
            rows,
            model,
            display_name=display_name or "",
            output_uri=output_uri or "",
            progress=progress,
            options=options,
        )
        connection, location = self.connection, order.location
        once = Once(
            self._journal,
            self._place(location),
            lambda key: batches.jobs_in(connection, location, filter=f'labels.{LABEL}="{key}"'),
        )
        found = None if again else once.identical(order.digest)
        return found or once.create(order.digest, lambda key: order.ask(connection, key))

    def _place(self, location: str) -> str:
        return f"{self.connection.address or 'vertex'} {self.connection.project} {location}"

    @property
    def _once(self) -> Once[TuningJob]:
        """One job per `tune()`, whatever happens on the way."""
        place = self._place(self.connection.location)
        return Once(self._journal, place, lambda key: self.jobs.list(filter=f'labels.{LABEL}="{key}"'))

    def _ask(self, spec: Spec, training: str, validation: str | None, key: str) -> types.TuningJob:
        from google.genai import types

        options = spec.options()
        if validation:
            options["validation_dataset"] = types.TuningValidationDataset(gcs_uri=validation)
        options["labels"] = {**spec.labels, LABEL: key}
        evaluation = getattr(spec, "evaluation", None)
        if evaluation is not None:
            parent = f"projects/{self.connection.project}/locations/{self.connection.location}"
            folder = f"gs://{self.connection.artifacts_bucket}/{_EVALUATIONS}"
            options["evaluation_config"] = evaluation.config(parent=parent, folder=folder)
        # google-genai has no field for the service account; the body does.
        extra = {"serviceAccount": spec.service_account} if spec.service_account else None
        options["http_options"] = types.HttpOptions(timeout=int(_CREATE_TIMEOUT * 1000), extra_body=extra)
        # An object, not a dictionary: a dictionary would lose the checkpoint on the way (google-genai 2.34).
        config = types.CreateTuningJobConfig(**options)
        with warnings.catch_warnings():
            # google-genai calls its tuning module experimental, once per process; users of ours have no choice in that.
            warnings.filterwarnings("ignore", message=".*tuning implementation is experimental")
            return self.connection.genai.tunings.tune(
                base_model=spec.base_model,
                training_dataset=types.TuningDataset(gcs_uri=training),
                config=config,
            )


def _speed(job: TuningJob) -> float | None:
    """Training tokens per second of a job that has ended; None where it does not tell."""
    tokens, took = job.billable_tokens, job.progress().elapsed
    return tokens / took if tokens and took else None


def _digest(spec: Spec, training: str, validation: str | None) -> str:
    fields = spec.model_dump(exclude={"training", "validation", "reward"}, mode="json")
    fields["options"] = spec.options()  # the reward as it is sent
    return hashlib.sha256(
        json.dumps([spec.method, fields, training, validation], sort_keys=True).encode()
    ).hexdigest()
