from __future__ import annotations

import gzip
import os
from typing import TYPE_CHECKING

import pytest
import requests
from google.api_core import exceptions
from google.cloud import storage as gcs

if TYPE_CHECKING:
    from tests.emulator.storage.conftest import Server

DATA = bytes(range(256)) * 8192


@pytest.fixture
def blob(bucket: gcs.Bucket) -> gcs.Blob:
    blob = bucket.blob("x/y.bin")
    blob.upload_from_string(DATA)
    return blob


def test_ranges(blob: gcs.Blob) -> None:
    assert blob.download_as_bytes(start=0, end=0) == DATA[:1]
    assert blob.download_as_bytes(start=10, end=700_000) == DATA[10:700_001]
    assert blob.download_as_bytes(start=len(DATA) - 5) == DATA[-5:]
    assert blob.download_as_bytes(start=len(DATA) - 5, end=len(DATA) + 99) == DATA[-5:]
    assert blob.download_as_bytes(start=-7) == DATA[-7:]


@pytest.mark.parametrize(
    ("header", "status", "content_range", "length"),
    [
        ("bytes=0-0", 206, f"bytes 0-0/{len(DATA)}", 1),
        ("bytes=0-", 206, f"bytes 0-{len(DATA) - 1}/{len(DATA)}", len(DATA)),
        ("bytes=-3", 206, f"bytes {len(DATA) - 3}-{len(DATA) - 1}/{len(DATA)}", 3),
        ("bytes=5-2", 200, None, len(DATA)),
        ("bytes=0-1,4-5", 200, None, len(DATA)),
        ("lines=0-1", 200, None, len(DATA)),
        (f"bytes={len(DATA)}-", 416, f"bytes */{len(DATA)}", None),
    ],
)
def test_ranges_as_http_has_them(
    server: Server, blob: gcs.Blob, header: str, status: int, content_range: str | None, length: int | None
) -> None:
    for url in (
        f"{server.address}/download/storage/v1/b/bkt/o/x%2Fy.bin?alt=media",
        f"{server.address}/bkt/x/y.bin",
    ):
        answer = requests.get(url, headers={"Range": header}, timeout=30)
        assert (answer.status_code, answer.headers.get("content-range")) == (status, content_range)
        if length is not None:
            assert len(answer.content) == length


def test_a_range_behind_the_end_is_refused(blob: gcs.Blob) -> None:
    with pytest.raises(exceptions.RequestRangeNotSatisfiable):
        blob.download_as_bytes(start=len(DATA))


def test_an_empty_object_can_be_read(bucket: gcs.Bucket) -> None:
    blob = bucket.blob("empty")
    blob.upload_from_string(b"")
    assert blob.download_as_bytes() == b""
    with blob.open("rb") as file:
        assert file.read() == b""


def test_an_object_is_read_like_a_file(blob: gcs.Blob) -> None:
    with blob.open("rb", chunk_size=256 * 1024) as file:
        file.seek(300_000)
        assert file.read(10) == DATA[300_000:300_010]
        file.seek(-10, 2)
        assert file.read() == DATA[-10:]


def test_the_media_link_leads_to_the_content(blob: gcs.Blob) -> None:
    assert requests.get(blob.media_link, timeout=30).content == DATA


def test_headers_tell_version_and_hashes(server: Server, blob: gcs.Blob) -> None:
    answer = requests.get(blob.media_link, timeout=30)
    assert answer.headers["x-goog-generation"] == str(blob.generation)
    assert answer.headers["x-goog-hash"] == f"crc32c={blob.crc32c},md5={blob.md5_hash}"
    assert answer.headers["x-goog-stored-content-length"] == str(len(DATA))
    assert answer.headers["etag"] == blob.etag
    head = requests.head(f"{server.address}/bkt/x/y.bin", timeout=30)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(DATA)), b"")


def test_a_reader_who_has_it_is_told_so(server: Server, blob: gcs.Blob) -> None:
    url = f"{server.address}/bkt/x/y.bin"
    etag = requests.head(url, timeout=30).headers["etag"]
    assert requests.get(url, headers={"If-None-Match": etag}, timeout=30).status_code == 304
    assert requests.get(url, headers={"If-None-Match": '"other"'}, timeout=30).status_code == 200
    assert requests.get(url, headers={"If-Match": '"other"'}, timeout=30).status_code == 412
    modified = requests.head(url, timeout=30).headers["last-modified"]
    assert requests.get(url, headers={"If-Modified-Since": modified}, timeout=30).status_code == 304


def test_gzip_is_undone_for_who_cannot_read_it(server: Server, bucket: gcs.Bucket) -> None:
    text = b"line\n" * 400_000 + os.urandom(700_000)
    packed = gzip.compress(text[:1_000_000]) + gzip.compress(text[1_000_000:])
    blob = bucket.blob("x")
    blob.content_encoding = "gzip"
    blob.upload_from_string(packed, content_type="text/plain")
    url = f"{server.address}/download/storage/v1/b/bkt/o/x?alt=media"
    plain = requests.get(url, headers={"Accept-Encoding": "identity"}, timeout=30)
    assert "content-encoding" not in plain.headers
    assert plain.content == text
    assert plain.headers["x-goog-stored-content-encoding"] == "gzip"
    zipped = requests.get(url, headers={"Accept-Encoding": "gzip"}, timeout=30, stream=True)
    assert zipped.headers["content-encoding"] == "gzip"
    assert zipped.raw.read() == packed
    assert blob.download_as_bytes() == text
    assert blob.download_as_bytes(raw_download=True) == packed
    blob.cache_control = "no-transform"
    blob.patch()
    kept = requests.get(url, headers={"Accept-Encoding": "identity"}, timeout=30, stream=True)
    assert kept.raw.read() == packed


def test_a_reader_who_leaves_does_no_harm(server: Server, bucket: gcs.Bucket) -> None:
    blob = bucket.blob("big")
    blob.upload_from_string(os.urandom(32 << 20))
    for _ in range(3):
        with requests.get(blob.media_link, stream=True, timeout=30) as answer:
            answer.raw.read(10)
    assert len(blob.download_as_bytes()) == 32 << 20


def test_reading_goes_on_while_the_object_is_deleted(bucket: gcs.Bucket) -> None:
    data = os.urandom(32 << 20)
    blob = bucket.blob("big")
    blob.upload_from_string(data)
    with requests.get(blob.media_link, stream=True, timeout=30) as answer:
        first = answer.raw.read(100)
        blob.delete()
        assert first + answer.raw.read() == data


def test_what_is_not_there_is_not_found(bucket: gcs.Bucket) -> None:
    with pytest.raises(exceptions.NotFound, match="No such object: bkt/nothing"):
        bucket.blob("nothing").download_as_bytes()


def test_a_header_cannot_be_smuggled_in_through_metadata(server: Server, bucket: gcs.Bucket) -> None:
    blob = bucket.blob("x")
    blob.metadata = {"k": "v\r\nSet-Cookie: a=b", "bad name": "v"}
    blob.content_disposition = "attachment\r\nX-Evil: 1"
    blob.upload_from_string("x")
    blob.content_type = "text/plain\r\nX-Evil: 2"
    blob.patch()
    answer = requests.get(f"{server.address}/bkt/x", timeout=30)
    assert answer.status_code == 200
    assert not {"set-cookie", "x-evil"} & {name.lower() for name in answer.headers}
