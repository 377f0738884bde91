"""`endpoints`: where tuned models answer. Tuning jobs make them; one made by hand holds no model."""

from __future__ import annotations

import re
from typing import Any

from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.listing import page
from vertex_tuning.emulator.routes import changes
from vertex_tuning.emulator.routes.operations import finished
from vertex_tuning.emulator.state import Resource, now
from vertex_tuning.emulator.status import ApiError, Code, invalid, not_found
from vertex_tuning.emulator.wire.schema import schema

routes = Routes()

_ENDPOINTS = "projects/{project}/locations/{location}/endpoints"
_ENDPOINT = f"{_ENDPOINTS}/{{endpoint}}"
_CHANGEABLE = ("displayName", "description", "labels", "trafficSplit")
_ID = re.compile(r"[0-9]{1,10}|[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_TYPES = "type.googleapis.com/google.cloud.aiplatform"


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
    if identifier and not _ID.fullmatch(identifier):
        raise invalid(("endpoint_id", f"'{identifier}' may hold lower-case letters, digits and dashes only."))
    if not call.body.get("displayName"):
        raise invalid(("endpoint.display_name", "display_name is required."))
    name = f"{call.parent}/endpoints/{identifier or call.emulator.db.new_id()}"
    if call.emulator.db.get(name) is not None:
        raise ApiError(Code.ALREADY_EXISTS, f"Endpoint `{name}` already exists.")
    changes.read(call, "endpoint", _CHANGEABLE)  # the same bounds on names and labels
    created = now()
    body = {**call.body, "name": name, "createTime": created, "updateTime": created}
    call.emulator.db.put(Resource(name, "endpoints", call.parent, body), "created")
    response = {"@type": f"{_TYPES}.{call.version}.Endpoint", **body}
    return finished(call, name, "CreateEndpointOperationMetadata", response)


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
    found = _found(call)
    changed = changes.read(call, "endpoint", _CHANGEABLE)
    split = changed.get("trafficSplit")
    if split:
        known = {model["id"] for model in found.body.get("deployedModels", ())}
        if not known.issuperset(split) or sum(split.values()) != 100:
            raise invalid(
                (
                    "endpoint.traffic_split",
                    "It must name deployed models, with percentages that add up to 100.",
                )
            )
    found.body.update(changed, updateTime=now())
    call.emulator.db.put(found, "updated")
    return found.body


@routes.post(f"{_ENDPOINT}:undeployModel", request="UndeployModelRequest", response="Operation")
async def undeploy_model(call: Call) -> dict[str, Any]:
    """Takes a tuned model from its endpoint, as must be done before either is deleted."""
    found = _found(call)
    call.emulator.jobs.registry.undeploy(found, call.body.get("deployedModelId", ""))
    response = {"@type": f"{_TYPES}.{call.version}.UndeployModelResponse"}
    return finished(call, found.name, "UndeployModelOperationMetadata", response)


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


def _refuse(verb: str) -> None:
    async def refuse(_: Call) -> dict[str, Any]:
        raise ApiError(Code.UNIMPLEMENTED, f"The emulator does not serve endpoints.{verb} yet.", rule="VT639")

    routes.post(f"{_ENDPOINT}:{verb}")(refuse)


for _verb in ("deployModel", "mutateDeployedModel"):
    _refuse(_verb)
