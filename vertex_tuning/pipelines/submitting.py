"""A compiled pipeline handed to a service: Vertex AI Pipelines (`PipelineService` of its client), or a Kubeflow endpoint.

A run at Vertex AI has an id that the caller chooses: asked for twice, it is made once. The id is made of a key that stands in the
journal first, so that a run is found again after a crash, too.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from vertex_tuning.config import home
from vertex_tuning.errors import PipelineError
from vertex_tuning.following import FollowedJob, failure
from vertex_tuning.journal import Journal
from vertex_tuning.once import Once
from vertex_tuning.pipelines.running import ENDED, NAME, Task, bad_name, pipeline_name, stem, with_caching
from vertex_tuning.retries import again, passed_over, translated

if TYPE_CHECKING:
    from vertex_tuning.connection import Connection
    from vertex_tuning.pipelines.kubeflow import KubeflowRun

FOLDER = "vertex-tuning/pipelines"
_NAME = re.compile(r"projects/[^/]+/locations/(?P<location>[^/]+)/(?P<kind>pipelineJobs|schedules)/[^/]+")
_STATES = {
    "SKIPPED": "CACHED",
    "NOT_TRIGGERED": "SKIPPED",
    "CANCEL_PENDING": "RUNNING",
    "CANCELLING": "RUNNING",
}
"""Of tasks: what Vertex AI calls otherwise."""
TIMEOUT = 120.0
"""Seconds to wait for an answer."""


@dataclass(frozen=True, slots=True)
class PipelineProgress:
    """How a run does, at one moment."""

    name: str
    state: str
    """PENDING, RUNNING, SUCCEEDED, FAILED, CANCELLING, CANCELLED."""
    tasks: list[Task]
    """In the order in which they began."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.state in ENDED

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


class PipelineRun(FollowedJob[PipelineProgress]):
    """A run at a service; a handle, which may be made again from its name at any time (`get`)."""

    group = "pipeline"

    # What is known, as of the last answer

    @property
    def state(self) -> str:
        """PENDING, RUNNING, SUCCEEDED, FAILED, CANCELLING, CANCELLED; see `refresh`."""
        return str(self._resource.state.name).removeprefix("PIPELINE_STATE_")

    @property
    def ended(self) -> bool:
        """Whether it has ended, well or not."""
        return self.state in ENDED

    @property
    def error(self) -> dict[str, Any] | None:
        """`code` (of google.rpc) and `message`, where it did not end well."""
        return error_of(self._resource.error)

    @property
    def display_name(self) -> str:
        """What it is called."""
        return str(self._resource.display_name)

    @property
    def labels(self) -> dict[str, str]:
        """Labels."""
        return dict(self._resource.labels)

    @property
    def resource(self) -> Any:
        """The `PipelineJob` as Google's client gives it."""
        return self._resource

    @property
    def tasks(self) -> list[Task]:
        """Its steps and groups of steps, in the order in which they began; none in a run of a list (`refresh` it)."""
        detail = self._resource.job_detail
        return in_order(_task(one) for one in (detail.task_details if detail else ()))

    def to_json(self) -> dict[str, Any]:
        """The resource as JSON."""
        return json_of(self._resource)

    # Following

    def progress(self) -> PipelineProgress:
        """How it does, as of the last answer."""
        return PipelineProgress(self.name, self.state, self.tasks)

    def succeed(self, *, timeout: float | None = None) -> Self:
        """Wait until it has ended well; returns itself.

        Raises:
            JobFailedError: VT601, with the service's own words.
            JobCancelledError: VT602.
            JobTimeoutError: VT603. The run goes on.
        """
        if not self.ended:
            self.wait(timeout=timeout)
        if self.state != "SUCCEEDED":
            raise failure(self.name, f"JOB_STATE_{self.state}", self._resource.error)
        return self

    def cancel(self) -> None:
        """Ask it to end; `wait()` tells when it has."""
        again(lambda: self._service.cancel_pipeline_job(name=self.name, timeout=TIMEOUT))

    def delete(self) -> None:
        """Forget a run that has ended; no fault if it is gone. What it left in Cloud Storage stays."""
        with passed_over(404):
            again(lambda: self._service.delete_pipeline_job(name=self.name, timeout=TIMEOUT).result())

    def _ask(self) -> Any:
        return self._service.get_pipeline_job(name=self.name, timeout=TIMEOUT)

    @property
    def _service(self) -> Any:
        return self._connection.service_in("PipelineService", location_of(self._connection, self.name))


