"""Models that come and go as files: uploaded from Cloud Storage, copied, exported to it.

A version that was uploaded or copied has a folder of its own, `DATA_DIR/models/ID`: what happens to its source
later does not change it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vertex_tuning import catalog
from vertex_tuning.emulator.jobs import files, given, regions
from vertex_tuning.emulator.jobs.registry import default_checkpoint
from vertex_tuning.emulator.jobs.request import label_faults
from vertex_tuning.emulator.state import Resource, now
from vertex_tuning.emulator.status import ApiError, Code, invalid, not_found

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator
    from vertex_tuning.emulator.jobs.registry import Registry

_ID = re.compile(r"[a-z_][a-z0-9_-]{0,62}")
_FOLDER = re.compile(r"gs://[^/]+(/.*)?")
_NAME = re.compile(r"projects/([^/]+)/locations/([^/]+)/models/([^/@]+)(?:@([^/@]+))?")
_NO_FILE_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_UPLOADED = "1"
"""The one checkpoint of an uploaded version, which the wire does not show."""
_COPIED_FIELDS = (
    *(
        "displayName",
        "description",
        "labels",
        "versionDescription",
        "containerSpec",
        "metadata",
        "artifactUri",
    ),
    *("metadataSchemaUri", "predictSchemata", "baseModelSource", "explanationSpec", "checkpoints"),
    *("defaultCheckpointId", "supportedDeploymentResourcesTypes", "supportedExportFormats", "encryptionSpec"),
)
Fault = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Target:
    """Which model gets a version."""

    parent: str
    """Where it lives: `projects/N/locations/L`."""
    name: str = ""
    """Its full name; empty: a number is given."""
    is_known: bool = False
    """It is there, and gets another version."""


class Uploads:
    """Uploads, copies and exports of models."""

    def __init__(self, emulator: Emulator, registry: Registry) -> None:
        self._emulator = emulator
        self._registry = registry
        self._folder = emulator.settings.data_dir / "models"

    def sweep(self) -> None:
        """Remove folders that no version needs: a crash kept one from being written down."""
        if self._folder.exists():
            needed = self._registry.folders()
            for path in self._folder.iterdir():
                if path.name not in needed:
                    files.remove(path)

    def forget(self, version: Resource) -> None:
        """Remove the files of a version."""
        files.remove(self._folder / version.private["folder"])

    def reset(self) -> None:
        """Remove all files."""
        files.remove(self._folder)

    # Up

    async def upload(self, parent: str, body: dict[str, Any]) -> Resource:
        """A model from a folder in Cloud Storage: a new one, or another version of one.

        Raises:
            ApiError: 400 with every fault; 404, no such parent model; 409, the id is taken.
        """
        model = body.get("model", {})
        faults = _name_faults(model)
        target = self._target(parent, body, faults)
        uri = model.get("artifactUri", "")
        if not _FOLDER.fullmatch(uri):
            words = "artifact_uri is required: a Cloud Storage folder with safetensors and JSON, gs://BUCKET/FOLDER."
            faults.append(("model.artifact_uri", words))
        elif self._emulator.storage.bucket(bucket := uri.removeprefix("gs://").partition("/")[0]) is None:
            faults.append(("model.artifact_uri", f"The bucket {bucket} does not exist."))
        if not model.get("containerSpec", {}).get("imageUri"):
            words = (
                "image_uri is required: the container that serves the model on Vertex AI. It is not run here."
            )
            faults.append(("model.container_spec.image_uri", words))
        if faults:
            raise invalid(*faults, rule="VT663")
        shown = {
            **model,
            "artifactUri": uri,
            "supportedDeploymentResourcesTypes": ["DEDICATED_RESOURCES", "AUTOMATIC_RESOURCES"],
            "supportedExportFormats": [{"id": "custom-trained", "exportableContents": ["ARTIFACT"]}],
            "modelSourceInfo": {"sourceType": "CUSTOM"},
        }
        aliases = shown.pop("versionAliases", [])
        return await self._upload(target, shown, aliases, "model.artifact_uri")

    async def upload_folder(self, parent: str, model_id: str, shown: dict[str, Any], field: str) -> Resource:
        """The same for a folder that comes with no more than its URI, `artifactUri` of `shown`.

        Raises:
            ApiError: As `upload`.
        """
        faults: list[Fault] = []
        target = self._target(parent, {"modelId": model_id}, faults)
        if faults:
            raise invalid(*faults, rule="VT663")
        shown = {
            **shown,
            "supportedDeploymentResourcesTypes": ["DEDICATED_RESOURCES", "AUTOMATIC_RESOURCES"],
            "supportedExportFormats": [{"id": "custom-trained", "exportableContents": ["ARTIFACT"]}],
            "modelSourceInfo": {"sourceType": "MODEL_GARDEN"},
        }
        return await self._upload(target, shown, [], field)

    async def _upload(self, into: Target, shown: dict[str, Any], aliases: list[str], field: str) -> Resource:
        folder = self._emulator.db.new_id()

        def fill(target: Path) -> dict[str, Any]:
            found = given.look(self._emulator.storage, shown["artifactUri"], field)
            found.take(self._emulator.storage, target)
            stand_ins = self._stand_ins()
            fits = given.fit(found, target, [path for _, path in stand_ins])
            path = str(target.relative_to(self._emulator.settings.data_dir))
            checkpoint = {"endpoint": "", "path": path, "epoch": 0, "step": 0}
            return {
                "base_model": "",
                "stand_in": stand_ins[fits][0],
                "mode": found.mode,
                "adapter_size": 0,
                "job": "",
                "checkpoints": {_UPLOADED: checkpoint},
            }

        return await self._add(into, shown, aliases, folder, fill)

    def _stand_ins(self) -> list[tuple[str, Path]]:
        """Those whose weights are here, the one that serves everything first."""
        chosen = set(catalog.wished(self._emulator.settings.stand_in).values())
        return [
            (name, path)
            for name in sorted(catalog.stand_ins(), key=lambda name: name not in chosen)
            if (path := self._emulator.weights.path(name)) is not None
        ]

    async def _add(
        self,
        into: Target,
        shown: dict[str, Any],
        aliases: list[str],
        folder: str,
        fill: Callable[[Path], dict[str, Any]],
    ) -> Resource:
        target = self._folder / folder
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            # Files in a thread; what is written down is, as all else, written between two awaits.
            private = {**await asyncio.to_thread(fill, target), "folder": folder}
            with self._emulator.db.transaction():
                self._check_free(into)  # again: another request may have been quicker
                return self._registry.add(into.parent, into.name, shown, private, aliases)
        except BaseException as error:
            files.remove(target)
            if files.is_full(error):
                raise files.disk_full() from error
            if isinstance(error, FileNotFoundError):
                raise ApiError(
                    Code.ABORTED, "What is taken in was replaced or deleted meanwhile. Try again."
                ) from error
            raise

    def _target(self, parent: str, body: dict[str, Any], faults: list[Fault]) -> Target:
        identifier, existing = body.get("modelId", ""), body.get("parentModel", "")
        if identifier and existing:
            faults.append(("model_id", "model_id and parent_model are mutually exclusive."))
        if existing:
            match = _NAME.fullmatch(existing)
            if match is None:
                faults.append(("parent_model", f"'{existing}' is not the name of a model."))
                return Target(parent)
            project, location, model, _ = match.groups()
            name = (
                f"projects/{self._emulator.settings.number_of(project)}/locations/{location}/models/{model}"
            )
            if not name.startswith(f"{parent}/"):
                faults.append(("parent_model", f"{existing} is not in {parent}."))
                return Target(parent)
            target = Target(parent, name, is_known=True)
        elif identifier:
            if not _ID.fullmatch(identifier):
                words = "may hold lower-case letters, digits, '_' and '-', and begins with a letter."
                faults.append(("model_id", f"'{identifier}' {words}"))
            target = Target(parent, f"{parent}/models/{identifier}")
        else:
            return Target(parent)
        self._check_free(target)
        return target

    def _check_free(self, target: Target) -> None:
        there = bool(target.name) and self._emulator.db.get(target.name) is not None
        if target.is_known and not there:
            raise not_found(f"The Model {target.name}")
        if there and not target.is_known:
            words = (
                f"The Model {target.name} already exists. To add a version to it, name it as parent_model."
            )
            raise ApiError(Code.ALREADY_EXISTS, words, rule="VT663")

    # Across

    async def copy(self, parent: str, body: dict[str, Any]) -> Resource:
        """Another model, or another version of one, with the same files; the source may be in another location.

        Raises:
            ApiError: 400 with every fault; 404, no such model; 409, the id is taken.
        """
        faults: list[Fault] = []
        source_name = body.get("sourceModel", "")
        match = _NAME.fullmatch(source_name)
        source = None
        if match is None:
            words = f"'{source_name}' is not the name of a model: projects/P/locations/L/models/M[@VERSION]."
            faults.append(("source_model", words))
        else:
            project, location, model, version = match.groups()
            number = self._emulator.settings.number_of(project)
            if parent.split("/")[1] != number:
                faults.append(("source_model", "The source must be in the same project as its copy."))
            else:
                full = f"projects/{number}/locations/{location}/models/{model}"
                source = self._registry.version(full, version or "default")
                if source is None:
                    raise not_found(f"The Model {source_name}")
        target = self._target(parent, body, faults)
        if faults or source is None:
            raise invalid(*faults, rule="VT663")
        shown = {field: source.body[field] for field in _COPIED_FIELDS if field in source.body}
        if "encryptionSpec" in body:
            shown["encryptionSpec"] = body["encryptionSpec"]
        shown["modelSourceInfo"] = {**source.body["modelSourceInfo"], "copy": True}
        shown["originalModelInfo"] = {"model": source.name}
        return await self._copy(target, shown, source)

    async def _copy(self, into: Target, shown: dict[str, Any], source: Resource) -> Resource:
        data_dir = self._emulator.settings.data_dir
        folder = self._emulator.db.new_id()

        def fill(target: Path) -> dict[str, Any]:
            checkpoints = {}
            for identifier, checkpoint in source.private["checkpoints"].items():
                made = target / identifier
                files.take_tree(data_dir / checkpoint["path"], made)
                if not made.exists():
                    raise FileNotFoundError(made)  # the source was deleted just now
                checkpoints[identifier] = {
                    **checkpoint,
                    "endpoint": "",
                    "path": str(made.relative_to(data_dir)),
                }
            return {**source.private, "job": "", "checkpoints": checkpoints}

        return await self._add(into, shown, [], folder, fill)

    # Out

    async def export(self, version: Resource, config: dict[str, Any]) -> str:
        """Write a version's weights to Cloud Storage; returns the folder.

        Raises:
            ApiError: 400 with every fault.
        """
        faults: list[Fault] = []
        formats = [found["id"] for found in version.body.get("supportedExportFormats", ())]
        asked = config.get("exportFormatId", "")
        if asked and asked not in formats:
            words = f"'{asked}' is not a format of this model's: {', '.join(formats) or 'it has none'}."
            faults.append(("output_config.export_format_id", words))
        if "imageDestination" in config:
            words = "The emulator exports weights, not container images: give artifact_destination."
            faults.append(("output_config.image_destination", words))
        uri = config.get("artifactDestination", {}).get("outputUriPrefix", "")
        where = "output_config.artifact_destination.output_uri_prefix"
        bucket = self._emulator.storage.bucket(uri.removeprefix("gs://").partition("/")[0]) if uri else None
        location = version.parent.split("/")[3]
        if not _FOLDER.fullmatch(uri):
            faults.append((where, f"'{uri}' should be a Cloud Storage folder: gs://BUCKET/FOLDER."))
        elif bucket is None:
            faults.append((where, f"The bucket of {uri} does not exist."))
        elif location not in ("us", "eu") and not regions.holds(bucket, location):
            faults.append(
                (where, f"The bucket of {uri} is in {bucket['location']}, the model in {location}.")
            )
        if faults:
            raise invalid(*faults, rule="VT666")
        name = _NO_FILE_NAME.sub("-", version.body.get("displayName", ""))
        target = f"{uri.rstrip('/')}/model-export-{name}-{now()}"
        checkpoint = version.private["checkpoints"][default_checkpoint(version)]
        source = self._emulator.settings.data_dir / checkpoint["path"]
        written = await asyncio.to_thread(self._emulator.storage.copy_tree, source, target)
        if not written:
            raise not_found(f"The Model {version.name}")  # deleted meanwhile
        return target


def _name_faults(model: dict[str, Any]) -> list[Fault]:
    longest = catalog.limits("display_name")["max_bytes"]
    faults = [("model.labels", text) for text in label_faults(model.get("labels", {}))]
    if not 0 < len(model.get("displayName", "").encode()) <= longest:
        faults.append(("model.display_name", f"display_name must have 1 to {longest} bytes of UTF-8."))
    return faults
