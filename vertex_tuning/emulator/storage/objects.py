"""Objects: content that never changes under a generation, metadata that does, and what came before.

Everything here is quick: bytes are in a blob already when a row names it. Each change is one transaction, in
which the preconditions are checked too; blobs that lost their last row are removed after it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from vertex_tuning.emulator.state import Database, now
from vertex_tuning.emulator.storage import resources, tables
from vertex_tuning.emulator.storage.blobs import BlobStore, Digest
from vertex_tuning.emulator.storage.buckets import Bucket, Buckets
from vertex_tuning.emulator.storage.errors import StorageError, invalid, no_object
from vertex_tuning.emulator.storage.names import check_object, encoded
from vertex_tuning.emulator.storage.preconditions import Preconditions
from vertex_tuning.emulator.storage.resources import Json

ANY = Preconditions()
_UNTYPED = "application/octet-stream"
COLUMNS = "bucket, name, generation, metageneration, live, blob, size, crc32c, md5, body"


@dataclass(frozen=True, slots=True)
class Version:
    """One generation of an object."""

    bucket: str
    name: str
    generation: int
    metageneration: int
    live: bool
    blob: str
    digest: Digest
    body: Json
    """The rest of the resource: content type, metadata, times..."""

    @property
    def etag(self) -> str:
        """Changes with every change of content or metadata."""
        return resources.etag(self.metageneration, self.generation)

    @property
    def content_type(self) -> str:
        """What the content is said to be."""
        return str(self.body.get("contentType", _UNTYPED))

    def to_json(self, base: str) -> Json:
        """The resource, with links under `base` (`http://127.0.0.1:8085`)."""
        path = resources.object_path(self.bucket, self.name)
        media = f"{base}/download{path}?generation={self.generation}&alt=media"
        resource: Json = {
            "kind": "storage#object",
            "id": f"{self.bucket}/{self.name}/{self.generation}",
            "selfLink": f"{base}{path}",
            "mediaLink": media,
            "name": self.name,
            "bucket": self.bucket,
            "generation": str(self.generation),
            "metageneration": str(self.metageneration),
            "size": str(self.digest.size),
            "crc32c": self.digest.crc32c,
            "etag": self.etag,
            **self.body,
        }
        if self.digest.md5 is not None:
            resource["md5Hash"] = self.digest.md5
        return resource


def version_of(row: tuple[Any, ...]) -> Version:
    """A row of `COLUMNS`."""
    return Version(
        bucket=row[0],
        name=row[1].decode(),
        generation=row[2],
        metageneration=row[3],
        live=bool(row[4]),
        blob=row[5],
        digest=Digest(row[6], row[7], row[8]),
        body=json.loads(row[9]),
    )


class Objects:
    """All versions of all objects."""

    def __init__(self, db: Database, blobs: BlobStore, buckets: Buckets) -> None:
        self._db = db
        self._blobs = blobs
        self._buckets = buckets

    def find(self, bucket: str, name: str, generation: int | None = None) -> Version | None:
        """The live version, or the one of this generation."""
        which, value = ("generation = ?", generation) if generation is not None else ("live = ?", 1)
        with self._db.transaction() as sql:
            row = sql.execute(
                f"SELECT {COLUMNS} FROM storage_objects WHERE bucket = ? AND name = ? AND {which}",
                (bucket, encoded(name), value),
            ).fetchone()
        return version_of(row) if row else None

    def get(
        self, bucket: str, name: str, generation: int | None = None, conditions: Preconditions = ANY
    ) -> Version:
        """As `find`; 404 where it is not there, 412 or 304 where it is another than expected."""
        found = self.find(bucket, name, generation)
        if found is None:
            self._buckets.get(bucket)
            raise no_object(bucket, name)
        conditions.check(found)
        return found

    def check_write(self, bucket: str, name: str, conditions: Preconditions) -> Bucket:
        """What can be refused before the first byte is read. `insert` checks it all again."""
        check_object(name)
        found = self._buckets.get(bucket)
        found.check_writable()
        current = self.find(bucket, name)
        conditions.check(current)
        if current:
            _check_unheld(current)
        return found

    def insert(
        self,
        bucket: str,
        name: str,
        blob: str,
        digest: Digest,
        body: Json,
        conditions: Preconditions = ANY,
        *,
        frozen: bool = False,
        also: Callable[[Version], None] | None = None,
    ) -> Version:
        """Name a blob: it becomes the live version. The blob is removed where that is refused.

        Args:
            bucket: Where.
            name: Under which name.
            blob: The content, on the disk already.
            digest: Its size and hashes.
            body: Members that the caller wrote, checked (`resources.written`).
            conditions: Checked in the same transaction.
            frozen: Write to a read-only bucket too (seeds).
            also: What else is to happen in the same transaction.
        """
        try:
            with self._changing() as (sql, dropped):
                version = self._insert(
                    sql, dropped, bucket, name, blob, digest, body, conditions, frozen=frozen
                )
                if also:
                    also(version)
                return version
        except BaseException:
            self._blobs.discard(blob)
            raise

    def change(
        self,
        bucket: str,
        name: str,
        edit: Callable[[Json], Json],
        generation: int | None = None,
        conditions: Preconditions = ANY,
    ) -> Version:
        """Change the metadata: `edit` gets the members that may be written, and returns the new ones."""
        with self._db.transaction() as sql:
            found = self.get(bucket, name, generation, conditions)
            self._buckets.get(bucket).check_writable()
            old = {key: value for key, value in found.body.items() if key in resources.OBJECT_MEMBERS}
            new = edit(old)
            if "customTime" in old and new.get("customTime", "") < old["customTime"]:
                raise invalid(
                    "Custom time cannot be removed or set to an earlier time.", location="customTime"
                )
            rest = {key: value for key, value in found.body.items() if key not in resources.OBJECT_MEMBERS}
            body = {**rest, **new, "updated": now()}
            changed = replace(found, metageneration=found.metageneration + 1, body=body)
            self._save(sql, changed)
        return changed

    def delete(
        self, bucket: str, name: str, generation: int | None = None, conditions: Preconditions = ANY
    ) -> None:
        """Delete the live version (a versioned bucket keeps it as noncurrent), or one generation for good."""
        with self._changing() as (sql, dropped):
            found = self.get(bucket, name, generation, conditions)
            owner = self._buckets.get(bucket)
            owner.check_writable()
            self._retire(sql, found, dropped, keep=owner.versioned and generation is None)

    def copy(
        self,
        source: Version,
        bucket: str,
        name: str,
        body: Json,
        conditions: Preconditions = ANY,
    ) -> Version:
        """A new object with the same bytes; no byte is moved."""
        with self._changing() as (sql, dropped):
            # Read again: the source's blob must still have a row at the moment when it gets a second one.
            self.get(source.bucket, source.name, source.generation)
            return self._insert(sql, dropped, bucket, name, source.blob, source.digest, body, conditions)

    def move(self, source: Version, name: str, body: Json, conditions: Preconditions = ANY) -> Version:
        """The same bytes under another name of the same bucket; both names change in one transaction."""
        with self._changing() as (sql, dropped):
            current = self.get(source.bucket, source.name, source.generation)
            owner = self._buckets.get(source.bucket)
            moved = self._insert(
                sql, dropped, source.bucket, name, source.blob, source.digest, body, conditions
            )
            self._retire(sql, current, dropped, keep=owner.versioned)
        return moved

    @contextmanager
    def _changing(self) -> Iterator[tuple[sqlite3.Connection, list[str]]]:
        """A transaction, and a list for blobs that may lose their last row: those go after the commit."""
        dropped: list[str] = []
        with self._db.transaction() as sql:
            yield sql, dropped
            dropped = [
                blob
                for blob in dropped
                if not sql.execute("SELECT 1 FROM storage_objects WHERE blob = ? LIMIT 1", (blob,)).fetchone()
            ]
        self._blobs.discard(*dropped)

    def _insert(
        self,
        sql: sqlite3.Connection,
        dropped: list[str],
        bucket: str,
        name: str,
        blob: str,
        digest: Digest,
        body: Json,
        conditions: Preconditions,
        *,
        frozen: bool = False,
    ) -> Version:
        owner = self._buckets.get(bucket)
        if not frozen:
            owner.check_writable()
        current = self.find(bucket, check_object(name))
        conditions.check(current)
        if current:
            self._retire(sql, current, dropped, keep=owner.versioned)
        version = self._new(owner, name, blob, digest, body)
        self._save(sql, version)
        return version

    def _new(self, bucket: Bucket, name: str, blob: str, digest: Digest, body: Json) -> Version:
        time = now()
        full: Json = {
            "contentType": _UNTYPED,
            "storageClass": bucket.body.get("storageClass", "STANDARD"),
            **body,
            "timeCreated": time,
            "updated": time,
            "timeStorageClassUpdated": time,
            "timeFinalized": time,
        }
        if bucket.body.get("defaultEventBasedHold") and "eventBasedHold" not in full:
            full["eventBasedHold"] = True
        default_key = bucket.body.get("encryption", {}).get("defaultKmsKeyName")
        if default_key and "kmsKeyName" not in full:
            full["kmsKeyName"] = default_key
        if "kmsKeyName" in full and "/cryptoKeyVersions/" not in full["kmsKeyName"]:
            full["kmsKeyName"] += "/cryptoKeyVersions/1"
        generation = tables.new_generation(self._db)
        return Version(bucket.name, name, generation, 1, True, blob, digest, full)

    def _retire(self, sql: sqlite3.Connection, version: Version, dropped: list[str], *, keep: bool) -> None:
        """Make a version noncurrent, or drop it."""
        _check_unheld(version)
        if keep and version.live:
            body = {**version.body, "timeDeleted": now()}
            self._save(sql, replace(version, live=False, body=body))
            return
        sql.execute(
            "DELETE FROM storage_objects WHERE bucket = ? AND name = ? AND generation = ?",
            (version.bucket, encoded(version.name), version.generation),
        )
        dropped.append(version.blob)

    def _save(self, sql: sqlite3.Connection, version: Version) -> None:
        sql.execute(
            f"INSERT OR REPLACE INTO storage_objects ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                version.bucket,
                encoded(version.name),
                version.generation,
                version.metageneration,
                int(version.live),
                version.blob,
                version.digest.size,
                version.digest.crc32c,
                version.digest.md5,
                json.dumps(version.body, separators=(",", ":")),
            ),
        )


def _check_unheld(version: Version) -> None:
    if version.body.get("temporaryHold") or version.body.get("eventBasedHold"):
        raise StorageError(
            403,
            "forbidden",
            f"Object '{version.bucket}/{version.name}' is under active hold and cannot be"
            " deleted, overwritten or archived until hold is removed.",
        )
