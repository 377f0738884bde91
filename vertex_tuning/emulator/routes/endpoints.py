"""`endpoints`: where models answer. Tuning jobs make them; one made by hand gets its models by `deployModel`."""

from __future__ import annotations

import re
from typing import Any

from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.jobs.deployments import split_faults
from vertex_tuning.emulator.listing import page
from vertex_tuning.emulator.routes import changes
from vertex_tuning.emulator.routes.operations import TYPES, finished
from vertex_tuning.emulator.state import Resource, now
from vertex_tuning.emulator.status import ApiError, Code, invalid, not_found
from vertex_tuning.emulator.wire.schema import schema

routes = Routes()

_ENDPOINTS = "projects/{project}/locations/{location}/endpoints"
_ENDPOINT = f"{_ENDPOINTS}/{{endpoint}}"
_CHANGEABLE = ("displayName", "description", "labels", "trafficSplit")
_ID = re.compile(r"[0-9]{1,10}|[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


def _found(call: Call) -> Resource:
    name = f"{call.parent}/endpoints/{call.path['endpoint']}"
    found = call.emulator.db.get(name)
    if found is None:
        raise not_found(f"Endpoint `{name}`")
    return found


@routes.post(_ENDPOINTS, request="Endpoint", response="Operation")
async def create(call: Call) -> dict[str, Any]:
    """An endpoint without a model."""
    identifier = call.query.get("endpointId") or call.query.get("endpoint_id") or ""
    if identifier and (faults := id_faults(identifier, "endpoint_id")):
        raise invalid(*faults)
    if not call.body.get("displayName"):
        raise invalid(("endpoint.display_name", "display_name is required."))
    changes.read(call, "endpoint", _CHANGEABLE)  # the same bounds on names and labels
    made = make(call, call.body, identifier)
    response = {"@type": f"{TYPES}.{call.version}.Endpoint", **made.body}
    return finished(call, made.name, "CreateEndpointOperationMetadata", response)


def id_faults(identifier: str, field: str) -> list[tuple[str, str]]:
    """What is wrong with an id for an endpoint."""
    if _ID.fullmatch(identifier):
        return []
    return [(field, f"'{identifier}' may hold lower-case letters, digits and dashes only.")]


def make(call: Call, body: dict[str, Any], identifier: str = "") -> Resource:
    """Write an endpoint down, which holds no model yet.

    Raises:
        ApiError: 409, the id is taken.
    """
    name = f"{call.parent}/endpoints/{identifier or call.emulator.db.new_id()}"
    if call.emulator.db.get(name) is not None:
        raise ApiError(Code.ALREADY_EXISTS, f"Endpoint `{name}` already exists.")
    created = now()
    shown = {**body, "name": name, "createTime": created, "updateTime": created}
    if body.get("dedicatedEndpointEnabled"):
        _, number, _, location, _, own = name.split("/")
        shown["dedicatedEndpointDns"] = f"{own}.{location}-{number}.prediction.vertexai.goog"
    made = Resource(name, "endpoints", call.parent, shown)
    call.emulator.db.put(made, "created")
    return made


@routes.get(_ENDPOINTS, response="ListEndpointsResponse")
async def list_endpoints(call: Call) -> dict[str, Any]:
    """Newest first."""
    return page(
        call.emulator.db,
        "endpoints",
        call.parent,
        call.query,
        fields=[*schema("v1beta1").message("Endpoint").fields, "endpoint", "baseModelName"],
        extra=lambda endpoint: {
            "endpoint": endpoint.name.rsplit("/", 1)[1],
            "baseModelName": endpoint.body.get("labels", {}).get("google-vertex-llm-tuning-base-model-id"),
        },
    )


@routes.get(_ENDPOINT, response="Endpoint")
async def get(call: Call) -> dict[str, Any]:
    """An endpoint, by name."""
    return _found(call).body


@routes.patch(_ENDPOINT, request="Endpoint", response="Endpoint")
async def update(call: Call) -> dict[str, Any]:
    """Changes names, labels and traffic."""
    return _changed(call).body


@routes.post(f"{_ENDPOINT}:update", request="UpdateEndpointLongRunningRequest", response="Operation")
async def update_long_running(call: Call) -> dict[str, Any]:
    """The same, told by an operation."""
    call.body = call.body.get("endpoint", {})
    response = {"@type": f"{TYPES}.{call.version}.Endpoint", **(found := _changed(call)).body}
    return finished(call, found.name, "UpdateEndpointOperationMetadata", response)


def _changed(call: Call) -> Resource:
    found = _found(call)
    changed = changes.read(call, "endpoint", _CHANGEABLE)
    known = {model["id"] for model in found.body.get("deployedModels", ())}
    if faults := split_faults(changed.get("trafficSplit") or {}, known, "endpoint.traffic_split"):
        raise invalid(*faults, rule="VT665")
    if "trafficSplit" in changed:
        changed["trafficSplit"] = changed["trafficSplit"] or {}
    found.body.update(changed, updateTime=now())
    call.emulator.db.put(found, "updated")
    return found


@routes.post(f"{_ENDPOINT}:deployModel", request="DeployModelRequest", response="Operation")
async def deploy_model(call: Call) -> dict[str, Any]:
    """Puts a model on an endpoint, beside those that are there."""
    found = _found(call)
    deployed = call.emulator.jobs.deployments.deploy(
        found, call.body.get("deployedModel", {}), call.body.get("trafficSplit", {})
    )
    response = {"@type": f"{TYPES}.{call.version}.DeployModelResponse", "deployedModel": deployed}
    return finished(call, found.name, "DeployModelOperationMetadata", response)


@routes.post(f"{_ENDPOINT}:undeployModel", request="UndeployModelRequest", response="Operation")
async def undeploy_model(call: Call) -> dict[str, Any]:
    """Takes a model from its endpoint, as must be done before either is deleted."""
    found = _found(call)
    call.emulator.jobs.deployments.undeploy(
        found, call.body.get("deployedModelId", ""), call.body.get("trafficSplit", {})
    )
    response = {"@type": f"{TYPES}.{call.version}.UndeployModelResponse"}
    return finished(call, found.name, "UndeployModelOperationMetadata", response)


@routes.post(f"{_ENDPOINT}:mutateDeployedModel", request="MutateDeployedModelRequest", response="Operation")
async def mutate_deployed_model(call: Call) -> dict[str, Any]:
    """Changes how many replicas a deployed model has, or what it logs."""
    found = _found(call)
    changed = call.emulator.jobs.deployments.mutate(
        found, call.body.get("deployedModel", {}), call.body.get("updateMask", "")
    )
    response = {"@type": f"{TYPES}.{call.version}.MutateDeployedModelResponse", "deployedModel": changed}
    return finished(call, found.name, "MutateDeployedModelOperationMetadata", response)


@routes.delete(_ENDPOINT, response="Operation")
async def delete(call: Call) -> dict[str, Any]:
    """Deletes an endpoint; no model may be deployed to it."""
    found = _found(call)
    if deployed := found.body.get("deployedModels"):
        identifiers = ", ".join(model["id"] for model in deployed)
        raise ApiError(
            Code.FAILED_PRECONDITION,
            f"Endpoint `{found.name}` has deployed or being-deployed DeployedModel(s) with ID(s): "
            f"{identifiers}. Undeploy first (endpoints.undeployModel).",
            rule="VT646",
        )
    call.emulator.db.delete(found.name)
    return finished(call, found.name, "DeleteOperationMetadata")
