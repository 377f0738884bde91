"""Training in our own container: a custom job on a machine of one's choice, followed to its end.

For what the tuning service does not do: reward models, two-part losses, open models of any size. The order goes into the bucket,
with everything that it names; the job's container (`_task.py`) fetches it, trains, and puts its output beside it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vertex_tuning import __version__, catalog, data, fitting
from vertex_tuning import config as settings
from vertex_tuning._task import EVENTS, ORDER, OUTPUT
from vertex_tuning.data.folders import download_folder, upload_folder
from vertex_tuning.errors import Fault, HostError, JobCancelledError, JobFailedError, ServiceError
from vertex_tuning.following import FollowedJob, name_of, seconds
from vertex_tuning.jobs import Progress
from vertex_tuning.journal import LABEL, Journal
from vertex_tuning.once import Once
from vertex_tuning.retries import again
from vertex_tuning.training.config import TrainingConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.cloud.aiplatform_v1 import types

    from vertex_tuning.client import TuningClient
    from vertex_tuning.connection import Connection

FOLDER = "vertex-tuning/training"
IMAGE_VARIABLE = "VERTEX_TUNING_IMAGE"
FLAVOURS = {"cpu": "cpu", "gpu": "cuda", "tpu": "tpu"}
"""Targets of `container/Dockerfile`, by what sits in a host."""
_FILES = ("model", "training", "validation", "initial", "reward_model")
_JOB = re.compile(r"projects/[^/]+/locations/(?P<location>[^/]+)/customJobs/[^/]+")
_ASKED_BY = "VERTEX_TUNING_ASKED_BY"
_CREATE_TIMEOUT = 120.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of a training run."""

    job: str
    """Name of the custom job."""
    output_uri: str
    """`gs://` folder of everything that the run wrote: `metrics.jsonl`, `checkpoints/1/`..."""
    checkpoints: list[dict[str, Any]]
    """`checkpoint_id`, `epoch`, `step` and `uri`, in training order."""
    events: list[dict[str, Any]] = field(repr=False)
    """Everything that training reported, the `done` last."""
    _connection: Connection = field(repr=False, compare=False)

    @property
    def model_uri(self) -> str:
        """`gs://` folder of the last checkpoint."""
        return str(self.checkpoints[-1]["uri"])

    def download(self, folder: str | os.PathLike[str], *, checkpoint: str | None = None) -> Path:
        """Put the output at a local path.

        Args:
            folder: Where; made where it is not there.
            checkpoint: Its id, for that checkpoint alone; None: everything.

        Returns:
            The folder.
        """
        uri = f"{self.output_uri}/checkpoints/{checkpoint}" if checkpoint else self.output_uri
        download_folder(self._connection.storage, uri, Path(folder))
        return Path(folder)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready, without the events."""
        return {"job": self.job, "output_uri": self.output_uri, "checkpoints": self.checkpoints}


class TrainingRun(FollowedJob[Progress]):
    """A custom job that trains; a handle, which may be made again from its name at any time."""

    group = "train"
    _resource: types.CustomJob

    def __init__(self, connection: Connection, resource: types.CustomJob) -> None:
        super().__init__(connection, resource)
        self._events: list[dict[str, Any]] = []

    @property
    def state(self) -> str:
        """`JOB_STATE_...`, as of the last answer; see `refresh`."""
        return str(getattr(self._resource.state, "name", "") or name_of(self._resource.state))

    @property
    def resource(self) -> types.CustomJob:
        """The resource, as Google's client gives it."""
        return self._resource

    @property
    def display_name(self) -> str:
        """What it is called."""
        return str(self._resource.display_name)

    @property
    def asked_by(self) -> str:
        """Whose it is, where that was said when it was started."""
        pools = self._resource.job_spec.worker_pool_specs
        named = [one.value for pool in pools for one in pool.container_spec.env if one.name == _ASKED_BY]
        return str(named[0]) if named else ""

    @property
    def base_uri(self) -> str:
        """`gs://` folder of the order, the events and the output."""
        return str(self._resource.job_spec.base_output_directory.output_uri_prefix).rstrip("/")

    def to_json(self) -> dict[str, Any]:
        """The resource as JSON."""
        return dict(type(self._resource).to_dict(self._resource, use_integers_for_enums=False))

    # Following

    def _ask(self) -> types.CustomJob:
        made: types.CustomJob = _service(self._connection, self.name).get_custom_job(name=self.name)
        return made

    def events(self) -> list[dict[str, Any]]:
        """What training has reported so far: `dataset`, `step`, `eval`, `checkpoint`, `done` or `failed`."""
        from google.api_core.exceptions import NotFound

        bucket, _, name = f"{self.base_uri}/{EVENTS}".removeprefix("gs://").partition("/")

        def read() -> str:
            try:
                return str(self._connection.storage.bucket(bucket).blob(name).download_as_text(retry=None))
            except NotFound:
                return ""

        self._events = [json.loads(line) for line in again(read).splitlines()]
        return self._events

    def progress(self) -> Progress:
        """How it does, as of the last answer."""
        latest: dict[str, Any] = {}
        if self._resource.start_time:
            with contextlib.suppress(ServiceError):  # to follow a job, its states are enough
                self.events()
            latest = next((event for event in reversed(self._events) if event["event"] == "step"), {})
        return Progress(
            state=self.state,
            sub_state="",
            step=latest.get("step"),
            steps=latest.get("steps"),
            epoch=latest.get("epoch"),
            loss=latest.get("loss"),
            tokens_per_second=latest.get("tokens_per_second"),
            elapsed=seconds(self._resource.start_time or None, self._resource.end_time or None),
        )

    def result(self, *, timeout: float | None = None) -> Trained:
        """Wait for what comes of it.

        Raises:
            JobFailedError: VT601, with the words of training, or else of the service.
            JobCancelledError: VT602.
            JobTimeoutError: VT603. The job goes on.
        """
        self.succeed(timeout=timeout)
        events = self.events()
        output = f"{self.base_uri}/{OUTPUT}"
        checkpoints = [
            {**one, "uri": f"{output}/checkpoints/{one['checkpoint_id']}"}
            for one in events[-1].get("checkpoints", ())
        ]
        return Trained(self.name, output, checkpoints, events, self._connection)

    def _failure(self) -> JobFailedError | JobCancelledError:
        events = self.events() if self.state == "JOB_STATE_FAILED" else []
        last = events[-1] if events else {}
        if last.get("event") != "failed":
            return super()._failure()
        words = f"training failed: {last['message']}"
        return JobFailedError("VT601", words, where=self.name, job=self.name, code=int(last.get("code", 0)))

    def cancel(self) -> None:
        """Ask it to end; `wait()` tells when it has."""
        again(lambda: _service(self._connection, self.name).cancel_custom_job(name=self.name))


