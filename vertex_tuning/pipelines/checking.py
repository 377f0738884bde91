"""Data sets that a pipeline is given, held against the checks that its own steps will make, before anything is sent.

Which parameter is checked in which way stands in the compiled pipeline: in the inputs of the steps of ours that check and split.
A pipeline of anybody's that has these steps has its data sets checked, too; what lies in Cloud Storage is left to the steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from vertex_tuning import data
from vertex_tuning.data import DataReport
from vertex_tuning.data.check import FORMS
from vertex_tuning.pipelines.compiled import Compiled

_OURS = "vertex_tuning.pipelines.steps"
_OF_ONE_KIND: dict[str, tuple[str, dict[str, Any]]] = {
    "prepare_sets": ("preference_data", {"method": "preference"}),
    "teach_teacher": ("annotated", {"method": "step_by_step", "base_model": None}),
}
"""Steps whose data are always for the same: the input, and how they check it."""


@dataclass(frozen=True, slots=True)
class _Step:
    """A step of ours that reads data, with the values of its inputs."""

    does: str
    """Its function: `check_data`, `split_data`..."""
    name: str
    after: str
    """The step whose rows it takes."""
    inputs: dict[str, Any]


def check(found: Compiled, values: Mapping[str, Any]) -> None:
    """Check the data sets of this machine that a pipeline is given.

    Args:
        found: The pipeline.
        values: Its parameters by name, typed.

    Raises:
        DatasetError: Every fault of every set; VT201, there is no such file.
        SpecError: VT301, the base model is not in the catalog.
    """
    defaults = {name: about.default for name, about in found.parameters.items()}
    root = found.spec["root"]
    steps = list(_steps(found.spec, root, {**defaults, **values}))
    reports = [report for step in steps if (report := _report(step, steps)) is not None]
    data.raise_for_faults(*reports)


def _report(step: _Step, steps: Sequence[_Step]) -> DataReport | None:
    """What a step would say of its data; None where it looks at none, or at none that are here."""
    if step.does in _OF_ONE_KIND:
        name, kind = _OF_ONE_KIND[step.does]
        source = step.inputs.get(name)
        return data.check(source, **kind) if _is_here(source) else None
    method = step.inputs.get("method")
    if method not in FORMS:  # a step before it says what they are for, or nobody
        return None
    if step.does == "check_data" and _is_here(source := step.inputs.get("source")):
        base = str(step.inputs.get("base_model") or "")
        return data.check(source, method=method, base_model=None if base.startswith("projects/") else base)
    if step.does == "split_data" and _is_here(source := step.inputs.get("test_source")):
        training = next((one.inputs.get("source") for one in steps if one.name == step.after), None)
        # As the step does it: by the form that the rows have.
        sets = (training if _is_here(training) else "gs://", source)
        return data.check_job(*sets, method=method, base_model=None)[-1]
    return None


def _is_here(source: Any) -> TypeGuard[str]:
    return isinstance(source, str) and bool(source) and not data.in_cloud_storage(source)


def _steps(
    spec: Mapping[str, Any], component: Mapping[str, Any], known: Mapping[str, Any]
) -> Iterator[_Step]:
    """The steps of ours below a component, those in conditions and other groups among them.

    Args:
        spec: The pipeline.
        component: Where to look.
        known: Values of its parameters, as far as they are known before it runs.
    """
    for name, task in component["dag"]["tasks"].items():
        given = task.get("inputs", {})
        inputs = {key: _value(one, known) for key, one in given.get("parameters", {}).items()}
        inner = spec["components"].get(task["componentRef"]["name"], {})
        if "dag" in inner:
            yield from _steps(spec, inner, inputs)
            continue
        executor = spec["deploymentSpec"]["executors"].get(inner.get("executorLabel"), {})
        container = executor.get("container", {})
        if any(_OURS in str(part) for part in container.get("command", ())):
            rows = given.get("artifacts", {}).get("checked", {}).get("taskOutputArtifact", {})
            does = str((container.get("args") or [""])[-1])
            yield _Step(does, name, str(rows.get("producerTask", "")), inputs)


def _value(given: Mapping[str, Any], known: Mapping[str, Any]) -> Any:
    """Of an input: None where a step before it makes it."""
    if "runtimeValue" in given:
        return given["runtimeValue"].get("constant")
    return known.get(given.get("componentInputParameter", ""))
