"""`models`: tuned, uploaded and copied ones, their versions and checkpoints."""

from __future__ import annotations

import re
from typing import Any

from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.listing import page, page_of
from vertex_tuning.emulator.routes import changes
from vertex_tuning.emulator.routes.operations import TYPES, finished
from vertex_tuning.emulator.state import Resource
from vertex_tuning.emulator.status import ApiError, Code, not_found
from vertex_tuning.emulator.wire.schema import schema

routes = Routes()

_MODELS = "projects/{project}/locations/{location}/models"
_CHANGEABLE = ("displayName", "description", "labels", "defaultCheckpointId", "versionDescription")
_ID = re.compile(r"[a-z0-9_-]{1,63}")


def _split(call: Call) -> tuple[str, str]:
    """The model's name, and the version or alias that was asked for (`default` where none was)."""
    model, _, version = call.path["model"].partition("@")
    if not _ID.fullmatch(model):
        raise ApiError(Code.INVALID_ARGUMENT, f'Invalid resource name: "{call.parent}/models/{model}".')
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
    return page(
        call.emulator.db,
        "models",
        call.parent,
        call.query,
        fields=[*schema("v1beta1").message("Model").fields, "model", "baseModelName"],
        extra=lambda model: {
            "model": model.name.rsplit("/", 1)[1],
            "baseModelName": model.body.get("labels", {}).get("google-vertex-llm-tuning-base-model-id"),
        },
    )


@routes.get(f"{_MODELS}/{{model}}", response="Model")
async def get(call: Call) -> dict[str, Any]:
    """A model, by name, with `@version` or `@alias` where another than the default is meant."""
    return _version(call).body


@routes.patch(f"{_MODELS}/{{model}}", request="Model", response="Model")
async def update(call: Call) -> dict[str, Any]:
    """Changes what `updateMask` names; without one, what the body has, which is how google-genai asks."""
    version = _version(call)
    call.emulator.jobs.registry.update(version, changes.read(call, "model", _CHANGEABLE))
    return version.body


@routes.get(f"{_MODELS}/{{model}}:listVersions", response="ListModelVersionsResponse")
async def list_versions(call: Call) -> dict[str, Any]:
    """Newest first."""
    model, _ = _split(call)
    found = call.emulator.jobs.registry.versions(model)
    if not found:
        raise not_found(f"The Model {model}")
    return page_of([version.body for version in found], call.query, "models")


@routes.get(f"{_MODELS}/{{model}}:listCheckpoints", response="ListModelVersionCheckpointsResponse")
async def list_checkpoints(call: Call) -> dict[str, Any]:
    """By training order."""
    return page_of(_version(call).body.get("checkpoints", []), call.query, "checkpoints")


@routes.post(
    f"{_MODELS}/{{model}}:mergeVersionAliases", request="MergeVersionAliasesRequest", response="Model"
)
async def merge_version_aliases(call: Call) -> dict[str, Any]:
    """Adds aliases; one with a leading `-` is removed."""
    version = _version(call)
    call.emulator.jobs.registry.merge_aliases(version, call.body.get("versionAliases", []))
    return version.body


def _added(call: Call, version: Resource, verb: str) -> dict[str, Any]:
    response = {
        "@type": f"{TYPES}.{call.version}.{verb}ModelResponse",
        "model": version.parent,
        "modelVersionId": version.body["versionId"],
    }
    return finished(call, version.parent, f"{verb}ModelOperationMetadata", response)


@routes.post(f"{_MODELS}:upload", request="UploadModelRequest", response="Operation")
async def upload(call: Call) -> dict[str, Any]:
    """A model, or another version of one, from a folder of safetensors and JSON."""
    return _added(call, await call.emulator.jobs.uploads.upload(call.parent, call.body), "Upload")


@routes.post(f"{_MODELS}:copy", request="CopyModelRequest", response="Operation")
async def copy(call: Call) -> dict[str, Any]:
    """Another model, or another version of one, with the same weights; to another location too."""
    return _added(call, await call.emulator.jobs.uploads.copy(call.parent, call.body), "Copy")


@routes.post(f"{_MODELS}/{{model}}:export", request="ExportModelRequest", response="Operation")
async def export(call: Call) -> dict[str, Any]:
    """Writes a version's weights to Cloud Storage."""
    version = _version(call)
    uri = await call.emulator.jobs.uploads.export(version, call.body.get("outputConfig", {}))
    response = {"@type": f"{TYPES}.{call.version}.ExportModelResponse"}
    more = {"outputInfo": {"artifactOutputUri": uri}}
    return finished(call, version.parent, "ExportModelOperationMetadata", response, more)


@routes.delete(f"{_MODELS}/{{model}}", response="Operation")
async def delete(call: Call) -> dict[str, Any]:
    """Deletes the model with all its versions; none may be deployed."""
    model, _ = _split(call)
    call.emulator.jobs.registry.delete_model(model)
    return finished(call, model, "DeleteOperationMetadata")


@routes.delete(f"{_MODELS}/{{model}}:deleteVersion", response="Operation")
async def delete_version(call: Call) -> dict[str, Any]:
    """Deletes one version; the default one only where it is the last."""
    model, _ = _split(call)
    if "@" not in call.path["model"]:
        raise ApiError(Code.INVALID_ARGUMENT, "Name the version: models/MODEL@VERSION:deleteVersion.")
    call.emulator.jobs.registry.delete_version(_version(call))
    return finished(call, model, "DeleteOperationMetadata")
