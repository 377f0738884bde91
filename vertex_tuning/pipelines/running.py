"""A pipeline on this machine: run by `kfp.local` in processes of its own, followed live, stopped for good.

The run has a supervisor (`supervisor.py`), which ends it with all that it started when it is stopped, or when whoever started it
is gone, however that came.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vertex_tuning.errors import PipelineError
from vertex_tuning.pipelines import stored

Event = dict[str, Any]
"""What happened, as the child tells it: see `child.py`."""

ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})
NAME = re.compile(r"[a-z][a-z0-9-]{0,127}")
"""Of a run: the last part of its resource name at Vertex AI."""
_GLANCE = 0.05
"""Seconds between looks for events."""
_STEP_GRACE = 5.0
"""Seconds for steps that are asked to end: one that tunes cancels its job."""
_GRACE = 2 * _STEP_GRACE
"""Seconds for the supervisor to end what it holds."""
_KEPT = frozenset(
    {
        "HOME",
        "LANG",
        "LD_LIBRARY_PATH",
        "LOGNAME",
        "NO_PROXY",
        "PATH",
        "TERM",
        "TMPDIR",
        "TZ",
        "USER",
        "VIRTUAL_ENV",
        "no_proxy",
        "https_proxy",
        "http_proxy",
        "grpc_proxy",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
    }
)
_KEPT_PREFIXES = (
    "CLOUDSDK_",
    "CUDA",
    "GCE_METADATA_",
    "GOOGLE_",
    "HF_",
    "LC_",
    "MKL_",
    "NCCL_",
    "NVIDIA_",
    "OMP_",
    "OPENBLAS_",
    "PYTHON",
    "VERTEX_TUNING_",
    "XDG_",
)


@dataclass(slots=True)
class Task:
    """A step of a run, or a group of steps: a condition, a loop, a nested pipeline."""

    id: int
    """Unique in its run; a step that is retried keeps it."""
    name: str
    """The task's name in the pipeline: `train`, `for-loop-1-iteration-0`."""
    state: str
    """RUNNING, SUCCEEDED, FAILED, SKIPPED (its condition did not hold, or what it needs failed), CACHED."""
    parent: int | None = None
    """Id of the group that it stands in."""
    attempt: int = 1
    """Counted from 1; more where it was retried."""
    started: str = ""
    """RFC 3339."""
    ended: str = ""
    """RFC 3339; empty while it runs."""
    parameters: dict[str, Any] = field(default_factory=dict)
    """What it returned."""
    outputs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Artifacts that it left: by name, `name`, `uri` (a path), `schemaTitle`, `metadata`."""
    error: dict[str, Any] | None = None
    """`code` (of google.rpc) and `message`."""

    def take(self, event: Event) -> None:
        """What an event says of it."""
        self.state, self.parent = event["state"], event.get("parent")
        self.attempt = event.get("attempt", self.attempt)
        self.started = self.started or event["time"]
        if self.state != "RUNNING":
            self.ended = event["time"]
            self.parameters, self.outputs = event.get("parameters", {}), event.get("outputs", {})
            self.error = event.get("error")


class LocalRun:
    """A run of a pipeline on this machine; iterate over it for its events, as they come. Leaving it as a context stops it."""

    def __init__(self, name: str, record: stored.Record, order: dict[str, Any], folder: Path) -> None:
        self.name = name
        """Of the run."""
        self.root = record.root
        """Where its steps leave their outputs."""
        self.state = "RUNNING"
        """RUNNING, SUCCEEDED, FAILED or CANCELLED, as of the last event that was read."""
        self.error: dict[str, Any] | None = None
        """`code` (of google.rpc) and `message`, where it failed."""
        self.tasks: dict[int, Task] = {}
        """The steps so far, by id, in the order in which they began."""
        self._record = record
        self._folder = folder
        self._events = (folder / "events.jsonl").open("rb")
        self._rest = b""
        self._log = (folder / "log.txt").open("wb")
        # What steps that are ended leave in their temporary folders goes with this one: a short path, as sockets need it.
        self._temporary = tempfile.TemporaryDirectory(prefix="vertex-tuning-", ignore_cleanup_errors=True)
        order["environment"] = {**order["environment"], "TMPDIR": self._temporary.name}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "vertex_tuning.supervisor", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=order["environment"],
            start_new_session=True,
            pass_fds=[record.lock.fileno()],  # it may outlive us, and what it ends still writes
        )
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()

    def __repr__(self) -> str:
        return f"<LocalRun {self.name} {self.state}>"

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.state in ENDED

    def __iter__(self) -> Iterator[Event]:
        """The events that were not read yet, as they come, until the run has ended."""
        while not self.ended:
            # Looked at first: what was written before the end is read after it.
            over = self._over(_GLANCE)
            yield from self._read()
            if over and not self.ended:
                yield self._take({"event": "run", "state": "FAILED", "error": self._died()})
        self._close()

    def wait(self) -> LocalRun:
        """Wait until it has ended, well or not; returns itself."""
        for _ in self:
            pass
        return self

    def stop(self) -> None:
        """End it and all that it started: asked first, then not. No fault if it has ended."""
        if not self.ended:
            for _ in self._read():
                pass
        if not self.ended:
            self._take({"event": "run", "state": "CANCELLED", "time": _now()})
        self._close()

    def __enter__(self) -> LocalRun:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _over(self, seconds: float) -> bool:
        """Whether the supervisor has ended, or said that the run has."""
        assert self._process.stdout is not None
        return bool(select.select([self._process.stdout], [], [], seconds)[0])

    def _read(self) -> Iterator[Event]:
        self._rest += self._events.read()
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            yield self._take(json.loads(line))

    def _take(self, event: Event) -> Event:
        if event["event"] == "run":
            self.state, self.error = event["state"], event.get("error")
        elif event["event"] == "task":
            known = self.tasks.setdefault(event["id"], Task(event["id"], event["task"], event["state"]))
            known.take(event)
        if self.ended:
            for task in self.tasks.values():
                if task.state == "RUNNING":
                    task.state, task.ended = "CANCELLED", event.get("time") or _now()
        return event

    def _died(self) -> dict[str, Any]:
        words = (self._folder / "log.txt").read_text(encoding="utf-8", errors="replace").strip()
        last = f" Its last words: {words.splitlines()[-1][-500:]}" if words else ""
        return {"code": 13, "message": f"The process of the run ended before the run did.{last}"}

    def _close(self) -> None:
        """End the supervisor, and it what it holds; what was only needed meanwhile goes."""
        process = self._process
        if process.stdin is not None and not process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()  # asks it to end
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()  # the kernel ends what it holds
            process.wait()
        for file in (process.stdout, self._events, self._log):
            if file is not None:
                file.close()
        if not self._record.lock.closed:
            self._record.end(self.state)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._temporary.cleanup()


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

        with run(spec, {"epochs": 3}) as started:
            for event in started:
                ...

    Steps work in the current folder; a run that is not left or waited for ends with this process.

    Args:
        spec: The pipeline: a compiled YAML as a dictionary.
        parameters: By name; those left out have the pipeline's defaults.
        name: Of the run, which steps know it by; empty: the pipeline's name and the time.
        root: Folder for the outputs; None: one named by the run below `pipelines/runs/` in the home of this package.
        caching: False: no step is taken from the cache; True: every step may be; None: as the pipeline says.
        fail_fast: After a failure begin nothing more; otherwise what does not need the failed step still runs.
        environment: Variables for the steps, beside those that may be known of ours. What `connect()` reads there
            (`VERTEX_TUNING_TARGET`...) says where they work.

    Raises:
        PipelineError: VT710, kfp is not installed; VT711, the folder cannot be written; VT712, not a compiled pipeline;
            VT713, not a name for a run.
    """
    if find_spec("kfp") is None:
        raise PipelineError(
            "VT710",
            "pipelines need kfp, which is not installed",
            fix="pip install 'vertex-tuning[pipelines]'",
        )
    title = pipeline_name(spec)
    if name and not NAME.fullmatch(name):
        raise bad_name(name)
    name = name or fresh_name(title)
    variables = {**known_environment(), **(environment or {})}
    try:
        record = stored.Record(name, title, root)
        scratch = Path(tempfile.mkdtemp(prefix=".work-", dir=record.folder))
        (scratch / "events.jsonl").touch()
        job = {
            "name": name,
            "pipelineSpec": with_caching(spec, caching),
            "runtimeConfig": {"parameterValues": dict(parameters or {})}
            | ({"failurePolicy": "PIPELINE_FAILURE_POLICY_FAIL_FAST"} if fail_fast else {}),
            "local": {
                "root": str(record.root),
                "cache": str(stored.cache_folder()),
                "taken": str(record.taken),
            },
        }
        (scratch / "job.json").write_text(json.dumps(job, default=str), encoding="utf-8")
    except OSError as error:
        raise PipelineError(
            "VT711",
            f"a run cannot leave its outputs there: {error.strerror or error}",
            where=str(error.filename or root or stored.runs_folder()),
            fix="free some space, give another folder, or point VERTEX_TUNING_HOME at one of yours",
        ) from error
    order = {
        "grace": _STEP_GRACE,
        "command": [*COMMAND, str(scratch / "job.json"), str(scratch / "events.jsonl")],
        "folder": str(Path.cwd()),
        "environment": variables,
    }
    return LocalRun(name, record, order, scratch)


