"""Data sets travel once, whole, to the right place."""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.sdk.conftest import rows
from vertex_tuning import ConfigurationError


def test_a_file_lies_under_its_content_and_the_same_data_never_travels_twice(client, write):
    path = write(rows(tag=" up"))
    told = []
    uri = client.upload(path, progress=lambda done, total: told.append((done, total)))
    size = path.stat().st_size
    assert told[-1] == (size, size)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert uri == f"gs://{client.connection.bucket}/vertex-tuning/data/{digest}.jsonl"
    blob = client.connection.storage.bucket(client.connection.bucket).get_blob(uri.split("/", 3)[3])
    assert client.upload(path) == uri
    again = client.connection.storage.bucket(client.connection.bucket).get_blob(blob.name)
    assert again.generation == blob.generation
    assert again.download_as_bytes() == path.read_bytes()


def test_rows_travel_as_a_file_would(client, write):
    assert client.upload(rows(tag=" rows")).endswith(".jsonl")
    uri = client.upload(iter(rows(3, tag=" iter")))
    text = (
        client.connection.storage.bucket(client.connection.bucket)
        .blob(uri.split("/", 3)[3])
        .download_as_text()
    )
    assert [json.loads(line) for line in text.splitlines()] == rows(3, tag=" iter")


def test_a_large_file_travels_in_pieces_and_says_how_far_it_is(client, write):
    path = write(b'{"x": "' + b"a" * 20_000_000 + b'"}\n')
    told = []
    client.upload(path, progress=lambda done, total: told.append((done, total)))
    assert len(told) >= 3
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == path.stat().st_size


def test_a_bucket_in_another_region_is_named_with_the_way_out(open_client):
    client = open_client(bucket="lies-in-europe")
    client.connection.storage.create_bucket("lies-in-europe", location="europe-west4")
    with pytest.raises(ConfigurationError) as caught:
        client.upload(rows())
    assert caught.value.rule == "VT110"
    assert "europe-west4" in caught.value.fault.fix


def test_a_bucket_that_there_is_not(open_client):
    with pytest.raises(ConfigurationError) as caught:
        open_client(bucket="gs://nobody-has-it/").upload(rows())
    assert caught.value.rule == "VT109"
    assert "nobody-has-it" in str(caught.value)


def test_a_multi_region_that_holds_the_region_will_do(open_client):
    client = open_client(bucket="lies-in-the-us")
    client.connection.storage.create_bucket("lies-in-the-us", location="US")
    assert client.upload(rows()).startswith("gs://lies-in-the-us/")
