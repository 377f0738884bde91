"""`kfp.local`, made to tell what it does, and to do it as Vertex AI Pipelines does.

It has neither events nor hooks: what is wrapped here are functions of its own, private ones of kfp 2.17 among them (a test holds
their signatures). Mended on the way: what does not need a failed step still runs; a change of this package's code is a change
of the cache's key; placeholders of job and time resolve; an imported `gs://` artifact is brought here, to be read.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import vertex_tuning
from vertex_tuning.pipelines import stored
from vertex_tuning.pipelines.stepping import run_process, why
from vertex_tuning.pipelines.told import Job, Tasks, dag_failed, error_of, shown


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
    _wrap(cache.LocalCache, "get", partial(_hit, job, tasks))
    _wrap(placeholder_utils, "replace_placeholders", partial(_placeholders, job))
    _wrap(OrchestratorUtils, "make_task_arguments", partial(_arguments, job))
    _wrap(importer_handler, "run_importer", partial(_import, job, tasks))
    # The plain orchestrator stops at the first failure; the other one goes on with what does not need the step that failed.
    dag_orchestrator.run_dag = enhanced.run_enhanced_dag
    subprocess_task_handler.run_local_subprocess = partial(run_process, job, tasks)
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
        tasks.tell(number, name, "FAILED", error=error_of(str(error) or type(error).__name__))
        return {}, status.Status.FAILURE
    if state == status.Status.SUCCESS:
        tasks.tell(number, name, "SUCCEEDED", **shown(tasks, outputs))
    else:
        tasks.tell(number, name, "FAILED", error=error_of(dag_failed(job.failed)))
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
    words = {"error": error_of(dag_failed(job.failed))} if failed else {}
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
    given_to_it = shown(tasks, found, parameters="arguments", artifacts="inputs")
    number = tasks.begin(name, kind=kind, **given_to_it)
    here.task, here.name, here.cached, here.tail, here.code, here.attempt = number, name, False, [], 0, 0
    key = _done_key(job, given, executor.container, found) if kind == "step" else ""
    if key and (done := job.done.get(key)) is not None:
        tasks.tell(number, name, "SUCCEEDED", **shown(tasks, done))
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
        tasks.tell(number, name, "CACHED" if here.cached else "SUCCEEDED", **shown(tasks, outputs))
        return outputs, state
    job.failed.append(name)
    tasks.tell(number, name, "FAILED", error=error_of(why(here.tail, here.code)))
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
    for uri in _files(outputs):
        if not Path(uri).exists():
            Path(uri).parent.mkdir(parents=True, exist_ok=True)
            Path(uri).touch()
            tasks.empty.add(uri)


def _files(outputs: dict[str, Any]) -> Iterator[str]:
    """Paths of the artifacts that lie on this machine."""
    from kfp.dsl import Artifact

    for value in outputs.values():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, Artifact) and one.uri.startswith("/"):
                yield one.uri


def _arguments(job: Job, original: Any, task_inputs_spec: Any, io_store: Any) -> dict[str, Any]:
    """`make_task_arguments`: what an exit task is told of the rest is true."""
    found: dict[str, Any] = original(task_inputs_spec=task_inputs_spec, io_store=io_store)
    for name, spec in task_inputs_spec.parameters.items():
        if spec.HasField("task_final_status"):
            error = error_of(dag_failed(job.failed)) if job.failed else {}
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


def _hit(job: Job, tasks: Tasks, original: Any, self: Any, key: str) -> Any:
    """`get`: whether there was something is noted, and for those who prune, what."""
    if job.taken is None or self is job.done:
        found = original(self, key)
    else:
        with stored.undisturbed():
            found = original(self, key)
            stored.take(job.taken, _files(found or {}))
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
