from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import pytest
from google.api_core import exceptions
from google.cloud import storage as gcs

if TYPE_CHECKING:
    from tests.emulator.storage.conftest import Server


def put(bucket: gcs.Bucket, name: str, data: str | bytes = "x", **options: object) -> gcs.Blob:
    blob = bucket.blob(name)
    blob.upload_from_string(data, **options)
    return blob


# Metadata


def test_metadata_of_an_object_are_kept(bucket: gcs.Bucket) -> None:
    blob = bucket.blob("x", chunk_size=None)
    blob.cache_control = "no-store"
    blob.content_disposition = "attachment"
    blob.content_language = "fr"
    blob.metadata = {"colour": "blau", "número": "één"}
    blob.custom_time = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    blob.upload_from_string("hi", content_type="text/plain")
    again = bucket.get_blob("x")
    assert again.metadata == {"colour": "blau", "número": "één"}
    assert (again.cache_control, again.content_disposition) == ("no-store", "attachment")
    assert (again.content_language, again.content_type) == ("fr", "text/plain")
    assert again.custom_time == blob.custom_time
    assert (again.size, again.md5_hash, again.crc32c) == (2, "SfaKXIST7CwL9ImCHCH8Ow==", "9Z3Zwg==")
    assert again.storage_class == "STANDARD"
    assert again.id == f"bkt/x/{again.generation}"
    assert again.time_created == again.updated


def test_a_patch_changes_what_it_names_and_nothing_else(bucket: gcs.Bucket) -> None:
    blob = put(bucket, "x")
    blob.metadata = {"a": "1", "b": "2"}
    blob.patch()
    assert (blob.metageneration, blob.generation) == (2, bucket.get_blob("x").generation)
    blob.metadata = {"b": None, "c": "3"}
    blob.content_type = "text/html"
    blob.patch()
    again = bucket.get_blob("x")
    assert again.metadata == {"a": "1", "c": "3"}
    assert again.content_type == "text/html"
    assert again.metageneration == 3
    again.metadata = {"only": "this"}
    again.update()
    assert bucket.get_blob("x").metadata == {"only": "this"}


def test_custom_time_never_goes_back(bucket: gcs.Bucket) -> None:
    blob = put(bucket, "x")
    blob.custom_time = datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC)
    blob.patch()
    blob.custom_time = datetime.datetime(2026, 4, 1, tzinfo=datetime.UTC)
    with pytest.raises(exceptions.BadRequest, match="Custom time"):
        blob.patch()


def test_too_much_metadata_is_refused(bucket: gcs.Bucket) -> None:
    blob = put(bucket, "x")
    blob.metadata = {"k": "v" * 9000}
    with pytest.raises(exceptions.BadRequest, match="8 KiB"):
        blob.patch()


def test_a_bucket_s_key_is_named_on_its_objects(bucket: gcs.Bucket) -> None:
    bucket.default_kms_key_name = "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"
    bucket.patch()
    assert put(bucket, "x").kms_key_name == f"{bucket.default_kms_key_name}/cryptoKeyVersions/1"


def test_a_held_object_can_be_neither_deleted_nor_replaced(bucket: gcs.Bucket) -> None:
    blob = put(bucket, "x")
    blob.temporary_hold = True
    blob.patch()
    with pytest.raises(exceptions.Forbidden, match="hold"):
        blob.delete()
    with pytest.raises(exceptions.Forbidden, match="hold"):
        put(bucket, "x", "other")
    blob.temporary_hold = False
    blob.patch()
    blob.delete()


def test_customer_supplied_keys_are_refused(bucket: gcs.Bucket) -> None:
    blob = bucket.blob("x", encryption_key=b"k" * 32)
    with pytest.raises(exceptions.MethodNotImplemented, match=r"VT454.*CSEK"):
        blob.upload_from_string("secret")
    assert not bucket.blob("x").exists()


# Preconditions


def test_only_the_first_of_two_writers_creates(bucket: gcs.Bucket) -> None:
    put(bucket, "x", "first", if_generation_match=0)
    with pytest.raises(exceptions.PreconditionFailed):
        put(bucket, "x", "second", if_generation_match=0)
    assert bucket.blob("x").download_as_text() == "first"


def test_every_method_counts_on_the_generation_that_was_read(server: Server, bucket: gcs.Bucket) -> None:
    old = put(bucket, "x", "old").generation
    new = put(bucket, "x", "new").generation
    other = put(bucket, "other")
    blob = bucket.blob("x")
    stale = {"if_generation_match": old}
    for attempt in (
        lambda: put(bucket, "x", "bad", **stale),
        lambda: blob.reload(**stale),
        lambda: blob.download_as_bytes(**stale),
        lambda: blob.patch(**stale),
        lambda: blob.update(**stale),
        lambda: blob.delete(**stale),
        lambda: blob.compose([other], if_generation_match=old),
        lambda: other.compose([blob], if_source_generation_match=[old]),
        lambda: bucket.copy_blob(other, bucket, "x", if_generation_match=old),
        lambda: bucket.copy_blob(blob, bucket, "y", if_source_generation_match=old),
        lambda: blob.rewrite(other, if_generation_match=old),
        lambda: bucket.move_blob(blob, "y", if_source_generation_match=old),
    ):
        with pytest.raises(exceptions.PreconditionFailed):
            attempt()
    assert bucket.get_blob("x").generation == new
    assert blob.download_as_text(if_generation_match=new) == "new"
    assert not bucket.blob("y").exists()
    assert len(server.files()) == 2


def test_a_not_match_is_not_modified(bucket: gcs.Bucket) -> None:
    blob = put(bucket, "x")
    with pytest.raises(exceptions.NotModified):
        blob.reload(if_generation_not_match=blob.generation)
    with pytest.raises(exceptions.NotModified):
        blob.reload(if_metageneration_not_match=1)
    blob.reload(if_generation_not_match=1)


