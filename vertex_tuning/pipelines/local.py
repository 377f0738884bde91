"""`kfp.local`, made to tell what it does, and to do it as Vertex AI Pipelines does.

It has neither events nor hooks: what is wrapped here are functions of its own, private ones of kfp 2.17 among them (a test holds
their signatures). Mended on the way: what does not need a failed step still runs; a change of this package's code is a change
of the cache's key; placeholders of job and time resolve; an imported `gs://` artifact is brought here, to be read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import vertex_tuning
from vertex_tuning.supervisor import die_with_parent

FAILED_PRECONDITION = 9
_TAIL = 40
"""Lines of a step's output that are looked through for why it failed."""
_LONGEST = 2000
_VALUED = ("--index-url", "--extra-index-url", "--trusted-host", "--find-links")
_NOISE = re.compile(r"\[KFP Executor [^]]*INFO\]: ")
_RAISED = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt)\b(?::|$)|VT[0-9]{3}  ")


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


def install(job: Job) -> None:
    """Wrap what kfp.local does, for this one job in this process."""
    from kfp.local import (
        cache,
        executor_input_utils,
        importer_handler,
        placeholder_utils,
        subprocess_task_handler,
    )
    from kfp.local.orchestrator import dag_orchestrator, enhanced_dag_orchestrator, task_executor
    from kfp.local.orchestrator.orchestrator_utils import OrchestratorUtils

    # About images and limits that mean nothing here; and a pipeline has them for where it goes.
    warnings.filterwarnings("ignore", module="kfp")
    warnings.filterwarnings("ignore", message="You may be attemping")
    tasks = Tasks(job)
    enhanced: Any = enhanced_dag_orchestrator
    _wrap(enhanced, "execute_task", partial(_group, job, tasks))
    _wrap(enhanced, "_run_parallel_for_task", partial(_loop, job, tasks))
    _wrap(enhanced, "run_enhanced_dag", partial(_dag, job, tasks))
    _wrap(task_executor, "execute_single_task", partial(_step, job, tasks))
    _wrap(cache.LocalCache, "compute_key", _key)
    _wrap(cache.LocalCache, "get", partial(_hit, tasks))
    _wrap(placeholder_utils, "replace_placeholders", partial(_placeholders, job))
    _wrap(OrchestratorUtils, "make_task_arguments", partial(_arguments, job))
    _wrap(importer_handler, "run_importer", partial(_import, job, tasks))
    # The plain orchestrator stops at the first failure; the other one goes on with what does not need the step that failed.
    dag_orchestrator.run_dag = enhanced.run_enhanced_dag
    subprocess_task_handler.run_local_subprocess = partial(_process, job, tasks)
    executor_input_utils.get_local_pipeline_resource_name = lambda _: job.folder.name


