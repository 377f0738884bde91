"""`datasets` and their versions, as far as they keep prompts.

Google's prompt management stores a prompt as a dataset whose `metadata` is the prompt. The dataset is what is edited;
a version is a copy of it that stays as it is. To restore a version makes another one with the same content, and the
dataset shows it.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.listing import page
from vertex_tuning.emulator.routes import changes
from vertex_tuning.emulator.routes.operations import finished
from vertex_tuning.emulator.state import Resource, now
from vertex_tuning.emulator.status import ApiError, Code, invalid, not_found
from vertex_tuning.emulator.wire.schema import schema, snake

routes = Routes()

Body = dict[str, Any]

_DATASETS = "projects/{project}/locations/{location}/datasets"
_DATASET = f"{_DATASETS}/{{dataset}}"
_VERSIONS = f"{_DATASET}/datasetVersions"
_VERSION = f"{_VERSIONS}/{{version}}"
_TYPES = "type.googleapis.com/google.cloud.aiplatform"
_PROMPT_SCHEMA = re.compile(r"gs://google-cloud-aiplatform/schema/dataset/metadata/text_prompt_[\d.]+\.yaml")
_CHANGEABLE = ("displayName", "description", "labels", "metadata", "modelReference")


# Datasets


@routes.post(_DATASETS, request="Dataset", response="Operation")
async def create(call: Call) -> Body:
    """A prompt, without a version."""
    _check_kind(call.body.get("metadataSchemaUri", ""))
    if not call.body.get("displayName"):
        raise invalid(("dataset.display_name", "display_name is required."), rule="VT640")
    given = changes.read(call, "dataset", _CHANGEABLE)
    _check_metadata({"metadata": call.body.get("metadata")})
    db, created = call.emulator.db, now()
    name = f"{call.parent}/datasets/{db.new_id()}"
    kept: Body = {key: call.body[key] for key in ("metadataSchemaUri", "encryptionSpec") if key in call.body}
    body = _stamped({**given, **kept, "name": name, "createTime": created})
    with db.transaction():
        db.put(Resource(name, "datasets", call.parent, body, {"last_version": 0}), "created")
        return finished(call, name, "CreateDatasetOperationMetadata", _typed(call, "Dataset", body))


@routes.get(_DATASETS, response="ListDatasetsResponse")
async def list_datasets(call: Call) -> Body:
    """Newest first."""
    fields = [*schema("v1beta1").message("Dataset").fields, "dataset"]
    return page(
        call.emulator.db,
        "datasets",
        call.parent,
        call.query,
        fields=fields,
        extra=lambda item: {"dataset": item.name.rsplit("/", 1)[1]},
    )


@routes.get(_DATASET, response="Dataset")
async def get(call: Call) -> Body:
    """A prompt, by name."""
    return _dataset(call).body


@routes.patch(_DATASET, request="Dataset", response="Dataset")
async def update(call: Call) -> Body:
    """Changes what `updateMask` names; without one, what the body has, which is how `vertexai.Client` asks."""
    found = _dataset(call)
    _check_etag(call, found)
    changed = changes.read(call, "dataset", _CHANGEABLE)
    _check_metadata(changed)
    if "metadata" in changed and "modelReference" not in changed:
        found.body.pop("modelReference", None)  # the model is the new content's
    found.body = _stamped({**found.body, **changed})
    call.emulator.db.put(found, "updated")
    return found.body


@routes.delete(_DATASET, response="Operation")
async def delete(call: Call) -> Body:
    """Deletes a prompt with all its versions. Its operation belongs to the location: the dataset is gone."""
    found, db = _dataset(call), call.emulator.db
    with db.transaction():
        for kind in ("datasetVersions", "operations"):
            for part in db.list(kind, found.name):
                db.delete(part.name)
        db.delete(found.name)
        return finished(call, call.parent, "DeleteOperationMetadata")


# Versions


@routes.post(_VERSIONS, request="DatasetVersion", response="Operation")
async def create_version(call: Call) -> Body:
    """The dataset as it is now, under a number of its own."""
    dataset = _dataset(call)
    display = changes.read(call, "dataset_version", ("displayName",))
    with call.emulator.db.transaction():
        version = _add_version(call, dataset, display)
        response = _typed(call, "DatasetVersion", version)
        return finished(call, dataset.name, "CreateDatasetVersionOperationMetadata", response)


@routes.get(_VERSIONS, response="ListDatasetVersionsResponse")
async def list_versions(call: Call) -> Body:
    """Newest first."""
    fields = schema("v1beta1").message("DatasetVersion").fields
    return page(call.emulator.db, "datasetVersions", _dataset(call).name, call.query, fields=fields)


@routes.get(_VERSION, response="DatasetVersion")
async def get_version(call: Call) -> Body:
    """A version, by name."""
    return _version(call).body


@routes.patch(_VERSION, request="DatasetVersion", response="DatasetVersion")
async def update_version(call: Call) -> Body:
    """Changes its display name, the only thing of a version that changes."""
    found = _version(call)
    _check_etag(call, found)
    found.body = _stamped({**found.body, **changes.read(call, "dataset_version", ("displayName",))})
    call.emulator.db.put(found, "updated")
    return found.body


@routes.delete(_VERSION, response="Operation")
async def delete_version(call: Call) -> Body:
    """Deletes a version; its number does not come back."""
    found = _version(call)
    with call.emulator.db.transaction():
        call.emulator.db.delete(found.name)
        return finished(call, call.parent, "DeleteOperationMetadata")


@routes.get(f"{_VERSION}:restore", response="Operation")
async def restore_version(call: Call) -> Body:
    """Makes an earlier version the newest. A GET that changes something: it is Google's."""
    old, dataset = _version(call), _dataset(call)
    for field in ("metadata", "modelReference"):
        dataset.body.pop(field, None)
        if field in old.body:
            dataset.body[field] = old.body[field]
    dataset.body = _stamped(dataset.body)
    display = {"displayName": old.body["displayName"]} if "displayName" in old.body else {}
    with call.emulator.db.transaction():
        version = _add_version(call, dataset, display)
        response = _typed(call, "DatasetVersion", version)
        return finished(call, call.parent, "RestoreDatasetVersionOperationMetadata", response)


