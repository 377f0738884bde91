from __future__ import annotations

import datetime
import hashlib
import os
import socket
import time
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest
import requests
from google.auth import crypt
from google.cloud import storage as gcs
from google.cloud.storage import transfer_manager
from google.oauth2 import service_account

if TYPE_CHECKING:
    from pathlib import Path

    from tests.emulator.storage.conftest import Server

MEBIBYTE = 1 << 20


def tags(answer: requests.Response, path: str) -> list[str | None]:
    """Texts of the elements at a path, whatever the namespace."""
    steps = "/".join(f"{{*}}{step}" for step in path.split("/"))
    return [element.text for element in ElementTree.fromstring(answer.content).findall(steps)]


def error(answer: requests.Response) -> tuple[int, str | None]:
    return answer.status_code, tags(answer, "Code")[0]


# The transfer manager


def test_the_transfer_manager_uploads_in_parts_and_downloads_in_parts(
    server: Server, bucket: gcs.Bucket, tmp_path: Path
) -> None:
    data = os.urandom(13 * MEBIBYTE + 77)
    (tmp_path / "source").write_bytes(data)
    blob = bucket.blob("folder/big file.bin")
    blob.metadata = {"k": "v"}
    transfer_manager.upload_chunks_concurrently(
        str(tmp_path / "source"),
        blob,
        content_type="text/csv",
        chunk_size=5 * MEBIBYTE,
        max_workers=3,
        worker_type=transfer_manager.THREAD,
    )
    stored = bucket.get_blob("folder/big file.bin")
    assert (stored.size, stored.content_type, stored.metadata) == (len(data), "text/csv", {"k": "v"})
    assert (stored.component_count, stored.md5_hash) == (3, None)
    transfer_manager.download_chunks_concurrently(
        stored,
        str(tmp_path / "back"),
        chunk_size=4 * MEBIBYTE,
        max_workers=3,
        worker_type=transfer_manager.THREAD,
    )
    assert (tmp_path / "back").read_bytes() == data
    assert len(server.files()) == 1


def test_the_transfer_manager_moves_many_files(bucket: gcs.Bucket, tmp_path: Path) -> None:
    names = [f"part {n}/ä{n}.txt" for n in range(40)]
    for name in names:
        path = tmp_path / "up" / name
        path.parent.mkdir(parents=True)
        path.write_text(name)
    options: dict[str, Any] = {
        "worker_type": transfer_manager.THREAD,
        "max_workers": 4,
        "raise_exception": True,
    }
    transfer_manager.upload_many_from_filenames(
        bucket, names, source_directory=str(tmp_path / "up"), blob_name_prefix="set/", **options
    )
    assert len(list(bucket.list_blobs(prefix="set/"))) == 40
    transfer_manager.download_many_to_path(
        bucket, names, destination_directory=str(tmp_path / "down"), blob_name_prefix="set/", **options
    )
    assert all((tmp_path / "down" / name).read_text() == name for name in names)


# Multipart uploads, step by step


def begin(server: Server, name: str = "x") -> str:
    answer = requests.post(f"{server.address}/bkt/{name}?uploads", timeout=30)
    assert answer.status_code == 200
    upload_id = tags(answer, "UploadId")[0]
    assert upload_id
    return f"{server.address}/bkt/{name}?uploadId={upload_id}"


def complete(url: str, *parts: tuple[int, str]) -> requests.Response:
    rows = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in parts)
    body = f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>"
    return requests.post(url, data=body, timeout=60)


def test_a_multipart_upload_survives_a_restart(server: Server, bucket: gcs.Bucket) -> None:
    url = begin(server)
    first, second = os.urandom(5 * MEBIBYTE), b"the end"
    etags = {}
    etags[2] = requests.put(f"{url}&partNumber=2", data=b"to be replaced", timeout=30).headers["etag"]
    etags[2] = requests.put(f"{url}&partNumber=2", data=second, timeout=30).headers["etag"]
    etags[1] = requests.put(f"{url}&partNumber=1", data=first, timeout=60).headers["etag"]
    assert etags[1] == f'"{hashlib.md5(first).hexdigest()}"'
    server.restart()
    listed = requests.get(url, timeout=30)
    assert tags(listed, "Part/PartNumber") == ["1", "2"]
    assert tags(listed, "Part/Size") == [str(len(first)), "7"]
    assert tags(requests.get(f"{server.address}/bkt?uploads", timeout=30), "Upload/Key") == ["x"]
    assert not bucket.blob("x").exists()
    answer = complete(url, (1, etags[1]), (2, etags[2]))
    assert answer.status_code == 200
    assert bucket.blob("x").download_as_bytes() == first + second
    assert len(server.files()) == 1
    assert error(complete(url, (1, etags[1]))) == (404, "NoSuchUpload")