def _wrap(owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
    original = getattr(owner, name)

    def wrapped(*arguments: Any, **keywords: Any) -> Any:
        return wrapper(original, *arguments, **keywords)

    setattr(owner, name, wrapped)


# Groups: conditions, loops, exit handlers, pipelines within pipelines


def _group(job: Job, tasks: Tasks, original: Any, **given: Any) -> Any:
    """`execute_task`: a step, or a group of them."""
    from kfp.local import status
    from kfp.local.orchestrator import enhanced_dag_orchestrator

    name, spec = given["task_name"], given["task_spec"]
    is_exit = enhanced_dag_orchestrator._has_task_final_status_input(spec)
    if job.fail_fast and job.failed and not is_exit:
        return {}, status.Status.FAILURE
    component = given["components"][spec.component_ref.name]
    if component.WhichOneof("implementation") != "dag":
        return original(**given)
    # An iteration of a loop comes in a thread of its own, which knows of no group yet.
    loop = (given["pipeline_resource_name"], name.rpartition("-iteration-")[0])
    with tasks.within(tasks.loops.get(loop, tasks.group)):
        return _whole_group(job, tasks, original, name, given)


def _whole_group(job: Job, tasks: Tasks, original: Any, name: str, given: dict[str, Any]) -> Any:
    from kfp.local import status

    number = tasks.begin(name, kind="group")
    try:
        with tasks.within(number):
            outputs, state = original(**given)
    except Exception as error:
        job.failed.append(name)
        tasks.tell(number, name, "FAILED", error=_error(str(error) or type(error).__name__))
        return {}, status.Status.FAILURE
    if state == status.Status.SUCCESS:
        tasks.tell(number, name, "SUCCEEDED", **_shown(tasks, outputs))
    else:
        tasks.tell(number, name, "FAILED", error=_error(dag_failed(job.failed)))
    return outputs, state


def _loop(job: Job, tasks: Tasks, original: Any, **given: Any) -> Any:
    """`_run_parallel_for_task`: whether it failed."""
    if job.fail_fast and job.failed:
        return True
    name = given["task_name"]
    number = tasks.begin(name, kind="group")
    tasks.loops[given["pipeline_resource_name"], name] = number
    with tasks.within(number):
        failed = original(**given)
    words = {"error": _error(dag_failed(job.failed))} if failed else {}
    tasks.tell(number, name, "FAILED" if failed else "SUCCEEDED", **words)
    return failed


def _dag(job: Job, tasks: Tasks, original: Any, **given: Any) -> Any:
    """`run_enhanced_dag`: the whole pipeline, or a group; what was not begun when it ends is passed over for good."""
    from kfp.local import status

    outputs, state = {}, status.Status.FAILURE
    try:
        outputs, state = original(**given)
    finally:
        for name in given["dag_component_spec"].dag.tasks:
            if not tasks.begun(tasks.group, name):
                tasks.begin(name, "SKIPPED")
    if given.get("parent_io_store") is None:
        job.succeeded = state == status.Status.SUCCESS
    return outputs, state


# Steps


def _step(job: Job, tasks: Tasks, original: Any, **given: Any) -> Any:
    """`execute_single_task`: one step, with its cache and its retries."""
    from kfp.local import status
    from kfp.local.orchestrator.orchestrator_utils import OrchestratorUtils

    name, here = given["task_name"], tasks.here
    try:
        found = OrchestratorUtils.make_task_arguments(
            task_inputs_spec=given["task_spec"].inputs, io_store=given["io_store"]
        )
    except Exception:
        found = {}  # it is about to be said again, and then it counts
    component = given["components"][given["task_spec"].component_ref.name]
    executor = given["executors"][component.executor_label]
    kind = "importer" if executor.WhichOneof("spec") == "importer" else "step"
    shown = _shown(tasks, found, parameters="arguments", artifacts="inputs")
    number = tasks.begin(name, kind=kind, **shown)
    here.task, here.name, here.cached, here.tail, here.code, here.attempt = number, name, False, [], 0, 0
    key = _done_key(job, given, executor.container, found) if kind == "step" else ""
    if key and (done := job.done.get(key)) is not None:
        tasks.tell(number, name, "SUCCEEDED", **_shown(tasks, done))
        return done, status.Status.SUCCESS
    try:
        outputs, state = original(**given)
    except Exception as error:
        here.tail = [f"{type(error).__name__}: {error}"]
        outputs, state = {}, status.Status.FAILURE
    if state == status.Status.SUCCESS:
        _leave_traces(tasks, outputs)
        if key:
            job.done.put(key, outputs)
        tasks.tell(number, name, "CACHED" if here.cached else "SUCCEEDED", **_shown(tasks, outputs))
        return outputs, state
    job.failed.append(name)
    tasks.tell(number, name, "FAILED", error=_error(_why(here.tail, here.code)))
    return {}, state


def _done_key(job: Job, given: dict[str, Any], container: Any, arguments: dict[str, Any]) -> str:
    """By which a step of this very run is known when the run is taken up again."""
    place = given["pipeline_resource_name"].partition("/")[2]
    key: str = job.done.compute_key(
        f"{place}/{given['task_name']}",
        container.image,
        [*container.command, *container.args],
        arguments,
        {variable.name: variable.value for variable in container.env},
    )
    return key


def _leave_traces(tasks: Tasks, outputs: dict[str, Any]) -> None:
    """An empty file for an artifact without one, such as metrics: the cache takes what has no file for lost."""
    from kfp.dsl import Artifact

    for value in outputs.values():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, Artifact) and one.uri.startswith("/") and not Path(one.uri).exists():
                Path(one.uri).parent.mkdir(parents=True, exist_ok=True)
                Path(one.uri).touch()
                tasks.empty.add(one.uri)


def _process(job: Job, tasks: Tasks, full_command: list[str], env_vars: dict[str, str] | None = None) -> int:
    """`run_local_subprocess`: the process of a step, its words told line by line."""
    here = tasks.here
    here.attempt += 1
    here.tail.clear()
    full_command, wanted = _without_pip(full_command)
    if wanted:
        words = (
            f"VT714  this step wants packages that are not installed here: {', '.join(wanted)}. Steps share one "
            "environment, and install nothing in it. Fix: pip install them beside vertex-tuning."
        )
        here.tail.append(words)
        job.emit({"event": "log", "task": here.name, "id": here.task, "text": words, "time": now()})
        here.code = 1
        return 1
    if here.attempt > 1:
        tasks.tell(here.task, here.name, "RUNNING", attempt=here.attempt)
    # A step leaves the file with its code behind, which is for nobody.
    with tempfile.TemporaryDirectory(prefix="step-", ignore_cleanup_errors=True) as scratch:
        process = subprocess.Popen(
            full_command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "PYTHONUNBUFFERED": "1", "TMPDIR": scratch, **(env_vars or {})},
            preexec_fn=die_with_parent,
        )
        with process:
            for line in _own_words(process.stdout):
                here.tail.append(line)
                del here.tail[:-_TAIL]
                job.emit({"event": "log", "task": here.name, "id": here.task, "text": line, "time": now()})
            here.code = process.wait()
    return int(here.code)


