"""Long-running operations. What they stand for is done when they are returned: each one says `done`."""

from __future__ import annotations

from typing import Any

from vertex_tuning.emulator.api import Call, Handler, Routes
from vertex_tuning.emulator.listing import page
from vertex_tuning.emulator.state import Resource, now
from vertex_tuning.emulator.status import not_found

routes = Routes()

TYPES = "type.googleapis.com/google.cloud.aiplatform"
_LOCATION = "projects/{project}/locations/{location}"
_OWNERS = (
    "tuningJobs",
    "models",
    "endpoints",
    "batchPredictionJobs",
    "datasets",
    "customJobs",
    "pipelineJobs",
    "schedules",
)


def finished(
    call: Call,
    parent: str,
    metadata: str,
    response: dict[str, Any] | None = None,
    more: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A finished operation, kept so that a client that polls finds it.

    Args:
        call: The request that it answers.
        parent: What it belongs to: a location, or a resource.
        metadata: Message name of its metadata: `DeleteOperationMetadata`.
        response: Its result with `@type`; None: `google.protobuf.Empty`.
        more: Further fields of the metadata.
    """
    created = now()
    name = f"{parent}/operations/{call.emulator.db.new_id()}"
    body = {
        "name": name,
        "metadata": {
            "@type": f"{TYPES}.{call.version}.{metadata}",
            "genericMetadata": {"createTime": created, "updateTime": created},
            **(more or {}),
        },
        "done": True,
        "response": response or {"@type": "type.googleapis.com/google.protobuf.Empty"},
    }
    call.emulator.db.put(Resource(name, "operations", parent, body), "done")
    return body


def _serve(path: str, owners: str) -> None:
    """The methods of the operations of a location, or of a collection's resources."""

    def parent(call: Call) -> str:
        return f"{call.parent}/{owners}/{call.path['owner']}" if owners else call.parent

    def found(call: Call) -> Resource:
        name = f"{parent(call)}/operations/{call.path['operation']}"
        operation = call.emulator.db.get(name)
        if operation is None:
            raise not_found(f"Operation {name}")
        return operation

    async def get(call: Call) -> dict[str, Any]:
        return found(call).body

    async def delete(call: Call) -> dict[str, Any]:
        call.emulator.db.delete(found(call).name)
        return {}

    async def cancel(call: Call) -> dict[str, Any]:
        found(call)  # it is done: there is nothing to cancel, and that is no fault
        return {}

    async def list_operations(call: Call) -> dict[str, Any]:
        return page(call.emulator.db, "operations", parent(call), call.query)

    one = f"{path}/operations/{{operation}}"
    table: tuple[tuple[str, str, Handler, str], ...] = (
        ("GET", one, get, "Operation"),
        ("GET", f"{path}/operations", list_operations, "ListOperationsResponse"),
        ("POST", f"{one}:wait", get, "Operation"),
        ("POST", f"{one}:cancel", cancel, "Empty"),
        ("DELETE", one, delete, "Empty"),
    )
    for method, route, handler, response in table:
        routes.route(method, route, response=response)(handler)


_serve(_LOCATION, "")
for _owners in _OWNERS:
    _serve(f"{_LOCATION}/{_owners}/{{owner}}", _owners)
