"""Which models an endpoint holds, and which of them answers.

What the wire shows is the endpoint's `deployedModels` and `trafficSplit`; its private part says, for each
deployed model, which version's checkpoint that is.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vertex_tuning.emulator.filters import camel
from vertex_tuning.emulator.jobs.registry import Registry, default_checkpoint
from vertex_tuning.emulator.state import Resource, now
from vertex_tuning.emulator.status import ApiError, Code, invalid, not_found

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator

_MODEL = re.compile(r"projects/([^/]+)/locations/([^/]+)/models/([^/@]+)(?:@([^/@]+))?")
_ID = re.compile(r"[0-9]{1,10}")
_NEW = "0"
"""What a traffic split calls the model that is just being deployed."""
_RESOURCES = ("dedicatedResources", "automaticResources", "sharedResources", "fullFineTunedResources")
_MUTABLE = {
    "dedicatedResources": (
        *("minReplicaCount", "maxReplicaCount", "requiredReplicaCount", "initialReplicaCount"),
        *("autoscalingMetricSpecs", "scaleToZeroSpec"),
    ),
    "automaticResources": ("minReplicaCount", "maxReplicaCount"),
    "disableContainerLogging": (),
    "enableContainerLogging": (),
}
Split = dict[str, int]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A deployed model that is to answer."""

    endpoint: str
    id: str
    version: Resource
    checkpoint_id: str