def test_parts_that_do_not_fit_are_refused(server: Server, bucket: gcs.Bucket) -> None:
    url = begin(server)
    one = requests.put(f"{url}&partNumber=1", data=b"small", timeout=30).headers["etag"]
    two = requests.put(f"{url}&partNumber=2", data=b"small too", timeout=30).headers["etag"]
    assert error(complete(url, (1, one), (2, two))) == (400, "EntityTooSmall")
    assert error(complete(url, (2, two), (1, one))) == (400, "InvalidPartOrder")
    assert error(complete(url, (1, two))) == (400, "InvalidPart")
    assert error(complete(url, (3, one))) == (400, "InvalidPart")
    assert error(complete(url)) == (400, "MalformedXML")
    assert error(requests.post(url, data="<not xml", timeout=30)) == (400, "MalformedXML")
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>'
    assert error(requests.post(url, data=bomb, timeout=30)) == (400, "MalformedXML")
    for number in ("0", "10001", "x"):
        assert requests.put(f"{url}&partNumber={number}", data=b"", timeout=30).status_code == 400
    other = {"Content-MD5": "A" * 22 + "=="}
    wrong = requests.put(f"{url}&partNumber=4", data=b"x", headers=other, timeout=30)
    assert error(wrong) == (400, "BadDigest")
    assert complete(url, (1, one)).status_code == 200
    assert bucket.blob("x").download_as_bytes() == b"small"
    assert len(server.files()) == 1


def test_an_aborted_multipart_upload_leaves_nothing(server: Server, bucket: gcs.Bucket) -> None:
    url = begin(server)
    requests.put(f"{url}&partNumber=1", data=b"x", timeout=30)
    assert requests.delete(url, timeout=30).status_code == 204
    assert error(requests.delete(url, timeout=30)) == (404, "NoSuchUpload")
    assert server.files() == []


# Objects by path


def test_an_object_is_put_and_read_by_its_path(server: Server, bucket: gcs.Bucket) -> None:
    url = f"{server.address}/bkt/folder/a%20b%2Fc"
    headers = {"Content-Type": "text/csv", "x-goog-meta-Colour": "blue", "x-goog-if-generation-match": "0"}
    put = requests.put(url, data=b"hello", headers=headers, timeout=30)
    assert (put.status_code, put.content) == (200, b"")
    assert put.headers["etag"] == f'"{hashlib.md5(b"hello").hexdigest()}"'
    assert error(requests.put(url, data=b"again", headers=headers, timeout=30)) == (412, "PreconditionFailed")
    blob = bucket.get_blob("folder/a b/c")
    assert (blob.content_type, blob.metadata) == ("text/csv", {"colour": "blue"})
    got = requests.get(url, timeout=30)
    assert (got.content, got.headers["x-goog-meta-colour"]) == (b"hello", "blue")
    assert requests.head(url, timeout=30).headers["content-length"] == "5"
    copied = requests.put(
        f"{server.address}/bkt/copy", headers={"x-goog-copy-source": "/bkt/folder/a%20b%2Fc"}, timeout=30
    )
    assert copied.status_code == 200
    assert bucket.get_blob("copy").metadata == {"colour": "blue"}
    assert requests.delete(url, timeout=30).status_code == 204
    assert error(requests.delete(url, timeout=30)) == (404, "NoSuchKey")
    assert requests.head(url, timeout=30).status_code == 404


def test_the_host_may_name_the_bucket(server: Server, bucket: gcs.Bucket) -> None:
    bucket.blob("a//b").upload_from_string("hi")
    host = {"Host": "bkt.storage.googleapis.com"}
    assert requests.get(f"{server.address}/a//b", headers=host, timeout=30).content == b"hi"
    assert requests.put(f"{server.address}/c", data=b"x", headers=host, timeout=30).status_code == 200
    assert tags(requests.get(server.address, headers=host, timeout=30), "Contents/Key") == ["a//b", "c"]
    host = {"Host": "storage.googleapis.com"}
    assert requests.get(f"{server.address}/bkt/a//b", headers=host, timeout=30).content == b"hi"
    json = requests.get(f"{server.address}/storage/v1/b/bkt/o/a%2F%2Fb", headers=host, timeout=30).json()
    assert json["selfLink"] == "http://storage.googleapis.com/storage/v1/b/bkt/o/a%2F%2Fb"


