"""What a custom job may ask for: one process, by an image that is ours."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vertex_tuning import catalog
from vertex_tuning.emulator.jobs.request import label_faults
from vertex_tuning.emulator.status import ApiError, Code, invalid

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator

Body = dict[str, Any]

_FOLDER = re.compile(r"gs://([^/]+)(/.*)?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERENCE = re.compile(r"\$\$|\$\((\w+)\)")
_MAX_VARIABLES = 100
_FIRST_POOL = "custom_job.job_spec.worker_pool_specs[0]"
_WEEK = 7 * 86_400.0
"""Seconds that a job may run where nothing else is said: Vertex AI's default."""


def check(emulator: Emulator, job: Body) -> None:
    """Hold a request against what can be run here.

    Raises:
        ApiError: 400 with every fault, or with the reason why it is not run here.
    """
    pools = [pool for pool in job.get("jobSpec", {}).get("workerPoolSpecs", []) if pool]
    _check_served(emulator, pools)
    faults = list(_faults(emulator, job, pools))
    if faults:
        raise invalid(*faults, rule="VT678")


def _check_served(emulator: Emulator, pools: list[Body]) -> None:
    settings = emulator.settings
    if not settings.local_code:
        raise ApiError(
            Code.FAILED_PRECONDITION,
            "This emulator was started to run no code of a user's (--no-local-code), and so runs no custom jobs.",
            rule="VT677",
        )
    why = ""
    if len(pools) > 1 or any(int(pool.get("replicaCount") or 1) > 1 for pool in pools):
        why = "It runs one process, on this machine: one worker pool, with one replica."
    elif any("pythonPackageSpec" in pool for pool in pools):
        why = "It installs no packages: give container_spec with an image of vertex-tuning, and a command."
    elif pools and (image := pools[0].get("containerSpec", {}).get("imageUri", "")):
        if not is_ours(image, settings.local_images):
            why = (
                f"It runs no containers: '{image}' is not an image whose command it may run as a process here. "
                f"Those are: {', '.join(settings.local_images)} (--local-image PATTERN, where the emulator is started)."
            )
        elif not pools[0]["containerSpec"].get("command"):
            why = "It knows no image's own entrypoint: give container_spec.command."
    if why:
        raise ApiError(
            Code.FAILED_PRECONDITION, f"The emulator does not run this custom job. {why}", rule="VT677"
        )


def is_ours(image: str, patterns: tuple[str, ...]) -> bool:
    """Whether an image is one whose command is run here; tag and digest do not count."""
    name = image.partition("@")[0]
    head, _, last = name.rpartition("/")
    name = f"{head}/{last.partition(':')[0]}"
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _faults(emulator: Emulator, job: Body, pools: list[Body]) -> Any:
    longest = catalog.limits("display_name")["max_bytes"]
    if not 0 < len(job.get("displayName", "").encode()) <= longest:
        yield "custom_job.display_name", f"display_name must have 1 to {longest} bytes of UTF-8."
    for text in label_faults(job.get("labels", {})):
        yield "custom_job.labels", text
    if not pools:
        yield "custom_job.job_spec.worker_pool_specs", "worker_pool_specs is required."
    elif not pools[0].get("containerSpec", {}).get("imageUri"):
        yield f"{_FIRST_POOL}.container_spec.image_uri", "image_uri is required."
    else:
        variables = pools[0]["containerSpec"].get("env", [])
        if len(variables) > _MAX_VARIABLES:
            yield f"{_FIRST_POOL}.container_spec.env", f"There may be up to {_MAX_VARIABLES} variables."
        for index, variable in enumerate(variables):
            if not _NAME.fullmatch(variable.get("name", "")) or "\0" in variable.get("value", ""):
                yield (
                    f"{_FIRST_POOL}.container_spec.env[{index}]",
                    f"'{variable.get('name', '')}' is not the name of a variable, or its value holds a NUL.",
                )
        words = [*pools[0]["containerSpec"]["command"], *pools[0]["containerSpec"].get("args", [])]
        if any("\0" in word for word in words):
            yield f"{_FIRST_POOL}.container_spec.command", "A command holds no NUL."
    yield from _output_faults(emulator, output_of(job))


def _output_faults(emulator: Emulator, output: str) -> Any:
    field = "custom_job.job_spec.base_output_directory.output_uri_prefix"
    if not output:
        return
    match = _FOLDER.fullmatch(output)
    if match is None:
        yield field, f"'{output}' should be gs://BUCKET/FOLDER."
    elif emulator.storage.bucket(match[1]) is None:
        yield field, f"The bucket {match[1]} does not exist."


# What is made of it


def output_of(job: Body) -> str:
    """`baseOutputDirectory`, or nothing."""
    return str(job.get("jobSpec", {}).get("baseOutputDirectory", {}).get("outputUriPrefix", ""))


def seconds_of(job: Body) -> float:
    """How long it may run."""
    given = job["jobSpec"].get("scheduling", {}).get("timeout", "")
    return float(given.rstrip("s") or 0) or _WEEK


def command_of(job: Body) -> list[str]:
    """Command and arguments."""
    container = _container(job)
    return [*container["command"], *container.get("args", [])]


def environment_of(job: Body, base: dict[str, str], folder: Path) -> dict[str, str]:
    """The variables of the process: those of the emulator's door, those that Vertex AI sets, those of the request.

    Args:
        job: The job, with its name.
        base: A scrubbed environment, with what leads Google's clients to the emulator.
        folder: Where it works; its home, so that nothing of the user's own is found there.
    """
    _, project, _, location, _, identifier = job["name"].split("/")
    found = {
        **base,
        "HOME": str(folder),
        "PWD": str(folder),
        # `python` and `vertex-tuning` are those of the emulator, as they would be those of the image.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), base.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",
        "GOOGLE_CLOUD_LOCATION": location,
        "GOOGLE_CLOUD_REGION": location,
        "CLOUD_ML_JOB_ID": identifier,
        "CLOUD_ML_PROJECT_ID": project,
        "CLUSTER_SPEC": json.dumps(
            {
                "cluster": {"workerpool0": ["127.0.0.1:2222"]},
                "environment": "cloud",
                "task": {"type": "workerpool0", "index": 0},
            }
        ),
    }
    if output := output_of(job).rstrip("/"):
        found |= {
            "AIP_MODEL_DIR": f"{output}/model/",
            "AIP_CHECKPOINT_DIR": f"{output}/checkpoints/",
            "AIP_TENSORBOARD_LOG_DIR": f"{output}/logs/",
        }
    for variable in _container(job).get("env", []):
        found[variable["name"]] = _expanded(variable.get("value", ""), found)
    return found


def _expanded(value: str, known: dict[str, str]) -> str:
    """`$(NAME)` becomes the value of a variable that is there already; `$$` is a dollar."""

    def put(match: re.Match[str]) -> str:
        return "$" if match[1] is None else known.get(match[1], match[0])

    return _REFERENCE.sub(put, value)


def _container(job: Body) -> Body:
    pools = [pool for pool in job["jobSpec"]["workerPoolSpecs"] if pool]
    return dict(pools[0]["containerSpec"])
