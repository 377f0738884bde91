"""Long-running operations. What they stand for is done when they are returned, so that every one says `done`."""

from __future__ import annotations

from typing import Any

from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.listing import page
from vertex_tuning.emulator.state import Resource, now
from vertex_tuning.emulator.status import not_found

routes = Routes()

_TYPES = "type.googleapis.com/google.cloud.aiplatform"
_LOCATION = "projects/{project}/locations/{location}"
_PARENTS = (
    _LOCATION,
    f"{_LOCATION}/tuningJobs/{{owner}}",
    f"{_LOCATION}/models/{{owner}}",
    f"{_LOCATION}/endpoints/{{owner}}",
)


def finished(call: Call, parent: str, metadata: str, response: dict[str, Any] | None = None) -> dict[str, Any]:
    """A finished operation, kept so that a client that polls finds it.

    Args:
        call: The request that it answers.
        parent: What it belongs to: a location, or a resource.
        metadata: Message name of its metadata: `DeleteOperationMetadata`.
        response: Its result with `@type`; None: `google.protobuf.Empty`.
    """
    created = now()
    name = f"{parent}/operations/{call.emulator.db.new_id()}"
    body = {
        "name": name,
        "metadata": {
            "@type": f"{_TYPES}.{call.version}.{metadata}",
            "genericMetadata": {"createTime": created, "updateTime": created},
        },
        "done": True,
        "response": response or {"@type": "type.googleapis.com/google.protobuf.Empty"},
    }
    call.emulator.db.put(Resource(name, "operations", parent, body), "done")
    return body


def _name(call: Call) -> str:
    """The operation's full name: the path as it came, the project by number."""
    rest = call.request.url.path.partition("/locations/")[2].partition("/")[2].partition(":")[0]
    return f"{call.parent}/{rest}"


async def _get(call: Call) -> dict[str, Any]:
    found = call.emulator.db.get(_name(call))
    if found is None:
        raise not_found(f"Operation {_name(call)}")
    return found.body


async def _delete(call: Call) -> dict[str, Any]:
    if not call.emulator.db.delete(_name(call)):
        raise not_found(f"Operation {_name(call)}")
    return {}


async def _cancel(call: Call) -> dict[str, Any]:
    await _get(call)  # done already: there is nothing to cancel, and that is no fault
    return {}


async def _list(call: Call) -> dict[str, Any]:
    parent = _name(call).removesuffix("/operations")
    return page(call.emulator.db.list("operations", parent), call.query, "operations")


for _parent in _PARENTS:
    routes.get(f"{_parent}/operations/{{operation}}")(_get)
    routes.get(f"{_parent}/operations")(_list)
    routes.delete(f"{_parent}/operations/{{operation}}")(_delete)
    routes.post(f"{_parent}/operations/{{operation}}:cancel")(_cancel)
    routes.post(f"{_parent}/operations/{{operation}}:wait")(_get)