def test_buckets_and_lists_as_xml(server: Server, client: gcs.Client) -> None:
    place = (
        "<CreateBucketConfiguration><LocationConstraint>EU</LocationConstraint></CreateBucketConfiguration>"
    )
    assert requests.put(f"{server.address}/xml-bucket", data=place, timeout=30).status_code == 200
    assert client.get_bucket("xml-bucket").location == "EU"
    again = requests.put(f"{server.address}/xml-bucket", timeout=30)
    assert error(again) == (409, "BucketAlreadyOwnedByYou")
    assert tags(requests.get(server.address, timeout=30), "Buckets/Bucket/Name") == ["xml-bucket"]
    names = ["a", "b/1", "b/2", "c<&>", "d"]
    for name in names:
        client.bucket("xml-bucket").blob(name).upload_from_string("x")
    url = f"{server.address}/xml-bucket"
    assert tags(requests.get(url, timeout=30), "Contents/Key") == names
    for options, cursor, answer in (
        ({}, "marker", "NextMarker"),
        ({"list-type": "2"}, "continuation-token", "NextContinuationToken"),
    ):
        found: list[str | None] = []
        at: dict[str, str] = {}
        while True:
            query = {"delimiter": "/", "max-keys": "1", **options, **at}
            page = requests.get(url, params=query, timeout=30)
            found += tags(page, "Contents/Key") + tags(page, "CommonPrefixes/Prefix")
            if tags(page, "IsTruncated") == ["false"]:
                break
            at = {cursor: tags(page, answer)[0] or ""}
        assert found == ["a", "b/", "c<&>", "d"]
    assert error(requests.delete(url, timeout=30)) == (409, "BucketNotEmpty")
    assert error(requests.get(f"{server.address}/no-such-bucket", timeout=30)) == (404, "NoSuchBucket")
    assert error(requests.get(f"{url}?acl", timeout=30)) == (501, "NotImplemented")


def test_a_resumable_upload_may_begin_on_the_xml_api(server: Server, bucket: gcs.Bucket) -> None:
    begun = requests.post(
        f"{server.address}/bkt/x",
        headers={"x-goog-resumable": "start", "Content-Type": "text/csv"},
        timeout=30,
    )
    assert begun.status_code == 201
    put = requests.put(begun.headers["location"], data=b"data", timeout=30)
    assert put.status_code == 200
    assert bucket.get_blob("x").content_type == "text/csv"


# Signed URLs


@pytest.fixture(scope="module")
def signer() -> service_account.Credentials:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return service_account.Credentials(
        crypt.RSASigner.from_string(pem), "tester@p.iam.gserviceaccount.com", "https://oauth2.invalid/token"
    )


@pytest.mark.parametrize("version", ["v2", "v4"])
def test_a_signed_url_opens_until_it_expires(
    server: Server, bucket: gcs.Bucket, signer: service_account.Credentials, version: str
) -> None:
    blob = bucket.blob("a b")

    def url(method: str, expiration: Any, **options: Any) -> str:
        return blob.generate_signed_url(
            expiration, version=version, method=method, credentials=signer,
            api_access_endpoint=server.address, **options,
        )  # fmt: skip

    headers = {"Content-Type": "text/csv"}
    signed = url("PUT", datetime.timedelta(minutes=5), content_type="text/csv")
    assert requests.put(signed, data=b"data", headers=headers, timeout=30).status_code == 200
    assert requests.get(url("GET", datetime.timedelta(minutes=5)), timeout=30).content == b"data"
    if version == "v2":
        late = url("GET", int(time.time()) - 10)
    else:
        late = url("GET", datetime.timedelta(seconds=1)).replace(
            f"X-Goog-Date={datetime.datetime.now(datetime.UTC):%Y}", "X-Goog-Date=2020"
        )
    assert error(requests.get(late, timeout=30)) == (400, "ExpiredToken")


def test_a_signed_url_that_lacks_a_part_is_refused(
    server: Server, bucket: gcs.Bucket, signer: service_account.Credentials
) -> None:
    url = bucket.blob("x").generate_signed_url(
        60, version="v4", method="PUT", headers={"x-goog-meta-a": "1"}, credentials=signer,
        api_access_endpoint=server.address,
    )  # fmt: skip
    assert error(requests.put(url, timeout=30)) == (400, "MalformedSecurityHeader")
    for part in ("X-Goog-Date=", "X-Goog-Expires=", "X-Goog-Credential="):
        assert error(requests.put(url.replace(part, "x="), timeout=30))[0] == 400


# Names on the wire


def test_a_path_that_is_no_text_is_refused(server: Server, bucket: gcs.Bucket) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"GET /bkt/%ff%fe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"<Code>InvalidURI</Code>" in answer