def _without_pip(command: list[str]) -> tuple[list[str], list[str]]:
    """A step's command without what installs packages before it, and those of them that are not there."""
    if command[:2] != ["sh", "-c"] or "pip install" not in command[2]:
        return command, []
    wanted = []
    for part in command[2].split("pip install")[1:]:
        words = shlex.split(part.partition("&&")[0])
        taken = [word for before, word in zip(["", *words], words, strict=False) if before not in _VALUED]
        wanted += [word for word in taken if not word.startswith("-") and not _installed(word)]
    return command[3:], wanted


def _installed(requirement: str) -> bool:
    """Whether a requirement holds here. That of kfp itself does: a step needs no more of it than all versions have."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        wanted = Requirement(requirement)
        if wanted.marker is not None and not wanted.marker.evaluate():
            return True
        found = version(wanted.name)
    except (InvalidRequirement, PackageNotFoundError):
        return False
    return wanted.name == "kfp" or (wanted.url is None and wanted.specifier.contains(found, prereleases=True))


def _own_words(output: Any) -> Iterator[str]:
    """Lines of a step, without what kfp says about each: where its code lies, and all that it was given."""
    listing = False
    for text in output:
        line = text.rstrip()
        if listing or _NOISE.match(line):
            listing = line != "}" and (listing or line.endswith("Got executor_input:"))
        elif line:
            yield line


def _why(tail: list[str], code: int) -> str:
    """Why a step failed: Vertex AI's words, and the last ones of its own that name an error."""
    if code < 0:
        how = f"was killed by {signal.Signals(-code).name}."
    elif code:
        how = f"exited with a non-zero status of {code}."
    else:
        how = "left no outputs that can be read."
    begins = [index for index, line in enumerate(tail) if _RAISED.match(line)]
    words = "\n".join(tail[begins[-1] :] if begins else tail[-1:])[-_LONGEST:]
    return f"The replica workerpool0-0 {how}" + (f" Its last words: {words}" if words else "")


def _error(message: str) -> dict[str, Any]:
    return {"code": FAILED_PRECONDITION, "message": message}


def dag_failed(names: list[str]) -> str:
    """Vertex AI's words for a pipeline of which steps failed."""
    listed = ", ".join(dict.fromkeys(names))
    return f"The DAG failed because some tasks failed. The failed tasks are: [{listed}]."


def _shown(
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


def _arguments(job: Job, original: Any, task_inputs_spec: Any, io_store: Any) -> dict[str, Any]:
    """`make_task_arguments`: what an exit task is told of the rest is true."""
    found: dict[str, Any] = original(task_inputs_spec=task_inputs_spec, io_store=io_store)
    for name, spec in task_inputs_spec.parameters.items():
        if spec.HasField("task_final_status"):
            error = _error(dag_failed(job.failed)) if job.failed else {}
            found[name] = {**found[name], "pipeline_job_resource_name": job.resource, "error": error}
    return found


# The cache


def _key(original: Any, *arguments: Any, **keywords: Any) -> str:
    """`compute_key`: the same code of this package, too."""
    key: str = original(*arguments, **keywords)
    return hashlib.sha256(f"{key} {code()}".encode()).hexdigest()


_CODE: list[str] = []


def code() -> str:
    """A digest of this package as it is installed: its sources, its data, its version."""
    if not _CODE:
        digest = hashlib.sha256(vertex_tuning.__version__.encode())
        root = Path(vertex_tuning.__file__).parent
        for path in sorted(root.rglob("*")):
            if path.suffix in (".py", ".toml", ".json", ".safetensors") and path.is_file():
                digest.update(path.relative_to(root).as_posix().encode() + b"\0")
                digest.update(hashlib.sha256(path.read_bytes()).digest())
        _CODE.append(digest.hexdigest())
    return _CODE[0]


def _hit(tasks: Tasks, original: Any, self: Any, key: str) -> Any:
    """`get`: whether there was something is noted."""
    found = original(self, key)
    tasks.here.cached = found is not None
    return found


# Placeholders and imports


def _placeholders(job: Job, original: Any, **given: Any) -> list[str]:
    """`replace_placeholders`: those that kfp.local does not know, and a job's id that stays."""
    from kfp import dsl

    known = {
        dsl.PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER: job.resource,
        dsl.PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER: job.created,
        dsl.PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER: job.scheduled,
    }

    def put(text: str) -> str:
        for placeholder, value in known.items():
            text = text.replace(placeholder, value)
        return text

    values = json.loads(put(json.dumps(given["executor_input_dict"])))
    result: list[str] = original(
        **{
            **given,
            "full_command": [put(part) for part in given["full_command"]],
            "executor_input_dict": values,
            "pipeline_resource_name": job.name,
            "unique_pipeline_id": job.id,
        }
    )
    return result


def _import(job: Job, tasks: Tasks, original: Any, **given: Any) -> Any:
    """`run_importer`: what lies in Cloud Storage is brought here."""
    outputs, state = original(**given)
    for artifact in outputs.values():
        if artifact.uri.startswith("gs://"):
            path = str(job.fetch(artifact.uri))
            tasks.origins[path] = artifact.uri
            artifact.uri = path
    return outputs, state