def submit(
    connection: Connection,
    spec: Mapping[str, Any],
    parameters: Mapping[str, Any] | None = None,
    *,
    name: str = "",
    display_name: str = "",
    root: str = "",
    location: str = "",
    labels: Mapping[str, str] | None = None,
    service_account: str = "",
    network: str = "",
    caching: bool | None = None,
    fail_fast: bool = False,
    template: str = "",
    again: bool = False,
) -> PipelineRun:
    """Start a compiled pipeline at the target of a connection. A lost answer starts no second run.

    An identical run that has not ended, because an earlier run of this program was interrupted, is taken up; a log line says so.
    A run of a given `name` is made once, whoever asks for it how often.

    Args:
        connection: Where.
        spec: The pipeline: a compiled YAML as a dictionary.
        parameters: By name, checked already (`compiled.py`).
        name: The job's id; empty: the pipeline's name and a key.
        display_name: For people; empty: the pipeline's name.
        root: `gs://` folder for the outputs; empty: `gs://BUCKET/vertex-tuning/pipelines`, in the bucket for pipelines.
        location: Where it runs; empty: the connection's.
        labels: Of the job, beside those of the settings.
        service_account: Whom the steps run as; empty: as configured.
        network: Of VPC peering.
        caching: False: no step is taken from the cache; True: every step may be; None: as the pipeline says.
        fail_fast: After a failure begin nothing more.
        template: The pipeline's address in a registry, where it was read from one: the run says so.
        again: Start another run even where an identical one has not ended.

    Raises:
        PipelineError: VT712, not a compiled pipeline; VT713, not a name for a run; VT720, there is a run of this name.
        ConfigurationError: VT108, no bucket is set; VT111, the journal cannot be written: no run without its key.
        ServiceError: VT501, the service refused it.
    """
    if name and not NAME.fullmatch(name):
        raise bad_name(name)
    where = location or connection.location
    parent = f"projects/{connection.project}/locations/{where}"
    job = job_of(
        connection,
        spec,
        parameters,
        display_name,
        root,
        labels,
        service_account,
        network,
        caching,
        fail_fast,
        template,
    )
    service = connection.service_in("PipelineService", where)

    def ask(identifier: str) -> PipelineRun:
        from google.api_core.exceptions import AlreadyExists, Conflict

        try:
            made = service.create_pipeline_job(
                parent=parent, pipeline_job=job, pipeline_job_id=identifier, timeout=TIMEOUT
            )
        except (AlreadyExists, Conflict):
            # Asked for before, and made, though no answer came.
            made = service.get_pipeline_job(name=f"{parent}/pipelineJobs/{identifier}", timeout=TIMEOUT)
        return PipelineRun(connection, made)

    def find(identifier: str) -> list[PipelineRun]:
        found: list[PipelineRun] = []
        with passed_over(404):
            found.append(get(connection, f"{parent}/pipelineJobs/{identifier}"))
        return found

    if name and find(name):
        raise PipelineError(
            "VT720",
            f'there is a run "{name}" already',
            where="name",
            why="Its id names it; a second one would be told apart by nobody.",
            fix=f"follow it: vertex-tuning pipeline watch {name}; or give another name, or none",
        )

    def identifier_of(key: str) -> str:
        return name or f"{stem(pipeline_name(spec))}-{key[:16]}"

    place = f"{connection.address or 'vertex'} {connection.project} {where}"
    once = Once(Journal(home() / "journal"), place, lambda key: find(identifier_of(key)))
    digest = hashlib.sha256(json.dumps([name, job], sort_keys=True, default=str).encode()).hexdigest()
    found = None if again or name else once.identical(digest)
    return found or once.create(digest, lambda key: ask(identifier_of(key)))


def job_of(
    connection: Connection,
    spec: Mapping[str, Any],
    parameters: Mapping[str, Any] | None,
    display_name: str,
    root: str,
    labels: Mapping[str, str] | None,
    service_account: str,
    network: str,
    caching: bool | None,
    fail_fast: bool,
    template: str,
) -> dict[str, Any]:
    """The `PipelineJob`, as Google's client takes it."""
    title = pipeline_name(spec)
    folder, settings = root.rstrip("/") or f"gs://{connection.pipelines_bucket}/{FOLDER}", connection.config
    config: dict[str, Any] = {
        "gcs_output_directory": folder,
        "parameter_values": dict(parameters or {}),
    }
    if fail_fast:
        config["failure_policy"] = "PIPELINE_FAILURE_POLICY_FAIL_FAST"
    attachment = settings.network_attachment
    job = {
        "display_name": display_name or title,
        "pipeline_spec": with_caching(spec, caching),
        "template_uri": template,
        "runtime_config": config,
        "labels": {**settings.labels, **(labels or {})},
        "service_account": service_account or settings.service_account,
        "encryption_spec": {"kms_key_name": settings.kms_key} if settings.kms_key else None,
        "network": network,
        # A job is peered with a network, or attached to one.
        "psc_interface_config": {"network_attachment": attachment} if attachment and not network else None,
    }
    return {key: value for key, value in job.items() if value}


