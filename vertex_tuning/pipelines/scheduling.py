"""Pipelines that a service starts by the clock (`ScheduleService` of Vertex AI)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vertex_tuning.pipelines import submitting
from vertex_tuning.pipelines.running import pipeline_name
from vertex_tuning.pipelines.submitting import TIMEOUT, PipelineRun, job_of, json_of, location_of, parent_of
from vertex_tuning.retries import again, passed_over, translated

if TYPE_CHECKING:
    from vertex_tuning.connection import Connection


class PipelineSchedule:
    """Runs that a service starts by the clock; a handle, which may be made again from its name at any time."""

    def __init__(self, connection: Connection, resource: Any) -> None:
        self._connection = connection
        self._resource = resource

    def __repr__(self) -> str:
        return f"<PipelineSchedule {self.name} {self.state}>"

    @property
    def name(self) -> str:
        """`projects/.../locations/.../schedules/...`."""
        return str(self._resource.name)

    @property
    def state(self) -> str:
        """ACTIVE, PAUSED, COMPLETED; see `refresh`."""
        return str(self._resource.state.name)

    @property
    def cron(self) -> str:
        """When it is due."""
        return str(self._resource.cron)

    @property
    def next_run(self) -> datetime | None:
        """When it starts the next run; None: never again, or not while it is paused."""
        return self._resource.next_run_time or None

    @property
    def started(self) -> int:
        """How many runs it has started."""
        return int(self._resource.started_run_count)

    def to_json(self) -> dict[str, Any]:
        """The resource as JSON."""
        return json_of(self._resource)

    def refresh(self) -> PipelineSchedule:
        """Ask the service how it does; returns itself."""
        self._resource = again(lambda: self._service.get_schedule(name=self.name, timeout=TIMEOUT))
        return self

    def runs(self) -> Iterator[PipelineRun]:
        """The runs that it has started, newest first."""
        where = location_of(self._connection, self.name)
        return submitting.runs(self._connection, filter=f'schedule_name="{self.name}"', location=where)

    def pause(self) -> None:
        """Start nothing more for now."""
        again(lambda: self._service.pause_schedule(name=self.name, timeout=TIMEOUT))
        self.refresh()

    def resume(self, *, catch_up: bool = False) -> None:
        """Go on; `catch_up`: with the runs that were missed, too."""
        request = {"name": self.name, "catch_up": catch_up}
        again(lambda: self._service.resume_schedule(request=request, timeout=TIMEOUT))
        self.refresh()

    def delete(self) -> None:
        """Forget it; what runs goes on. No fault if it is gone."""
        with passed_over(404):
            again(lambda: self._service.delete_schedule(name=self.name, timeout=TIMEOUT).result())

    @property
    def _service(self) -> Any:
        return self._connection.service_in("ScheduleService", location_of(self._connection, self.name))


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
    root: str = "",
    location: str = "",
    labels: Mapping[str, str] | None = None,
    service_account: str = "",
    network: str = "",
    caching: bool | None = None,
    fail_fast: bool = False,
    template: str = "",
) -> PipelineSchedule:
    """Start a pipeline again and again.

    It is asked for once: after a lost answer, see `schedules` whether it was made.

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
        root: As for `submit`, and so are the others.
        location: Where.
        labels: Of the jobs, beside those of the settings.
        service_account: Whom the steps run as; empty: as configured.
        network: Of VPC peering.
        caching: As for `submit`.
        fail_fast: After a failure begin nothing more.
        template: As for `submit`.

    Raises:
        PipelineError: VT712, not a compiled pipeline.
        ServiceError: VT501, the service refused it.
    """
    where = location or connection.location
    parent = f"projects/{connection.project}/locations/{where}"
    job = job_of(
        connection, spec, parameters, "", root, labels, service_account, network, caching, fail_fast, template
    )
    body: dict[str, Any] = {
        "display_name": display_name or pipeline_name(spec),
        "cron": cron,
        "max_concurrent_run_count": max_concurrent,
        "max_run_count": max_runs,
        "start_time": start,
        "end_time": end,
        "allow_queueing": allow_queueing,
        "create_pipeline_job_request": {"parent": parent, "pipeline_job": job},
    }
    given = {key: value for key, value in body.items() if value is not None}
    service = connection.service_in("ScheduleService", where)
    with translated():
        return PipelineSchedule(
            connection, service.create_schedule(parent=parent, schedule=given, timeout=TIMEOUT)
        )


def schedules(connection: Connection, *, filter: str = "", location: str = "") -> Iterator[PipelineSchedule]:
    """The schedules of a location, newest first; `filter` as for `runs`."""
    where = location or connection.location
    service = connection.service_in("ScheduleService", where)
    request = {
        "parent": f"projects/{connection.project}/locations/{where}",
        "filter": filter,
        "order_by": "create_time desc",
    }
    for resource in again(lambda: list(service.list_schedules(request=request, timeout=TIMEOUT))):
        yield PipelineSchedule(connection, resource)


def get_schedule(connection: Connection, name: str) -> PipelineSchedule:
    """A schedule by its full name, or by its id in the connection's location."""
    full = name if "/" in name else f"{parent_of(connection)}/schedules/{name}"
    service = connection.service_in("ScheduleService", location_of(connection, full))
    return PipelineSchedule(connection, again(lambda: service.get_schedule(name=full, timeout=TIMEOUT)))
