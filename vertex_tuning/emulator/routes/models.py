"""`models`: tuned models, their versions and checkpoints."""

from __future__ import annotations

from typing import Any

from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.listing import page
from vertex_tuning.emulator.routes.operations import finished
from vertex_tuning.emulator.state import Resource
from vertex_tuning.emulator.status import ApiError, Code, invalid, not_found

routes = Routes()

_MODELS = "projects/{project}/locations/{location}/models"
_CHANGEABLE = ("displayName", "description", "labels", "defaultCheckpointId")


def _split(call: Call) -> tuple[str, str]:
    """The model's name, and the version or alias that was asked for (`default` where none was)."""
    model, _, version = call.path["model"].partition("@")
    return f"{call.parent}/models/{model}", version or "default"


def _version(call: Call) -> Resource:
    model, version = _split(call)
    found = call.emulator.jobs.registry.version(model, version)
    if found is None:
        raise not_found(f"The Model {model}{'' if version == 'default' else '@' + version}")
    return found


@routes.get(_MODELS, response="ListModelsResponse")
async def list_models(call: Call) -> dict[str, Any]:
    """One row per model: its default version."""
    return page(call.emulator.db.list("models", call.parent), call.query, "models")


@routes.get(f"{_MODELS}/{{model}}", response="Model")
async def get(call: Call) -> dict[str, Any]:
    """A model, by name, with `@version` or `@alias` where another than the default is meant."""
    return _version(call).body


@routes.patch(f"{_MODELS}/{{model}}", request="Model", response="Model")
async def update(call: Call) -> dict[str, Any]:
    """Changes what `updateMask` names; without one, what the body has, which is how google-genai asks."""
    version = _version(call)
    mask = call.query.get("updateMask") or call.query.get("update_mask") or ""
    fields = [_camel(part.strip()) for part in mask.split(",") if part.strip()]
    unknown = [field for field in fields if field not in _CHANGEABLE]
    if unknown:
        raise invalid(("update_mask", f"These fields cannot be changed: {', '.join(unknown)}."))
    changes = {field: call.body[field] for field in fields or _CHANGEABLE if field in call.body}
    call.emulator.jobs.registry.update(version, changes)
    return version.body


@routes.get(f"{_MODELS}/{{model}}:listVersions", response="ListModelVersionsResponse")
async def list_versions(call: Call) -> dict[str, Any]:
    """Newest first."""
    model, _ = _split(call)
    found = call.emulator.jobs.registry.versions(model)
    if not found:
        raise not_found(f"The Model {model}")
    return page(found, call.query, "models")


@routes.get(f"{_MODELS}/{{model}}:listCheckpoints", response="ListModelVersionCheckpointsResponse")
async def list_checkpoints(call: Call) -> dict[str, Any]:
    """By training order."""
    return {"checkpoints": _version(call).body.get("checkpoints", [])}


@routes.post(f"{_MODELS}/{{model}}:mergeVersionAliases", request="MergeVersionAliasesRequest", response="Model")
async def merge_version_aliases(call: Call) -> dict[str, Any]:
    """Adds aliases; one with a leading `-` is removed."""
    version = _version(call)
    call.emulator.jobs.registry.merge_aliases(version, list(call.body.get("versionAliases", [])))
    return version.body


@routes.delete(f"{_MODELS}/{{model}}", response="Operation")
async def delete(call: Call) -> dict[str, Any]:
    """Deletes the model with all its versions, and the endpoints that the service made for them."""
    model, _ = _split(call)
    call.emulator.jobs.registry.delete_model(model)
    return finished(call, call.parent, "DeleteOperationMetadata")


@routes.delete(f"{_MODELS}/{{model}}:deleteVersion", response="Operation")
async def delete_version(call: Call) -> dict[str, Any]:
    """Deletes one version; the default one only where it is the last."""
    if "@" not in call.path["model"]:
        raise ApiError(Code.INVALID_ARGUMENT, "Name the version: models/MODEL@VERSION:deleteVersion.")
    version = _version(call)
    call.emulator.jobs.registry.delete_version(version)
    return finished(call, call.parent, "DeleteOperationMetadata")


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
