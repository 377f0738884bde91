"""From a stream to an object: store it, compare the hashes that the caller knew, name it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from vertex_tuning.emulator.storage.blobs import Digest, Hashes
from vertex_tuning.emulator.storage.errors import invalid
from vertex_tuning.emulator.storage.resources import Json
from vertex_tuning.emulator.storage.sink import Sink

if TYPE_CHECKING:
    from starlette.datastructures import Headers

    from vertex_tuning.emulator.storage import Storage

Expected = dict[str, str]
"""`crc32c` and `md5` as the caller computed them, in base64."""


def expected_hashes(headers: Headers, resource: Json | None = None) -> Expected:
    """The hashes that a request states: `X-Goog-Hash`, `Content-MD5`, or members of the resource."""
    found: Expected = {}
    if resource:
        for member, kind in (("crc32c", "crc32c"), ("md5Hash", "md5")):
            if isinstance(value := resource.get(member), str):
                found[kind] = value
    if "content-md5" in headers:
        found["md5"] = headers["content-md5"]
    for item in ",".join(headers.getlist("x-goog-hash")).split(","):
        kind, _, value = item.strip().partition("=")
        if kind in ("crc32c", "md5"):
            found[kind] = value
    for kind, value in found.items():
        try:
            right = len(base64.b64decode(value, validate=True)) == (4 if kind == "crc32c" else 16)
        except (binascii.Error, ValueError):
            right = False
        if not right:
            raise invalid(f"Invalid value for {kind}: {value!r}", location=kind, xml="InvalidDigest")
    return found


def check_hashes(digest: Digest, expected: Expected) -> None:
    """400 where the bytes that came are not the bytes that were sent."""
    for kind, value in expected.items():
        actual = getattr(digest, kind)
        if actual is not None and actual != value:
            label = "MD5 hash" if kind == "md5" else "CRC32C"
            raise invalid(
                f'Provided {label} "{value}" doesn\'t match calculated {label} "{actual}".', xml="BadDigest"
            )


async def store(storage: Storage, chunks: AsyncIterator[bytes], expected: Expected) -> tuple[str, Digest]:
    """A new blob of a stream, hashes compared; nothing is left of it where anything fails."""
    blob, fd = storage.blobs.create()
    hashes = Hashes()
    sink = Sink(fd, hashes, storage.executor)
    try:
        async for chunk in chunks:
            await sink.write(chunk)
        await sink.close()
        digest = hashes.digest()
        check_hashes(digest, expected)
    except BaseException:
        await sink.abort()
        storage.blobs.discard(blob)
        raise
    return blob, digest
