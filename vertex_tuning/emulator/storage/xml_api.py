"""The XML API: `/{bucket}/{object}`, or `/{object}` on the host `{bucket}.storage.googleapis.com`.

Source: Cloud Storage documentation, "XML API reference" (2026-09).
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from starlette.responses import Response

from vertex_tuning.emulator.state import now
from vertex_tuning.emulator.storage import listing, resources, signed, upload_api
from vertex_tuning.emulator.storage.call import Call, decoded, refuse_customer_keys
from vertex_tuning.emulator.storage.content import expected_hashes, store
from vertex_tuning.emulator.storage.errors import StorageError, invalid, not_emulated
from vertex_tuning.emulator.storage.media import header_text, md5_etag, media
from vertex_tuning.emulator.storage.names import check_object
from vertex_tuning.emulator.storage.preconditions import Preconditions
from vertex_tuning.emulator.storage.resources import Json
from vertex_tuning.emulator.storage.uploads import part_etag, part_number

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from vertex_tuning.emulator.storage.objects import Version

# Google has one namespace for multipart uploads and another for the rest.
_SPACE = "http://doc.s3.amazonaws.com/2006-03-01"
_UPLOAD_SPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_HEADERS = {
    "cache-control": "cacheControl",
    "content-disposition": "contentDisposition",
    "content-encoding": "contentEncoding",
    "content-language": "contentLanguage",
    "content-type": "contentType",
    "x-goog-custom-time": "customTime",
    "x-goog-storage-class": "storageClass",
    "x-goog-encryption-kms-key-name": "kmsKeyName",
}
_SUBRESOURCES = (
    "acl", "billing", "cors", "encryption", "encryptionConfig", "lifecycle", "logging", "object-lock",
    "policy", "retention", "storageClass", "tagging", "versioning", "versions", "websiteConfig",
)  # fmt: skip


async def answer(call: Call, bucket: str | None) -> Response:
    """Answer a request; `bucket` is the one that the host names, if it does."""
    signed.check(call.query, call.headers)
    refuse_customer_keys(call.headers)
    path = call.path.removeprefix("/")
    if bucket is None:
        raw, _, path = path.partition("/")
        bucket = decoded(raw)
    for name in _SUBRESOURCES:
        if name in call.query:
            raise not_emulated(f"the subresource {name!r} of the XML API")
    if not bucket:
        return _list_buckets(call)
    call.names = (bucket,)
    if not path:
        return await _bucket(call, bucket)
    return await _object(call, bucket, decoded(path))


# Buckets


def _list_buckets(call: Call) -> Response:
    if call.method != "GET":
        raise _not_allowed()
    project = call.headers.get("x-goog-project-id") or call.storage.settings.project
    found = call.storage.buckets.list(call.storage.settings.number_of(project))
    rows = [{"Name": bucket.name, "CreationDate": bucket.body["timeCreated"]} for bucket in found]
    return _xml("ListAllMyBucketsResult", {"Buckets": {"Bucket": rows}})


async def _bucket(call: Call, name: str) -> Response:
    buckets = call.storage.buckets
    if call.method == "PUT":
        root = await _parsed(call)
        location = _text(root, "LocationConstraint") if root is not None else None
        project = call.headers.get("x-goog-project-id") or call.storage.settings.project
        given = {"name": name, "location": location, "storageClass": call.headers.get("x-goog-storage-class")}
        buckets.insert(call.storage.settings.number_of(project), given)
        return Response(status_code=200)
    if call.method == "DELETE":
        buckets.delete(name)
        return Response(status_code=204)
    if call.method not in ("GET", "HEAD"):
        raise _not_allowed()
    found = buckets.get(name)
    if call.method == "HEAD":
        return Response(headers={"x-goog-storage-class": found.body["storageClass"]})
    if "location" in call.query:
        return _xml("LocationConstraint", found.body["location"])
    if "uploads" in call.query:
        rows = [
            {"Key": upload.name, "UploadId": upload.id, "Initiated": begun}
            for upload, begun in call.storage.uploads.begun(name)
        ]
        return _xml("ListMultipartUploadsResult", {"Bucket": name, "Upload": rows, "IsTruncated": "false"})
    return _list_objects(call, name)


def _list_objects(call: Call, bucket: str) -> Response:
    query = call.query
    second = query.get("list-type") == "2"
    limit = query.get("max-keys", "")
    if limit and not (limit.isascii() and limit.isdecimal()):
        raise invalid("Invalid argument: max-keys.")
    after = query.get("start-after" if second else "marker", "")
    delimiter = query.get("delimiter", "")
    page = listing.page(
        call.storage.db,
        bucket,
        listing.Query(
            prefix=query.get("prefix", ""),
            delimiter=delimiter,
            limit=max(1, min(int(limit[:6] or listing.MAX_RESULTS), listing.MAX_RESULTS)),
            token=query.get("continuation-token") or (listing.behind(after, delimiter) if after else ""),
        ),
    )
    rows = [
        {
            "Key": version.name,
            "Generation": str(version.generation),
            "MetaGeneration": str(version.metageneration),
            "LastModified": version.body["updated"],
            "ETag": md5_etag(version),
            "Size": str(version.digest.size),
            "StorageClass": version.body["storageClass"],
        }
        for version in page.items
    ]
    answer: Json = {"Name": bucket, "Prefix": query.get("prefix", ""), "Delimiter": delimiter}
    if second:
        answer["KeyCount"] = str(len(page.items) + len(page.prefixes))
    else:
        answer["Marker"] = after
    if page.next_token and second:
        answer["NextContinuationToken"] = page.next_token
    elif page.next_token:
        names = [version.name for version in page.items[-1:]] + page.prefixes[-1:]
        answer["NextMarker"] = max(names, key=str.encode)
    answer |= {
        "IsTruncated": "true" if page.next_token else "false",
        "Contents": rows,
        "CommonPrefixes": [{"Prefix": prefix} for prefix in page.prefixes],
    }
    return _xml("ListBucketResult", answer)


# Objects


async def _object(call: Call, bucket: str, name: str) -> Response:
    method, query = call.method, call.query
    if method in ("GET", "HEAD"):
        if "uploadId" in query:
            return _list_parts(call, bucket)
        version = call.storage.objects.get(
            bucket, name, call.generation, Preconditions.of_headers(call.headers)
        )
        return media(call, version, md5_etag(version), xml=True)
    if "upload_id" in query:
        return await upload_api.resume(call)
    if method == "PUT":
        if "uploadId" in query:
            return await _put_part(call, bucket)
        if "x-goog-copy-source" in call.headers:
            return _copy(call, bucket, name)
        return await _put(call, bucket, name)
    if method == "POST":
        if "uploads" in query:
            return _begin(call, bucket, name)
        if "uploadId" in query:
            return await _complete(call, bucket)
        if call.headers.get("x-goog-resumable") == "start":
            return _begin_resumable(call, bucket, name)
        raise not_emulated("uploads by HTML form")
    if method == "DELETE":
        if "uploadId" in query:
            call.storage.uploads.drop(call.storage.uploads.multipart(query["uploadId"], bucket))
        else:
            conditions = Preconditions.of_headers(call.headers)
            call.storage.objects.delete(bucket, name, call.generation, conditions)
        return Response(status_code=204)
    raise _not_allowed()


def _members(call: Call) -> Json:
    """What the headers say of a new object."""
    given: Json = {
        member: call.headers[header] for header, member in _HEADERS.items() if header in call.headers
    }
    given["metadata"] = {
        key.removeprefix("x-goog-meta-"): value
        for key, value in call.headers.items()
        if key.startswith("x-goog-meta-")
    } or None
    return upload_api.object_members(given)


async def _put(call: Call, bucket: str, name: str) -> Response:
    conditions = Preconditions.of_headers(call.headers)
    members = _members(call)
    call.storage.objects.check_write(bucket, name, conditions)
    blob, digest = await store(call.storage, call.body(), expected_hashes(call.headers))
    version = call.storage.objects.insert(bucket, name, blob, digest, members, conditions)
    return Response(headers=_stored(version))


def _stored(version: Version) -> dict[str, str]:
    digest = version.digest
    return {
        "etag": md5_etag(version),
        "x-goog-generation": str(version.generation),
        "x-goog-metageneration": str(version.metageneration),
        "x-goog-hash": f"crc32c={digest.crc32c}" + (f",md5={digest.md5}" if digest.md5 else ""),
        "x-goog-stored-content-encoding": header_text(version.body.get("contentEncoding", "identity")),
        "x-goog-stored-content-length": str(digest.size),
    }


def _copy(call: Call, bucket: str, name: str) -> Response:
    source_bucket, _, source_name = (
        unquote(call.headers["x-goog-copy-source"]).removeprefix("/").partition("/")
    )
    source = call.storage.objects.get(source_bucket, source_name)
    if call.headers.get("x-goog-metadata-directive", "COPY") == "REPLACE":
        members = _members(call)
    else:
        members = {key: value for key, value in source.body.items() if key in resources.COPIED_MEMBERS}
    conditions = Preconditions.of_headers(call.headers)
    version = call.storage.objects.copy(source, bucket, name, members, conditions)
    body = {"LastModified": version.body["updated"], "ETag": md5_etag(version)}
    return _xml("CopyObjectResult", body, _stored(version))


def _begin_resumable(call: Call, bucket: str, name: str) -> Response:
    upload = upload_api.begin_resumable(
        call, bucket, name, _members(call), Preconditions.of_headers(call.headers)
    )
    location = f"{call.base}{call.path}?upload_id={upload.id}"
    return Response(status_code=201, headers={"location": location, "x-guploader-uploadid": upload.id})


# Multipart uploads


def _begin(call: Call, bucket: str, name: str) -> Response:
    call.storage.objects.check_write(bucket, check_object(name), Preconditions())
    upload = call.storage.uploads.begin(bucket, name, {"resource": _members(call), "begun": now()})
    answer = {"Bucket": bucket, "Key": name, "UploadId": upload.id}
    return _xml("InitiateMultipartUploadResult", answer)


async def _put_part(call: Call, bucket: str) -> Response:
    uploads = call.storage.uploads
    upload = uploads.multipart(call.query["uploadId"], bucket)
    number = part_number(call.query.get("partNumber", ""))
    blob, digest = await store(call.storage, call.body(), expected_hashes(call.headers))
    uploads.put_part(upload, number, blob, digest)
    hashes = f"crc32c={digest.crc32c},md5={digest.md5}"
    return Response(headers={"etag": f'"{part_etag(digest.md5 or "")}"', "x-goog-hash": hashes})


def _list_parts(call: Call, bucket: str) -> Response:
    upload = call.storage.uploads.multipart(call.query["uploadId"], bucket)
    rows = [
        {
            "PartNumber": str(part.number),
            "LastModified": part.time,
            "ETag": f'"{part_etag(part.md5)}"',
            "Size": str(part.size),
        }
        for part in call.storage.uploads.parts(upload)
    ]
    answer = {
        "Bucket": bucket,
        "Key": upload.name,
        "UploadId": upload.id,
        "Part": rows,
        "IsTruncated": "false",
    }
    return _xml("ListPartsResult", answer)


async def _complete(call: Call, bucket: str) -> Response:
    uploads = call.storage.uploads
    upload = uploads.multipart(call.query["uploadId"], bucket)
    root = await _parsed(call)
    wanted = [
        (part_number(_text(part, "PartNumber") or ""), (_text(part, "ETag") or "").strip('" '))
        for part in (root if root is not None else ())
    ]
    parts = uploads.chosen(upload, wanted)
    members = {**upload.body["resource"], "componentCount": len(parts)}
    blob, digest = await call.storage.in_thread(call.storage.blobs.join, [part.blob for part in parts])
    orphans: list[str] = []
    version = call.storage.objects.insert(
        bucket,
        upload.name,
        blob,
        digest,
        members,
        Preconditions.of_headers(call.headers),
        also=lambda _: orphans.extend(uploads.forget(upload)),
    )
    call.storage.blobs.discard(*orphans)
    answer = {
        "Location": f"{call.base}{call.path}",
        "Bucket": bucket,
        "Key": upload.name,
        "ETag": md5_etag(version),
    }
    return _xml("CompleteMultipartUploadResult", answer, _stored(version))


# XML


async def _parsed(call: Call) -> Element | None:
    """The body as XML; None where there is none."""
    from xml.etree import ElementTree

    raw = await call.read()
    if not raw.strip():
        return None
    try:
        # A document type is never needed, and can only do harm.
        if b"<!" in raw:
            raise ElementTree.ParseError
        return ElementTree.fromstring(raw)
    except ElementTree.ParseError:
        raise invalid("The XML you provided was not well-formed.", xml="MalformedXML") from None


def _text(element: Element, name: str) -> str | None:
    """The text of a child, whatever its namespace."""
    return element.findtext(f"{{*}}{name}")


_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def _xml(name: str, content: Any, headers: dict[str, str] | None = None) -> Response:
    """A document: dicts become elements, lists repeat theirs."""
    space = _UPLOAD_SPACE if "Upload" in name or "Parts" in name else _SPACE
    body = f"<?xml version='1.0' encoding='UTF-8'?><{name} xmlns='{space}'>{_inner(content)}</{name}>"
    return Response(body, headers=headers, media_type="application/xml; charset=UTF-8")


def _inner(content: Any) -> str:
    if isinstance(content, dict):
        parts = []
        for key, value in content.items():
            for item in value if isinstance(value, list) else [value]:
                parts.append(f"<{key}>{_inner(item)}</{key}>")
        return "".join(parts)
    # XML has no way to write these characters, which names may contain.
    return escape(_UNPRINTABLE.sub("\ufffd", content), quote=False)


def _not_allowed() -> StorageError:
    return StorageError(405, "methodNotAllowed", "The specified method is not allowed against this resource.")
