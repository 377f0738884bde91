"""Into the bucket, under the hash of the content: the same data never travels twice, and never changes under a job."""

from __future__ import annotations

import hashlib
import os
import shlex
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from vertex_tuning.catalog.requirements import holds
from vertex_tuning.config import find_file, load
from vertex_tuning.data.check import opened
from vertex_tuning.data.plain import encoded
from vertex_tuning.errors import ConfigurationError, DatasetError, ServiceError
from vertex_tuning.retries import again, translated

if TYPE_CHECKING:
    import io

    from google.cloud import storage

    from vertex_tuning.connection import Connection

UploadProgress = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""

FOLDER = "vertex-tuning/data"
_CHUNK = 8 * 1024 * 1024


def upload(
    connection: Connection, dataset: Any, *, progress: UploadProgress | None = None, folder: str = FOLDER
) -> str:
    """Put a data set into the connection's bucket, unless it is there.

    Args:
        connection: Where to; its bucket, in the region of its location.
        dataset: A file, or rows.
        progress: Told how it goes, after every 8 MiB.
        folder: In the bucket.

    Returns:
        `gs://BUCKET/FOLDER/SHA256.jsonl`.

    Raises:
        ConfigurationError: VT108 no bucket is set, VT109 there is none of that name, VT110 it lies in another region.
        DatasetError: VT201 there is no such file, VT202 it cannot be read, VT223 a row is not JSON.
        ServiceError: The service refused it.
    """
    bucket = bucket_of(connection)
    if isinstance(dataset, str | os.PathLike):
        with opened(Path(os.fspath(dataset))) as file:
            if not file.seekable():
                what, fix = "this can be read only once, as a pipe can", "write it to a file first"
                raise DatasetError("VT202", what, where=str(dataset), fix=fix)
            return _send(bucket, folder, file, progress)
    with tempfile.TemporaryFile() as file:
        for number, row in enumerate(cast("Iterable[Mapping[str, Any]]", dataset), 1):
            file.write(_line(number, row))
        return _send(bucket, folder, cast("BinaryIO", file), progress)


def _line(number: int, row: Mapping[str, Any]) -> bytes:
    try:
        return encoded(row) + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        fix = "a check of the rows names the place"
        raise DatasetError(
            "VT223", f"the row is not JSON: {error}", where=f"rows line {number}", fix=fix
        ) from error


def bucket_of(connection: Connection) -> storage.Bucket:
    """The bucket for data sets.

    Raises:
        ConfigurationError: VT108 none is set, VT109 there is none of that name, VT110 it lies in another region.
    """
    name = connection.ensure_bucket()
    bucket = again(lambda: connection.storage.lookup_bucket(name, retry=None))
    if bucket is None:
        fix = _way_to_bucket(connection, name)
        raise ConfigurationError("VT109", f'there is no bucket "{name}"', where="bucket", fix=fix)
    place = str(bucket.location).lower()
    if not holds(place, connection.location):
        raise ConfigurationError(
            "VT110",
            f"the bucket {name} lies in {place}, the job would run in {connection.location}",
            where="bucket",
            why="The service refuses data from another region.",
            fix=f"a bucket in {connection.location}, or location={place}",
        )
    return bucket


def _way_to_bucket(connection: Connection, name: str) -> str:
    """What to do where there is no such bucket."""
    if connection.address is None:
        return f"gcloud storage buckets create gs://{name} --location={connection.location}"
    if (settings := find_file()) and connection.config.bucket == load().bucket:
        config = shlex.quote(str(settings))
        return f"an emulator that has what the settings name: vertex-tuning emulator start --config {config}"
    return "leave the bucket out, and one is made; or make this one: client.connection.storage.create_bucket(...)"


def _send(bucket: storage.Bucket, folder: str, file: BinaryIO, progress: UploadProgress | None) -> str:
    file.seek(0)
    digest = hashlib.file_digest(cast("io.BufferedReader", file), "sha256").hexdigest()
    name = f"{folder}/{digest}.jsonl"
    put_once(bucket, name, file, digest, "application/jsonl", progress)
    return f"gs://{bucket.name}/{name}"


def put_once(
    bucket: storage.Bucket,
    name: str,
    file: BinaryIO,
    digest: str,
    content_type: str,
    progress: UploadProgress | None = None,
) -> None:
    """Write an object whose name says what is in it, unless it is there.

    Args:
        bucket: Where to.
        name: Of the object.
        file: What; read from its beginning.
        digest: Its SHA-256.
        content_type: `application/jsonl`...
        progress: Told how it goes.

    Raises:
        ServiceError: The service refused it.
    """
    size = file.seek(0, os.SEEK_END)
    if again(lambda: bucket.get_blob(name, retry=None)) is not None:
        if progress:
            progress(size, size)
        return
    blob = bucket.blob(name, chunk_size=_CHUNK if size > _CHUNK else None)
    blob.metadata = {"sha256": digest}
    file.seek(0)
    watched = _Watched(file, size, progress) if progress else file
    try:
        # The precondition makes a repeated request harmless, so that the client may retry; the checksum is held on both sides.
        with translated():
            blob.upload_from_file(
                watched, size=size, content_type=content_type, if_generation_match=0, checksum="crc32c"
            )
    except ServiceError as error:
        if error.code != 412:  # somebody else was quicker, with the same bytes
            raise


class _Watched:
    """A file that tells how far it was read."""

    def __init__(self, file: BinaryIO, size: int, progress: UploadProgress) -> None:
        self._file = file
        self._size = size
        self._progress = progress

    def read(self, count: int = -1) -> bytes:
        data = self._file.read(count)
        self._progress(self._file.tell(), self._size)
        return data

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)
