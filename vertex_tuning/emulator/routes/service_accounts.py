"""`serviceAccounts` of IAM: those that a project was provisioned with, or else any that is asked for."""

from __future__ import annotations

from typing import Any

from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.listing import page_of
from vertex_tuning.emulator.routes import iam_policies
from vertex_tuning.emulator.status import ApiError, Code

routes = Routes("iam.googleapis.com")

_ACCOUNTS = "projects/{project}/serviceAccounts"
_ACCOUNT = f"{_ACCOUNTS}/{{account}}"
_USUAL_PAGE = "20"


def _found(call: Call) -> dict[str, Any]:
    found = call.emulator.project.account(call.path["project"], call.path["account"])
    if found is None:
        raise ApiError(Code.NOT_FOUND, "Unknown service account")
    return found


@routes.get(_ACCOUNTS, versions=("v1",))
async def list_accounts(call: Call) -> dict[str, Any]:
    """The oldest first."""
    found = call.emulator.project.accounts(call.path["project"])
    return page_of(found, {"pageSize": _USUAL_PAGE, **call.query}, "accounts")


@routes.get(_ACCOUNT, versions=("v1",))
async def get(call: Call) -> dict[str, Any]:
    """An account, by email or unique id; of project `-`, wherever it is."""
    return _found(call)


iam_policies.serve(routes, _ACCOUNT, lambda call: str(_found(call)["name"]), read="POST")