def _add_version(call: Call, dataset: Resource, display: Body) -> Body:
    """Copy the dataset into its next version, and write both."""
    created, number = now(), 1 + int(dataset.private["last_version"])
    name = f"{dataset.name}/datasetVersions/{number}"
    copied: Body = {key: dataset.body[key] for key in ("metadata", "modelReference") if key in dataset.body}
    body = _stamped({"name": name, **display, "createTime": created, **copied})
    dataset.private["last_version"] = number
    call.emulator.db.put(Resource(name, "datasetVersions", dataset.name, body), "created")
    call.emulator.db.put(dataset, "versioned", {"version": number})
    return body


# Parts


def _dataset(call: Call) -> Resource:
    name = f"{call.parent}/datasets/{call.path['dataset']}"
    found = call.emulator.db.get(name)
    if found is None:
        raise not_found(f"The Dataset {name}")
    return found


def _version(call: Call) -> Resource:
    name = f"{_dataset(call).name}/datasetVersions/{call.path['version']}"
    found = call.emulator.db.get(name)
    if found is None:
        raise not_found(f"The DatasetVersion {name}")
    return found


def _check_kind(uri: str) -> None:
    if not uri:
        raise invalid(("dataset.metadata_schema_uri", "metadata_schema_uri is required."), rule="VT671")
    if not _PROMPT_SCHEMA.fullmatch(uri):
        kind = uri.rsplit("/", 1)[-1].removesuffix(".yaml")
        raise ApiError(
            Code.FAILED_PRECONDITION,
            f"The emulator keeps prompts (text_prompt_1.0.0.yaml) as datasets, and does not serve '{kind}'.",
            rule="VT670",
        )


def _check_metadata(body: Body) -> None:
    """What a prompt's metadata must be; what is in it is the client's own, and kept as it is."""
    if "metadata" not in body:
        return
    metadata = body["metadata"]
    if not isinstance(metadata, dict) or not metadata:
        raise invalid(("dataset.metadata", "metadata is required: an object, the prompt."), rule="VT671")
    if not isinstance(_member(metadata, "promptApiSchema") or {}, dict):
        raise invalid(("dataset.metadata.promptApiSchema", "It must be an object."), rule="VT671")


def _check_etag(call: Call, found: Resource) -> None:
    given = call.body.get("etag", "")
    if given and given != found.body["etag"]:
        raise ApiError(
            Code.ABORTED,
            f"{found.name} was changed since it was read: its etag is {found.body['etag']}, not {given}.",
            rule="VT672",
        )


def _stamped(body: Body) -> Body:
    """A body with the time and the etag of this change, and the model that its prompt names."""
    body = {key: value for key, value in body.items() if value not in ("", {})}
    model = body.get("modelReference") or _model(body.get("metadata"))
    body |= {"updateTime": now(), **({"modelReference": model} if model else {})}
    text = repr(sorted((key, value) for key, value in body.items() if key != "etag"))
    return {**body, "etag": hashlib.sha256(text.encode()).hexdigest()[:16]}


def _model(metadata: Any) -> str:
    for part in ("promptApiSchema", "multimodalPrompt", "promptMessage", "model"):
        metadata = _member(metadata, part)
    return metadata if isinstance(metadata, str) else ""


def _member(value: Any, name: str) -> Any:
    """A member by either spelling: of Google's own clients, the new one writes snake_case, the older one camelCase."""
    return value.get(name, value.get(snake(name))) if isinstance(value, dict) else None


def _typed(call: Call, message: str, body: Body) -> Body:
    return {"@type": f"{_TYPES}.{call.version}.{message}", **body}


def _refuse(method: str, verb: str, path: str = _DATASET) -> None:
    async def refuse(_: Call) -> Body:
        raise ApiError(
            Code.FAILED_PRECONDITION,
            f"The emulator keeps prompts as datasets, and does not serve datasets.{verb}.",
            rule="VT670",
        )

    routes.route(method, f"{path}:{verb}")(refuse)


for _method, _verb in (
    ("POST", "import"),
    ("POST", "export"),
    ("GET", "searchDataItems"),
    ("POST", "assemble"),
    ("POST", "assess"),
):
    _refuse(_method, _verb)
