"""A pipeline on this machine: run by `kfp.local` in processes of its own, followed live, stopped for good."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Event = dict[str, Any]
"""What happened, as the child tells it: see `child.py`."""


@dataclass(slots=True)
class Task:
    """A step of a run."""

    id: int
    """Unique in its run; a step that is retried keeps it."""
    name: str
    """The task's name in the pipeline: `train`, `for-loop-1-iteration-0`."""
    state: str
    """RUNNING, SUCCEEDED, FAILED, SKIPPED (its condition did not hold, or what it needs failed), CACHED."""
    parent: int | None = None
    """Id of the group (a condition, a loop, a nested pipeline) that it stands in."""
    started: str = ""
    """RFC 3339."""
    ended: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    """What it returned."""
    outputs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Artifacts that it left: by name, `name`, `uri` (a path), `schemaTitle`, `metadata`."""
    error: dict[str, Any] | None = None
    """`code` (of google.rpc) and `message`."""


class LocalRun:
    """A run of a pipeline on this machine; iterate over it for its events, as they come. Leaving it as a context stops it."""

    name: str
    """Of the run; the same name is the same folder of outputs."""
    state: str
    """RUNNING, SUCCEEDED, FAILED or CANCELLED."""
    error: dict[str, Any] | None
    """`code` and `message`, where it failed."""
    tasks: dict[int, Task]
    """The steps so far, by id, in the order in which they began."""
    root: Path
    """Where its steps leave their outputs."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[Event]:
        raise NotImplementedError

    def wait(self) -> LocalRun:
        """Wait until it has ended, well or not; returns itself."""
        raise NotImplementedError

    def stop(self) -> None:
        """End it and all that it started: asked first, then not. No fault if it has ended."""
        raise NotImplementedError


def run(
    spec: Mapping[str, Any],
    parameters: Mapping[str, Any] | None = None,
    *,
    name: str = "",
    root: Path | None = None,
    caching: bool | None = None,
    fail_fast: bool = False,
    environment: Mapping[str, str] | None = None,
) -> LocalRun:
    """Start a compiled pipeline on this machine.

    Args:
        spec: The pipeline: a compiled YAML as a dictionary.
        parameters: By name; those left out have the pipeline's defaults.
        name: Of the run; empty: the pipeline's name and the time.
        root: Folder for the outputs; None: `pipelines/runs/` below the home of this package.
        caching: False: no step is taken from the cache; True: every step may be; None: as the pipeline says.
        fail_fast: After a failure begin nothing more; otherwise what does not need the failed step still runs.
        environment: Variables for the steps, beside those that may be known of ours. What `connect()` reads there
            (`VERTEX_TUNING_TARGET`...) says where they work.
    """
    raise NotImplementedError