# Starting one


def run_training(
    client: TuningClient,
    method: str,
    config: TrainingConfig | Mapping[str, Any],
    *,
    progress: Callable[[Progress], None] | None = None,
    timeout: float | None = None,
    **options: Any,
) -> Trained:
    """Train in our container, on a machine of one's choice, and wait for what comes of it.

        trained = run_training(client, "reward", {"model": "weights/", "training": "pairs.jsonl",
                                                             "learning_rate": 1e-4}, host="l4")
        trained.download("reward-model/", checkpoint=trained.checkpoints[-1]["checkpoint_id"])

    Args:
        client: Where to.
        method: As `python -m vertex_tuning.training --method` has it: `supervised`, `reward`...
        config: As for `start_training`.
        progress: Told whenever something changed.
        timeout: Seconds to wait; None: as long as it takes.
        **options: As for `start_training`: `host`, `image`, `display_name`...

    Raises:
        HostError: As for `start_training`.
        JobFailedError: VT601, with the words of training.
        JobCancelledError: VT602.
        JobTimeoutError: VT603. The job goes on.
    """
    run = start_training(client, method, config, **options)
    for now in run.follow(timeout=timeout):
        if progress:
            progress(now)
    return run.result()


def start_training(
    client: TuningClient,
    method: str,
    config: TrainingConfig | Mapping[str, Any],
    *,
    host: str = "l4",
    image: str | None = None,
    display_name: str | None = None,
    files: Sequence[str] = (),
    spot: bool = False,
    max_seconds: float | None = None,
    service_account: str | None = None,
    labels: Mapping[str, str] | None = None,
    asked_by: str = "",
    again: bool = False,
) -> TrainingRun:
    """Start a custom job that trains in our container.

    An identical job that still runs is taken up instead of paid for twice, as `tune` does.

    Args:
        client: Where to.
        method: `supervised`, `preference`, `reinforcement`, `reward`...
        config: The method's `TrainingConfig`, or its fields. Files and folders (`model`, `training`, `validation`, `initial`,
            `reward_model`) are local paths, which are uploaded once, or `gs://` URIs. `output` is left out. Without
            `threads`, as many are taken as there are processors.
        host: Machine type, or chips: `g2-standard-12`, `l4`, `h100x8`, `tpu-v6e`; see `vertex-tuning train hosts`.
        image: Container image. Left out: `VERTEX_TUNING_IMAGE`, else the one of this version in the project's own registry.
        display_name: What it is called.
        files: Further fields of the config that are files or folders.
        spot: A Spot machine: cheaper, and it may be taken away; training then goes on where the last checkpoint was.
        max_seconds: It is ended after these. Left out: as the service has it, a week.
        service_account: Account that it runs as. Left out: as configured.
        labels: Of the job, beside those of the settings.
        asked_by: Whose it is, for who finds it later; a custom job has no description of its own.
        again: Start another job even where an identical one runs.

    Raises:
        HostError: VT790 no such host, VT791 no such method or field, VT792 or VT793 the host cannot do it, VT794 a file is
            not there.
        ConfigurationError: VT108, VT109, VT110 the bucket; VT111 the journal.
        ServiceError: The service refused it.
    """
    connection, machine = client.connection, catalog.host(host)
    given = _fields(method, config)
    local = _local(given, (*_FILES, *files))
    fitting.check(machine, _run_of(connection, method, given), method=method)
    sent = _sent(connection, given, local)
    order = {"method": method, "kind": machine.kind, "chips": max(machine.chips, 1), "config": sent}
    image = image or image_for(connection, machine)
    display_name = display_name or f"{method}-training"
    digest = hashlib.sha256(
        json.dumps([order, machine.machine_type, image, spot], sort_keys=True).encode()
    ).hexdigest()

    def ask(key: str) -> TrainingRun:
        job = _job(connection, key, machine, image, display_name, spot=spot, max_seconds=max_seconds)
        _put_order(connection, key, order)
        job["labels"] = {**connection.config.labels, **(labels or {}), LABEL: key}
        if asked_by:
            job["job_spec"]["worker_pool_specs"][0]["container_spec"]["env"].append(
                {"name": _ASKED_BY, "value": asked_by}
            )
        if account := service_account or connection.config.service_account:
            job["job_spec"]["service_account"] = account
        made = _jobs(connection).create_custom_job(
            parent=_parent(connection), custom_job=job, timeout=_CREATE_TIMEOUT, retry=None
        )
        return TrainingRun(connection, made)

    once = _once(connection)
    found = None if again else once.identical(digest)
    return found or once.create(digest, ask)


