"""What a pipeline job may ask for: a compiled pipeline of Python steps, its parameters, a folder for what it leaves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from vertex_tuning import catalog
from vertex_tuning.emulator.jobs.request import label_faults
from vertex_tuning.emulator.status import ApiError, Code, invalid

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator

Body = dict[str, Any]

_ID = re.compile(r"[a-z][-a-z0-9]{0,127}")
_FOLDER = re.compile(r"gs://([^/]+)(/.*)?")
_EXECUTOR = "kfp.dsl.executor_main"
"""Runs a Python function as a step: kfp's own, which every lightweight component names."""
_CONTAINERIZED = ["python3", "-m", _EXECUTOR]
_TYPES: dict[str, tuple[type, ...]] = {
    "STRING": (str,),
    "NUMBER_DOUBLE": (int, float),
    "NUMBER_INTEGER": (int, float),
    "BOOLEAN": (bool,),
    "LIST": (list,),
    "STRUCT": (dict,),
}


def check(emulator: Emulator, job: Body, identifier: str) -> Body:
    """Hold a request against what can be run here.

    Args:
        emulator: Where.
        job: The `PipelineJob`.
        identifier: `pipelineJobId`; empty: one is made.

    Returns:
        The job, with the pipeline of its template where it brings none of its own.

    Raises:
        ApiError: 400 with every fault; 400 (a precondition that does not hold) for what is not run here, with the reason.
    """
    job, missing = _with_template(emulator, job)
    _check_served(emulator, job)
    faults = [*missing, *_faults(emulator, job, identifier)]
    if faults:
        raise invalid(*faults, rule="VT716")
    return job


def _with_template(emulator: Emulator, job: Body) -> tuple[Body, list[tuple[str, str]]]:
    """The job with what its template gives it, and what is wrong with that. A pipeline in the request goes first."""
    job = {key: value for key, value in job.items() if key != "templateMetadata"}
    address = job.get("templateUri")
    if not address:
        return job, []
    try:
        spec, version = emulator.templates.find(address)
    except LookupError as error:
        return job, [] if job.get("pipelineSpec") else [("pipeline_job.template_uri", str(error))]
    return {
        **job,
        "pipelineSpec": job.get("pipelineSpec") or spec,
        "templateMetadata": {"version": version},
    }, []


def _check_served(emulator: Emulator, job: Body) -> None:
    if not emulator.settings.local_code:
        raise ApiError(
            Code.FAILED_PRECONDITION,
            "This emulator was started to run no code of a user's (--no-local-code), and so runs no pipelines.",
            rule="VT715",
        )
    why = ""
    if find_spec("kfp") is None:
        why = "It runs them by kfp, which is not installed beside it: pip install 'vertex-tuning[pipelines]'."
    elif job.get("pipelineTaskRerunConfigs"):
        why = "It does not run single tasks again: submit the pipeline with caching, and what was done is not done again."
    elif strange := sorted(_not_python(job.get("pipelineSpec", {}))):
        why = (
            f"It runs no containers, and these are not lightweight Python components: {', '.join(strange)}. "
            "Let their bodies be Python functions (@dsl.component)."
        )
    if why:
        raise ApiError(
            Code.FAILED_PRECONDITION, f"The emulator does not run this pipeline. {why}", rule="VT715"
        )


def _not_python(spec: Body) -> Iterator[str]:
    """Names of executors that are neither Python functions nor importers."""
    for name, executor in _dict(_dict(spec.get("deploymentSpec")).get("executors")).items():
        if "importer" in _dict(executor):
            continue
        container = _dict(_dict(executor).get("container"))
        command = [str(part) for part in container.get("command", [])]
        if not any(_EXECUTOR in part for part in command) or command[:3] == _CONTAINERIZED:
            yield name.removeprefix("exec-")


def _faults(emulator: Emulator, job: Body, identifier: str) -> Iterator[tuple[str, str]]:
    if identifier and not _ID.fullmatch(identifier):
        yield (
            "pipeline_job_id",
            f"'{identifier}' should match [a-z][-a-z0-9]{{0,127}}: lower-case letters, digits and dashes.",
        )
    longest = catalog.limits("display_name")["max_bytes"]
    if len(job.get("displayName", "").encode()) > longest:
        yield "pipeline_job.display_name", f"display_name may have up to {longest} bytes of UTF-8."
    for text in label_faults(job.get("labels", {})):
        yield "pipeline_job.labels", text
    if job.get("pipelineSpec") or not job.get("templateUri"):
        yield from _spec_faults(job.get("pipelineSpec", {}))
    yield from _config_faults(emulator, job)


