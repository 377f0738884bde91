"""Content on its way out: ranges, checksums in headers, gzip undone for who cannot read it."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import zlib
from collections.abc import AsyncIterator
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import Response

from vertex_tuning.emulator.storage.call import Call
from vertex_tuning.emulator.storage.errors import StorageError, condition_not_met, no_object, not_modified

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from vertex_tuning.emulator.storage import Storage
    from vertex_tuning.emulator.storage.objects import Version

_BLOCK = 512 * 1024
_INLINE = 64 * 1024
"""Up to this size, to read at once costs less than to ask a thread."""

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def media(call: Call, version: Version, etag: str, *, xml: bool = False) -> Response:
    """The content of a version as the request asks for it.

    Args:
        call: The request: `Range`, `Accept-Encoding`, `If-None-Match`...
        version: What to send.
        etag: Its entity tag, as the API in use spells it.
        xml: Custom metadata go into headers too, as on the XML API.
    """
    _check_conditions(call, version, etag)
    headers = _headers(version, etag, xml=xml)
    encoded = version.body.get("contentEncoding") == "gzip"
    unzip = (
        encoded
        and "gzip" not in call.headers.get("accept-encoding", "")
        and "no-transform" not in version.body.get("cacheControl", "")
    )
    if unzip:
        headers["warning"] = "214 UploadServer gunzipped"
        headers["vary"] = "Accept-Encoding"
        return Content(call, _open(call.storage, version), headers, unzip=True)
    if "contentEncoding" in version.body:
        headers["content-encoding"] = header_text(version.body["contentEncoding"])
    size = version.digest.size
    wanted = _range(call.headers.get("range", ""), size)
    start, end = wanted or (0, size)
    if wanted:
        headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
    headers["content-length"] = str(end - start)
    return Content(call, _open(call.storage, version), headers, 206 if wanted else 200, start, end - start)


def md5_etag(version: Version) -> str:
    """The entity tag of the XML API: the MD5 in quotes where there is one."""
    md5 = version.digest.md5
    return f'"{base64.b64decode(md5).hex() if md5 else version.etag}"'


def header_text(value: str) -> str:
    """A text as a header can carry it: no control characters (they would start headers of their own)."""
    return _CONTROL.sub(" ", value).strip().encode().decode("latin-1")


def _headers(version: Version, etag: str, *, xml: bool) -> dict[str, str]:
    body, digest = version.body, version.digest
    hashes = [f"crc32c={digest.crc32c}", *([f"md5={digest.md5}"] if digest.md5 else [])]
    headers = {
        "content-type": header_text(version.content_type),
        "accept-ranges": "bytes",
        "etag": etag,
        "last-modified": format_datetime(_time(body["updated"]), usegmt=True),
        "x-goog-generation": str(version.generation),
        "x-goog-metageneration": str(version.metageneration),
        "x-goog-hash": ",".join(hashes),
        "x-goog-storage-class": body["storageClass"],
        "x-goog-stored-content-encoding": header_text(body.get("contentEncoding", "identity")),
        "x-goog-stored-content-length": str(digest.size),
    }
    for member, header in (
        ("cacheControl", "cache-control"),
        ("contentDisposition", "content-disposition"),
        ("contentLanguage", "content-language"),
    ):
        if member in body:
            headers[header] = header_text(body[member])
    if xml:
        if "customTime" in body:
            headers["x-goog-custom-time"] = header_text(body["customTime"])
        for key, value in body.get("metadata", {}).items():
            if re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", key):
                headers[f"x-goog-meta-{key.lower()}"] = header_text(value)
    return headers


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _check_conditions(call: Call, version: Version, etag: str) -> None:
    """The conditional headers of HTTP itself (RFC 9110, 13.2.2)."""
    known = {etag.strip('"'), version.etag, "*"}

    def names_it(header: str) -> bool:
        tags = (tag.strip().removeprefix("W/").strip('"') for tag in call.headers[header].split(","))
        return not known.isdisjoint(tags)

    if "if-match" in call.headers and not names_it("if-match"):
        raise condition_not_met("If-Match")
    if "if-none-match" in call.headers:
        if names_it("if-none-match"):
            raise not_modified("If-None-Match")
    elif "if-modified-since" in call.headers:
        try:
            since = parsedate_to_datetime(call.headers["if-modified-since"])
        except ValueError:
            return
        if since.tzinfo and _time(version.body["updated"]).replace(microsecond=0) <= since:
            raise not_modified("If-Modified-Since")


def _range(text: str, size: int) -> tuple[int, int] | None:
    """First byte, and the one behind the last. None for what is no single range: HTTP has it ignored."""
    match = _RANGE.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start = int(first)
        end = min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= end:
        raise RangeError(size)
    return start, end


class RangeError(StorageError):
    """416: the range lies outside the object."""

    def __init__(self, size: int) -> None:
        super().__init__(416, "requestedRangeNotSatisfiable", "Request range not satisfiable")
        self.size = size


def _open(storage: Storage, version: Version) -> int:
    """The file of a version; from here on its bytes can be read even if the object goes."""
    path: Path = storage.blobs.path(version.blob)
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        if storage.objects.find(version.bucket, version.name, version.generation) is None:
            raise no_object(version.bucket, version.name) from None
        raise


class Content(Response):
    """A file, or a part of one, block by block; the next block is read while the last one is sent."""

    def __init__(
        self,
        call: Call,
        fd: int,
        headers: dict[str, str],
        status: int = 200,
        start: int = 0,
        length: int | None = None,
        *,
        unzip: bool = False,
    ) -> None:
        self.status_code = status
        self.background = None
        self._call = call
        self._fd = fd
        self._start = start
        self._length = os.fstat(fd).st_size if length is None else length
        self._unzip = unzip
        self.raw_headers = [
            (key.encode("latin-1"), value.encode("latin-1")) for key, value in headers.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (ASGI)
        """Send it all, unless the caller leaves."""
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        gone: asyncio.Task[None] | None = None
        try:
            await send(start)
            if self._call.method == "HEAD":
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            if self._length <= _INLINE and not self._unzip:
                body = os.pread(self._fd, self._length, self._start)
                await send({"type": "http.response.body", "body": body, "more_body": False})
                return
            gone = asyncio.create_task(_disconnected(receive))
            blocks = self._unzipped() if self._unzip else self._blocks()
            async for block in blocks:
                if gone.done():
                    return
                await send({"type": "http.response.body", "body": block, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            if gone:
                gone.cancel()
            os.close(self._fd)

    async def _blocks(self) -> AsyncIterator[bytes]:
        at, left = self._start, self._length
        while left:
            block = await self._call.storage.in_thread(os.pread, self._fd, min(left, _BLOCK), at)
            if not block:
                raise OSError("an object's file is shorter than its row says")
            at += len(block)
            left -= len(block)
            yield block

    async def _unzipped(self) -> AsyncIterator[bytes]:
        inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
        async for block in self._blocks():
            data = block
            while data:
                piece = await self._call.storage.in_thread(inflate.decompress, data, _BLOCK)
                if piece:
                    yield piece
                if inflate.eof:
                    data = inflate.unused_data
                    inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
                else:
                    data = inflate.unconsumed_tail
        if rest := inflate.flush():
            yield rest


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
