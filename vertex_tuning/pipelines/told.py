"""What is told of a run: its steps and groups of steps, as they begin and end, one event each."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FAILED_PRECONDITION = 9


@dataclass(slots=True)
class Job:
    """What is run, and where its traces go."""

    name: str
    """Of the job: `{{$.pipeline_job_name}}`."""
    id: str
    """`{{$.pipeline_job_uuid}}`: the same when a run that was cut off is taken up again."""
    resource: str
    """`{{$.pipeline_job_resource_name}}`."""
    created: str
    """RFC 3339."""
    scheduled: str
    folder: Path
    """Where the outputs of this attempt go."""
    fail_fast: bool
    emit: Callable[[dict[str, Any]], None]
    fetch: Callable[[str], Path]
    """Brings a `gs://` artifact here."""
    done: Any = None
    """What this run had done before it was cut off: a `LocalCache` of its own, whatever its steps say of caching."""
    taken: Path | None = None
    """Where it is noted which outputs of earlier runs are used (`stored.py`); None: nowhere."""
    succeeded: bool = False
    failed: list[str] = field(default_factory=list)
    """Names of the steps that failed."""


class Tasks:
    """Steps and groups of steps, as they begin and end."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._lock = threading.Lock()
        self._count = 0
        self._open: dict[tuple[int | None, str], int] = {}
        self.here = threading.local()
        """Of this thread: `task` and `name` (what runs), `group` (where it stands), `cached`, `tail`, `code`, `attempt`."""
        self.loops: dict[tuple[str, str], int] = {}
        """Ids of the loops, by where they run and their name."""
        self.empty: set[str] = set()
        """Paths of artifacts that have no file of their own."""
        self.origins: dict[str, str] = {}
        """URIs of what was brought here, by path."""

    @property
    def group(self) -> int | None:
        """The group in which this thread works."""
        return getattr(self.here, "group", None)

    def begin(self, name: str, state: str = "RUNNING", **more: Any) -> int:
        """A step or a group begins; its id."""
        parent = self.group
        with self._lock:
            self._count += 1
            number = self._count
            self._open[parent, name] = number
        self.tell(number, name, state, **more)
        return number

    def tell(self, number: int, name: str, state: str, **more: Any) -> None:
        """What became of it."""
        parent = {} if self.group is None else {"parent": self.group}
        event = {"event": "task", "task": name, "id": number, "state": state, "time": now()}
        self._job.emit({**event, **parent, **more})

    def begun(self, parent: int | None, name: str) -> bool:
        """Whether a step of a group was begun."""
        return (parent, name) in self._open

    @contextlib.contextmanager
    def within(self, group: int | None) -> Iterator[None]:
        """What this thread begins stands in a group."""
        former = self.group
        self.here.group = group
        try:
            yield
        finally:
            self.here.group = former


def now() -> str:
    """The time, RFC 3339."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def dag_failed(names: list[str]) -> str:
    """Vertex AI's words for a pipeline of which steps failed."""
    listed = ", ".join(dict.fromkeys(names))
    return f"The DAG failed because some tasks failed. The failed tasks are: [{listed}]."


def error_of(message: str) -> dict[str, Any]:
    """What went wrong with a step, as Vertex AI has it."""
    return {"code": FAILED_PRECONDITION, "message": message}


def shown(
    tasks: Tasks, values: dict[str, Any], *, parameters: str = "parameters", artifacts: str = "outputs"
) -> dict[str, Any]:
    """Values of a step as events tell them: plain ones, and artifacts apart."""
    from kfp.dsl import Artifact

    plain: dict[str, Any] = {}
    made: dict[str, list[dict[str, Any]]] = {}
    for key, value in values.items():
        listed = value if isinstance(value, list) and value else [value]
        if all(isinstance(one, Artifact) for one in listed):
            made[key] = [_artifact(tasks, one) for one in listed]
        else:
            plain[key] = value
    return {name: found for name, found in ((parameters, plain), (artifacts, made)) if found}


def _artifact(tasks: Tasks, one: Any) -> dict[str, Any]:
    return {
        "name": one.name,
        "uri": tasks.origins.get(one.uri, one.uri),
        "schemaTitle": one.schema_title,
        "metadata": dict(one.metadata),
        **({"empty": True} if one.uri in tasks.empty else {}),
    }