def get(connection: Connection, name: str) -> PipelineRun:
    """A run by its full name, or by its id in the connection's location.

    Raises:
        PipelineError: VT713, not the name of a run.
        ServiceError: VT501, code 404: there is none.
    """
    full = name if "/" in name else f"{parent_of(connection)}/pipelineJobs/{name}"
    if _NAME.fullmatch(full) is None:
        raise bad_name(name)
    service = connection.service_in("PipelineService", location_of(connection, full))
    return PipelineRun(connection, again(lambda: service.get_pipeline_job(name=full, timeout=TIMEOUT)))


def runs(connection: Connection, *, filter: str = "", location: str = "") -> Iterator[PipelineRun]:
    """The runs of a location, newest first.

    Args:
        connection: Where.
        filter: As in AIP-160: `display_name="x"`, `state="PIPELINE_STATE_RUNNING"`, `labels.team="a"`.
        location: Empty: the connection's.
    """
    where = location or connection.location
    service = connection.service_in("PipelineService", where)
    request = {
        "parent": f"projects/{connection.project}/locations/{where}",
        "filter": filter,
        "order_by": "create_time desc",
    }
    pages = again(lambda: service.list_pipeline_jobs(request=request, timeout=TIMEOUT)).pages
    while True:
        try:
            with translated():
                page = next(pages)
        except StopIteration:
            return
        for resource in page.pipeline_jobs:
            yield PipelineRun(connection, resource)


def submit_to_kubeflow(
    host: str,
    spec: Mapping[str, Any] | Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    name: str = "",
    experiment: str = "",
    caching: bool | None = None,
    root: str = "",
    token: str = "",
) -> KubeflowRun:
    """Start a compiled pipeline at a Kubeflow endpoint, by `kfp.Client`; see `kubeflow.submit`."""
    from vertex_tuning.pipelines import kubeflow

    return kubeflow.submit(
        host, spec, parameters, name=name, experiment=experiment, caching=caching, root=root, token=token
    )


# What comes back


def parent_of(connection: Connection) -> str:
    """The connection's own project and location, as the service names them."""
    return f"projects/{connection.project}/locations/{connection.location}"


def location_of(connection: Connection, name: str) -> str:
    """Where a run or a schedule is, by its name."""
    match = _NAME.fullmatch(name)
    return match["location"] if match else connection.location


def _task(detail: Any) -> Task:
    state = str(detail.state.name)
    found = Task(int(detail.task_id), str(detail.task_name), _STATES.get(state, state))
    metadata = _plain(detail.execution).get("metadata", {}) if detail.execution else {}
    return replace(
        found,
        parent=int(detail.parent_task_id) or None,
        started=_stamp(detail.start_time or detail.create_time),
        ended=_stamp(detail.end_time),
        parameters={
            key.removeprefix("output:"): value for key, value in metadata.items() if key.startswith("output:")
        },
        outputs={key: [_artifact(one) for one in listed.artifacts] for key, listed in detail.outputs.items()},
        error=error_of(detail.error),
    )


def _artifact(one: Any) -> dict[str, Any]:
    found = _plain(one)
    return {
        "name": found.get("displayName", ""),
        "uri": found.get("uri", ""),
        "schemaTitle": found.get("schemaTitle", ""),
        "metadata": found.get("metadata", {}),
    }


def _stamp(moment: Any) -> str:
    return moment.isoformat().replace("+00:00", "Z") if moment else ""


def in_order(tasks: Iterable[Task]) -> list[Task]:
    """Tasks as they began; those that never did at the end."""
    return sorted(tasks, key=lambda task: task.started or "~")


def error_of(status: Any) -> dict[str, Any] | None:
    """`code` and `message` of a `google.rpc.Status`, where there is one."""
    return {"code": int(status.code), "message": str(status.message)} if status and status.code else None


def _plain(message: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(type(message).to_json(message, use_integers_for_enums=False))
    return found


def json_of(message: Any) -> dict[str, Any]:
    """A resource as JSON, without what is not set."""
    found: dict[str, Any] = json.loads(
        type(message).to_json(
            message, use_integers_for_enums=False, always_print_fields_with_no_presence=False
        )
    )
    return found
