"""As much of Kubeflow Pipelines' own API (v2beta1) as its client needs to submit runs and to follow them.

Runs are pipeline jobs of the emulator's own project and location: the same runs, told in Kubeflow's words.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

from vertex_tuning.emulator.api import Call, Routes, read
from vertex_tuning.emulator.jobs.ledger import identifier
from vertex_tuning.emulator.listing import page_of
from vertex_tuning.emulator.pipelines import uploads
from vertex_tuning.emulator.pipelines.service import KIND as JOBS
from vertex_tuning.emulator.state import Resource, now
from vertex_tuning.emulator.status import ApiError, Code, not_found
from vertex_tuning.emulator.wire.text import parse_json

routes = Routes()

Body = dict[str, Any]

_ROOT = "apis/v2beta1"
_EXPERIMENTS, _PIPELINES = "kubeflowExperiments", "kubeflowPipelines"
_BUCKET = "{project}-kubeflow"
_STATES = {"CANCELLING": "CANCELING", "CANCELLED": "CANCELED", "QUEUED": "PENDING"}
_TASK_STATES = {"CANCELLED": "CANCELED", "CANCELLING": "CANCELING", "NOT_TRIGGERED": "SKIPPED"}
_NUMBERS = {1: "EQUALS", 2: "NOT_EQUALS", 9: "IS_SUBSTRING"}
"""Of `Predicate.Operation`: kfp's client sends numbers, others send names."""
_OPERATIONS: dict[str, Callable[[str, str], bool]] = {
    "EQUALS": lambda found, wanted: found == wanted,
    "NOT_EQUALS": lambda found, wanted: found != wanted,
    "IS_SUBSTRING": lambda found, wanted: wanted.lower() in found.lower(),
}


@routes.get(f"{_ROOT}/healthz")
async def healthz(_: Call) -> Body:
    """Everybody's, and well."""
    return {"multi_user": False}


# Experiments


@routes.get(f"{_ROOT}/experiments")
async def list_experiments(call: Call) -> Body:
    """Newest first; there is always one, "Default"."""
    _default_experiment(call)
    return _page(call, "experiments", [found.body for found in call.emulator.db.list(_EXPERIMENTS)])


@routes.post(f"{_ROOT}/experiments")
async def create_experiment(call: Call) -> Body:
    """A name under which runs stand together."""
    body = await _json(call)
    title = str(body.get("display_name") or "")
    if not title:
        raise ApiError(Code.INVALID_ARGUMENT, "display_name is required.", rule="VT716")
    if any(found.body["display_name"] == title for found in call.emulator.db.list(_EXPERIMENTS)):
        raise ApiError(Code.ALREADY_EXISTS, f"There is an experiment '{title}'.", rule="VT717")
    return _new_experiment(call, title, str(body.get("description") or ""))


@routes.get(f"{_ROOT}/experiments/{{experiment}}")
async def get_experiment(call: Call) -> Body:
    """By id."""
    return _found(call, _EXPERIMENTS, call.path["experiment"], "The experiment").body


def _new_experiment(call: Call, title: str, description: str = "") -> Body:
    made: Body = {
        "experiment_id": str(uuid.uuid4()),
        "display_name": title,
        "description": description,
        "created_at": now(),
        "storage_state": "AVAILABLE",
    }
    _keep(call, _EXPERIMENTS, made["experiment_id"], made)
    return made


def _default_experiment(call: Call) -> Body:
    for found in call.emulator.db.list(_EXPERIMENTS):
        if found.body["display_name"] == "Default":
            return found.body
    return _new_experiment(call, "Default")


# Pipelines that are kept, each in one version


@routes.post(f"{_ROOT}/pipelines/upload")
async def upload_pipeline(call: Call) -> Body:
    """A compiled pipeline, as a file of a form."""
    form = uploads.form(call.request.headers.get("content-type", ""), await read(call.request))
    spec = uploads.parsed(form.file)
    number = str(uuid.uuid4())
    info = _part(spec.get("pipelineInfo"))
    title = call.query.get("name") or call.query.get("display_name") or info.get("name") or ""
    made: Body = {
        "pipeline_id": number,
        "display_name": title,
        "name": title,
        "description": call.query.get("description", ""),
        "created_at": now(),
    }
    version = {
        "pipeline_id": number,
        "pipeline_version_id": number,
        "display_name": title,
        "name": title,
        "created_at": made["created_at"],
        "pipeline_spec": spec,
    }
    _keep(call, _PIPELINES, number, made, {"version": version})
    return made


