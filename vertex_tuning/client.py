"""The one door: `connect()` gives a `TuningClient`, and everything is reached from it."""

from __future__ import annotations

import hashlib
import json
import logging
import time
import warnings
from typing import TYPE_CHECKING, Any

from vertex_tuning import config as settings
from vertex_tuning import data
from vertex_tuning.connection import Connection, open_connection
from vertex_tuning.errors import ServiceError
from vertex_tuning.jobs import Jobs, TuningJob
from vertex_tuning.journal import LABEL, Entry, Journal
from vertex_tuning.models import Models
from vertex_tuning.prompts import Prompts
from vertex_tuning.retries import ATTEMPTS, is_passing, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from google.genai import types

    from vertex_tuning import rewards
    from vertex_tuning.specs import Spec

log = logging.getLogger(__name__)

_LOOKS = 3
"""How often a job is looked for by its key before it is asked for again."""
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 15.0
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
        stand_in: Serve every model by this stand-in: where the emulator that runs does not, one is started for this client.

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
        self.prompts = Prompts(connection)
        self._journal = Journal(settings.home() / "journal")

    def __enter__(self) -> TuningClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, and end an emulator that was started for this client."""
        self.connection.close()

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
            options=options,
        )

    def upload(self, dataset: Any, *, progress: data.UploadProgress | None = None) -> str:
        """Put a data set into the bucket, unless it is there; returns its `gs://` URI."""
        return data.upload(self.connection, dataset, progress=progress)

    def tune(
        self, spec: Spec, *, again: bool = False, progress: data.UploadProgress | None = None
    ) -> TuningJob:
        """Check the spec and the data, upload, and start the job.

        An identical job that still runs, because an earlier run of this program was interrupted, is taken up instead of paid
        for twice; a log line says so. One that has ended is mentioned, and a new one is started.

        Args:
            spec: What to do.
            again: Start another job even where an identical one runs.
            progress: Told how the upload goes: (bytes done, bytes in all).

        Raises:
            SpecError: The model cannot be tuned in this location.
            DatasetError: Every fault of the data.
            ServiceError: The service refused the job.
            ConfigurationError: VT111, the journal cannot be written: no job without its key.
        """
        spec.check_location(self.connection.location)
        training, validation = self._data_sets(spec, progress)
        digest = _digest(spec, training, validation)
        if not again:
            found = self._identical(digest)
            if found is not None:
                return found
        return self._create(spec, training, validation, digest)

    def _data_sets(self, spec: Spec, progress: data.UploadProgress | None) -> tuple[str, str | None]:
        """Both sets, checked before the first byte is sent, as `gs://` URIs."""
        given = [spec.training] if spec.validation is None else [spec.training, spec.validation]
        # Rows are read twice, to check and to send them; what may be read only once is kept.
        sets = [item if data.is_path(item) else list(item) for item in given]
        base_model = "gemini-2.5-flash" if spec.continues else spec.base_model
        reports = data.check_job(*sets, method=spec.method, base_model=base_model)
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

    # One job per tune(), whatever happens on the way

    @property
    def _place(self) -> str:
        where = self.connection
        return f"{where.address or 'vertex'} {where.project} {where.location}"

    def _identical(self, digest: str) -> TuningJob | None:
        for entry in self._journal.find(digest, self._place):
            job = self._by_key(entry)
            if job is None:
                continue
            if not job.ended:
                self._journal.close(entry, job.name)
                log.warning("an identical job is running already and is taken up again: %s", job.name)
                return job
            log.warning("an identical job ended earlier in %s: %s; starting another", job.state, job.name)
            return None
        return None

    def _by_key(self, entry: Entry) -> TuningJob | None:
        """The job of an entry; where a request that was thought lost arrived after all, there are two: the later one goes."""
        found = self.jobs.list(filter=f'labels.{LABEL}="{entry.key}"')
        if not found:
            return None
        *doubles, job = found
        for double in doubles:
            if not double.ended:
                log.warning("asked for twice, made twice: cancelling %s", double.name)
                double.cancel()
        return job

    def _create(self, spec: Spec, training: str, validation: str | None, digest: str) -> TuningJob:
        entry = self._journal.open(digest, self._place)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with translated():
                    created = self._ask(spec, training, validation, entry.key)
                job = TuningJob(self.connection, created)
                break
            except ServiceError as error:
                if not is_passing(error):
                    self._journal.forget(entry)
                    raise
                found = self._after_all(entry, error, attempt)
                if found is not None:
                    job = found
                    break
                if attempt == ATTEMPTS:
                    raise
        if attempt > 1:
            job = self._by_key(entry) or job
        self._journal.close(entry, job.name)
        return job

    def _after_all(self, entry: Entry, error: ServiceError, attempt: int) -> TuningJob | None:
        """The job that was made although no answer, or a bad one, came; None: it may be asked for again.

        Where nobody answered, the request may still be on its way: it is looked for more than once.
        """
        looks = 1 if error.code == 429 else _LOOKS
        for look in range(looks):
            time.sleep(min(_FIRST_WAIT * 2 ** (attempt - 1 + look), _LONGEST_WAIT))
            found = self._by_key(entry)
            if found is not None:
                log.warning("no good answer came, but the job was made: %s", found.name)
                return found
        return None

    def _ask(self, spec: Spec, training: str, validation: str | None, key: str) -> types.TuningJob:
        from google.genai import types

        options = spec.options()
        if validation:
            options["validation_dataset"] = types.TuningValidationDataset(gcs_uri=validation)
        options["labels"] = {**spec.labels, LABEL: key}
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


def _digest(spec: Spec, training: str, validation: str | None) -> str:
    fields = spec.model_dump(exclude={"training", "validation", "reward"}, mode="json")
    fields["options"] = spec.options()  # the reward as it is sent
    return hashlib.sha256(
        json.dumps([spec.method, fields, training, validation], sort_keys=True).encode()
    ).hexdigest()
