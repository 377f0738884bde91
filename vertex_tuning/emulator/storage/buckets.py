"""Buckets: a resource each, a policy each, and the rule that only an empty one can go."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from vertex_tuning.emulator.project.given import PUBLIC
from vertex_tuning.emulator.project.policies import Bindings, merged
from vertex_tuning.emulator.state import Database, now
from vertex_tuning.emulator.storage import resources, tables
from vertex_tuning.emulator.storage.errors import StorageError, no_bucket
from vertex_tuning.emulator.storage.names import check_bucket
from vertex_tuning.emulator.storage.preconditions import Preconditions
from vertex_tuning.emulator.storage.resources import Json

ANY = Preconditions()
_COLUMNS = "name, project, body, frozen"


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket."""

    name: str
    project: str
    """Number of its project."""
    body: Json
    """The resource, without links."""
    frozen: bool
    """Read-only: a seeded bucket of samples."""

    @property
    def generation(self) -> int:
        """Buckets have no generation that a caller could count on."""
        return 0

    @property
    def metageneration(self) -> int:
        """Version of the resource."""
        return int(self.body["metageneration"])

    @property
    def versioned(self) -> bool:
        """Whether overwritten and deleted objects are kept as noncurrent versions."""
        return bool(self.body.get("versioning", {}).get("enabled"))

    @property
    def is_kept_private(self) -> bool:
        """Whether public access prevention is enforced."""
        return bool(self.body["iamConfiguration"].get("publicAccessPrevention") == "enforced")

    def check_writable(self) -> None:
        """403 for the buckets of samples."""
        if self.frozen:
            raise StorageError(
                403,
                "forbidden",
                f"VT453: gs://{self.name} holds the emulator's sample data and is read-only."
                " Write to a bucket of your own.",
                rule="VT453",
            )

    def to_json(self, base: str) -> Json:
        """The resource, with its link under `base`."""
        return {
            "kind": "storage#bucket",
            "id": self.name,
            "selfLink": f"{base}/storage/v1/b/{self.name}",
            "name": self.name,
            "projectNumber": self.project,
            "etag": resources.etag(self.metageneration),
            **self.body,
        }


