"""`endpoints`: where tuned models answer. The tuning service makes them; others can be made, and hold no model yet."""

from __future__ import annotations

from typing import Any

from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.listing import page
from vertex_tuning.emulator.routes.operations import finished
from vertex_tuning.emulator.state import Resource, now
from vertex_tuning.emulator.status import ApiError, Code, not_found

routes = Routes()

_ENDPOINTS = "projects/{project}/locations/{location}/endpoints"
_CHANGEABLE = ("displayName", "description", "labels", "trafficSplit")


def _found(call: Call) -> Resource:
    name = f"{call.parent}/endpoints/{call.path['endpoint']}"
    found = call.emulator.db.get(name)
    if found is None:
        raise not_found(f"Endpoint `{name}`")
    return found


@routes.post(_ENDPOINTS, request="Endpoint", response="Operation")
async def create(call: Call) -> dict[str, Any]:
    """An endpoint without a model."""
    identifier = call.query.get("endpointId") or call.emulator.db.new_id()
    name = f"{call.parent}/endpoints/{identifier}"
    if call.emulator.db.get(name) is not None:
        raise ApiError(Code.ALREADY_EXISTS, f"Endpoint `{name}` already exists.")
    created = now()
    body = {**call.body, "name": name, "createTime": created, "updateTime": created}
    call.emulator.db.put(Resource(name, "endpoints", call.parent, body), "created")
    kind = f"type.googleapis.com/google.cloud.aiplatform.{call.version}.Endpoint"
    return finished(call, name, "CreateEndpointOperationMetadata", {"@type": kind, **body})


@routes.get(_ENDPOINTS, response="ListEndpointsResponse")
async def list_endpoints(call: Call) -> dict[str, Any]:
    """Newest first."""
    return page(call.emulator.db.list("endpoints", call.parent), call.query, "endpoints")


@routes.get(f"{_ENDPOINTS}/{{endpoint}}", response="Endpoint")
async def get(call: Call) -> dict[str, Any]:
    """An endpoint, by name."""
    return _found(call).body


@routes.patch(f"{_ENDPOINTS}/{{endpoint}}", request="Endpoint", response="Endpoint")
async def update(call: Call) -> dict[str, Any]:
    """Changes names, labels and traffic."""
    found = _found(call)
    found.body.update({field: call.body[field] for field in _CHANGEABLE if field in call.body}, updateTime=now())
    call.emulator.db.put(found, "updated")
    return found.body


@routes.delete(f"{_ENDPOINTS}/{{endpoint}}", response="Operation")
async def delete(call: Call) -> dict[str, Any]:
    """An endpoint that the tuning service made goes with its model; others go when they hold no model."""
    found = _found(call)
    if found.body.get("deployedModels"):
        raise ApiError(
            Code.FAILED_PRECONDITION,
            f"Endpoint `{found.name}` has deployed or being-deployed DeployedModel(s): delete the model "
            f"{found.body['deployedModels'][0]['model']}, and its endpoints go with it.",
        )
    call.emulator.db.delete(found.name)
    return finished(call, call.parent, "DeleteOperationMetadata")
