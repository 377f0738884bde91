"""The exit step: what a failed run has left behind goes, and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from vertex_tuning import connect, custom
from vertex_tuning.custom import TrainingRun
from vertex_tuning.errors import ServiceError
from vertex_tuning.jobs import TuningJob
from vertex_tuning.pipelines.steps._step import step, write
from vertex_tuning.pipelines.steps.data import FOLDER, USED_BY, remove
from vertex_tuning.pipelines.steps.tuning import place_of
from vertex_tuning.retries import again

if TYPE_CHECKING:
    from vertex_tuning.client import TuningClient

log = logging.getLogger(__name__)

_RUNNING = ("JOB_STATE_QUEUED", "JOB_STATE_PENDING", "JOB_STATE_RUNNING")


class Cleaned(NamedTuple):
    """What went."""

    jobs: int
    """Tuning jobs and custom jobs that still ran, cancelled."""
    objects: int
    """Uploaded data sets that no later step uses, deleted."""


@step
def clean(*, state: str, message: str, run: Sequence[str], report: str) -> Cleaned:
    """Cancel the jobs and delete the uploads of a run that did not succeed; after one that did, do nothing.

    What is of a run is told by the places of its steps: one of the run's names is a part of them.

    Args:
        state: Of the steps, as Kubeflow tells it to an exit step: `SUCCEEDED`, `FAILED`...
        message: What went wrong.
        run: Names of the run: its id, and the last part of its resource name.
        report: Where it is told, as Markdown.
    """
    if state == "SUCCEEDED":
        write(report, "# Nothing to clean\n\nThe run succeeded.\n")
        return Cleaned(0, 0)
    names = {name for name in run if name}
    with connect() as client:
        jobs = [job for job in _jobs(client) if names & set(place_of(job).split("/"))]
        for job in jobs:
            _cancel(job)
        objects = _remove_uploads(client, names)
    lines = [f"- cancelled: `{job.name}`" for job in jobs] + [f"- deleted: `{name}`" for name in objects]
    write(
        report,
        "\n".join([f"# The run is {state}", "", message, "", *(lines or ["Nothing was left behind."]), ""]),
    )
    return Cleaned(len(jobs), len(objects))


def _jobs(client: TuningClient) -> list[TuningJob | TrainingRun]:
    """Those that still run. Those that ended are not asked for, so a long history costs nothing."""
    found: list[TuningJob | TrainingRun] = []
    for state in _RUNNING:
        found += client.jobs.list(filter=f'state="{state}"')
        found += custom.runs(client.connection, filter=f'state="{state}"')
    return found


def _cancel(job: TuningJob | TrainingRun) -> None:
    log.info("cancelling %s", job.name)
    try:
        job.cancel()
    except ServiceError:
        if not job.refresh().ended:  # one that ended meanwhile cannot be cancelled, nor need it be
            raise


def _remove_uploads(client: TuningClient, names: set[str]) -> list[str]:
    bucket = client.connection.ensure_bucket()
    storage = client.connection.storage
    blobs = again(lambda: list(storage.list_blobs(bucket, prefix=f"{FOLDER}/")))
    ours = [blob for blob in blobs if names & set((blob.metadata or {}).get(USED_BY, "").split("/"))]
    return [blob.name for blob in ours if remove(blob)]