class Buckets:
    """All buckets."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def find(self, name: str) -> Bucket | None:
        """The bucket of this name."""
        with self._db.transaction() as sql:
            row = sql.execute(f"SELECT {_COLUMNS} FROM storage_buckets WHERE name = ?", (name,)).fetchone()
        return _bucket(row) if row else None

    def get(self, name: str, conditions: Preconditions = ANY) -> Bucket:
        """As `find`; 404 where it is not there."""
        found = self.find(name)
        if found is None:
            raise no_bucket()
        conditions.check(found)
        return found

    def list(self, project: str, prefix: str = "", after: str = "", limit: int = 1000) -> list[Bucket]:
        """The buckets of a project, by name, from the first after `after`."""
        with self._db.transaction() as sql:
            rows = sql.execute(
                f"SELECT {_COLUMNS} FROM storage_buckets WHERE project = ? AND name > ?"
                " AND substr(name, 1, ?) = ? ORDER BY name LIMIT ?",
                (project, after, len(prefix), prefix, limit),
            ).fetchall()
        return [_bucket(row) for row in rows]

    def insert(self, project: str, given: object, *, frozen: bool = False) -> Bucket:
        """Make a bucket of a caller's resource."""
        name, full = _made(given)
        bucket = Bucket(name, project, full, frozen)
        with self._db.transaction() as sql:
            if self.find(name):
                raise StorageError(
                    409,
                    "conflict",
                    "Your previous request to create the named bucket succeeded and you already own it.",
                    xml="BucketAlreadyOwnedByYou",
                )
            sql.execute(
                f"INSERT INTO storage_buckets ({_COLUMNS}, policy) VALUES (?, ?, ?, ?, '{{}}')",
                (name, project, json.dumps(full), int(frozen)),
            )
        return bucket

    def provide(self, project: str, given: Json) -> None:
        """Let a bucket be as it is said to be, even where it is, which no caller can change; what is in it stays."""
        name, full = _made(given)
        with self._db.transaction() as sql:
            found = self.find(name)
            if found is None:
                self.insert(project, given)
            elif not found.frozen:
                kept = {
                    "timeCreated": found.body["timeCreated"],
                    "metageneration": str(found.metageneration + 1),
                }
                body = json.dumps({**full, **kept})
                sql.execute(
                    "UPDATE storage_buckets SET body = ?, project = ? WHERE name = ?", (body, project, name)
                )

    def change(self, name: str, edit: Callable[[Json], Json], conditions: Preconditions = ANY) -> Bucket:
        """Change it: `edit` gets the members that may be written, and returns the new ones."""
        with self._db.transaction() as sql:
            found = self.get(name, conditions)
            found.check_writable()
            old = {key: value for key, value in found.body.items() if key in resources.BUCKET_MEMBERS}
            rest = {key: value for key, value in found.body.items() if key not in resources.BUCKET_MEMBERS}
            new = edit(old)
            new.setdefault("storageClass", found.body["storageClass"])
            new["iamConfiguration"] = _access(new.get("iamConfiguration", {}))
            body = {
                **rest,
                **new,
                "metageneration": str(found.metageneration + 1),
                "updated": now(),
            }
            sql.execute("UPDATE storage_buckets SET body = ? WHERE name = ?", (json.dumps(body), name))
        return replace(found, body=body)

    def is_empty(self, name: str) -> bool:
        """Whether it holds no object; noncurrent versions count."""
        with self._db.transaction() as sql:
            found = sql.execute("SELECT 1 FROM storage_objects WHERE bucket = ? LIMIT 1", (name,)).fetchone()
        return found is None

    def delete(self, name: str, conditions: Preconditions = ANY) -> None:
        """Delete an empty bucket; noncurrent versions count."""
        with self._db.transaction() as sql:
            found = self.get(name, conditions)
            found.check_writable()
            if not self.is_empty(name):
                raise StorageError(409, "conflict", "The bucket you tried to delete is not empty.")
            sql.execute("DELETE FROM storage_buckets WHERE name = ?", (name,))

    def policy(self, name: str) -> Json:
        """The IAM policy, as it was stored; the emulator enforces none."""
        with self._db.transaction() as sql:
            self.get(name)
            row = sql.execute("SELECT policy FROM storage_buckets WHERE name = ?", (name,)).fetchone()
        stored: Json = json.loads(row[0])
        return {
            "kind": "storage#policy",
            "resourceId": f"projects/_/buckets/{name}",
            "version": 1,
            "etag": resources.etag(0),
            "bindings": [],
            **stored,
        }

    def set_policy(self, name: str, given: object, check: Callable[[object], Bindings]) -> Json:
        """Replace the IAM policy. A stale etag is refused, as it would hide somebody else's change.

        Args:
            name: The bucket.
            given: The policy, as a caller words it.
            check: Gives its bindings, or refuses it.
        """
        with self._db.transaction():
            bucket = self.get(name)
            bucket.check_writable()
            bindings = check(given)
            assert isinstance(given, dict)
            if given.get("etag") not in (None, "", self.policy(name)["etag"]):
                raise StorageError(
                    412, "conditionNotMet", "The policy was changed since it was read.", location="etag"
                )
            if bucket.is_kept_private and any({*PUBLIC} & set(one.get("members", [])) for one in bindings):
                raise StorageError(
                    412,
                    "conditionNotMet",
                    "The member bindings allUsers and allAuthenticatedUsers are not allowed since public access "
                    "prevention is enforced.",
                )
            self.keep_policy(name, bindings)
        return self.policy(name)

    def keep_policy(self, name: str, bindings: Bindings) -> None:
        """Keep a policy that nobody has to check."""
        kept = merged(bindings)
        stored = {
            "version": 3 if any("condition" in one for one in kept) else 1,
            "bindings": kept,
            "etag": resources.etag(tables.new_generation(self._db)),
        }
        with self._db.transaction() as sql:
            sql.execute("UPDATE storage_buckets SET policy = ? WHERE name = ?", (json.dumps(stored), name))


def _made(given: object) -> tuple[str, Json]:
    """Name and whole resource of a bucket, of what its maker words."""
    body = resources.written(given, resources.BUCKET_MEMBERS | resources.BUCKET_BIRTH_MEMBERS)
    assert isinstance(given, dict)
    name = check_bucket(given.get("name"))
    location, location_type = resources.location(given.get("location"))
    time = now()
    full: Json = {
        "storageClass": "STANDARD",
        **body,
        "location": location,
        "locationType": location_type,
        "iamConfiguration": _access(body.get("iamConfiguration", {})),
        "metageneration": "1",
        "timeCreated": time,
        "updated": time,
    }
    if location_type != "region":
        full.setdefault("rpo", "DEFAULT")
    return name, full


def _access(given: Json) -> Json:
    """`iamConfiguration` with what Google fills in."""
    uniform = given.get("uniformBucketLevelAccess") or given.get("bucketPolicyOnly") or {"enabled": False}
    return {
        "publicAccessPrevention": "inherited",
        **given,
        "bucketPolicyOnly": uniform,
        "uniformBucketLevelAccess": uniform,
    }


def _bucket(row: tuple[Any, ...]) -> Bucket:
    return Bucket(row[0], row[1], json.loads(row[2]), bool(row[3]))
