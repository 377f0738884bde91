from __future__ import annotations

import base64
import hashlib
import http.client
import io
import os
from typing import TYPE_CHECKING

import pytest
import requests
from google.api_core import exceptions
from google.cloud import storage as gcs

if TYPE_CHECKING:
    from pathlib import Path

    from tests.emulator.storage.conftest import Server

MEBIBYTE = 1 << 20
GRAIN = 256 * 1024


def begin(server: Server, name: str = "x", **headers: str) -> str:
    """A resumable upload, begun without a client: its address."""
    answer = requests.post(
        f"{server.address}/upload/storage/v1/b/bkt/o?uploadType=resumable&name={name}",
        headers=headers,
        timeout=30,
    )
    assert answer.status_code == 200
    return answer.headers["location"]


def put(url: str, data: bytes, content_range: str | None = None, **headers: str) -> requests.Response:
    if content_range:
        headers["Content-Range"] = content_range
    return requests.put(url, data=data, headers=headers, timeout=60)


# In one request


def test_a_small_upload_comes_back_as_it_was(bucket: gcs.Bucket) -> None:
    blob = bucket.blob("a/b c.txt")
    blob.metadata = {"k": "v"}
    blob.upload_from_string("héllo", content_type="text/plain")
    assert blob.generation
    again = bucket.get_blob("a/b c.txt")
    assert again.metadata == {"k": "v"}
    assert again.content_type == "text/plain"
    assert again.download_as_text() == "héllo"


@pytest.mark.parametrize("data", [b"", b"x", b"\r\n--", b"\r\n" * 5000, os.urandom(3 * MEBIBYTE)])
def test_any_bytes_survive_a_multipart_upload(bucket: gcs.Bucket, data: bytes) -> None:
    blob = bucket.blob("x")
    blob.upload_from_string(data)
    assert blob.size == len(data)
    assert blob.download_as_bytes() == data


def test_a_simple_upload_needs_no_metadata(server: Server, bucket: gcs.Bucket) -> None:
    answer = requests.post(
        f"{server.address}/upload/storage/v1/b/bkt/o?uploadType=media&name=x%2Fy&contentEncoding=br",
        data=b"hello",
        headers={"Content-Type": "text/plain"},
        timeout=30,
    )
    assert answer.status_code == 200
    body = answer.json()
    assert (body["name"], body["contentType"], body["contentEncoding"]) == ("x/y", "text/plain", "br")
    assert requests.get(body["mediaLink"], timeout=30).status_code == 200


def test_bare_line_feeds_in_a_multipart_upload_are_understood(server: Server, bucket: gcs.Bucket) -> None:
    head = b'--b\ncontent-type: application/json\n\n{"name": "x"}\n'
    body = head + b"--b\ncontent-type: text/plain\n\nhi\n\n--b--\n"
    answer = requests.post(
        f"{server.address}/upload/storage/v1/b/bkt/o?uploadType=multipart",
        data=body,
        headers={"Content-Type": 'multipart/related; boundary="b"'},
        timeout=30,
    )
    assert answer.status_code == 200
    assert bucket.blob("x").download_as_bytes() == b"hi\n"


@pytest.mark.parametrize("body", [b"", b"--b", b"--b\r\n\r\n{}", b"--b\r\n\r\n{}\r\n--b\r\n\r\nhalf a body"])
def test_a_broken_multipart_upload_stores_nothing(server: Server, bucket: gcs.Bucket, body: bytes) -> None:
    answer = requests.post(
        f"{server.address}/upload/storage/v1/b/bkt/o?uploadType=multipart&name=x",
        data=body,
        headers={"Content-Type": "multipart/related; boundary=b"},
        timeout=30,
    )
    assert answer.status_code == 400
    assert not bucket.blob("x").exists()
    assert server.files() == []


def test_an_upload_without_a_bucket_is_refused_before_it_is_read(client: gcs.Client) -> None:
    with pytest.raises(exceptions.NotFound):
        client.bucket("nothing-here").blob("x").upload_from_string("x")


