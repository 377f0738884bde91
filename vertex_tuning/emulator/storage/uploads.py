"""Uploads that take more than one request: resumable ones, and the multipart ones of the XML API.

Each is a row, so that it survives a restart; what it has stored so far is a blob that the row names.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import time
from dataclasses import dataclass, field

from vertex_tuning.emulator.state import Database, now
from vertex_tuning.emulator.storage.blobs import BlobStore, Digest, Hashes
from vertex_tuning.emulator.storage.errors import StorageError, invalid
from vertex_tuning.emulator.storage.names import encoded
from vertex_tuning.emulator.storage.resources import Json

_LIFETIME = 7 * 24 * 3600.0
"""Seconds after which an unfinished upload is forgotten, as in Cloud Storage."""
_MIN_PART = 5 << 20
_MAX_PARTS = 10_000


@dataclass(slots=True)
class Upload:
    """An upload under way."""

    id: str
    bucket: str
    name: str
    body: Json
    """`resource`; of a resumable one also `conditions`, `expected` (hashes) and `total` as its first request
    gave them, and `done`, the generation that it became; of a multipart one `begun`, when that was."""
    blob: str | None
    size: int
    """Bytes of the blob that were acknowledged."""


@dataclass(slots=True)
class Progress:
    """What is known of a resumable upload while the server lives; else it is read back from the blob."""

    hashes: Hashes | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a multipart upload."""

    number: int
    blob: str
    size: int
    md5: str
    time: str


