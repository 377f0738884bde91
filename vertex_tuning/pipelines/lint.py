"""Whether a compiled pipeline runs unchanged on Vertex AI, on open-source Kubeflow and by `kfp.local`.

An allow-list: what is known to run on all three is let through, whatever else a compiler may write is refused. Each rule has a
trap behind it, which `docs/rules.md` tells.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from vertex_tuning.errors import Fault
from vertex_tuning.pipelines.compiled import Compiled, raise_all
from vertex_tuning.pipelines.subset import ARTIFACTS, SCHEMA, SHAPE

_PLACEHOLDERS = (
    "{{$.pipeline_job_resource_name}}",
    "{{$.pipeline_job_create_time_utc}}",
    "{{$.pipeline_job_schedule_time_utc}}",
)
_VALUE = r"(?:(?:int|float)\()?inputs\.parameter_values\['[\w.\- ]+'\]\)?"
_LITERAL = r"(?:true|false|-?\d+(?:\.\d+)?|'[\w.\-/ ]*')"
_REFERENCE = re.compile(r"parameter_values\['([^']+)'\]")
_CONDITION = re.compile(rf"{_VALUE} (?:==|!=|<=|>=|<|>) {_LITERAL}")
_SIMPLE = re.compile(r"(?:!|\(|\)|&&|\|\||\s|true)*")
_AFTER_FAILURE = "ALL_UPSTREAM_TASKS_COMPLETED"
_GROUP_FIX = "hand on a parameter, such as the name of a resource, or do the work in one group"

Component = Mapping[str, Any]


def lint(found: Compiled, *, target: str = "vertex") -> list[Fault]:
    """Everything that would keep a pipeline from running everywhere; empty where nothing does.

    Args:
        found: The pipeline.
        target: What it was compiled for, `vertex` or `kubeflow`: names of accelerators differ.
    """
    spec = found.spec
    faults = list(_documents(found)) + list(_fields(spec, SHAPE, ""))
    if faults:
        return faults  # of a shape that is not known, nothing more can be said
    try:
        return [*(fault for look in _LOOKS for fault in look(spec)), *_resources(spec, target)]
    except (AttributeError, KeyError, TypeError, RecursionError) as error:
        what = f"it has not the shape that kfp writes ({type(error).__name__}: {error})"
        return [
            Fault("VT737", what, found.source, fix="compile it again: vertex-tuning pipeline compile FILE.py")
        ]


def check(found: Compiled, *, target: str = "vertex") -> None:
    """`lint`, for who wants to go on only where there is nothing.

    Raises:
        PipelineError: The fault; where there are several, VT748 with all of them.
    """
    raise_all(
        lint(found, target=target), "VT748", f"{found.name} would not run everywhere", where=found.source
    )


def _documents(found: Compiled) -> Iterator[Fault]:
    if found.platform:
        kinds = ", ".join(sorted({key for document in found.platform for key in document}))
        yield Fault(
            "VT736",
            f"the file has a second document ({kinds})",
            found.source,
            "Google's client reads one, and stops at the second.",
            "leave kfp-kubernetes and PipelineConfig(workspace=...) out",
        )


def _fields(value: Any, shape: Any, path: str) -> Iterator[Fault]:
    """What the allow-list has not."""
    if shape is None:
        return
    if isinstance(shape, list):
        for number, item in enumerate(value if isinstance(value, list) else []):
            yield from _fields(item, shape[0], f"{path}[{number}]")
        return
    if not isinstance(value, dict):
        yield Fault("VT737", f"it should be an object, and is a {type(value).__name__}", path)
        return
    for key, inner in value.items():
        where = f"{path}.{key}".lstrip(".")
        if "*" in shape or key in shape:
            yield from _fields(inner, shape.get(key, shape.get("*")), where)
        else:
            why = "A backend that is older than the compiler passes it over, or refuses the whole pipeline."
            yield Fault("VT737", f"{key} is not in the portable subset", where, why, "leave it out")


# What is looked at, one after the other


def _versions(spec: Component) -> Iterator[Fault]:
    if spec.get("schemaVersion") != SCHEMA:
        what = f"it is written in schema {spec.get('schemaVersion')}, not {SCHEMA}"
        yield Fault("VT737", what, "schemaVersion", fix="compile it with kfp 2.17")
    for name, component in _all(spec):
        for side in ("inputDefinitions", "outputDefinitions"):
            for key, about in component.get(side, {}).get("artifacts", {}).items():
                kind = about.get("artifactType", {}).get("schemaTitle", "")
                if kind not in ARTIFACTS:
                    fix = f"one of: {', '.join(ARTIFACTS)}"
                    yield Fault("VT737", f"{kind} is not a system artifact", f"{name}.{key}", fix=fix)


def _thin_steps(spec: Component) -> Iterator[Fault]:
    for name, executor in spec["deploymentSpec"]["executors"].items():
        if "container" not in executor:
            continue
        container = executor["container"]
        words = " ".join(map(str, container.get("command", [])))
        where = f"deploymentSpec.executors.{name}"
        if "kfp.dsl.executor_main" not in words:
            fix = "a Python component with a base image: kfp.local runs nothing else"
            yield Fault("VT738", "it is a container component", where, fix=fix)
        elif "pip install" in words:
            why = "It would install packages at every start, of whatever version there is then; here, into your environment."
            fix = "base_image with all that it needs, install_kfp_package=False, no packages_to_install"
            yield Fault("VT738", "it installs packages", where, why, fix)
        yield from _image(container.get("image", ""), f"{where}.container.image")


def _image(image: str, where: str) -> Iterator[Fault]:
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    if not digest.startswith("sha256:") and tag in ("", "latest"):
        why = "The image of tomorrow would be another, under the same name, and the cache would not see it."
        yield Fault("VT739", f'the image "{image}" is not pinned', where, why, "name@sha256:..., or name:TAG")


def _groups(spec: Component) -> Iterator[Fault]:
    for name, component in spec["components"].items():
        if "dag" not in component:
            continue
        for side, words in (("inputDefinitions", "into"), ("outputDefinitions", "out of")):
            for key in component.get(side, {}).get("artifacts", {}):
                what = f"the artifact {key} is handed {words} a group of steps"
                why = "kfp.local does not find it there, and Kubeflow loses what comes out."
                yield Fault("VT740", what, f"components.{name}", why, _GROUP_FIX)
    for name, component in _all(spec):
        for key, about in component.get("dag", {}).get("outputs", {}).get("artifacts", {}).items():
            if len(about.get("artifactSelectors", [])) > 1:
                what, where = f"the artifact {key} is one of several", f"{name}.dag.outputs"
                yield Fault(
                    "VT741", what, where, "kfp.local expects exactly one.", "OneOf of parameters alone"
                )


def _conditions(spec: Component) -> Iterator[Fault]:
    for name, task in _tasks(spec):
        condition = str(task.get("triggerPolicy", {}).get("condition", ""))
        rest = _CONDITION.sub("true", condition)
        if condition and not _SIMPLE.fullmatch(rest):
            why = "kfp.local puts values into the expression as they are, and takes an error for no."
            fix = "compare one parameter with a number, true, false, or a plain word"
            yield Fault("VT742", f"the condition is too clever: {condition}", name, why, fix)
        given = task.get("inputs", {}).get("parameters", {})
        for key in _REFERENCE.findall(condition):
            source = given.get(key, {})
            named = source.get("taskOutputParameter", {}).get("outputParameterKey", "Output") != "Output"
            from_above = "componentInputParameter" in source and "-Output" in key
            if named or from_above:
                which = "one output of several" if named else "an output of a step outside of its group"
                fix = "a step with one output alone, in the same group as the condition"
                yield Fault(
                    "VT742", f"the condition is on {which}", name, "kfp.local does not find it: false.", fix
                )


def _loops(spec: Component) -> Iterator[Fault]:
    defaults = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    for name, task in _tasks(spec):
        if "parameterIterator" not in task:
            continue
        items = task["parameterIterator"].get("items", {})
        source = str(items.get("inputParameter", "")).removeprefix("pipelinechannel--")
        if _is_empty(items.get("raw")) or defaults.get(source, {}).get("defaultValue") == []:
            why = "kfp.local fails where nothing is to be repeated and something is collected."
            yield Fault("VT743", "the loop is over an empty list", name, why, "a list with one item at least")
        inside = {label for label, _ in _below(spec, task)}
        if any("importer" in spec["deploymentSpec"]["executors"].get(label, {}) for label in inside):
            yield Fault("VT743", "an importer stands in a loop", name, "Kubeflow imports the first alone.")


def _is_empty(raw: Any) -> bool:
    try:
        return raw is not None and json.loads(raw) == []
    except (TypeError, ValueError):
        return False


def _exit_handlers(spec: Component) -> Iterator[Fault]:
    root = spec["root"]["dag"]["tasks"]
    for name, component in spec["components"].items():
        for key, task in component.get("dag", {}).get("tasks", {}).items():
            if task.get("triggerPolicy", {}).get("strategy") == _AFTER_FAILURE:
                what = f"the step {key} runs after a failure, inside a group"
                fix = "one exit handler, round everything, at the top"
                yield Fault("VT744", what, f"components.{name}", fix=fix)
    for key, task in root.items():
        if task.get("triggerPolicy", {}).get("strategy") != _AFTER_FAILURE:
            continue
        for handled in task.get("dependentTasks", []):
            for _, inner in _below(spec, root.get(handled, {})):
                if "parameterIterator" in inner:
                    why = "On a cluster, the exit step does not hear how it went."
                    what = "a loop stands inside an exit handler"
                    yield Fault("VT744", what, key, why, "loop outside of it, or inside one step")


def _inputs(spec: Component) -> Iterator[Fault]:
    for name, component in _all(spec):
        given = component.get("inputDefinitions", {})
        for kind in ("parameters", "artifacts"):
            for key, about in given.get(kind, {}).items():
                status = about.get("parameterType") == "TASK_FINAL_STATUS"
                if about.get("isOptional") and "defaultValue" not in about and not status:
                    what = f"the input {key} is optional and has no default"
                    yield Fault(
                        "VT745", what, name, "kfp.local does not know its value.", "a concrete default"
                    )
    for name, text in _texts(spec):
        for placeholder in _PLACEHOLDERS:
            if placeholder in text:
                fix = "PIPELINE_JOB_NAME_PLACEHOLDER or PIPELINE_JOB_ID_PLACEHOLDER; a time as a parameter"
                yield Fault("VT747", f"{placeholder} is not filled everywhere", name, fix=fix)


_LOOKS: tuple[Callable[[Component], Iterator[Fault]], ...] = (
    _versions,
    _thin_steps,
    _groups,
    _conditions,
    _loops,
    _exit_handlers,
    _inputs,
)


def _resources(spec: Component, target: str) -> Iterator[Fault]:
    for name, executor in spec["deploymentSpec"]["executors"].items():
        resources = executor.get("container", {}).get("resources", {})
        where = f"deploymentSpec.executors.{name}.container.resources"
        if "{{" in json.dumps(resources):
            why = "Older backends read other fields, and would pass the machine over."
            yield Fault("VT746", "a resource is a parameter", where, why, "a number, when it is compiled")
        kind = str(resources.get("accelerator", {}).get("type", ""))
        if kind and ("/" in kind) is (target == "vertex"):
            fix = "NVIDIA_L4... on Vertex AI, nvidia.com/gpu... on Kubeflow: compile it for each"
            yield Fault("VT746", f"{kind} is no accelerator of {target}", where, fix=fix)


# Ways through a spec


def _all(spec: Component) -> Iterator[tuple[str, Component]]:
    yield "root", spec["root"]
    for name, component in spec["components"].items():
        yield f"components.{name}", component


def _tasks(spec: Component) -> Iterator[tuple[str, Component]]:
    for name, component in _all(spec):
        for key, task in component.get("dag", {}).get("tasks", {}).items():
            yield f"{name}.dag.tasks.{key}", task


def _below(spec: Component, task: Component) -> Iterator[tuple[str, Component]]:
    """Everything in a group: the label of its executor (empty for a group), and the task."""
    component = spec["components"].get(task.get("componentRef", {}).get("name"), {})
    for inner in component.get("dag", {}).get("tasks", {}).values():
        below = spec["components"].get(inner.get("componentRef", {}).get("name"), {})
        yield below.get("executorLabel", ""), inner
        yield from _below(spec, inner)


def _texts(spec: Component) -> Iterator[tuple[str, str]]:
    for name, task in _tasks(spec):
        yield name, json.dumps(task.get("inputs", {}))
    for name, executor in spec["deploymentSpec"]["executors"].items():
        container = executor.get("container", {})
        yield f"deploymentSpec.executors.{name}", json.dumps([container.get("args"), container.get("env")])