def get(connection: Connection, name: str) -> TrainingRun:
    """A run, by the name of its job or by its id alone.

    Raises:
        HostError: VT797, not a custom job's name.
    """
    if not name.isdigit() and _JOB.fullmatch(name) is None:
        raise HostError(
            "VT797",
            f'"{name}" is not the name of a custom job',
            fix="projects/PROJECT/locations/LOCATION/customJobs/ID, or its ID",
        )
    full = name if "/" in name else f"{_parent(connection)}/customJobs/{name}"
    return TrainingRun(connection, again(lambda: _service(connection, full).get_custom_job(name=full)))


def runs(connection: Connection, *, filter: str = "") -> list[TrainingRun]:
    """Custom jobs, newest first; others than ours are among them."""
    found = again(
        lambda: list(
            _jobs(connection).list_custom_jobs(request={"parent": _parent(connection), "filter": filter})
        )
    )
    return [TrainingRun(connection, resource) for resource in found]


def image_for(connection: Connection, host: catalog.Host) -> str:
    """The image that runs on a host: `VERTEX_TUNING_IMAGE`, else that of this version in the project's own registry."""
    if named := os.environ.get(IMAGE_VARIABLE):
        return named
    own = f"{connection.location}-docker.pkg.dev/{connection.project}/vertex-tuning"
    return f"{connection.config.images or own}/vertex-tuning:{__version__}-{FLAVOURS[host.kind]}"