class Uploads:
    """All uploads under way."""

    def __init__(self, db: Database, blobs: BlobStore) -> None:
        self._db = db
        self._blobs = blobs
        self._progress: dict[str, Progress] = {}

    def expire(self) -> None:
        """Forget what was begun a week ago; called before unnamed blobs are swept."""
        with self._db.transaction() as sql:
            old = "SELECT id FROM storage_uploads WHERE created < ?"
            limit = (time.time() - _LIFETIME,)
            sql.execute(f"DELETE FROM storage_parts WHERE upload IN ({old})", limit)
            sql.execute("DELETE FROM storage_uploads WHERE created < ?", limit)

    def begin(self, bucket: str, name: str, body: Json, blob: str | None = None) -> Upload:
        """A new upload."""
        upload = Upload(secrets.token_urlsafe(32), bucket, name, body, blob, 0)
        with self._db.transaction() as sql:
            sql.execute(
                "INSERT INTO storage_uploads (id, bucket, name, body, blob, size, created)"
                " VALUES (?, ?, ?, ?, ?, 0, ?)",
                (upload.id, bucket, encoded(name), json.dumps(body), blob, time.time()),
            )
        return upload

    def resumable(self, id: str, bucket: str) -> Upload:
        """The resumable upload of this id, or 404."""
        return self._get(id, bucket, multipart=False)

    def multipart(self, id: str, bucket: str) -> Upload:
        """The multipart upload of this id, or 404."""
        return self._get(id, bucket, multipart=True)

    def _get(self, id: str, bucket: str, *, multipart: bool) -> Upload:
        with self._db.transaction() as sql:
            row = sql.execute(
                "SELECT name, body, blob, size FROM storage_uploads WHERE id = ? AND bucket = ?", (id, bucket)
            ).fetchone()
        upload = Upload(id, bucket, row[0].decode(), json.loads(row[1]), row[2], row[3]) if row else None
        if upload is None or ("begun" in upload.body) != multipart:
            raise StorageError(
                404, "notFound", "The upload does not exist: it ended, or never began.", xml="NoSuchUpload"
            )
        return upload

    def progress(self, upload: Upload) -> Progress:
        """Its lock and hashes."""
        return self._progress.setdefault(upload.id, Progress())

    def forget_progress(self) -> None:
        """All uploads are gone."""
        self._progress.clear()

    def advance(self, upload: Upload, size: int) -> None:
        """Acknowledge bytes of the blob."""
        upload.size = size
        with self._db.transaction() as sql:
            sql.execute("UPDATE storage_uploads SET size = ? WHERE id = ?", (size, upload.id))

    def finish(self, upload: Upload, generation: int) -> None:
        """The blob belongs to an object now. The row stays, for who missed the answer and asks again."""
        upload.body["done"] = generation
        with self._db.transaction() as sql:
            sql.execute(
                "UPDATE storage_uploads SET body = ?, blob = NULL WHERE id = ?",
                (json.dumps(upload.body), upload.id),
            )
        self._progress.pop(upload.id, None)

    def drop(self, upload: Upload) -> None:
        """Forget an upload with all that it stored."""
        orphans = self.forget(upload)
        self._progress.pop(upload.id, None)
        self._blobs.discard(*orphans, *([upload.blob] if upload.blob else []))

    def forget(self, upload: Upload) -> list[str]:
        """Forget an upload. Returns its parts' blobs: they are the caller's to remove, after the commit."""
        with self._db.transaction() as sql:
            self._get(upload.id, upload.bucket, multipart="begun" in upload.body)
            parts = self.parts(upload)
            sql.execute("DELETE FROM storage_parts WHERE upload = ?", (upload.id,))
            sql.execute("DELETE FROM storage_uploads WHERE id = ?", (upload.id,))
        return [part.blob for part in parts]

    def begun(self, bucket: str) -> list[tuple[Upload, str]]:
        """Multipart uploads under way in a bucket, with the time of their beginning."""
        with self._db.transaction() as sql:
            rows = sql.execute(
                "SELECT id, name, body FROM storage_uploads WHERE bucket = ? ORDER BY name, created",
                (bucket,),
            ).fetchall()
        found = [Upload(row[0], bucket, row[1].decode(), json.loads(row[2]), None, 0) for row in rows]
        return [(upload, upload.body["begun"]) for upload in found if "begun" in upload.body]

    # Parts

    def put_part(self, upload: Upload, number: int, blob: str, digest: Digest) -> None:
        """Add a part, or replace it. The blob is removed where the upload has ended meanwhile."""
        try:
            with self._db.transaction() as sql:
                self.multipart(upload.id, upload.bucket)
                where = "WHERE upload = ? AND number = ?"
                old = sql.execute(f"SELECT blob FROM storage_parts {where}", (upload.id, number)).fetchone()
                sql.execute(
                    "INSERT OR REPLACE INTO storage_parts (upload, number, blob, size, md5, time)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    (upload.id, number, blob, digest.size, digest.md5, now()),
                )
        except BaseException:
            self._blobs.discard(blob)
            raise
        if old:
            self._blobs.discard(old[0])

    def parts(self, upload: Upload) -> list[Part]:
        """Its parts, by number."""
        with self._db.transaction() as sql:
            rows = sql.execute(
                "SELECT number, blob, size, md5, time FROM storage_parts WHERE upload = ? ORDER BY number",
                (upload.id,),
            ).fetchall()
        return [Part(*row) for row in rows]

    def chosen(self, upload: Upload, wanted: list[tuple[int, str]]) -> list[Part]:
        """The parts that a completing request lists, each by number and ETag; 400 where they do not fit."""
        stored = {part.number: part for part in self.parts(upload)}
        if not wanted:
            raise invalid("You must specify at least one part.", xml="MalformedXML")
        numbers = [number for number, _ in wanted]
        if numbers != sorted(set(numbers)):
            raise invalid("The list of parts is not in ascending order.", xml="InvalidPartOrder")
        found = []
        for number, etag in wanted:
            part = stored.get(number)
            if part is None or (etag and etag != part_etag(part.md5)):
                raise invalid(f"Part {number} was not uploaded, or has another ETag.", xml="InvalidPart")
            if part.size < _MIN_PART and number != numbers[-1]:
                raise invalid(
                    "Your proposed upload is smaller than the minimum allowed object size.",
                    xml="EntityTooSmall",
                )
            found.append(part)
        return found


def part_number(text: str) -> int:
    """A part's number, 1 to 10,000, or 400."""
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text[:6]) <= _MAX_PARTS:
        raise invalid("Part number must be an integer between 1 and 10000.", xml="InvalidArgument")
    return int(text)


def part_etag(md5: str) -> str:
    """The ETag of a part: its MD5 in hexadecimal."""
    return base64.b64decode(md5).hex()