@pytest.mark.parametrize("checksum", ["md5", "crc32c"])
def test_bytes_that_changed_on_the_way_are_refused(server: Server, bucket: gcs.Bucket, checksum: str) -> None:
    kept = bucket.blob("x")
    kept.upload_from_string("before", checksum=checksum)
    wrong = base64.b64encode(hashlib.md5(b"other").digest()[: 16 if checksum == "md5" else 4]).decode()
    header = {"X-Goog-Hash": f"{checksum}={wrong}"}
    url = f"{server.address}/upload/storage/v1/b/bkt/o?uploadType=media&name=x"
    answer = requests.post(url, data=b"data", headers=header, timeout=30)
    assert answer.status_code == 400
    assert "doesn't match calculated" in answer.json()["error"]["message"]
    answer = put(begin(server), b"data", **header)
    assert answer.status_code == 400
    kept.md5_hash = base64.b64encode(b"0" * 16).decode()
    with pytest.raises(exceptions.BadRequest, match="doesn't match calculated"):
        kept.upload_from_string("data")
    assert bucket.blob("x").download_as_text() == "before"
    assert len(server.files()) == 1


# Resumable


@pytest.mark.parametrize("chunk_size", [None, GRAIN, 4 * MEBIBYTE])
def test_a_resumable_upload_of_nine_mebibytes(bucket: gcs.Bucket, chunk_size: int | None) -> None:
    data = os.urandom(9 * MEBIBYTE)
    blob = bucket.blob("big", chunk_size=chunk_size)
    blob.upload_from_string(data)
    assert blob.md5_hash == base64.b64encode(hashlib.md5(data).digest()).decode()
    assert blob.download_as_bytes() == data


@pytest.mark.parametrize("size", [0, 1, GRAIN, GRAIN + 1, 3 * GRAIN])
def test_an_upload_of_unknown_length(bucket: gcs.Bucket, size: int) -> None:
    data = os.urandom(size)

    class Stream(io.RawIOBase):
        source = io.BytesIO(data)

        def read(self, count: int = -1) -> bytes:
            return self.source.read(count)

        def tell(self) -> int:
            return self.source.tell()

    blob = bucket.blob("x", chunk_size=GRAIN)
    blob.upload_from_file(Stream(), size=None)
    assert blob.download_as_bytes() == data


def test_a_file_is_written_like_a_local_one(bucket: gcs.Bucket) -> None:
    with bucket.blob("x").open("w", chunk_size=GRAIN) as file:
        for n in range(60_000):
            file.write(f"line {n}\n")
    with bucket.blob("x").open("r") as file:
        assert sum(1 for _ in file) == 60_000


def test_the_server_says_how_far_an_upload_is(server: Server, bucket: gcs.Bucket) -> None:
    url = begin(server)
    assert url.startswith(f"{server.address}/upload/storage/v1/b/bkt/o?uploadType=resumable&upload_id=")
    answer = put(url, b"", "bytes */*")
    assert (answer.status_code, "range" in answer.headers) == (308, False)
    data = os.urandom(3 * GRAIN + 5)
    answer = put(url, data[:GRAIN], f"bytes 0-{GRAIN - 1}/*")
    assert (answer.status_code, answer.headers["range"]) == (308, f"bytes=0-{GRAIN - 1}")
    # What was sent before is skipped; what makes no whole grain is not kept.
    answer = put(url, data[: 2 * GRAIN + 7], f"bytes 0-{2 * GRAIN + 6}/{len(data)}")
    assert (answer.status_code, answer.headers["range"]) == (308, f"bytes=0-{2 * GRAIN - 1}")
    answer = put(url, b"", f"bytes */{len(data)}")
    assert (answer.status_code, answer.headers["range"]) == (308, f"bytes=0-{2 * GRAIN - 1}")
    assert not bucket.blob("x").exists()
    answer = put(url, data[2 * GRAIN :], f"bytes {2 * GRAIN}-{len(data) - 1}/{len(data)}")
    assert answer.status_code == 200
    assert bucket.blob("x").download_as_bytes() == data
    # The last answer may have been lost: it is given again.
    for again in (put(url, b"", f"bytes */{len(data)}"), put(url, data[-1:], f"bytes 0-0/{len(data)}")):
        assert again.status_code == 200
        assert again.json()["generation"] == answer.json()["generation"]


