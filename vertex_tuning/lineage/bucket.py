"""JSON in a bucket, and data sets told by what tells them apart."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from vertex_tuning.errors import ServiceError
from vertex_tuning.lineage.chain import Json
from vertex_tuning.retries import again

if TYPE_CHECKING:
    from vertex_tuning.connection import Connection

FOLDER = "vertex-tuning/lineage"
SCHEMA = 1
_HASH = re.compile(r"/([0-9a-f]{64})\.jsonl$")

T = TypeVar("T")


def split(uri: str) -> tuple[str, str]:
    """Bucket and name of a `gs://` URI, without a slash at the end."""
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    return bucket, name.rstrip("/")


def write(connection: Connection, bucket: str, name: str, body: Json) -> str:
    """Write an object; returns its URI.

    Raises:
        ServiceError: It cannot be written.
    """
    blob = connection.storage.bucket(bucket).blob(name)
    text = json.dumps(body, indent=1, ensure_ascii=False)
    again(lambda: blob.upload_from_string(text, content_type="application/json"))
    return f"gs://{bucket}/{name}"


def read(connection: Connection, bucket: str, name: str) -> Json | None:
    """An object of JSON; None where there is none, or something else."""
    blob = connection.storage.bucket(bucket).blob(name)
    text = or_none(lambda: again(blob.download_as_bytes))
    with contextlib.suppress(ValueError):
        found = json.loads(text) if text is not None else None
        if isinstance(found, dict):
            return found
    return None


def below(connection: Connection, bucket: str, folder: str) -> Iterator[Json]:
    """What was written in a folder, oldest first, as far as it is ours."""
    blobs = or_none(lambda: again(lambda: list(connection.storage.list_blobs(bucket, prefix=f"{folder}/"))))
    for blob in sorted(blobs or [], key=lambda blob: blob.name):
        found = read(connection, bucket, blob.name)
        if found is not None and found.get("schema") == SCHEMA:
            yield found


def described(connection: Connection, uri: str) -> Json:
    """A data set: its hash, where we uploaded it; its size, generation and checksum, where we may see them."""
    bucket, name = split(uri)
    blob = None
    with contextlib.suppress(ServiceError):
        blob = again(lambda: connection.storage.bucket(bucket).get_blob(name, retry=None))
    found = _HASH.search(uri)
    known = {
        "uri": uri,
        "sha256": found[1] if found else "",
        "bytes": getattr(blob, "size", None),
        "crc32c": getattr(blob, "crc32c", None),
        "generation": str(getattr(blob, "generation", "") or ""),
    }
    return {key: value for key, value in known.items() if value}


def or_none(ask: Callable[[], T]) -> T | None:
    """None for what is not there."""
    try:
        return ask()
    except ServiceError as error:
        if error.code != 404:
            raise
        return None