# The order


def _kinds() -> dict[str, type[TrainingConfig]]:
    """What the ways of training are told, by method."""
    found: dict[str, type[TrainingConfig]] = {}
    kinds = list(TrainingConfig.__subclasses__())
    while kinds:
        kind = kinds.pop()
        found[kind.method] = kind
        kinds += kind.__subclasses__()
    return found


def _fields(method: str, config: TrainingConfig | Mapping[str, Any]) -> dict[str, Any]:
    """The config as JSON, without its output folder; held against what the method takes."""
    kinds = _kinds()
    if method not in kinds:
        raise HostError(
            "VT791",
            f'"{method}" is not a way of training',
            where="method",
            fix=f"one of: {', '.join(sorted(kinds))}",
        )
    given = config.to_json() if isinstance(config, TrainingConfig) else dict(config)
    given = {name: value for name, value in given.items() if name != "output" and value is not None}
    known = {one.name: one for one in fields(kinds[method])}
    odd = sorted(set(given) - set(known))
    needed = [
        name for name, one in known.items() if one.default is MISSING and one.default_factory is MISSING
    ]
    faults = [Fault("VT791", f"{method} training has no such field", f"config.{name}") for name in odd]
    faults += [
        Fault("VT791", "it is missing", f"config.{name}", fix="give it")
        for name in needed
        if name not in given and name != "output"
    ]
    if faults:
        what = f"{len(faults)} fields of the config cannot be taken" if len(faults) > 1 else faults[0].what
        fix = f"fields are: {', '.join(name for name in sorted(known) if name != 'output')}"
        raise HostError(
            "VT791",
            what,
            where="config" if len(faults) > 1 else faults[0].where,
            fix=fix,
            faults=faults if len(faults) > 1 else (),
        )
    return given


def _local(given: dict[str, Any], names: Sequence[str]) -> dict[str, Path]:
    """What is to be uploaded, by field."""
    found = {
        name: Path(given[name])
        for name in names
        if given.get(name) and not str(given[name]).startswith("gs://")
    }
    faults = [
        Fault("VT794", f"there is no {path}", f"config.{name}", fix="a path on this machine, or a gs:// URI")
        for name, path in found.items()
        if not path.exists()
    ]
    if faults:
        first = faults[0]
        raise HostError(
            "VT794", first.what, where=first.where, fix=first.fix, faults=faults if len(faults) > 1 else ()
        )
    return found


def _sent(connection: Connection, given: dict[str, Any], local: dict[str, Path]) -> dict[str, Any]:
    """The config with everything in the bucket."""
    sent = dict(given)
    for name, path in local.items():
        if path.suffix == ".jsonl":
            sent[name] = data.upload(connection, path)
            if name in ("training", "validation"):
                sent.setdefault(f"{name}_name", path.name)
        else:
            sent[name] = upload_folder(connection, path)
    return sent


