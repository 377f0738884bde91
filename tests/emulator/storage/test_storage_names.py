from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
import requests
from google.api_core import exceptions
from google.cloud import storage as gcs

if TYPE_CHECKING:
    from tests.emulator.storage.conftest import Server

HOSTILE = [
    "../../x",
    "..%2F..%2Fx",
    "a",
    "a/",
    "a//b",
    "/",
    "/etc/passwd",
    "./x",
    "x/..",
    "x/../y",
    "...",
    "nul\0byte",
    "\0",
    "tab\tand \x7f",
    "back\\slash",
    "C:\\x",
    "star*?[x]",
    "quote\"'<&>",
    "100%",
    "%2F",
    "%00",
    "a+b c",
    "a?b#c&d=e",
    "e\u0301",
    "\u00e9",
    "\U0001f600",
    "\u202etxt.exe",
    "x" * 1024,
    "ä" * 512,
    "o/storage/v1/b/bkt",
    "acl",
    "con",
    "~root",
]


def test_hostile_names_are_safe_and_exact(server: Server, bucket: gcs.Bucket) -> None:
    for name in HOSTILE:
        bucket.blob(name).upload_from_string(name.encode())
    assert [blob.name for blob in bucket.list_blobs()] == sorted(HOSTILE, key=str.encode)
    for name in HOSTILE:
        blob = bucket.get_blob(name)
        assert blob is not None, name
        assert blob.name == name
        assert blob.download_as_bytes() == name.encode()
        assert requests.get(blob.media_link, timeout=30).content == name.encode()
        assert requests.get(blob.self_link, timeout=30).json()["name"] == name
    paths = server.files()
    assert len(paths) == len(HOSTILE)
    assert all(len(path.name) == 32 and set(path.name) <= set("0123456789abcdef") for path in paths)
    server.restart()
    for name in HOSTILE:
        assert bucket.blob(name).download_as_bytes() == name.encode()
        bucket.blob(name).delete()
    assert server.files() == []


@pytest.mark.parametrize("name", ["../../x", "a/", "nul\0byte", "%2F", "ä b", "x/../y"])
def test_the_xml_api_has_the_same_names(server: Server, bucket: gcs.Bucket, name: str) -> None:
    url = f"{server.address}/bkt/{quote(name, safe='')}"
    assert requests.put(url, data=b"data", timeout=30).status_code == 200
    assert bucket.get_blob(name).download_as_bytes() == b"data"
    assert requests.get(url, timeout=30).content == b"data"


@pytest.mark.parametrize(
    "name",
    ["x" * 1025, "ä" * 513, "line\nfeed", "carriage\rreturn", ".", "..", ".well-known/acme-challenge/x"],
)
def test_names_that_google_refuses_are_refused(server: Server, bucket: gcs.Bucket, name: str) -> None:
    with pytest.raises(exceptions.BadRequest, match="Invalid object name"):
        bucket.blob(name).upload_from_string("x")
    source = bucket.blob("source")
    source.upload_from_string("x")
    if name not in (".", ".."):  # no client can put these into a path
        with pytest.raises(exceptions.BadRequest, match="Invalid object name"):
            bucket.copy_blob(source, bucket, name)
    assert len(server.files()) == 1


def test_a_name_that_is_no_text_is_refused(server: Server, bucket: gcs.Bucket) -> None:
    upload = f"{server.address}/upload/storage/v1/b/bkt/o?uploadType="
    assert requests.post(f"{upload}media&name=%FF", data=b"x", timeout=30).status_code == 400
    lone = requests.post(f"{upload}resumable", data=b'{"name": "\\ud800"}', timeout=30)
    assert lone.status_code == 400
    assert requests.post(f"{upload}resumable", data=b'{"name": 5}', timeout=30).status_code == 400
    assert requests.post(f"{upload}resumable", data=b"[]", timeout=30).status_code == 400
    assert requests.post(f"{upload}resumable", data=b"{", timeout=30).status_code == 400


def test_bytes_on_disk_are_for_their_owner_alone(server: Server, bucket: gcs.Bucket) -> None:
    bucket.blob("secret").upload_from_string("x")
    for path in server.files():
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert path.stat().st_uid == os.getuid()