class Deployments:
    """Models on endpoints."""

    def __init__(self, emulator: Emulator, registry: Registry) -> None:
        self._db = emulator.db
        self._number_of = emulator.settings.number_of
        self._registry = registry

    def deploy(self, endpoint: Resource, given: dict[str, Any], split: Split) -> dict[str, Any]:
        """Put a model on an endpoint; returns its `DeployedModel`.

        Args:
            endpoint: Where to.
            given: `DeployedModel` of the request.
            split: The endpoint's new traffic, the new model being "0"; empty: as it was.

        Raises:
            ApiError: 400 with every fault; 404, no such model.
        """
        faults: list[tuple[str, str]] = []
        version = self._version(given.get("model", ""), faults)
        deployed = endpoint.body.get("deployedModels", [])
        identifier = given.get("id", "")
        if identifier and not _ID.fullmatch(identifier):
            faults.append(("deployed_model.id", f"'{identifier}' must have 1 to 10 digits."))
        if any(one["id"] == identifier for one in deployed):
            faults.append(("deployed_model.id", f"The endpoint has a deployed model {identifier} already."))
        checkpoint = given.get("checkpointId", "")
        if version is not None:
            faults += _resource_faults(version, given)
            known = [item["checkpointId"] for item in version.body.get("checkpoints", ())]
            if checkpoint and checkpoint not in known:
                several = ", ".join(known) or "none"
                words = f"Checkpoint '{checkpoint}' does not exist; the model has: {several}."
                faults.append(("deployed_model.checkpoint_id", words))
        faults += split_faults(split, {_NEW, *(one["id"] for one in deployed)}, "traffic_split")
        if faults or version is None:
            raise invalid(*faults, rule="VT664")
        identifier = identifier or self._db.new_id()
        body = {
            **given,
            "id": identifier,
            "model": version.parent,
            "modelVersionId": version.body["versionId"],
            "displayName": given.get("displayName") or version.body.get("displayName", ""),
            "createTime": now(),
        }
        checkpoint = checkpoint or default_checkpoint(version)
        with self._db.transaction():
            endpoint.body["deployedModels"] = [*deployed, body]
            if split:
                named = {identifier if key == _NEW else key: share for key, share in split.items()}
                endpoint.body["trafficSplit"] = named
            endpoint.body["updateTime"] = now()
            endpoint.private.setdefault("deployed", {})[identifier] = {
                "version": version.name,
                "checkpoint_id": checkpoint,
            }
            self._db.put(endpoint, "deployed", {"model": version.name, "deployed_model": identifier})
            place = {"endpoint": endpoint.name, "deployedModelId": identifier}
            if "checkpoints" in version.body:
                place["checkpointId"] = checkpoint
            version.body["deployedModels"].append(place)
            self._registry.save(version, "deployed")
        return body

    def undeploy(self, endpoint: Resource, identifier: str, split: Split) -> None:
        """Take a model from an endpoint.

        Raises:
            ApiError: 404, the endpoint has no such deployed model; 400, it has traffic that nobody takes over.
        """
        self._deployed(endpoint, identifier)
        left = [one for one in endpoint.body["deployedModels"] if one["id"] != identifier]
        if left:
            # Where nothing else is left, nothing has traffic.
            traffic = split or endpoint.body.get("trafficSplit", {})
            faults = split_faults(split, {one["id"] for one in left}, "traffic_split")
            if traffic.get(identifier):
                words = (
                    f"DeployedModel {identifier} has {traffic[identifier]} % of the endpoint's traffic: give "
                    "it to the others first, or in this call."
                )
                faults = [("traffic_split", words)]
            if faults:
                raise invalid(*faults, rule="VT665")
            endpoint.body["trafficSplit"] = {
                key: share for key, share in traffic.items() if key != identifier
            }
        else:
            endpoint.body["trafficSplit"] = {}
        with self._db.transaction():
            endpoint.body["deployedModels"] = left
            endpoint.body["updateTime"] = now()
            gone = endpoint.private.get("deployed", {}).pop(identifier, {})
            self._db.put(endpoint, "undeployed", {"deployed_model": identifier})
            version = self._db.get(gone.get("version", ""))
            if version is not None:
                version.body["deployedModels"] = [
                    place
                    for place in version.body["deployedModels"]
                    if (place["endpoint"], place["deployedModelId"]) != (endpoint.name, identifier)
                ]
                self._registry.save(version, "undeployed")

    def mutate(self, endpoint: Resource, given: dict[str, Any], mask: str) -> dict[str, Any]:
        """Change how many replicas a deployed model has, or what it logs; returns its `DeployedModel`.

        Raises:
            ApiError: 404, the endpoint has no such deployed model; 400, not a field that can be changed.
        """
        deployed = self._deployed(endpoint, given.get("id", ""))
        paths = [
            [camel(part) for part in path.strip().split(".")] for path in mask.split(",") if path.strip()
        ]
        faults = [] if paths else [("update_mask", "update_mask is required: it says what to change.")]
        changed = {**deployed}
        for head, *rest in paths:
            known = _MUTABLE.get(head)
            if known is None or len(rest) > 1 or (rest and rest[0] not in known):
                faults.append(
                    ("update_mask", f"{'.'.join([head, *rest])} of a deployed model cannot be changed.")
                )
                continue
            if known and head not in deployed:
                faults.append(("update_mask", f"The deployed model has no {head}."))
                continue
            if not known:
                changed[head] = given.get(head, False)
                continue
            asked = given.get(head, {})
            fields = rest or [field for field in known if field in asked]
            part = {key: value for key, value in deployed[head].items() if key not in fields}
            changed[head] = part | {field: asked[field] for field in fields if field in asked}
        if not faults:
            faults = _replica_faults(changed)
        if faults:
            raise invalid(*faults, rule="VT664")
        endpoint.body["deployedModels"] = [
            changed if one["id"] == changed["id"] else one for one in endpoint.body["deployedModels"]
        ]
        endpoint.body["updateTime"] = now()
        self._db.put(endpoint, "mutated", {"deployed_model": changed["id"]})
        return changed

    def choose(self, name: str) -> Chosen:
        """Who answers on an endpoint now: each deployed model as often as its share of the traffic says.

        Raises:
            ApiError: 404, no such endpoint; 400, no model, or none with traffic.
        """
        endpoint = self._db.get(name)
        if endpoint is None or endpoint.kind != "endpoints":
            raise not_found(f"Endpoint `{name}`")
        known = endpoint.private.get("deployed", {})
        split = {key: share for key, share in endpoint.body.get("trafficSplit", {}).items() if share}
        if not known or not split:
            what = "no model that gets traffic (trafficSplit is empty)" if known else "no model deployed"
            raise ApiError(Code.FAILED_PRECONDITION, f"Endpoint `{name}` has {what}.", rule="VT645")
        [identifier] = random.choices(list(split), list(split.values()))
        version = self._db.get(known[identifier]["version"])
        assert version is not None, "a version that is deployed is not deleted"
        return Chosen(name, identifier, version, known[identifier]["checkpoint_id"])

    def _deployed(self, endpoint: Resource, identifier: str) -> dict[str, Any]:
        for one in endpoint.body.get("deployedModels", ()):
            if one["id"] == identifier:
                return dict(one)
        raise not_found(f"DeployedModel `{identifier}` in Endpoint `{endpoint.name}`")

    def _version(self, name: str, faults: list[tuple[str, str]]) -> Resource | None:
        match = _MODEL.fullmatch(name)
        if match is None:
            words = f"'{name}' is not the name of a model: projects/P/locations/L/models/M[@VERSION]."
            faults.append(("deployed_model.model", words))
            return None
        project, location, model, version = match.groups()
        full = f"projects/{self._number_of(project)}/locations/{location}/models/{model}"
        found = self._registry.version(full, version or "default")
        if found is None:
            raise not_found(f"The Model {name}")
        return found