def test_chunks_that_make_no_sense_are_refused(server: Server, bucket: gcs.Bucket) -> None:
    url = begin(server, **{"X-Upload-Content-Length": "10"})
    assert put(url, b"abc", "bytes 5-7/10").status_code == 400
    assert put(url, b"abc", "bytes 0-2/11").status_code == 400
    assert put(url, b"abc", "bytes 2-0/10").status_code == 400
    assert put(url, b"abcdef", "bytes 0-2/10").status_code == 400
    assert put(url, b"abc", "bites 0-2/10").status_code == 400
    assert "at least 262144" in put(url, b"abc", "bytes 0-2/10").json()["error"]["message"]
    assert put(url, b"0123456789", "bytes 0-9/10").status_code == 200
    assert put(url.replace("upload_id=", "upload_id=x"), b"abc").status_code == 404


def test_a_cancelled_upload_leaves_nothing(server: Server, bucket: gcs.Bucket) -> None:
    url = begin(server)
    put(url, b"x" * GRAIN, f"bytes 0-{GRAIN - 1}/*")
    assert len(server.files()) == 1
    assert requests.delete(url, timeout=30).status_code == 499
    assert put(url, b"x" * GRAIN, f"bytes {GRAIN}-{2 * GRAIN - 1}/*").status_code == 404
    assert server.files() == []


def test_an_upload_that_breaks_off_is_resumed(server: Server, bucket: gcs.Bucket) -> None:
    data = os.urandom(2 * MEBIBYTE)
    url = begin(server)
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.putrequest("PUT", url.removeprefix(server.address))
    connection.putheader("Content-Length", str(len(data)))
    connection.endheaders()
    connection.send(data[: MEBIBYTE + 1000])
    connection.close()
    answer = put(url, b"", "bytes */*")
    while "range" not in answer.headers:
        answer = put(url, b"", "bytes */*")
    stored = int(answer.headers["range"].rpartition("-")[2]) + 1
    assert stored % GRAIN == 0
    assert put(url, data[stored:], f"bytes {stored}-{len(data) - 1}/{len(data)}").status_code == 200
    assert bucket.blob("x").download_as_bytes() == data


def test_an_upload_goes_on_after_a_restart_of_the_server(server: Server, bucket: gcs.Bucket) -> None:
    data = os.urandom(3 * MEBIBYTE)
    blob = bucket.blob("x")
    blob.metadata = {"k": "v"}
    url = blob.create_resumable_upload_session(content_type="text/csv", size=len(data))
    assert put(url, data[:MEBIBYTE], f"bytes 0-{MEBIBYTE - 1}/{len(data)}").status_code == 308
    server.restart()
    answer = put(url, b"", f"bytes */{len(data)}")
    assert (answer.status_code, answer.headers["range"]) == (308, f"bytes=0-{MEBIBYTE - 1}")
    right = base64.b64encode(hashlib.md5(data).digest()).decode()
    answer = put(
        url,
        data[MEBIBYTE:],
        f"bytes {MEBIBYTE}-{len(data) - 1}/{len(data)}",
        **{"X-Goog-Hash": f"md5={right}"},
    )
    assert answer.status_code == 200
    assert answer.json()["md5Hash"] == right
    again = bucket.get_blob("x")
    assert (again.content_type, again.metadata) == ("text/csv", {"k": "v"})
    assert again.download_as_bytes() == data


def test_a_hundred_mebibytes_come_back_as_they_were(bucket: gcs.Bucket, tmp_path: Path) -> None:
    source = tmp_path / "source"
    block = os.urandom(MEBIBYTE)
    with source.open("wb") as file:
        for n in range(100):
            file.write(n.to_bytes(4) + block)
    blob = bucket.blob("x", chunk_size=16 * MEBIBYTE)
    blob.upload_from_filename(str(source))
    assert blob.size == 100 * (MEBIBYTE + 4)
    blob.download_to_filename(str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
