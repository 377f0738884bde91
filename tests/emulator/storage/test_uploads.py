from __future__ import annotations

import os

from google.cloud import storage as gcs


def test_a_small_upload_comes_back_as_it_was(bucket: gcs.Bucket) -> None:
    blob = bucket.blob("a/b c.txt")
    blob.metadata = {"k": "v"}
    blob.upload_from_string("héllo", content_type="text/plain")
    assert blob.generation
    again = bucket.get_blob("a/b c.txt")
    assert again.metadata == {"k": "v"}
    assert again.content_type == "text/plain"
    assert again.download_as_text() == "héllo"


def test_a_resumable_upload_of_nine_mebibytes(bucket: gcs.Bucket) -> None:
    data = os.urandom(9 << 20)
    for chunk_size in (None, 256 * 1024, 4 << 20):
        blob = bucket.blob("big", chunk_size=chunk_size)
        blob.upload_from_string(data)
        assert blob.download_as_bytes() == data
