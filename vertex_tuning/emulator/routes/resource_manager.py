"""Resource Manager: any project exists; v1 tells its number apart, v3 in its name."""

from __future__ import annotations

from typing import Any

from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.routes import iam_policies

routes = Routes("cloudresourcemanager.googleapis.com")

_PROJECT = "projects/{project}"
_VERSIONS = ("v1", "v3")
_CREATED = "2020-01-01T00:00:00Z"


@routes.get(_PROJECT, versions=_VERSIONS)
async def get(call: Call) -> dict[str, Any]:
    """A project, by id or number."""
    project, given = call.emulator.project, call.path["project"]
    number, own = project.settings.number_of(given), project.id_of(given)
    common = {"projectId": own, "createTime": _CREATED}
    state = project.state(given)
    if call.version == "v1":
        return {"projectNumber": number, "name": own, "lifecycleState": state, **common}
    return {"name": f"projects/{number}", "displayName": own, "state": state, **common}


def _name(call: Call) -> str:
    return call.emulator.project.name_of(call.path["project"])


iam_policies.serve(routes, _PROJECT, _name, read="POST", versions=_VERSIONS)
