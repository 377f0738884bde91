"""The upload API: `/upload/storage/v1/b/{bucket}/o`, in one request or in many.

Source: Cloud Storage documentation, "Upload objects" and "Resumable uploads" (2026-09).
"""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass

from starlette.responses import Response

from vertex_tuning.emulator.storage import resources
from vertex_tuning.emulator.storage.blobs import Hashes
from vertex_tuning.emulator.storage.bodies import Related
from vertex_tuning.emulator.storage.call import Call, Disconnected, parsed, refuse_customer_keys
from vertex_tuning.emulator.storage.content import check_hashes, expected_hashes, store
from vertex_tuning.emulator.storage.errors import StorageError, invalid, no_object
from vertex_tuning.emulator.storage.names import check_object
from vertex_tuning.emulator.storage.preconditions import Preconditions
from vertex_tuning.emulator.storage.resources import Json
from vertex_tuning.emulator.storage.sink import Sink
from vertex_tuning.emulator.storage.uploads import Progress, Upload

log = logging.getLogger(__name__)

GRAIN = 256 * 1024
"""What is kept of a chunk that is not the last is a multiple of this."""

_RANGE = re.compile(r"bytes (?:(\d{1,18})-(\d{1,18}|\*)|\*)/(\d{1,18}|\*)")


async def upload(call: Call) -> Response:
    """Begin an upload, or do it."""
    refuse_customer_keys(call.headers)
    if "upload_id" in call.query:
        return await resume(call)
    kind = call.query.get("uploadType") or call.headers.get("x-goog-upload-protocol") or "media"
    if kind == "media":
        return await _simple(call)
    if kind == "multipart":
        return await _multipart(call)
    if kind == "resumable":
        return await _begin(call)
    raise invalid(f"Invalid value for uploadType: {kind!r}", location="uploadType")


def object_members(given: Json) -> Json:
    """What a caller may say of a new object."""
    return resources.written(given, resources.OBJECT_MEMBERS | resources.OBJECT_BIRTH_MEMBERS)


def _named(call: Call, given: Json) -> str:
    """The name of the object: of the query, else of the resource."""
    if not isinstance(given, dict):
        raise invalid("The body must be a JSON object.")
    return check_object(call.query.get("name") or given.get("name"))


def _members(call: Call, given: Json, content_type: str | None) -> Json:
    """What the resource, the query and the content's own header say of a new object."""
    members = object_members(given)
    for name in ("contentEncoding", "kmsKeyName"):
        if name in call.query:
            members[name] = call.query[name]
    if content_type:
        members.setdefault("contentType", content_type)
    return members


async def _simple(call: Call) -> Response:
    (bucket,) = call.names
    name = _named(call, {})
    call.storage.objects.check_write(bucket, name, call.conditions)
    members = _members(call, {}, call.headers.get("content-type"))
    blob, digest = await store(call.storage, call.body(), expected_hashes(call.headers))
    version = call.storage.objects.insert(bucket, name, blob, digest, members, call.conditions)
    return call.reply(version.to_json(call.base))


async def _multipart(call: Call) -> Response:
    (bucket,) = call.names
    related = Related(call.headers.get("content-type", ""), call.body())
    await related.open()
    given = parsed(related.resource)
    name = _named(call, given)
    members = _members(call, given, related.content_type)
    call.storage.objects.check_write(bucket, name, call.conditions)
    blob, digest = await store(call.storage, related.content(), expected_hashes(call.headers, given))
    version = call.storage.objects.insert(bucket, name, blob, digest, members, call.conditions)
    return call.reply(version.to_json(call.base))


# Resumable


async def _begin(call: Call) -> Response:
    (bucket,) = call.names
    given = await call.json()
    name = _named(call, given)
    members = _members(call, given, call.headers.get("x-upload-content-type"))
    upload = begin_resumable(call, bucket, name, members, call.conditions, given)
    extra = "".join(f"&{key}={value}" for key, value in call.query.items() if key == "projection")
    location = f"{call.base}/upload/storage/v1/b/{bucket}/o?uploadType=resumable{extra}&upload_id={upload.id}"
    return Response(status_code=200, headers={"location": location, "x-guploader-uploadid": upload.id})


def begin_resumable(
    call: Call, bucket: str, name: str, members: Json, conditions: Preconditions, given: Json | None = None
) -> Upload:
    """A resumable upload, with all that its last request needs."""
    call.storage.objects.check_write(bucket, name, conditions)
    length = call.headers.get("x-upload-content-length")
    if length is not None and not (length.isascii() and length.isdecimal()):
        raise invalid("Invalid value for X-Upload-Content-Length", location="X-Upload-Content-Length")
    body: Json = {
        "resource": members,
        "conditions": conditions.to_json(),
        "expected": expected_hashes(call.headers, given),
        "total": int(length) if length else None,
    }
    blob, fd = call.storage.blobs.create()
    try:
        return call.storage.uploads.begin(bucket, name, body, blob)
    except BaseException:
        call.storage.blobs.discard(blob)
        raise
    finally:
        os.close(fd)


