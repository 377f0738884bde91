"""A compiled pipeline handed to a service: Vertex AI Pipelines, or a Kubeflow endpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vertex_tuning.connection import Connection
    from vertex_tuning.pipelines.running import Task


class PipelineRun:
    """A run at a service; a handle, which may be made again from its name at any time (`get`)."""

    name: str
    """`projects/.../locations/.../pipelineJobs/...`, or a Kubeflow run's id."""
    state: str
    """PENDING, RUNNING, SUCCEEDED, FAILED, CANCELLING, CANCELLED, as of the last answer."""
    error: dict[str, Any] | None
    tasks: list[Task]
    """As of the last answer, in the order in which they began."""

    @property
    def id(self) -> str:
        """The last part of the name."""
        raise NotImplementedError

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        raise NotImplementedError

    def refresh(self) -> PipelineRun:
        """Ask the service how it does; returns itself."""
        raise NotImplementedError

    def follow(self, *, timeout: float | None = None) -> Iterator[PipelineRun]:
        """Yield itself whenever something changed, until it has ended. Raises JobTimeoutError VT603."""
        raise NotImplementedError

    def wait(self, *, timeout: float | None = None) -> PipelineRun:
        """Wait until it has ended, well or not; returns itself."""
        raise NotImplementedError

    def result(self, *, timeout: float | None = None) -> PipelineRun:
        """As `wait`; raises JobFailedError VT601 or JobCancelledError VT602 where it did not succeed."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Ask it to end; `wait()` tells when it has."""
        raise NotImplementedError

    def delete(self) -> None:
        """Forget a run that has ended; no fault if it is gone."""
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """The resource as JSON."""
        raise NotImplementedError


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
) -> PipelineRun:
    """Start a compiled pipeline at the target of a connection. A lost answer starts no second run.

    Args:
        connection: Where.
        spec: The pipeline: a compiled YAML as a dictionary.
        parameters: By name, checked already (`compiled.py`).
        name: The job's id; empty: the pipeline's name, the time and a few random letters.
        display_name: For people; empty: the pipeline's name.
        root: `gs://` folder for the outputs; empty: `gs://BUCKET/vertex-tuning/pipelines`.
        location: Where it runs; empty: the connection's.
        labels: Of the job.
        service_account: Whom the steps run as.
        network: Of VPC peering.
        caching: False: no step is taken from the cache; True: every step may be; None: as the pipeline says.
        fail_fast: After a failure begin nothing more.
    """
    raise NotImplementedError


def get(connection: Connection, name: str) -> PipelineRun:
    """A run by its full name, or by its id in the connection's location."""
    raise NotImplementedError


def runs(connection: Connection, *, filter: str = "", location: str = "") -> Iterator[PipelineRun]:
    """The runs of a location, newest first. `filter` as in AIP-160: `display_name="x"`."""
    raise NotImplementedError


class PipelineSchedule:
    """Runs that a service starts by the clock."""

    name: str
    """`projects/.../locations/.../schedules/...`."""
    state: str
    """ACTIVE, PAUSED, COMPLETED."""
    cron: str
    next_run: datetime | None

    def refresh(self) -> PipelineSchedule:
        """Ask the service how it does; returns itself."""
        raise NotImplementedError

    def pause(self) -> None:
        """Start nothing more for now."""
        raise NotImplementedError

    def resume(self, *, catch_up: bool = False) -> None:
        """Go on; `catch_up`: with the runs that were missed, too."""
        raise NotImplementedError

    def delete(self) -> None:
        """Forget it; what runs goes on."""
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """The resource as JSON."""
        raise NotImplementedError


def schedule(
    connection: Connection,
    spec: Mapping[str, Any],
    parameters: Mapping[str, Any] | None = None,
    *,
    cron: str,
    display_name: str = "",
    max_concurrent: int = 1,
    max_runs: int | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    allow_queueing: bool = False,
    **job: Any,
) -> PipelineSchedule:
    """Start a pipeline again and again.

    Args:
        connection: Where.
        spec: The pipeline.
        parameters: By name.
        cron: Five fields, in UTC or behind `TZ=Europe/Berlin `: `0 3 * * 1`.
        display_name: For people; empty: the pipeline's name.
        max_concurrent: How many may run at once.
        max_runs: How many in all; None: no end.
        start: The first moment; None: now.
        end: The last moment; None: no end.
        allow_queueing: Keep runs that come too early waiting, instead of passing over them.
        job: As for `submit`: `root`, `location`, `labels`, `service_account`, `network`, `caching`, `fail_fast`.
    """
    raise NotImplementedError


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
) -> PipelineRun:
    """Start a compiled pipeline at a Kubeflow endpoint, by `kfp.Client`."""
    raise NotImplementedError