@routes.get(f"{_ROOT}/pipelines")
async def list_pipelines(call: Call) -> Body:
    """Newest first."""
    return _page(call, "pipelines", [found.body for found in call.emulator.db.list(_PIPELINES)])


@routes.get(f"{_ROOT}/pipelines/{{pipeline}}")
async def get_pipeline(call: Call) -> Body:
    """By id."""
    return _found(call, _PIPELINES, call.path["pipeline"], "The pipeline").body


@routes.delete(f"{_ROOT}/pipelines/{{pipeline}}")
async def delete_pipeline(call: Call) -> Body:
    """Forgets it; its runs stay."""
    call.emulator.db.delete(_found(call, _PIPELINES, call.path["pipeline"], "The pipeline").name)
    return {}


@routes.get(f"{_ROOT}/pipelines/{{pipeline}}/versions")
async def list_versions(call: Call) -> Body:
    """The one that there is."""
    found = _found(call, _PIPELINES, call.path["pipeline"], "The pipeline")
    return _page(call, "pipeline_versions", [found.private["version"]])


@routes.get(f"{_ROOT}/pipelines/{{pipeline}}/versions/{{version}}")
async def get_version(call: Call) -> Body:
    """By id."""
    version: Body = _found(call, _PIPELINES, call.path["version"], "The pipeline version").private["version"]
    return version


# Runs


@routes.post(f"{_ROOT}/runs")
async def create_run(call: Call) -> Body:
    """Starts one, from a pipeline in the request or from one that is kept."""
    body = await _json(call)
    config = _part(body.get("runtime_config"))
    spec = _spec_of(call, body)
    experiment = body.get("experiment_id") or _default_experiment(call)["experiment_id"]
    _found(call, _EXPERIMENTS, experiment, "The experiment")
    job: Body = {
        "displayName": str(body.get("display_name") or ""),
        "pipelineSpec": spec,
        "runtimeConfig": {
            "gcsOutputDirectory": config.get("pipeline_root") or _default_root(call),
            "parameterValues": _part(config.get("parameters")),
        },
    }
    if account := body.get("service_account"):
        job["serviceAccount"] = account
    kept = {"kubeflow": {"experiment_id": experiment, "description": body.get("description") or ""}}
    made = call.emulator.pipelines.create(_parent(call), job, _run_id(), private=kept)
    return _run(call.emulator.pipelines.get(made["name"]))


@routes.get(f"{_ROOT}/runs")
async def list_runs(call: Call) -> Body:
    """Newest first."""
    wanted = call.query.get("experiment_id")
    found = [_run(job) for job in call.emulator.db.list(JOBS, _parent(call))]
    return _page(call, "runs", [run for run in found if not wanted or run["experiment_id"] == wanted])


@routes.get(f"{_ROOT}/runs/{{run}}")
async def get_run(call: Call) -> Body:
    """By id."""
    return _run(call.emulator.pipelines.get(_job(call)))


@routes.post(f"{_ROOT}/runs/{{run}}:terminate")
async def terminate_run(call: Call) -> Body:
    """Asks it to end."""
    call.emulator.pipelines.cancel(_job(call))
    return {}


@routes.delete(f"{_ROOT}/runs/{{run}}")
async def delete_run(call: Call) -> Body:
    """Forgets one that has ended."""
    await call.emulator.pipelines.delete(_job(call))
    return {}


def _run(job: Resource) -> Body:
    """A pipeline job in Kubeflow's words."""
    body, kept = job.body, job.private.get("kubeflow", {})
    number, config = identifier(job.name), body["runtimeConfig"]
    state = body["state"].removeprefix("PIPELINE_STATE_")
    run: Body = {
        "run_id": number,
        "experiment_id": kept.get("experiment_id", ""),
        "display_name": body["displayName"],
        "description": kept.get("description", ""),
        "storage_state": "AVAILABLE",
        "pipeline_spec": body["pipelineSpec"],
        "runtime_config": {
            "parameters": config.get("parameterValues", {}),
            "pipeline_root": config["gcsOutputDirectory"],
        },
        "service_account": body.get("serviceAccount", ""),
        "created_at": body["createTime"],
        "scheduled_at": body["createTime"],
        "state": _STATES.get(state, state),
        "run_details": {
            "task_details": [_task(number, one) for one in body["jobDetail"].get("taskDetails", [])]
        },
    }
    if "endTime" in body:
        run["finished_at"] = body["endTime"]
    if "error" in body:
        run["error"] = _status(body["error"])
    return run


