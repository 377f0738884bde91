"""Service Usage: which of Google's services are on in a project."""

from __future__ import annotations

import uuid
from typing import Any

from vertex_tuning.catalog import requirements
from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.listing import page_of
from vertex_tuning.emulator.project.given import SERVICE
from vertex_tuning.emulator.project.project import SERVICES
from vertex_tuning.emulator.status import ApiError, Code

routes = Routes("serviceusage.googleapis.com")

_SERVICES = "projects/{project}/services"
_SERVICE = f"{_SERVICES}/{{service}}"
_TYPES = "type.googleapis.com/google.api.serviceusage.v1"
_MOST_READ, _MOST_TURNED = 30, 20
_USUAL_PAGE = "50"


def _body(call: Call, service: str) -> dict[str, Any]:
    """A service, as Service Usage words it; what is no service at all is refused like one that nobody may see."""
    if not SERVICE.fullmatch(service):
        raise ApiError(
            Code.PERMISSION_DENIED,
            f"Not found or permission denied for service(s): {service}.",
            details=[
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "SERVICE_CONFIG_NOT_FOUND_OR_PERMISSION_DENIED",
                    "domain": "serviceusage.googleapis.com",
                    "metadata": {"services": service},
                }
            ],
        )
    project = call.emulator.project
    parent = f"projects/{project.settings.number_of(call.path['project'])}"
    known = requirements.every_service().get(service)
    config = {"name": service, **({"title": known.title} if known else {})}
    state = "ENABLED" if project.is_on(call.path["project"], service) else "DISABLED"
    return {"name": f"{parent}/services/{service}", "config": config, "state": state, "parent": parent}


@routes.get(_SERVICES, versions=("v1",))
async def list_services(call: Call) -> dict[str, Any]:
    """Those that this package knows, and those that were turned on or off, by name."""
    number = call.emulator.settings.number_of(call.path["project"])
    rows = call.emulator.db.list(SERVICES, f"projects/{number}")
    names = sorted({*requirements.every_service(), *(row.name.rpartition("/")[2] for row in rows)})
    wanted = call.query.get("filter", "").replace(" ", "")
    if wanted not in ("", "state:ENABLED", "state:DISABLED"):
        raise ApiError(
            Code.INVALID_ARGUMENT, f"Invalid filter: {wanted}. It is state:ENABLED or state:DISABLED."
        )
    found = [_body(call, name) for name in names]
    query = {key: value for key, value in call.query.items() if key in ("pageSize", "pageToken")}
    kept = [one for one in found if not wanted or one["state"] == wanted.partition(":")[2]]
    return page_of(kept, {"pageSize": _USUAL_PAGE, **query}, "services")


@routes.get(f"{_SERVICES}:batchGet", versions=("v1",))
async def batch_get(call: Call) -> dict[str, Any]:
    """Several at once: `names=projects/123/services/NAME`, again and again."""
    names = call.query_all("names")
    if not 0 < len(names) <= _MOST_READ:
        raise ApiError(Code.INVALID_ARGUMENT, f"names holds from 1 to {_MOST_READ} names of services.")
    number = call.emulator.settings.number_of
    for name in names:
        parts = name.split("/")
        if (
            len(parts) != 4
            or parts[0::2] != ["projects", "services"]
            or number(parts[1]) != number(call.path["project"])
        ):
            raise ApiError(Code.INVALID_ARGUMENT, f"{name} is not the name of a service of this project.")
    return {"services": [_body(call, name.rpartition("/")[2]) for name in names]}


@routes.get(_SERVICE, versions=("v1",))
async def get(call: Call) -> dict[str, Any]:
    """A service, on or off."""
    return _body(call, call.path["service"])


@routes.post(f"{_SERVICE}:enable", versions=("v1",))
async def enable(call: Call) -> dict[str, Any]:
    """Turns it on, at once."""
    return _turned(call, [call.path["service"]], on=True)


@routes.post(f"{_SERVICE}:disable", versions=("v1",))
async def disable(call: Call) -> dict[str, Any]:
    """Turns it off, at once."""
    return _turned(call, [call.path["service"]], on=False)


@routes.post(f"{_SERVICES}:batchEnable", versions=("v1",))
async def batch_enable(call: Call) -> dict[str, Any]:
    """Turns several on, at once."""
    names = (await call.json()).get("serviceIds", [])
    if not (isinstance(names, list) and 0 < len(names) <= _MOST_TURNED):
        raise ApiError(Code.INVALID_ARGUMENT, f"serviceIds holds from 1 to {_MOST_TURNED} services.")
    return _turned(call, [str(name) for name in names], on=True, batch=True)


def _turned(call: Call, names: list[str], *, on: bool, batch: bool = False) -> dict[str, Any]:
    """An operation that is done."""
    for name in names:
        _body(call, name)
    for name in names:
        call.emulator.project.turn(call.path["project"], name, on=on)
    found = [_body(call, name) for name in names]
    verb = f"{'Batch' if batch else ''}{'Enable' if on else 'Disable'}{'Services' if batch else 'Service'}Response"
    number = call.emulator.settings.number_of(call.path["project"])
    return {
        "name": f"operations/acat.p2-{number}-{uuid.uuid4()}",
        "metadata": {"@type": f"{_TYPES}.OperationMetadata", "resourceNames": [one["name"] for one in found]},
        "done": True,
        "response": {
            "@type": f"{_TYPES}.{verb}",
            **({"services": found} if batch else {"service": found[0]}),
        },
    }
