"""Tuned models: versions, aliases, checkpoints, and the endpoints that serve them.

A model is two kinds of resources. `models` has one row per model: what a list shows, which is the default version.
`modelVersions` has one row per version, under `MODEL@V`; its private part knows the files.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from vertex_tuning.emulator.state import Resource, now
from vertex_tuning.emulator.status import ApiError, Code, not_found

if TYPE_CHECKING:
    from vertex_tuning.emulator.state import Database

_FORBIDDEN = re.compile(r"[^a-z0-9_-]")
_ALIAS = re.compile(r"[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]")


def label_value(text: str) -> str:
    """Text as a label may hold it."""
    return _FORBIDDEN.sub("-", text.lower())[:63]


class Registry:
    """Models and their endpoints in the database."""

    def __init__(self, db: Database) -> None:
        self._db = db

    # Reading

    def version(self, model: str, version: str) -> Resource | None:
        """A version by number or alias (`default`, or one of the user's)."""
        if version.isdigit():
            return self._db.get(f"{model}@{version}")
        for found in self.versions(model):
            if version in found.body.get("versionAliases", ()):
                return found
        return None

    def versions(self, model: str) -> list[Resource]:
        """All versions of a model, newest first."""
        return self._db.list("modelVersions", model)

    def named(self, parent: str, display_name: str) -> str | None:
        """The model of this display name, if there is one."""
        for found in self._db.list("models", parent):
            if found.body.get("displayName") == display_name:
                return found.name
        return None

    # Writing

    def add_version(
        self,
        *,
        parent: str,
        model: str | None,
        body: dict[str, Any],
        private: dict[str, Any],
        checkpoints: list[dict[str, Any]],
        export_last_only: bool,
    ) -> dict[str, Any]:
        """Register a version of a model (a new model where `model` is None), and an endpoint for each checkpoint.

        Args:
            parent: Where the model lives: `projects/N/locations/L`.
            model: The model that gets another version.
            body: `displayName`, `labels` and what else the version shows.
            private: `base_model`, `stand_in`, `mode`, `model_dir`, `job`.
            checkpoints: `checkpoint_id`, `epoch`, `step`, `path`, by training order.
            export_last_only: No list of checkpoints is shown: there is only the result.

        Returns:
            The `tunedModel` of the job.
        """
        with self._db.transaction():
            created = now()
            name = model or f"{parent}/models/{self._db.new_id()}"
            number = str(1 + max((int(found.body["versionId"]) for found in self.versions(name)), default=0))
            last = checkpoints[-1]["checkpoint_id"]
            version = Resource(
                f"{name}@{number}",
                "modelVersions",
                name,
                {
                    "name": name,
                    "createTime": created,
                    "updateTime": created,
                    "supportedDeploymentResourcesTypes": ["SHARED_RESOURCES"],
                    "modelSourceInfo": {"sourceType": "GENIE"},
                    **body,
                    "versionId": number,
                    "versionCreateTime": created,
                    "versionUpdateTime": created,
                },
                {**private, "checkpoints": {}},
            )
            for item in checkpoints:
                identifier = item["checkpoint_id"]
                endpoint = self._add_endpoint(parent, version, item, shown=not export_last_only)
                version.private["checkpoints"][identifier] = {
                    "endpoint": endpoint,
                    "path": item["path"],
                    "epoch": item["epoch"],
                    "step": item["step"],
                }
            if not export_last_only:
                version.body["defaultCheckpointId"] = last
                version.body["checkpoints"] = [
                    {"checkpointId": c["checkpoint_id"], "epoch": str(c["epoch"]), "step": str(c["step"])}
                    for c in checkpoints
                ]
            self._deploy(version, last)
            self._make_default(version)
            return tuned_model(version)

    def _add_endpoint(
        self, parent: str, version: Resource, checkpoint: dict[str, Any], *, shown: bool
    ) -> str:
        created = now()
        deployed = self._db.new_id()
        name = f"{parent}/endpoints/{self._db.new_id()}"
        body = {
            "name": name,
            "displayName": version.body.get("displayName", ""),
            "labels": version.body.get("labels", {}),
            "createTime": created,
            "updateTime": created,
            "deployedModels": [
                {
                    "id": deployed,
                    "model": version.parent,
                    "modelVersionId": version.body["versionId"],
                    "displayName": version.body.get("displayName", ""),
                    "createTime": created,
                    **({"checkpointId": checkpoint["checkpoint_id"]} if shown else {}),
                }
            ],
            "trafficSplit": {deployed: 100},
        }
        if "encryptionSpec" in version.body:
            body["encryptionSpec"] = version.body["encryptionSpec"]
        full = version.private["mode"] == "full"
        private = {
            "version": version.name,
            "checkpoint_id": checkpoint["checkpoint_id"],
            "base_model": version.private["base_model"],
            "model_dir": checkpoint["path"] if full else version.private["model_dir"],
            "adapter": None if full else checkpoint["path"],
            "deployed_id": deployed,
        }
        self._db.put(Resource(name, "endpoints", parent, body, private), "created", {"model": version.name})
        return name

    def _deploy(self, version: Resource, checkpoint: str) -> None:
        """List the endpoints that serve a version, the default checkpoint's first."""
        known = version.private["checkpoints"]
        order = [checkpoint, *(name for name in known if name != checkpoint)]
        shown = "checkpoints" in version.body
        version.body["deployedModels"] = [
            {
                "endpoint": known[name]["endpoint"],
                "deployedModelId": endpoint.private["deployed_id"],
                **({"checkpointId": name} if shown else {}),
            }
            for name in order
            if (endpoint := self._db.get(known[name]["endpoint"])) is not None
        ]

    def _make_default(self, version: Resource) -> None:
        for other in self.versions(version.parent):
            aliases = other.body.get("versionAliases", [])
            if other.name != version.name and "default" in aliases:
                other.body["versionAliases"] = [alias for alias in aliases if alias != "default"]
                self._db.put(other, "undefaulted")
        aliases = version.body.get("versionAliases", [])
        version.body["versionAliases"] = [*(alias for alias in aliases if alias != "default"), "default"]
        self.save(version, "created")

    def save(self, version: Resource, event: str) -> None:
        """Write a version; where it is the default one, the model shows it."""
        self._db.put(version, event)
        if "default" in version.body.get("versionAliases", ()):
            parent = version.parent.rsplit("/models/", 1)[0]
            self._db.put(Resource(version.parent, "models", parent, version.body), event)

    def update(self, version: Resource, changes: dict[str, Any]) -> None:
        """Change `displayName`, `description`, `labels` or `defaultCheckpointId`.

        Raises:
            ApiError: 400, the version has no such checkpoint.
        """
        checkpoint = changes.get("defaultCheckpointId")
        if checkpoint is not None:
            if checkpoint not in version.private["checkpoints"]:
                raise ApiError(
                    Code.INVALID_ARGUMENT,
                    f"Checkpoint {checkpoint} does not exist; the model has: "
                    f"{', '.join(version.private['checkpoints'])}.",
                )
            self._deploy(version, checkpoint)
        version.body.update(changes)
        version.body["updateTime"] = version.body["versionUpdateTime"] = now()
        with self._db.transaction():
            self.save(version, "updated")

    def merge_aliases(self, version: Resource, changes: list[str]) -> None:
        """Add aliases, and remove those with a leading `-`; an alias belongs to one version of a model.

        Raises:
            ApiError: 400, not an alias, or the default would be left without a version.
        """
        for change in changes:
            alias = change.removeprefix("-")
            if not _ALIAS.fullmatch(alias):
                raise ApiError(Code.INVALID_ARGUMENT, f"'{alias}' is not a valid version alias.")
            if change == "-default":
                raise ApiError(Code.INVALID_ARGUMENT, "The alias 'default' can be moved, but not removed.")
        with self._db.transaction():
            added = [change for change in changes if not change.startswith("-")]
            for other in self.versions(version.parent):
                kept = [a for a in other.body.get("versionAliases", []) if a not in added]
                if other.name != version.name and kept != other.body.get("versionAliases", []):
                    other.body["versionAliases"] = kept
                    self._db.put(other, "aliases changed")
            own = [a for a in version.body.get("versionAliases", []) if f"-{a}" not in changes]
            version.body["versionAliases"] = [*own, *(a for a in added if a not in own)]
            self.save(version, "aliases changed")

    def delete_version(self, version: Resource) -> None:
        """Delete a version and its endpoints.

        Raises:
            ApiError: 400, it is the default one while others are there.
        """
        others = [found for found in self.versions(version.parent) if found.name != version.name]
        if others and "default" in version.body.get("versionAliases", ()):
            raise ApiError(
                Code.FAILED_PRECONDITION,
                f"{version.name} is the default version; make another one the default before you delete it.",
            )
        with self._db.transaction():
            for checkpoint in version.private["checkpoints"].values():
                self._db.delete(checkpoint["endpoint"])
            self._db.delete(version.name)
            if not others:
                self._db.delete(version.parent)

    def delete_model(self, model: str) -> None:
        """Delete a model with all versions and endpoints.

        Raises:
            ApiError: 404.
        """
        if self._db.get(model) is None:
            raise not_found(f"Model {model}")
        with self._db.transaction():
            for version in self.versions(model):
                for checkpoint in version.private["checkpoints"].values():
                    self._db.delete(checkpoint["endpoint"])
                self._db.delete(version.name)
            self._db.delete(model)


def tuned_model(version: Resource) -> dict[str, Any]:
    """A version as a job's `tunedModel` shows it: the endpoint is the default checkpoint's."""
    known = version.private["checkpoints"]
    default = version.body.get("defaultCheckpointId") or list(known)[-1]
    body: dict[str, Any] = {"model": version.name, "endpoint": known[default]["endpoint"]}
    if "checkpoints" in version.body:
        body["checkpoints"] = [
            {
                "checkpointId": name,
                "epoch": str(found["epoch"]),
                "step": str(found["step"]),
                "endpoint": found["endpoint"],
            }
            for name, found in known.items()
        ]
    return body