def split_faults(split: Split, known: set[str], field: str) -> list[tuple[str, str]]:
    """What is wrong with a traffic split; an empty one is none."""
    if not split:
        return []
    faults = []
    if strangers := sorted(set(split) - known):
        several = ", ".join(sorted(known)) or "none"
        faults.append(
            (field, f"{', '.join(strangers)}: no deployed model has this id. There are: {several}.")
        )
    if sum(split.values()) != 100 or min(split.values()) < 0:
        shares = " + ".join(map(str, split.values()))
        faults.append((field, f"The percentages of the traffic must add up to 100; they are {shares}."))
    return faults


def _resource_faults(version: Resource, given: dict[str, Any]) -> list[tuple[str, str]]:
    """A tuned model of Gemini's is served from shared machines; any other model needs machines of its own."""
    named = [name for name in _RESOURCES if name in given]
    if "SHARED_RESOURCES" in version.body["supportedDeploymentResourcesTypes"]:
        if named:
            words = f"{version.name} is served from shared machines: leave {named[0]} out."
            return [("deployed_model", words)]
        return []
    if named not in (["dedicatedResources"], ["automaticResources"]):
        words = "dedicated_resources (or automatic_resources) is required: on which machines the model runs."
        return [("deployed_model.dedicated_resources", words)]
    faults = _replica_faults(given)
    machine = given.get("dedicatedResources", {}).get("machineSpec", {})
    if named == ["dedicatedResources"] and not machine.get("machineType"):
        where = "deployed_model.dedicated_resources.machine_spec.machine_type"
        faults.append((where, "machine_type is required: g2-standard-12, for instance."))
    if bool(machine.get("acceleratorType")) != bool(machine.get("acceleratorCount")):
        where = "deployed_model.dedicated_resources.machine_spec.accelerator_count"
        faults.append((where, "accelerator_type and accelerator_count go together."))
    return faults


def _replica_faults(deployed: dict[str, Any]) -> list[tuple[str, str]]:
    dedicated = deployed.get("dedicatedResources")
    found = dedicated if dedicated is not None else deployed.get("automaticResources")
    if found is None:
        return []
    where = f"deployed_model.{'automatic' if dedicated is None else 'dedicated'}_resources"
    low, high = found.get("minReplicaCount", 0), found.get("maxReplicaCount", 0)
    # Only what is scaled to zero may have none at the start.
    least = 1 if dedicated is not None and not dedicated.get("initialReplicaCount") else 0
    faults = []
    if low < least:
        faults.append((f"{where}.min_replica_count", f"min_replica_count must be at least {least}."))
    if high < 0 or (high and high < low):
        words = f"max_replica_count ({high}) must not be less than min_replica_count ({low})."
        faults.append((f"{where}.max_replica_count", words))
    if not 0 <= found.get("requiredReplicaCount", 0) <= max(low, least):
        words = "required_replica_count must be between 1 and min_replica_count."
        faults.append((f"{where}.required_replica_count", words))
    return faults