def _task(run: str, task: Body) -> Body:
    shown = {
        "run_id": run,
        "task_id": task["taskId"],
        "display_name": task["taskName"],
        "create_time": task["createTime"],
        "state": _TASK_STATES.get(task["state"], task["state"]),
    }
    names = {"startTime": "start_time", "endTime": "end_time", "parentTaskId": "parent_task_id"}
    shown |= {name: task[key] for key, name in names.items() if key in task}
    if "error" in task:
        shown["error"] = _status(task["error"])
    return shown


def _status(error: Body) -> Body:
    return {"code": error["code"], "message": error["message"]}


def _spec_of(call: Call, body: Body) -> Body:
    spec = _part(body.get("pipeline_spec"))
    if reference := _part(body.get("pipeline_version_reference")):
        number = reference.get("pipeline_version_id") or reference.get("pipeline_id") or ""
        spec = _found(call, _PIPELINES, number, "The pipeline").private["version"]["pipeline_spec"]
    # With a second document, for the platform, the pipeline stands beside it.
    return _part(spec.get("pipeline_spec")) or spec


def _default_root(call: Call) -> str:
    """Where outputs go when the request names no place: on a cluster, its own object store."""
    emulator = call.emulator
    bucket = _BUCKET.format(project=emulator.settings.project)
    if emulator.storage.bucket(bucket) is None:
        settings = emulator.settings
        given = {"name": bucket, "location": settings.location}
        emulator.storage.buckets.insert(settings.number_of(settings.project), given)
    return f"gs://{bucket}/v2/artifacts"


def _run_id() -> str:
    """As Kubeflow makes them, but for the first letter: it is the id of a pipeline job too."""
    while not (found := str(uuid.uuid4()))[0].isalpha():
        pass
    return found


# What all of them need


def _parent(call: Call) -> str:
    settings = call.emulator.settings
    return f"projects/{settings.number_of(settings.project)}/locations/{settings.location}"


def _job(call: Call) -> str:
    return f"{_parent(call)}/{JOBS}/{call.path['run']}"


def _keep(call: Call, kind: str, number: str, body: Body, private: Body | None = None) -> None:
    name = f"{_parent(call)}/{kind}/{number}"
    call.emulator.db.put(Resource(name, kind, _parent(call), body, private or {}), "created")


def _found(call: Call, kind: str, number: str, title: str) -> Resource:
    found = call.emulator.db.get(f"{_parent(call)}/{kind}/{number}")
    if found is None:
        raise not_found(f"{title} {number}")
    return found


def _page(call: Call, key: str, bodies: list[Body]) -> Body:
    """A page of what the filter lets through: `{"predicates": [{"operation": "EQUALS", "key": ..., "stringValue": ...}]}`."""
    text = call.query.get("filter") or "{}"
    predicates = _part(parse_json(text.encode())).get("predicates", [])
    kept = [body for body in bodies if all(_holds(body, _part(one)) for one in predicates)]
    query = {
        name: value for name, value in call.query.items() if name in ("page_size", "page_token") and value
    }
    found = page_of(kept, query, key)
    shown: Body = {key: found.get(key, []), "total_size": len(kept)}
    if token := found.get("nextPageToken"):
        shown["next_page_token"] = token
    return shown


def _holds(body: Body, predicate: Body) -> bool:
    given = predicate.get("operation")
    holds = _OPERATIONS.get(_NUMBERS[given] if given in _NUMBERS else str(given))
    wanted = predicate.get("stringValue", predicate.get("string_value"))
    if holds is None or not isinstance(wanted, str):
        known = ", ".join(_OPERATIONS)
        raise ApiError(
            Code.INVALID_ARGUMENT,
            f"The emulator knows the filter operations {known}, on a stringValue, and not {json.dumps(predicate)}.",
        )
    key = str(predicate.get("key", ""))
    return holds(str(body.get("display_name" if key == "name" else key, "")), wanted)


async def _json(call: Call) -> Body:
    return _part(parse_json(await read(call.request) or b"{}"))


def _part(value: Any) -> Body:
    return value if isinstance(value, dict) else {}