def _put_order(connection: Connection, key: str, order: dict[str, Any]) -> None:
    blob = connection.storage.bucket(connection.ensure_bucket()).blob(f"{FOLDER}/{key}/{ORDER}")
    again(lambda: blob.upload_from_string(json.dumps(order), content_type="application/json", retry=None))


def _job(
    connection: Connection,
    key: str,
    host: catalog.Host,
    image: str,
    display_name: str,
    *,
    spot: bool,
    max_seconds: float | None,
) -> dict[str, Any]:
    """The `CustomJob`. Whoever submits writes the order; what the job writes goes where its own account may write."""
    settings = connection.config
    base = f"gs://{connection.artifacts_bucket}/{FOLDER}/{key}"
    container = {
        "image_uri": image,
        "command": ["python", "-m", "vertex_tuning._task"],
        "args": [f"gs://{connection.ensure_bucket()}/{FOLDER}/{key}/{ORDER}", base],
        "env": [{"name": name, "value": value} for name, value in connection.job_environment().items()],
    }
    scheduling: dict[str, Any] = {"strategy": "SPOT"} if spot or host.spot else {}
    if spot or host.spot:
        scheduling["restart_job_on_worker_restart"] = True
    if max_seconds:
        scheduling["timeout"] = {"seconds": int(max_seconds)}
    pool = {"machine_spec": host.machine_spec(), "replica_count": 1, "container_spec": container}
    attachment = settings.network_attachment
    spec = {
        "worker_pool_specs": [pool],
        "base_output_directory": {"output_uri_prefix": base},
        "scheduling": scheduling,
        "psc_interface_config": {"network_attachment": attachment} if attachment else None,
    }
    encryption = {"encryption_spec": {"kms_key_name": settings.kms_key}} if settings.kms_key else {}
    job_spec = {name: value for name, value in spec.items() if value}
    return {"display_name": display_name, "job_spec": job_spec, **encryption}


# Whether it fits


def _run_of(connection: Connection, method: str, given: dict[str, Any]) -> fitting.Run | None:
    shape = shape_of(connection, str(given["model"]))
    if shape is None:
        return None
    known = {one.name for one in fields(fitting.Run)}
    whole: dict[str, Any] = {one.name: one.default for one in fields(_kinds()[method])} | given
    return fitting.Run(shape=shape, method=method, **{name: whole[name] for name in known & set(whole)})


def shape_of(connection: Connection, model: str) -> fitting.Shape | None:
    """How large a model is, from a folder here or at a `gs://` URI; None where it holds no such weights."""
    if not model.startswith("gs://"):
        return fitting.shape_in(Path(model))
    bucket_name, _, path = model.rstrip("/").removeprefix("gs://").partition("/")
    bucket = connection.storage.bucket(bucket_name)
    found = again(lambda: list(connection.storage.list_blobs(bucket, prefix=f"{path}/", retry=None)))

    def fetch(name: str, start: int, count: int) -> bytes:
        end = start + count - 1 if count else None
        blob = bucket.blob(f"{path}/{name}")
        return bytes(again(lambda: blob.download_as_bytes(start=start, end=end, retry=None)))

    return fitting.shape([blob.name.removeprefix(f"{path}/") for blob in found], fetch)


# Where


def _once(connection: Connection) -> Once[TrainingRun]:
    place = f"{connection.address or 'vertex'} {connection.project} {connection.location}"
    return Once(
        Journal(settings.home() / "journal"),
        place,
        lambda key: runs(connection, filter=f'labels.{LABEL}="{key}"'),
    )


def _parent(connection: Connection) -> str:
    return f"projects/{connection.project}/locations/{connection.location}"


def _jobs(connection: Connection) -> Any:
    return connection.service_in("JobService", connection.location)


def _service(connection: Connection, name: str) -> Any:
    match = _JOB.fullmatch(name)
    return connection.service_in("JobService", match["location"] if match else connection.location)