async def resume(call: Call) -> Response:
    """Go on with a resumable upload: a chunk, a question, or its end."""
    uploads = call.storage.uploads
    found = uploads.resumable(call.query["upload_id"], call.names[0])
    if call.method == "DELETE":
        async with uploads.progress(found).lock:
            uploads.drop(uploads.resumable(found.id, found.bucket))
        return Response(status_code=499)
    if call.method not in ("PUT", "POST"):
        raise StorageError(405, "methodNotAllowed", "Method Not Allowed")
    progress = uploads.progress(found)
    async with progress.lock:
        found = uploads.resumable(found.id, found.bucket)
        if "done" in found.body:
            return _done(call, found)
        return await _take(call, found, progress)


async def _take(call: Call, upload: Upload, progress: Progress) -> Response:
    asked = _content_range(call, upload)
    if asked.first is not None:
        await _append(call, upload, progress, asked)
    total = upload.size if asked.open_end else asked.total
    if total is not None and upload.size > total:
        raise invalid(f"Invalid request. {upload.size} bytes are stored, more than the stated {total}.")
    if total is None or upload.size < total:
        headers = {"x-guploader-uploadid": upload.id}
        if upload.size:
            headers["range"] = f"bytes=0-{upload.size - 1}"
        return Response(status_code=308, headers=headers)
    return await _finish(call, upload, progress)


@dataclass(frozen=True, slots=True)
class _Range:
    """What a request says of itself."""

    first: int | None
    """Its first byte; None: it brings nothing, and asks how far we are."""
    last: int | None
    """Its last byte, where that is known."""
    total: int | None
    """Size of the whole, where that is known."""
    open_end: bool
    """The whole ends where this request's body ends."""


def _content_range(call: Call, upload: Upload) -> _Range:
    stated: int | None = upload.body["total"]
    text = call.headers.get("content-range")
    if text is None:
        return _Range(0, None, stated, open_end=True)
    match = _RANGE.fullmatch(text)
    wrong = invalid(f"Failed to parse Content-Range header: {text!r}", location="Content-Range")
    if match is None:
        raise wrong
    first, last, total = (int(part) if part and part != "*" else None for part in match.groups())
    if first is not None and last is not None and (last < first or (total is not None and last >= total)):
        raise wrong
    if stated is not None and total is not None and total != stated:
        raise invalid(f"Invalid request. Content-Range says {total} bytes, X-Upload-Content-Length {stated}.")
    if total is None and first is not None:
        total = stated
    return _Range(first, last, total, open_end=match[2] == "*" and match[3] == "*")


async def _append(call: Call, upload: Upload, progress: Progress, asked: _Range) -> None:
    """Store a chunk; what was stored before is skipped."""
    assert asked.first is not None
    assert upload.blob is not None
    if asked.first > upload.size:
        raise invalid(
            f"Invalid request. The chunk begins at byte {asked.first}, only {upload.size} are stored."
        )
    hashes = await _hashes(call, upload, progress)
    progress.hashes = None
    skip = upload.size - asked.first
    longest = None if asked.last is None else asked.last - asked.first + 1
    sink = Sink(call.storage.blobs.reopen(upload.blob, upload.size), hashes, call.storage.executor)
    taken = 0
    ended = False
    try:
        async for chunk in call.body():
            taken += len(chunk)
            if longest is not None and taken > longest:
                raise invalid("Invalid request. The body is longer than its Content-Range says.")
            if skip < len(chunk):
                await sink.write(chunk[skip:])
            skip = max(0, skip - len(chunk))
        ended = True
    except Disconnected:
        log.info("storage: an upload to gs://%s broke off; it can be resumed", upload.bucket)
    except BaseException:
        await sink.abort()
        raise
    await sink.close()
    stored = upload.size + sink.size
    final = ended and (asked.open_end or stored == asked.total)
    kept = stored if final else stored - stored % GRAIN
    if ended and not final and sink.size and kept <= upload.size:
        raise invalid(
            f"Invalid request. A chunk that is not the last must have at least {GRAIN} bytes.",
        )
    call.storage.uploads.advance(upload, max(kept, upload.size))
    if kept == stored:
        progress.hashes = hashes
    if not ended:
        raise Disconnected


async def _hashes(call: Call, upload: Upload, progress: Progress) -> Hashes:
    """The hashes so far; read back from the blob where a restart or a broken chunk lost them."""
    if progress.hashes is not None and progress.hashes.size == upload.size:
        return progress.hashes
    assert upload.blob is not None
    return await call.storage.in_thread(call.storage.blobs.rehash, upload.blob, upload.size)


async def _finish(call: Call, upload: Upload, progress: Progress) -> Response:
    """All bytes are here: compare the hashes, and name the blob."""
    assert upload.blob is not None
    digest = (await _hashes(call, upload, progress)).digest()
    expected = {**upload.body["expected"], **expected_hashes(call.headers)}
    try:
        check_hashes(digest, expected)
        version = call.storage.objects.insert(
            upload.bucket,
            upload.name,
            upload.blob,
            digest,
            upload.body["resource"],
            Preconditions(*upload.body["conditions"]),
            also=lambda version: call.storage.uploads.finish(upload, version.generation),
        )
    except StorageError:
        call.storage.uploads.drop(upload)
        raise
    return call.reply(version.to_json(call.base))


def _done(call: Call, upload: Upload) -> Response:
    """The answer to the last chunk once more: the first one may have been lost."""
    version = call.storage.objects.find(upload.bucket, upload.name, upload.body["done"])
    if version is None:
        raise no_object(upload.bucket, upload.name)
    return call.reply(version.to_json(call.base))
