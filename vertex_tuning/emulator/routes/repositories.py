"""Artifact Registry: repositories. Compiled pipelines can be pushed to them (`templates.py`), and nothing else."""

from __future__ import annotations

from typing import Any

from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.routes import iam_policies, provisioned

routes = Routes("artifactregistry.googleapis.com")

_REPOSITORIES = "projects/{project}/locations/{location}/repositories"
_REPOSITORY = f"{_REPOSITORIES}/{{repository}}"


def _found(call: Call) -> dict[str, Any]:
    return provisioned.found(call, _REPOSITORY, lambda _: "Requested entity was not found.")


@routes.get(_REPOSITORIES, versions=("v1",))
async def list_repositories(call: Call) -> dict[str, Any]:
    """Of a location."""
    return provisioned.listed(call, "repositories", _REPOSITORIES)


@routes.get(_REPOSITORY, versions=("v1",))
async def get(call: Call) -> dict[str, Any]:
    """A repository."""
    return _found(call)


iam_policies.serve(routes, _REPOSITORY, lambda call: str(_found(call)["name"]))
