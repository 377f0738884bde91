"""Cloud Storage on this machine: buckets and objects, over Google's JSON, upload and XML APIs.

app ── json_api, upload_api, xml_api, batch    who answers which path
        │
     buckets, objects, uploads, listing         what is there; one transaction per change
        │
     blobs (bytes on disk), tables (names, versions, metadata)
"""

from __future__ import annotations

import asyncio
import logging
import mimetypes
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from vertex_tuning.emulator.project import Project
from vertex_tuning.emulator.status import ApiError, Code, not_found
from vertex_tuning.emulator.storage import names, seeds, tables
from vertex_tuning.emulator.storage.app import StorageApp
from vertex_tuning.emulator.storage.blobs import BlobStore
from vertex_tuning.emulator.storage.buckets import Buckets
from vertex_tuning.emulator.storage.errors import StorageError, from_disk
from vertex_tuning.emulator.storage.objects import ANY, Objects, Version
from vertex_tuning.emulator.storage.uploads import Uploads

if TYPE_CHECKING:
    from typing import Any

    from vertex_tuning.emulator.settings import Settings
    from vertex_tuning.emulator.state import Database

log = logging.getLogger(__name__)

T = TypeVar("T")
_THREADS = 8

__all__ = ["ObjectInfo", "Storage"]


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """The live version of an object, as the rest of the emulator sees it."""

    bucket: str
    name: str
    generation: int
    size: int
    content_type: str
    crc32c: str
    md5: str | None
    path: Path
    """Where its bytes lie; to be read, never written."""

    @property
    def uri(self) -> str:
        """`gs://bucket/name`."""
        return f"gs://{self.bucket}/{self.name}"


class Storage:
    """Cloud Storage: an ASGI application for the wire, and a few calls for the emulator's other parts.

    The calls are plain functions, safe in any thread. Those that move bytes (`write`, `copy_tree`) take as
    long as the disk does: call them from a thread (`asyncio.to_thread`) where a loop must not wait.
    """

    def __init__(self, settings: Settings, db: Database, project: Project | None = None) -> None:
        self.settings = settings
        self.db = db
        self.project = project or Project(settings, db)
        self.blobs = BlobStore(settings.data_dir / "objects")
        self.executor = ThreadPoolExecutor(_THREADS, "storage")
        """Threads for disk and hashes; started when the first big body comes."""
        tables.create(db)
        self.buckets = Buckets(db)
        self.objects = Objects(db, self.blobs, self.buckets)
        self.uploads = Uploads(db, self.blobs)
        self.uploads.expire()
        self.blobs.sweep(tables.named_blobs(db))
        seeds.plant(self.db, self.buckets, self.objects, self.blobs)

        self.app = StorageApp(self)
        """The ASGI application."""

    async def stop(self) -> None:
        """End the threads; what was acknowledged is on the disk already."""
        await asyncio.to_thread(self.executor.shutdown)

    def reset(self) -> None:
        """Forget every bucket, object and upload; the samples come back."""
        with self.db.transaction() as sql:
            for table in tables.NAMES:
                sql.execute(f"DELETE FROM {table}")
        self.uploads.forget_progress()
        self.blobs.sweep(set())
        seeds.plant(self.db, self.buckets, self.objects, self.blobs)

    async def in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        """Run what waits for the disk in a thread of storage's own."""
        return await asyncio.get_running_loop().run_in_executor(self.executor, function, *arguments)

    def bucket(self, name: str) -> dict[str, Any] | None:
        """A bucket's resource (`location`, `projectNumber`, `storageClass`...), or None."""
        found = self.buckets.find(name)
        return found.to_json("https://storage.googleapis.com") if found else None

    def stat(self, uri: str) -> ObjectInfo | None:
        """The object of a `gs://` URI, or None. A URI that names no object: 400."""
        bucket, name = _split(uri)
        found = self.objects.find(bucket, name)
        return self._info(found) if found else None

    def open_path(self, uri: str) -> Path:
        """The local file with an object's bytes, to be read; 404 where there is none.

        A version's bytes never change. Once the object is overwritten or deleted the file may go at any time:
        who needs it for longer links or copies it first.
        """
        found = self.stat(uri)
        if found is None:
            raise not_found(uri)
        return found.path

    def write(self, uri: str, source: Path | bytes, content_type: str) -> ObjectInfo:
        """Store bytes, or a copy of a file, as the object of a URI; an object that is there is replaced."""
        bucket, name = _split(uri)
        try:
            self.objects.check_write(bucket, name, ANY)
            blob, digest = self.blobs.put(source) if isinstance(source, bytes) else self.blobs.copy_in(source)
            version = self.objects.insert(bucket, name, blob, digest, {"contentType": content_type})
        except StorageError as error:
            raise _as_api_error(error) from error
        except (OSError, sqlite3.OperationalError) as error:
            raise _as_api_error(from_disk(error)) from error
        return self._info(version)

    def copy_tree(self, folder: Path, uri_prefix: str) -> list[str]:
        """Store every file below a folder under a prefix; returns the URIs, sorted."""
        prefix = uri_prefix.rstrip("/")
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        found = []
        for path in files:
            content_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            found.append(
                self.write(f"{prefix}/{path.relative_to(folder).as_posix()}", path, content_type).uri
            )
        return found

    def _info(self, version: Version) -> ObjectInfo:
        return ObjectInfo(
            bucket=version.bucket,
            name=version.name,
            generation=version.generation,
            size=version.digest.size,
            content_type=version.content_type,
            crc32c=version.digest.crc32c,
            md5=version.digest.md5,
            path=self.blobs.path(version.blob),
        )


_CODES = {400: Code.INVALID_ARGUMENT, 403: Code.PERMISSION_DENIED, 404: Code.NOT_FOUND, 409: Code.ABORTED}


def _as_api_error(error: StorageError) -> ApiError:
    code = Code.RESOURCE_EXHAUSTED if error.status == 507 else _CODES.get(error.status, Code.INTERNAL)
    return ApiError(code, error.message, rule=error.rule)


def _split(uri: str) -> tuple[str, str]:
    try:
        return names.split_uri(uri)
    except ValueError as error:
        raise ApiError(Code.INVALID_ARGUMENT, str(error)) from error
