"""Models, tuned, uploaded or copied: versions, aliases, checkpoints, and the endpoints that serve them.

A model is two kinds of resources. `models` has one row per model: what a list shows, which is the default
version. `modelVersions` has one row per version, under `MODEL@V`; its private part knows the files.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vertex_tuning.emulator.jobs.ledger import identifier
from vertex_tuning.emulator.state import Resource, now
from vertex_tuning.emulator.status import ApiError, Code, not_found

if TYPE_CHECKING:
    from vertex_tuning.emulator.state import Database

_ALIAS = re.compile(r"[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]")
_VERSIONS = "modelVersions"


class Registry:
    """Models and their endpoints in the database.

    Args:
        db: Where they are.
        forget: Called with a version that is gone: nothing needs its files any more.
    """

    def __init__(self, db: Database, forget: Callable[[Resource], None]) -> None:
        self._db = db
        self._forget = forget

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
        return self._db.list(_VERSIONS, model)

    def jobs(self) -> set[str]:
        """Ids of the jobs whose files are served."""
        return {
            identifier(found.private["job"]) for found in self._db.list(_VERSIONS) if found.private["job"]
        }

    def folders(self) -> set[str]:
        """Names of the folders that hold the files of uploaded and copied models."""
        return {found.private["folder"] for found in self._db.list(_VERSIONS) if "folder" in found.private}

    # Writing

    def add_version(
        self,
        *,
        parent: str,
        model: str,
        body: dict[str, Any],
        private: dict[str, Any],
        checkpoints: list[dict[str, Any]],
        export_last_only: bool,
        deploy_to: str = "",
    ) -> dict[str, Any]:
        """Register a version of a model (a new one where `model` is empty), and an endpoint per checkpoint.

        Args:
            parent: Where the model lives: `projects/N/locations/L`.
            model: The model that gets another version.
            body: `displayName`, `labels` and what else the version shows.
            private: `base_model`, `stand_in`, `mode`, `adapter_size`, `job`.
            checkpoints: `checkpoint_id`, `epoch`, `step`, `path` (in the data folder), by training order.
            export_last_only: No list of checkpoints is shown: there is only the result.
            deploy_to: An endpoint that the last checkpoint takes over; what is deployed there is undeployed.

        Returns:
            The `tunedModel` of the job.
        """
        with self._db.transaction():
            version = self._new_version(parent, model, body, private)
            version.body["supportedDeploymentResourcesTypes"] = ["SHARED_RESOURCES"]
            version.body["supportedExportFormats"] = [{"id": "genie", "exportableContents": ["ARTIFACT"]}]
            version.body["modelSourceInfo"] = {"sourceType": "GENIE"}
            for item in checkpoints:
                taken = deploy_to if item is checkpoints[-1] else ""
                endpoint = self._add_endpoint(parent, version, item, shown=not export_last_only, taken=taken)
                version.private["checkpoints"][item["checkpoint_id"]] = {
                    "endpoint": endpoint,
                    "path": item["path"],
                    "epoch": item["epoch"],
                    "step": item["step"],
                }
            if not export_last_only:
                version.body["defaultCheckpointId"] = checkpoints[-1]["checkpoint_id"]
                version.body["checkpoints"] = [
                    {"checkpointId": c["checkpoint_id"], "epoch": str(c["epoch"]), "step": str(c["step"])}
                    for c in checkpoints
                ]
            _default_first(version)
            self._make_default(version)
            return tuned_model(version)

    def add(
        self, parent: str, model: str, body: dict[str, Any], private: dict[str, Any], aliases: list[str]
    ) -> Resource:
        """Register a version that no endpoint serves yet: one that was uploaded, or copied.

        Args:
            parent: Where the model lives.
            model: Its full name, new or known; empty: a new one with a number.
            body: What the version shows.
            private: As for `add_version`, with `checkpoints` and `folder`.
            aliases: Of the version; the first version of a model is its default in any case.

        Raises:
            ApiError: 400, not an alias.
        """
        with self._db.transaction():
            version = self._new_version(parent, model, body, private)
            if version.body["versionId"] == "1" or "default" in aliases:
                self._make_default(version)
            else:
                self.save(version, "created")
            self.merge_aliases(version, [alias for alias in aliases if alias != "default"])
            return version

    def _new_version(
        self, parent: str, model: str, body: dict[str, Any], private: dict[str, Any]
    ) -> Resource:
        created = now()
        name = model or f"{parent}/models/{self._db.new_id()}"
        number = str(1 + self._last_version(name))
        shown = {
            "name": name,
            "createTime": created,
            "updateTime": created,
            **body,
            "versionId": number,
            "versionCreateTime": created,
            "versionUpdateTime": created,
            "deployedModels": [],
        }
        return Resource(f"{name}@{number}", _VERSIONS, name, shown, {"checkpoints": {}, **private})

    def _last_version(self, model: str) -> int:
        """The highest number that was ever given: the number of a deleted version does not come back."""
        found = self._db.get(model)
        return int(found.private["last_version"]) if found else 0

    def _add_endpoint(
        self, parent: str, version: Resource, checkpoint: dict[str, Any], *, shown: bool, taken: str
    ) -> str:
        """Deploy a checkpoint to an endpoint of its own, or to one that it takes over; returns its name."""
        created = now()
        deployed = self._db.new_id()
        known = {"version": version.name, "checkpoint_id": checkpoint["checkpoint_id"]}
        private = {"deployed": {deployed: known}}
        models = [
            {
                "id": deployed,
                "model": version.parent,
                "modelVersionId": version.body["versionId"],
                "displayName": version.body.get("displayName", ""),
                "createTime": created,
                **({"checkpointId": checkpoint["checkpoint_id"]} if shown else {}),
            }
        ]
        serving = {"deployedModels": models, "trafficSplit": {deployed: 100}, "updateTime": created}
        endpoint = self._db.get(taken) if taken else None
        if endpoint is not None:
            self._vacate(endpoint)
            endpoint.body.update(serving)
            endpoint.private = private
            self._db.put(endpoint, "taken over", {"model": version.name})
            self._place(version, checkpoint, endpoint.name, deployed, shown=shown)
            return endpoint.name
        name = f"{parent}/endpoints/{self._db.new_id()}"
        body = {
            "name": name,
            "displayName": version.body.get("displayName", ""),
            "labels": version.body.get("labels", {}),
            "createTime": created,
            **serving,
        }
        if "encryptionSpec" in version.body:
            body["encryptionSpec"] = version.body["encryptionSpec"]
        self._db.put(Resource(name, "endpoints", parent, body, private), "created", {"model": version.name})
        self._place(version, checkpoint, name, deployed, shown=shown)
        return name

    def _place(
        self, version: Resource, checkpoint: dict[str, Any], endpoint: str, deployed: str, *, shown: bool
    ) -> None:
        place = {"endpoint": endpoint, "deployedModelId": deployed}
        if shown:
            place["checkpointId"] = checkpoint["checkpoint_id"]
        version.body["deployedModels"].append(place)

    def _vacate(self, endpoint: Resource) -> None:
        """Take every model from an endpoint that another one takes over."""
        for one in endpoint.private.get("deployed", {}).values():
            version = self._db.get(one["version"])
            if version is not None:
                places = version.body["deployedModels"]
                version.body["deployedModels"] = [
                    place for place in places if place["endpoint"] != endpoint.name
                ]
                self.save(version, "undeployed")

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
        number = int(version.body["versionId"])
        last = max(self._last_version(version.parent), number)
        if "default" in version.body.get("versionAliases", ()):
            parent = version.parent.rsplit("/models/", 1)[0]
            self._db.put(
                Resource(version.parent, "models", parent, version.body, {"last_version": last}), event
            )
        elif last == number and (model := self._db.get(version.parent)) is not None:
            model.private["last_version"] = last
            self._db.put(model, "version added")

    def update(self, version: Resource, changes: dict[str, Any]) -> None:
        """Change `displayName`, `description`, `labels` or `defaultCheckpointId`.

        The endpoint of a tuned model is that of its default checkpoint: the job that made it tells the new
        one.

        Raises:
            ApiError: 400, the version has no such checkpoint.
        """
        checkpoint = changes.get("defaultCheckpointId")
        shown = [found["checkpointId"] for found in version.body.get("checkpoints", ())]
        if checkpoint is not None and checkpoint not in shown:
            raise ApiError(
                Code.INVALID_ARGUMENT,
                f"Checkpoint '{checkpoint}' does not exist; the model has: {', '.join(shown) or 'none'}.",
            )
        with self._db.transaction():
            version.body.update(changes)
            version.body["updateTime"] = version.body["versionUpdateTime"] = now()
            if checkpoint is not None:
                _default_first(version)
                job = self._db.get(version.private["job"])
                if job is not None:
                    job.body["tunedModel"] = tuned_model(version)
                    self._db.put(job, "default checkpoint changed", {"checkpoint_id": checkpoint})
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
        """Delete a version.

        Raises:
            ApiError: 400, it is deployed, or it is the default one while there are others.
        """
        others = [found for found in self.versions(version.parent) if found.name != version.name]
        if others and "default" in version.body.get("versionAliases", ()):
            raise ApiError(
                Code.FAILED_PRECONDITION,
                f"{version.name} is the default version. Make another one the default before it is deleted.",
            )
        self._check_undeployed([version])
        with self._db.transaction():
            self._db.delete(version.name)
            if not others:
                self._db.delete(version.parent)
        self._forget(version)

    def delete_model(self, model: str) -> None:
        """Delete a model with all its versions.

        Raises:
            ApiError: 404; 400, a version is deployed.
        """
        if self._db.get(model) is None:
            raise not_found(f"The Model {model}")
        versions = self.versions(model)
        self._check_undeployed(versions)
        with self._db.transaction():
            for version in versions:
                self._db.delete(version.name)
            self._db.delete(model)
        for version in versions:
            self._forget(version)

    @staticmethod
    def _check_undeployed(versions: list[Resource]) -> None:
        endpoints = [place["endpoint"] for version in versions for place in version.body["deployedModels"]]
        if endpoints:
            raise ApiError(
                Code.FAILED_PRECONDITION,
                f'The Model "{versions[0].parent}" is deployed or being deployed at the following '
                f"Endpoint(s): {', '.join(endpoints)}. Undeploy it first (endpoints.undeployModel).",
                rule="VT646",
            )


def default_checkpoint(version: Resource) -> str:
    """Id of the checkpoint that a version's endpoint serves: the last one, unless another was chosen."""
    return str(version.body.get("defaultCheckpointId") or list(version.private["checkpoints"])[-1])


def _default_first(version: Resource) -> None:
    """List the endpoints that serve a version, the default checkpoint's first."""
    first = default_checkpoint(version)
    version.body["deployedModels"].sort(key=lambda place: place.get("checkpointId", first) != first)


def tuned_model(version: Resource) -> dict[str, Any]:
    """A version as a job's `tunedModel` shows it: the endpoint is the default checkpoint's."""
    known = version.private["checkpoints"]
    endpoint = known[default_checkpoint(version)]["endpoint"]
    body: dict[str, Any] = {"model": version.name, "endpoint": endpoint}
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
