"""Requests that make no sense: refused in Google's words, never a crash."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from vertex_tuning.emulator.settings import Settings
from vertex_tuning.emulator.state import Database
from vertex_tuning.emulator.status import ApiError
from vertex_tuning.emulator.storage import Storage
from vertex_tuning.emulator.storage.app import ROUTES
from vertex_tuning.emulator.storage.bodies import Related
from vertex_tuning.emulator.storage.errors import StorageError

VALUES: list[Any] = [
    None, True, False, 0, -1, 1.5, 10**30, "", "x", "bkt", "../x", [], [1], {}, {"a": 1}, [{"name": "a"}],
    [{"name": 5}], [{"name": "a", "generation": "x"}], [{"name": "a", "objectPreconditions": 5}],
    "2026-01-01T00:00:00Z", "\ud800", "x" * 2000, {"enabled": "yes"}, {"k": {"x": 1}}, {"k": None},
]  # fmt: skip
MEMBERS = [
    "name", "location", "labels", "versioning", "lifecycle", "storageClass", "metadata",
    "contentType", "customTime", "acl", "sourceObjects", "destination", "md5Hash", "crc32c",
    "bindings", "etag", "version", "encryption", "iamConfiguration", "contentEncoding",
    "temporaryHold", "kmsKeyName", "deleteSourceObjects",
]  # fmt: skip
PARAMETERS = [
    "name", "uploadType", "upload_id", "uploadId", "partNumber", "uploads", "generation",
    "ifGenerationMatch", "ifMetagenerationNotMatch", "ifSourceGenerationMatch", "sourceGeneration",
    "maxResults", "pageToken", "prefix", "delimiter", "startOffset", "matchGlob", "versions",
    "fields", "project", "alt", "list-type", "max-keys", "marker", "X-Goog-Signature",
    "X-Goog-Date", "X-Goog-Expires", "Expires", "Signature", "GoogleAccessId", "X-Goog-Algorithm",
]  # fmt: skip
TEXTS = [
    "", "0", "1", "-1", "x", "bkt", "media", "resumable", "multipart", "true", "9" * 20, "a/", "AAAA", "%FF",
    "[", "{a,b", "**", "[z-a]", "items(", "a,b/c(d)", "20260101T000000Z", "GOOG4-RSA-SHA256",
]  # fmt: skip
HEADERS = [
    "range", "content-range", "content-type", "x-goog-hash", "content-md5", "accept-encoding",
    "if-match", "if-modified-since", "x-goog-copy-source", "x-goog-resumable",
    "x-upload-content-length", "x-goog-custom-time", "x-http-method-override",
    "x-goog-if-generation-match", "x-goog-meta-a", "x-goog-storage-class",
]  # fmt: skip
HEADER_TEXTS = [
    "", "x", "bytes=0-1", "bytes=-0", "bytes=-", "bytes 0-1/2", "bytes */*", "bytes 0-*/*", "bytes 99-100/9",
    "multipart/related; boundary=b", "multipart/mixed", "crc32c=AAAA", "md5=", "gzip", "*", "Mon, 99 Jan",
    "/bkt/a", "start", "5", "PUT", "\xe9",
]  # fmt: skip
BODIES = [
    b"", b"{}", b"[]", b"{", b"null", b"5", b"<a/>", b"<a><Part><PartNumber>1</PartNumber></Part></a>",
    b"--b\r\n\r\n{}\r\n--b\r\n\r\nx\r\n--b--", b"\xff" * 3000,
]  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
async def test_nonsense_is_refused_and_never_a_crash(
    tmp_path: Path, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    chance = random.Random(seed)
    db = Database(tmp_path / "emulator.sqlite")
    storage = Storage(Settings(data_dir=tmp_path), db)
    for number in range(2000):
        if number % 100 == 0:
            with contextlib.suppress(StorageError, ApiError):
                storage.buckets.insert("1", {"name": "bkt", "versioning": {"enabled": True}})
            with contextlib.suppress(StorageError, ApiError):
                storage.write("gs://bkt/a", b"hello", "text/plain")
        method, path, _ = chance.choice(
            [*ROUTES, *((verb, "/{}/{}", None) for verb in ("GET", "PUT", "POST"))]
        )
        while "{}" in path:
            path = path.replace("{}", chance.choice(["bkt", "bkt", "a", "b%2Fc", "%FF", "%00"]), 1)
        status = await ask(storage, chance, method, path)
        assert status < 500 or status == 501, (method, path)
    assert not caplog.records
    await storage.stop()
    db.close()


async def ask(storage: Storage, chance: random.Random, method: str, path: str) -> int:
    """Send one request of nonsense, without a network in between."""
    query = "&".join(
        f"{chance.choice(PARAMETERS)}={chance.choice(TEXTS)}" for _ in range(chance.randint(0, 4))
    )
    headers = [(chance.choice(HEADERS), chance.choice(HEADER_TEXTS)) for _ in range(chance.randint(0, 3))]
    resource = {chance.choice(MEMBERS): chance.choice(VALUES) for _ in range(chance.randint(1, 4))}
    body = chance.choice([*BODIES, *[json.dumps(resource).encode()] * len(BODIES)])
    requests = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return requests.pop() if requests else await asyncio.get_running_loop().create_future()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode("latin-1"),
        "headers": [(key.encode(), value.encode("latin-1")) for key, value in headers] + [(b"host", b"x")],
    }
    await storage.app(scope, receive, send)
    return int(sent[0]["status"])


@given(content=some.binary(max_size=200) | some.just(b"\r\n--b"), cuts=some.lists(some.integers(1, 40)))
def test_a_multipart_body_may_arrive_in_any_pieces(content: bytes, cuts: list[int]) -> None:
    if b"\r\n--b" in content:
        content = content.replace(b"\r\n--b", b"\r\n--c")
    body = b'--b\r\n\r\n{"name":"x"}\r\n--b\r\ncontent-type: text/csv\r\n\r\n' + content + b"\r\n--b--\r\n"

    async def pieces() -> AsyncIterator[bytes]:
        rest = body
        for cut in cuts:
            if rest[:cut]:
                yield rest[:cut]
            rest = rest[cut:]
        if rest:
            yield rest

    async def read() -> tuple[bytes, str | None, bytes]:
        related = Related("multipart/related; boundary=b", pieces())
        await related.open()
        return related.resource, related.content_type, b"".join([part async for part in related.content()])

    assert asyncio.run(read()) == (b'{"name":"x"}', "text/csv", content)
