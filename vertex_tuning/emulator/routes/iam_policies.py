"""`:getIamPolicy`, `:setIamPolicy`, `:testIamPermissions`: the same three methods on every resource that has a policy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.project.policies import shown
from vertex_tuning.emulator.status import ApiError, Code


def serve(
    routes: Routes,
    path: str,
    resource: Callable[[Call], str],
    *,
    read: str = "GET",
    versions: tuple[str, ...] = ("v1",),
) -> None:
    """Add the three methods.

    Args:
        routes: Of the resource.
        path: Of the resource.
        resource: Its full name, under which its policy is kept; 404 where it is not there.
        read: The verb of `getIamPolicy`: services differ.
        versions: Of the API.
    """

    async def get(call: Call) -> dict[str, Any]:
        return shown(call.emulator.project.policies.get(resource(call)), await _version(call))

    async def put(call: Call) -> dict[str, Any]:
        policy = (await call.json()).get("policy")
        if policy is None:
            raise ApiError(Code.INVALID_ARGUMENT, "The request has no policy.")
        return call.emulator.project.policies.set(resource(call), policy)

    async def test(call: Call) -> dict[str, Any]:
        wanted = (await call.json()).get("permissions", [])
        if not (isinstance(wanted, list) and all(isinstance(one, str) and "*" not in one for one in wanted)):
            raise ApiError(Code.INVALID_ARGUMENT, "permissions is a list of permissions, without wildcards.")
        project, name = call.emulator.project, resource(call)
        above = project.policies.get("/".join(name.split("/")[:2]))
        allowed = project.policies.allowed(wanted, project.policies.get(name), above)
        return {"permissions": allowed} if allowed else {}

    table: tuple[tuple[str, str, Callable[[Call], Awaitable[dict[str, Any]]]], ...] = (
        (read, "getIamPolicy", get),
        ("POST", "setIamPolicy", put),
        ("POST", "testIamPermissions", test),
    )
    for method, verb, handler in table:
        routes.route(method, f"{path}:{verb}", versions=versions)(handler)


async def _version(call: Call) -> int:
    """Which version of a policy is asked for: in the query, or in the body."""
    asked: Any = call.query.get("options.requestedPolicyVersion") or call.query.get(
        "options.requested_policy_version"
    )
    if asked is None:
        options = (await call.json()).get("options") or {}
        asked = options.get("requestedPolicyVersion", 0) if isinstance(options, dict) else 0
    if str(asked) not in ("0", "1", "2", "3"):
        raise ApiError(Code.INVALID_ARGUMENT, "The requested version of a policy is 0, 1 or 3.")
    return int(asked)