COMMAND = (sys.executable, "-m", "vertex_tuning.pipelines.child")
"""Takes a job and a file for its events."""


def known_environment() -> dict[str, str]:
    """Of our environment, what steps may know: how to reach Google's services and where to compute; no secrets of others."""
    return {key: value for key, value in os.environ.items() if key in _KEPT or key.startswith(_KEPT_PREFIXES)}


# What is said of a pipeline before it is run anywhere


def pipeline_name(spec: Mapping[str, Any]) -> str:
    """The pipeline's own name.

    Raises:
        PipelineError: VT712, this is not a compiled pipeline.
    """
    name = (spec.get("pipelineInfo") or {}).get("name") if isinstance(spec, Mapping) else None
    if not name or "root" not in spec:
        raise PipelineError(
            "VT712",
            "this is not a compiled pipeline: it has no pipelineInfo.name, or no root",
            where="spec",
            fix="kfp.compiler.Compiler().compile(my_pipeline, 'my.yaml'), and give what the YAML holds",
        )
    return str(name)


def bad_name(name: str) -> PipelineError:
    """For a name that no run can have."""
    return PipelineError(
        "VT713",
        f'"{name}" cannot be the name of a run',
        where="name",
        why="It becomes part of resource names and folders.",
        fix="lower-case letters, digits and dashes, 128 at most, a letter first",
    )


def fresh_name(pipeline: str) -> str:
    """A name for a run of a pipeline: `supervised-20261126103000-1f2a`."""
    return f"{stem(pipeline)}-{datetime.now(UTC):%Y%m%d%H%M%S}-{secrets.token_hex(2)}"


def stem(pipeline: str) -> str:
    """A pipeline's name, as the names of its runs may begin with it."""
    found = re.sub(r"[^a-z0-9]+", "-", pipeline.lower()).strip("-")[:100]
    return found if found[:1].isalpha() else f"pipeline-{found}".rstrip("-")


def with_caching(spec: Mapping[str, Any], caching: bool | None) -> dict[str, Any]:
    """The pipeline, with caching switched for all its steps; None: as it is."""
    copy: dict[str, Any] = json.loads(json.dumps(spec, default=str))
    if caching is None:
        return copy
    parts = [copy["root"], *copy.get("components", {}).values()]
    for task in (task for part in parts for task in part.get("dag", {}).get("tasks", {}).values()):
        task["cachingOptions"] = {"enableCache": True} if caching else {}
    return copy


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
