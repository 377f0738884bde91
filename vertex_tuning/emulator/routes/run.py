"""Cloud Run: services, as far as one is looked at. What they answer is rehearsed with `--map`."""

from __future__ import annotations

from typing import Any

from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.project.provision import RUN
from vertex_tuning.emulator.routes import iam_policies, provisioned
from vertex_tuning.emulator.status import ApiError, Code

routes = Routes("run.googleapis.com")

_SERVICES = "projects/{project}/locations/{location}/services"
_SERVICE = f"{_SERVICES}/{{service}}"


def _found(call: Call) -> dict[str, Any]:
    return provisioned.found(
        call, _SERVICE, lambda _: f"Resource '{call.path['service']}' of kind 'SERVICE' does not exist."
    )


@routes.get(_SERVICES, versions=("v2",))
async def list_services(call: Call) -> dict[str, Any]:
    """Of one region: there is no list of all."""
    if call.path["location"] == "-":
        raise ApiError(Code.INVALID_ARGUMENT, "The location is a region, and cannot be the wildcard '-'.")
    return provisioned.listed(call, "services", _SERVICES, kind=RUN)


@routes.get(_SERVICE, versions=("v2",))
async def get(call: Call) -> dict[str, Any]:
    """A service."""
    return _found(call)


iam_policies.serve(routes, _SERVICE, lambda call: str(_found(call)["name"]), versions=("v2",))