def _spec_faults(spec: Body) -> Iterator[tuple[str, str]]:
    field = "pipeline_job.pipeline_spec"
    if not spec:
        yield field, "pipeline_spec is required."
        return
    if not _dict(spec.get("pipelineInfo")).get("name"):
        yield f"{field}.pipeline_info.name", "pipelineInfo.name is required."
    root, components = _dict(spec.get("root")), _dict(spec.get("components"))
    if not _dict(_dict(root.get("dag")).get("tasks")):
        yield f"{field}.root", "The pipeline has no tasks."
    executors = _dict(_dict(spec.get("deploymentSpec")).get("executors"))
    for place, part in (
        ("root", root),
        *((f"components.{key}", _dict(one)) for key, one in components.items()),
    ):
        label = part.get("executorLabel")
        if label is not None and label not in executors:
            yield f"{field}.{place}", f"There is no executor {label}."
        tasks = _dict(_dict(part.get("dag")).get("tasks"))
        for name, task in tasks.items():
            component = _dict(_dict(task).get("componentRef")).get("name")
            if component not in components:
                yield f"{field}.{place}.dag.tasks.{name}", f"There is no component {component}."
            for needed in _dict(task).get("dependentTasks", []):
                if needed not in tasks:
                    yield (
                        f"{field}.{place}.dag.tasks.{name}",
                        f"It depends on {needed}, and there is no such task.",
                    )


def _config_faults(emulator: Emulator, job: Body) -> Iterator[tuple[str, str]]:
    field, config = "pipeline_job.runtime_config", job.get("runtimeConfig", {})
    folder = config.get("gcsOutputDirectory", "")
    match = _FOLDER.fullmatch(folder)
    if not folder:
        yield f"{field}.gcs_output_directory", "gcs_output_directory is required."
    elif match is None:
        yield f"{field}.gcs_output_directory", f"'{folder}' should be gs://BUCKET/FOLDER."
    elif emulator.storage.bucket(match[1]) is None:
        yield f"{field}.gcs_output_directory", f"The bucket {match[1]} does not exist."
    if config.get("parameters"):
        yield f"{field}.parameters", "A pipeline of schema 2.1.0 takes parameter_values."
    if config.get("inputArtifacts"):
        yield (
            f"{field}.input_artifacts",
            "The emulator keeps no metadata store, and so knows no artifacts by id.",
        )
    if job.get("pipelineSpec"):
        yield from _parameter_faults(job["pipelineSpec"], config.get("parameterValues", {}))


def _parameter_faults(spec: Body, given: Body) -> Iterator[tuple[str, str]]:
    field = "pipeline_job.runtime_config.parameter_values"
    known = _dict(_dict(_dict(spec.get("root")).get("inputDefinitions")).get("parameters"))
    for name, value in given.items():
        place = f"{field}.{name}"
        if name not in known:
            yield place, "The pipeline has no parameter of this name."
        elif (wanted := _misfit(_dict(known[name]), value)) is not None:
            yield place, f"The parameter is a {wanted}, and the value is {value!r}."
    for name, definition in known.items():
        if name not in given and "defaultValue" not in definition and not definition.get("isOptional"):
            yield f"{field}.{name}", "The parameter has no value, and no default."


def _misfit(definition: Body, value: Any) -> str | None:
    """The type that a value should have and has not."""
    wanted = str(definition.get("parameterType", ""))
    allowed = _TYPES.get(wanted)
    if allowed is None or value is None:
        return None
    fits = isinstance(value, allowed) and (wanted == "BOOLEAN") == isinstance(value, bool)
    if wanted == "NUMBER_INTEGER" and fits:
        fits = float(value).is_integer()
    return None if fits else wanted


def _dict(value: Any) -> Body:
    """A part of a pipeline: whatever a client sent there, it is read as an object."""
    return value if isinstance(value, dict) else {}


# What is made of it


def pipeline_of(job: Body) -> str:
    """The pipeline's own name."""
    return str(job["pipelineSpec"]["pipelineInfo"]["name"])


def bucket_of(job: Body) -> str:
    """The bucket that it leaves its outputs in."""
    match = _FOLDER.fullmatch(job["runtimeConfig"]["gcsOutputDirectory"])
    assert match is not None
    return match[1]


def folder_of(job: Body) -> str:
    """`gs://` folder of a run: below its output directory, by project and id, as on Vertex AI."""
    _, project, *_, identifier = job["name"].split("/")
    return f"{job['runtimeConfig']['gcsOutputDirectory'].rstrip('/')}/{project}/{identifier}"
