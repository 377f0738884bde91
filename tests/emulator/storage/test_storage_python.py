"""Storage as the emulator's other parts call it, and the samples that are there from the start."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.api_core import exceptions
from google.cloud import storage as gcs

from tests.emulator.storage.conftest import Server
from vertex_tuning.emulator.settings import Settings
from vertex_tuning.emulator.state import Database
from vertex_tuning.emulator.status import ApiError, Code
from vertex_tuning.emulator.storage import Storage
from vertex_tuning.emulator.wire import Wire

SAMPLES = "gs://cloud-samples-data/ai-platform/generative_ai"


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    db = Database(tmp_path / "emulator.sqlite")
    storage = Storage(Settings(data_dir=tmp_path), db)
    storage.buckets.insert("1", {"name": "bkt", "location": "us-central1"})
    yield storage
    db.close()


def test_an_object_is_written_found_and_read(storage: Storage, tmp_path: Path) -> None:
    written = storage.write("gs://bkt/a/b.txt", b"hello", "text/plain")
    assert written == storage.stat("gs://bkt/a/b.txt")
    assert (written.uri, written.size, written.content_type) == ("gs://bkt/a/b.txt", 5, "text/plain")
    assert written.path == storage.open_path("gs://bkt/a/b.txt")
    assert written.path.read_bytes() == b"hello"
    (tmp_path / "file").write_bytes(b"from a file")
    replaced = storage.write("gs://bkt/a/b.txt", tmp_path / "file", "text/csv")
    assert replaced.generation > written.generation
    assert replaced.path.read_bytes() == b"from a file"
    assert not written.path.exists()


def test_what_is_not_there(storage: Storage) -> None:
    assert storage.stat("gs://bkt/nothing") is None
    assert storage.bucket("nothing-here") is None
    with pytest.raises(ApiError) as missing:
        storage.open_path("gs://bkt/nothing")
    assert missing.value.code is Code.NOT_FOUND
    with pytest.raises(ApiError) as nowhere:
        storage.write("gs://nothing-here/x", b"", "text/plain")
    assert nowhere.value.code is Code.NOT_FOUND
    for uri in ("bkt/x", "gs://bkt", "gs://bkt/", "gs:///x", "s3://bkt/x", ""):
        with pytest.raises(ApiError) as malformed:
            storage.stat(uri)
        assert malformed.value.code is Code.INVALID_ARGUMENT


def test_a_bucket_tells_its_location(storage: Storage) -> None:
    found = storage.bucket("bkt")
    assert found is not None
    assert (found["location"], found["projectNumber"]) == ("US-CENTRAL1", "1")


def test_a_folder_is_stored_with_all_below_it(storage: Storage, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "deep").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "deep" / "weights.safetensors").write_bytes(b"w")
    (folder / "empty").touch()
    assert storage.copy_tree(folder, "gs://bkt/out/") == [
        "gs://bkt/out/config.json",
        "gs://bkt/out/deep/weights.safetensors",
        "gs://bkt/out/empty",
    ]
    info = storage.stat("gs://bkt/out/config.json")
    assert info is not None
    assert info.content_type == "application/json"


def test_writers_in_many_threads_do_not_meet(storage: Storage) -> None:
    def write(number: int) -> None:
        for n in range(20):
            storage.write(f"gs://bkt/{n}", f"{number}".encode() * 1000, "text/plain")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n in range(20):
        assert len(set(storage.open_path(f"gs://bkt/{n}").read_bytes())) == 1


def test_a_reset_leaves_the_samples_only(storage: Storage) -> None:
    path = storage.write("gs://bkt/x", b"x", "text/plain").path
    storage.reset()
    assert storage.bucket("bkt") is None
    assert not path.exists()
    assert storage.stat(f"{SAMPLES}/sft_train_data.jsonl") is not None


# Samples


@pytest.mark.parametrize("folder", ["", "/gemini/text", "/gemini-1_5/text", "/gemini-2_0/text"])
def test_the_data_that_google_s_samples_read_is_there(client: gcs.Client, folder: str) -> None:
    bucket = client.bucket("cloud-samples-data")
    prompts = []
    for name, rows in (("sft_train_data.jsonl", 320), ("sft_validation_data.jsonl", 48)):
        text = bucket.blob(f"ai-platform/generative_ai{folder}/{name}").download_as_text()
        found = [json.loads(line) for line in text.splitlines()]
        assert len(found) == rows
        for row in found:
            user, model = row["contents"]
            assert (user["role"], model["role"]) == ("user", "model")
            assert user["parts"][0]["text"]
            assert model["parts"][0]["text"]
            assert row["systemInstruction"]["parts"][0]["text"]
        prompts += [row["contents"][0]["parts"][0]["text"] for row in found]
    assert len(set(prompts)) == len(prompts)


def test_samples_are_the_same_in_every_emulator(storage: Storage, server: Server) -> None:
    uri = f"{SAMPLES}/gemini-2_0/text/sft_train_data.jsonl"
    here, there = storage.stat(uri), server.storage.stat(uri)
    assert here is not None
    assert there is not None
    assert here.md5 == there.md5


def test_samples_cannot_be_changed(client: gcs.Client) -> None:
    bucket = client.bucket("cloud-samples-data")
    blob = next(iter(bucket.list_blobs()))
    for attempt in (
        lambda: bucket.blob("x").upload_from_string("x"),
        lambda: bucket.blob("x").create_resumable_upload_session(),
        lambda: blob.delete(),
        lambda: blob.patch(),
        lambda: bucket.delete(),
        lambda: bucket.patch(),
        lambda: bucket.rename_blob(blob, "x"),
    ):
        with pytest.raises(exceptions.Forbidden, match="VT453"):
            attempt()
    own = client.create_bucket("own-bucket")
    assert bucket.copy_blob(blob, own).size == blob.size


# The wire


def test_resources_are_as_google_publishes_them(client: gcs.Client, bucket: gcs.Bucket) -> None:
    wire = Wire()
    bucket.labels = {"a": "b"}
    bucket.versioning_enabled = True
    bucket.add_lifecycle_delete_rule(age=3)
    bucket.patch()
    blob = bucket.blob("x")
    blob.metadata = {"k": "v"}
    blob.upload_from_string("x")
    blob.upload_from_string("y")
    composed = bucket.blob("z")
    composed.compose([blob])
    get = client._http.get
    base = client._connection.API_BASE_URL
    for schema, path in (
        ("Bucket", "/storage/v1/b/bkt"),
        ("Bucket", "/storage/v1/b/cloud-samples-data"),
        ("Buckets", "/storage/v1/b?project=p"),
        ("Object", "/storage/v1/b/bkt/o/x"),
        ("Object", "/storage/v1/b/bkt/o/z"),
        ("Objects", "/storage/v1/b/bkt/o?versions=true"),
        ("Objects", "/storage/v1/b/cloud-samples-data/o?delimiter=/&maxResults=1"),
        ("Policy", "/storage/v1/b/bkt/iam"),
    ):
        assert wire.problems(schema, get(base + path).json(), "storage") == [], path
