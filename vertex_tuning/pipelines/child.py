"""Runs a pipeline job in this process, and tells what happens: `python -m vertex_tuning.pipelines.child JOB.json EVENTS.jsonl`.

JOB.json is a `PipelineJob` as Vertex AI takes it, with what is only known here:

    {"pipelineSpec": {...}, "runtimeConfig": {"parameterValues": {...}, "failurePolicy": "..."},
     "name": "the job's id", "local": {"root": "/outputs", "cache": "/cache", "taken": "/taken.jsonl", "resumed": false}}

With `resumed`, what a former process of the same run had done is not done again. In `taken` stands what came from the cache.

EVENTS.jsonl gets one JSON object per line, written whole:

    {"event": "run", "state": "RUNNING"}
    {"event": "task", "task": "train", "id": 2, "parent": 1, "state": "RUNNING", "kind": "step", "time": "...",
     "arguments": {}, "inputs": {}}
    {"event": "log", "task": "train", "id": 2, "text": "...", "time": "..."}
    {"event": "task", "task": "train", "id": 2, "state": "SUCCEEDED", "time": "...", "parameters": {}, "outputs": {
        "model": [{"name": "...", "uri": "/outputs/...", "schemaTitle": "system.Model", "metadata": {}}]}}
    {"event": "run", "state": "FAILED", "error": {"code": 9, "message": "..."}}

A step is RUNNING (again, with `attempt`, where it is retried), SUCCEEDED, FAILED, CACHED (its outputs were there already) or
SKIPPED (its condition did not hold, or what it needs failed). Its kind is `step`, `importer`, or `group`: a condition, a loop, an
exit handler. All this has a process of its own because `kfp.local` patches what is global, and leaves it so.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import sys
import traceback
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from vertex_tuning.pipelines import local, told

_INVALID_ARGUMENT, _INTERNAL = 3, 13
_WHOLE = ("NUMBER_INTEGER",)


def main() -> int:
    """Run one job; the exit status is 0 where it succeeded."""
    order, events = Path(sys.argv[1]), Path(sys.argv[2])
    out = os.open(events, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def emit(event: dict[str, Any]) -> None:
        os.write(out, json.dumps(event, default=str).encode() + b"\n")

    emit({"event": "run", "state": "RUNNING", "time": told.now()})
    try:
        error = run(json.loads(order.read_bytes()), emit)
    except Exception as fault:
        traceback.print_exc()
        error = {"code": _INTERNAL, "message": f"{type(fault).__name__}: {fault}"}
    ended = {"event": "run", "state": "FAILED" if error else "SUCCEEDED", "time": told.now()}
    emit({**ended, "error": error} if error else ended)
    return 1 if error else 0


def run(job: dict[str, Any], emit: Any) -> dict[str, Any] | None:
    """Run a job; what went wrong, as `code` and `message`."""
    spec, config, own = job["pipelineSpec"], job.get("runtimeConfig", {}), job["local"]
    parameters = config.get("parameterValues", {})
    if faults := list(problems(spec, parameters)):
        return {"code": _INVALID_ARGUMENT, "message": " ".join(faults)}
    folder = _folder(Path(own["root"]), own.get("resumed", False))
    described = told.Job(
        name=job["name"],
        id=own.get("id") or job["name"],
        resource=own.get("resource") or job["name"],
        created=own.get("created") or told.now(),
        scheduled=own.get("scheduled") or own.get("created") or told.now(),
        folder=folder,
        fail_fast=config.get("failurePolicy") == "PIPELINE_FAILURE_POLICY_FAIL_FAST",
        emit=emit,
        fetch=lambda uri: _fetch(uri, Path(own["root"]) / "imported"),
        taken=Path(own["taken"]) if own.get("taken") else None,
    )
    _execute(spec, _typed(spec, parameters), described, own.get("cache"), own.get("resumed", False))
    if described.succeeded:
        return None
    return {"code": told.FAILED_PRECONDITION, "message": told.dag_failed(described.failed)}


def _execute(
    spec: dict[str, Any],
    arguments: dict[str, Any],
    described: told.Job,
    cache: str | None,
    resumed: bool,
) -> None:
    # A folder called docker beside a user's program is an empty package to Python, and then kfp takes it for Docker's own.
    sys.modules["docker"] = None  # type: ignore[assignment]
    from google.protobuf import json_format
    from kfp import local as kfp_local
    from kfp.local import cache as kfp_cache
    from kfp.local import pipeline_orchestrator
    from kfp.pipeline_spec import pipeline_spec_pb2

    local.install(described)
    done = described.folder.parent / "done"
    if not resumed:
        shutil.rmtree(done, ignore_errors=True)
    described.done = kfp_cache.LocalCache(str(done))
    workspace = described.folder / "workspace"  # kfp removes it at the end
    workspace.mkdir(exist_ok=True)
    # Its own words repeat what the events say.
    logging.getLogger().setLevel(logging.WARNING)
    kfp_local.init(
        kfp_local.SubprocessRunner(use_venv=False),
        pipeline_root=str(described.folder.parent),
        workspace_root=str(workspace),
        raise_on_error=False,
        enable_caching=cache is not None,
        cache_root=cache,
    )
    parsed = json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    pipeline_orchestrator.run_local_pipeline(pipeline_spec=parsed, arguments=arguments)


def problems(spec: dict[str, Any], parameters: dict[str, Any]) -> Iterator[str]:
    """What is wrong with parameters, a sentence each."""
    known = spec.get("root", {}).get("inputDefinitions", {}).get("parameters", {})
    for name in parameters:
        if name not in known:
            yield f"The pipeline parameter {name} is not found in the pipeline job input definitions."
    for name, definition in known.items():
        needed = "defaultValue" not in definition and not definition.get("isOptional")
        if needed and name not in parameters:
            yield f"The pipeline parameter {name} has no value, and no default."


def _typed(spec: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """Whole numbers as such: JSON of a `google.protobuf.Struct` has 4.0."""
    known = spec.get("root", {}).get("inputDefinitions", {}).get("parameters", {})
    return {
        name: int(value) if known[name].get("parameterType") in _WHOLE and isinstance(value, float) else value
        for name, value in parameters.items()
    }


def _folder(root: Path, resumed: bool) -> Path:
    """Where outputs go: a new folder, so that what the cache knows of an earlier run is never written over.

    A run that is taken up again has the folder that it had: steps know what they began by where they leave their outputs.
    """
    root.mkdir(parents=True, exist_ok=True)
    last = max((int(path.name) for path in root.iterdir() if re.fullmatch(r"[0-9]+", path.name)), default=0)
    folder = root / str(last if resumed and last else last + 1)
    folder.mkdir(exist_ok=True)
    return folder


def _fetch(uri: str, folder: Path) -> Path:
    """An object, or all below a prefix, under a name that changes with what is in it: the cache knows it by its path."""
    from vertex_tuning import config
    from vertex_tuning.places import open_connection
    from vertex_tuning.retries import again

    bucket, _, name = uri.removeprefix("gs://").partition("/")
    with open_connection(config.load()) as connection:
        listed = again(lambda: list(connection.storage.list_blobs(bucket, prefix=name)))
        blobs = [blob for blob in listed if blob.name == name or blob.name.startswith(f"{name.rstrip('/')}/")]
        if not blobs:
            raise FileNotFoundError(f"{uri}: there is no such object")
        seen = "".join(f"{blob.name} {blob.generation} " for blob in blobs)
        target = folder / hashlib.sha256(f"{uri} {seen}".encode()).hexdigest()[:24] / Path(name).name
        for blob in blobs:
            path = target if blob.name == name else target / blob.name.removeprefix(f"{name.rstrip('/')}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            if not blob.name.endswith("/") and not path.exists():
                again(partial(blob.download_to_filename, str(path)))
    return target


if __name__ == "__main__":
    sys.exit(main())