def test_metagenerations_are_preconditions_too(bucket: gcs.Bucket) -> None:
    blob = put(bucket, "x")
    blob.metadata = {"a": "1"}
    blob.patch(if_metageneration_match=1)
    for attempt in (
        lambda: blob.patch(if_metageneration_match=1),
        lambda: blob.delete(if_metageneration_match=1),
        lambda: put(bucket, "x", "y", if_metageneration_match=1),
        lambda: blob.download_as_bytes(if_metageneration_match=1),
    ):
        with pytest.raises(exceptions.PreconditionFailed):
            attempt()
    blob.delete(if_metageneration_match=2)


def test_a_precondition_on_a_resumable_upload_holds_to_its_end(server: Server, bucket: gcs.Bucket) -> None:
    old = put(bucket, "x", "old")
    blob = bucket.blob("x")
    blob.chunk_size = 256 * 1024
    url = blob.create_resumable_upload_session(if_generation_match=old.generation)
    put(bucket, "x", "somebody else was faster")
    answer = bucket.client._http.put(url, data=b"late")
    assert answer.status_code == 412
    assert blob.download_as_text() == "somebody else was faster"
    with pytest.raises(exceptions.PreconditionFailed):
        blob.create_resumable_upload_session(if_generation_match=0)
    assert len(server.files()) == 1


# Versions


def test_a_versioned_bucket_keeps_what_was_overwritten_and_deleted(
    server: Server, bucket: gcs.Bucket
) -> None:
    bucket.versioning_enabled = True
    bucket.patch()
    first = put(bucket, "x", "one").generation
    second = put(bucket, "x", "two").generation
    assert second > first
    bucket.blob("x").delete()
    assert not bucket.blob("x").exists()
    listed = list(bucket.list_blobs(versions=True))
    assert [blob.generation for blob in listed] == [first, second]
    assert all(blob.time_deleted for blob in listed)
    assert list(bucket.list_blobs()) == []
    assert bucket.blob("x", generation=first).download_as_text() == "one"
    restored = bucket.copy_blob(bucket.blob("x"), bucket, "x", source_generation=first)
    assert restored.download_as_text() == "one"
    bucket.blob("x", generation=second).delete()
    assert [blob.generation for blob in bucket.list_blobs(versions=True)] == [first, restored.generation]
    with pytest.raises(exceptions.NotFound):
        bucket.blob("x", generation=second).download_as_bytes()
    for blob in bucket.list_blobs(versions=True):
        blob.delete()
    assert server.files() == []


def test_without_versioning_old_bytes_leave_the_disk(server: Server, bucket: gcs.Bucket) -> None:
    first = put(bucket, "x", "one")
    put(bucket, "x", "two")
    assert len(server.files()) == 1
    with pytest.raises(exceptions.NotFound):
        bucket.blob("x", generation=first.generation).reload()
    bucket.blob("x").delete()
    assert server.files() == []


def test_a_generation_is_never_given_twice(server: Server, bucket: gcs.Bucket) -> None:
    seen = set()
    for _ in range(5):
        blob = put(bucket, "x")
        seen.add(blob.generation)
        blob.delete()
    assert len(seen) == 5


# Copies


def test_a_copy_is_an_object_of_its_own(server: Server, client: gcs.Client, bucket: gcs.Bucket) -> None:
    source = bucket.blob("x")
    source.metadata = {"k": "v"}
    source.upload_from_string("data", content_type="text/csv")
    other = client.create_bucket("other")
    copy = bucket.copy_blob(source, other, "copies/x")
    assert (copy.content_type, copy.metadata) == ("text/csv", {"k": "v"})
    assert copy.generation != source.generation
    source.delete()
    assert copy.download_as_text() == "data"
    copy.delete()
    assert server.files() == []


def test_a_rewrite_may_change_metadata_and_class(bucket: gcs.Bucket) -> None:
    source = put(bucket, "x", "data", content_type="text/csv")
    target = bucket.blob("y")
    target.content_type = "text/plain"
    token, done, total = target.rewrite(source)
    assert (token, done, total) == (None, 4, 4)
    assert bucket.get_blob("y").content_type == "text/plain"
    source.update_storage_class("NEARLINE")
    again = bucket.get_blob("x")
    assert (again.storage_class, again.content_type) == ("NEARLINE", "text/csv")
    assert again.download_as_text() == "data"


def test_renaming_and_moving_leave_nothing_behind(server: Server, bucket: gcs.Bucket) -> None:
    renamed = bucket.rename_blob(put(bucket, "x", "data"), "folder/y")
    moved = bucket.move_blob(renamed, "z")
    assert moved.download_as_text() == "data"
    assert [blob.name for blob in bucket.list_blobs()] == ["z"]
    assert len(server.files()) == 1


def test_compose_joins_objects_in_order(server: Server, bucket: gcs.Bucket) -> None:
    parts = [put(bucket, f"part{n}", f"<{n}>") for n in range(32)]
    whole = bucket.blob("whole")
    whole.content_type = "text/plain"
    whole.compose(parts)
    assert whole.download_as_text() == "".join(f"<{n}>" for n in range(32))
    assert (whole.component_count, whole.md5_hash) == (32, None)
    whole.compose([whole, parts[0]])
    assert whole.component_count == 33
    assert whole.download_as_text().endswith("<31><0>")
    with pytest.raises(exceptions.BadRequest, match=r"exceeds the maximum \(32\)"):
        whole.compose([*parts, parts[0]])
    with pytest.raises(exceptions.NotFound):
        whole.compose([bucket.blob("nothing")])
    assert len(server.files()) == 33
