from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests
from google.api_core import exceptions
from google.cloud import storage as gcs

if TYPE_CHECKING:
    from tests.emulator.storage.conftest import Server


def test_many_calls_go_in_one_request(client: gcs.Client, bucket: gcs.Bucket) -> None:
    blobs = [bucket.blob(f"ä/{n} x") for n in range(20)]
    for blob in blobs:
        blob.upload_from_string("x")
    with client.batch():
        for blob in blobs[:10]:
            blob.metadata = {"k": "vä"}
            blob.patch()
    assert all(bucket.get_blob(blob.name).metadata == {"k": "vä"} for blob in blobs[:10])
    with client.batch():
        for blob in blobs:
            blob.delete()
    assert list(bucket.list_blobs()) == []


def test_one_failure_in_a_batch_does_not_stop_the_others(client: gcs.Client, bucket: gcs.Bucket) -> None:
    for name in ("a", "c"):
        bucket.blob(name).upload_from_string("x")
    with client.batch(raise_exception=False) as batch:
        for name in ("a", "b", "c"):
            bucket.blob(name).delete()
    assert [answer.status_code for answer in batch._responses] == [204, 404, 204]
    assert list(bucket.list_blobs()) == []


def test_preconditions_hold_in_a_batch(client: gcs.Client, bucket: gcs.Bucket) -> None:
    blob = bucket.blob("x")
    blob.upload_from_string("x")
    with pytest.raises(exceptions.PreconditionFailed), client.batch():
        blob.delete(if_generation_match=1)
    assert blob.exists()


@pytest.mark.parametrize(
    "line",
    ["GET /storage/v1/b/bkt/o/x?alt=media", "POST /upload/storage/v1/b/bkt/o", "GET /bkt/x", "nonsense", ""],
)
def test_a_batch_takes_calls_of_the_json_api_only(server: Server, bucket: gcs.Bucket, line: str) -> None:
    body = f"--b\r\nContent-Type: application/http\r\nContent-ID: <7>\r\n\r\n{line} HTTP/1.1\r\n\r\n\r\n--b--"
    answer = requests.post(
        f"{server.address}/batch/storage/v1",
        data=body,
        headers={"Content-Type": "multipart/mixed; boundary=b"},
        timeout=30,
    )
    assert answer.status_code == 200
    assert "Content-ID: <response-7>" in answer.text
    assert "HTTP/1.1 400 Bad Request" in answer.text


def test_a_batch_of_nothing_is_refused(server: Server) -> None:
    url = f"{server.address}/batch/storage/v1"
    assert requests.post(url, data=b"", timeout=30).status_code == 400
    headers = {"Content-Type": "multipart/mixed; boundary=b"}
    assert requests.post(url, data=b"--b--", headers=headers, timeout=30).status_code == 400
