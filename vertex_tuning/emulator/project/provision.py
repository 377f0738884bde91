"""A project that is given, written down: at the first start, after a reset, and when it is given otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vertex_tuning.emulator.project import policies, project, resources
from vertex_tuning.emulator.project.given import Given, error_of
from vertex_tuning.emulator.state import Resource, now
from vertex_tuning.emulator.storage.errors import StorageError
from vertex_tuning.emulator.storage.resources import is_location
from vertex_tuning.errors import Fault

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator

Body = dict[str, Any]

KEY_RINGS, KEYS, REPOSITORIES, RUN, ATTACHMENTS, QUOTAS = (
    "keyRings",
    "cryptoKeys",
    "repositories",
    "runServices",
    "networkAttachments",
    "quotas",
)
_OURS = (
    project.PROJECTS,
    project.SERVICES,
    project.AGENTS,
    project.ACCOUNTS,
    policies.KIND,
    KEY_RINGS,
    KEYS,
    REPOSITORIES,
    RUN,
    ATTACHMENTS,
    QUOTAS,
)


def settle(emulator: Emulator) -> None:
    """Let the project be as it was given, unless it was made of just that before: then it is as it was left.

    Given nothing, it is any project: of one that was made in the same folder only buckets and endpoints are left.

    Raises:
        EmulatorError: VT416, buckets are said not to be there, and hold objects; VT417, buckets cannot be as they are said to be.
    """
    given, db = emulator.settings.given, emulator.db
    made_of = [row.private["fingerprint"] for row in db.list(project.PROJECTS)]
    if made_of != ([given.fingerprint] if given else []):
        with db.transaction():
            for kind in _OURS:
                for row in db.list(kind):
                    db.delete(row.name, "provisioned anew")
            if given:
                _Writer(emulator, given).write()
    emulator.project.refresh()


class _Writer:
    def __init__(self, emulator: Emulator, given: Given) -> None:
        self._emulator = emulator
        self._db = emulator.db
        self._given = given
        self._place = given.place

    def write(self) -> None:
        given, place = self._given, self._place
        number = f"projects/{place.number}"
        private = {
            "fingerprint": given.fingerprint,
            "closed": given.closed,
            "state": given.state,
            "caller": given.caller,
            "missing": given.missing,
        }
        self._put(number, project.PROJECTS, "", {}, private)
        for service, on in given.services.items():
            state = {"state": "ENABLED" if on else "DISABLED"}
            self._put(f"{number}/services/{service}", project.SERVICES, number, state)
        for agent, exists in given.agents.items():
            self._put(f"{number}/agents/{agent}", project.AGENTS, number, {"exists": exists})
        for metric, values in given.quotas.items():
            self._put(f"{number}/quotas/{metric}", QUOTAS, number, values)
        self._resources()
        self._buckets()
        self._endpoints()
        self._policies()

    def _put(self, name: str, kind: str, parent: str, body: Body, private: Body | None = None) -> None:
        self._db.put(Resource(name, kind, parent, body, private or {}), "provisioned")

    def _resources(self) -> None:
        found = self._given.resources
        for name, fields in found["accounts"].items():
            parent, _, email = name.partition("/serviceAccounts/")
            body = resources.account(parent.partition("/")[2], email, fields)
            self._put(name, project.ACCOUNTS, parent, body)
        for name, fields in found["keys"].items():
            ring = name.partition("/cryptoKeys/")[0]
            if self._db.get(ring) is None:
                self._put(ring, KEY_RINGS, ring.partition("/keyRings/")[0], resources.key_ring(ring))
            self._put(name, KEYS, ring, resources.key(name, fields))
        for name, fields in found["repositories"].items():
            self._put(
                name, REPOSITORIES, name.partition("/repositories/")[0], resources.repository(name, fields)
            )
        for name, fields in found["run"].items():
            body = resources.run_service(name, self._place.number, fields)
            self._put(name, RUN, name.partition("/services/")[0], body)
        for name, fields in found["attachments"].items():
            parent = name.partition("/networkAttachments/")[0]
            self._put(name, ATTACHMENTS, parent, resources.network_attachment(name, fields))
        for name in self._given.absent:
            if "/serviceAccounts/" in name:  # others exist only where they are made
                self._put(name, project.ACCOUNTS, "", {})

    def _buckets(self) -> None:
        buckets = self._emulator.storage.buckets
        faults = []
        for name in (one.partition("/")[2] for one in self._given.absent if one.startswith("buckets/")):
            if buckets.find(name) is None:
                continue
            if buckets.is_empty(name):
                buckets.delete(name)
            else:
                what = "the bucket is said not to be there, and holds objects"
                faults.append(Fault("VT416", what, f"gs://{name}", fix="another folder: --data-dir DIR"))
        for name, fields in self._given.resources["buckets"].items():
            place = fields["location"] or self._place.location
            # Where there are no buckets, as in `global`, they lie where Google puts those of whoever says nothing.
            wanted = {**fields, "location": place if is_location(place) else ""}
            try:
                buckets.provide(self._place.number, resources.bucket(name.partition("/")[2], wanted))
            except StorageError as error:
                faults.append(Fault("VT417", error.message, f"gs://{name.partition('/')[2]}"))
        if faults:
            where = ", ".join(one.where for one in faults)
            raise error_of(faults, f"{len(faults)} buckets cannot be as they are said to be", where)

    def _endpoints(self) -> None:
        wanted = {
            self._place.by_number(name): fields for name, fields in self._given.resources["endpoints"].items()
        }
        for row in self._db.list("endpoints"):
            if (
                row.private.get("provisioned")
                and row.name not in wanted
                and not row.body.get("deployedModels")
            ):
                self._db.delete(row.name)
        for name, fields in wanted.items():
            before, time = self._db.get(name), now()
            if before is None or before.private.get("provisioned"):
                kept = before.body if before else {"name": name, "createTime": time}
                body = {**kept, **resources.endpoint(fields), "updateTime": time}
                self._put(name, "endpoints", name.partition("/endpoints/")[0], body, {"provisioned": True})

    def _policies(self) -> None:
        bindings: dict[str, list[Body]] = {name: [] for name in self._given.resources["buckets"]}
        for held in self._given.held:
            binding: Body = {"role": held.role, "members": [held.member]}
            if held.condition:
                binding["condition"] = dict(held.condition)
            bindings.setdefault(held.on, []).append(binding)
        for name, found in bindings.items():
            if name.startswith("buckets/"):
                self._emulator.storage.buckets.keep_policy(name.partition("/")[2], found)
            else:
                self._emulator.project.policies.put(name, found)
