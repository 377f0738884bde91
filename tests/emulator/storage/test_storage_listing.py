from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.api_core import exceptions
from google.cloud import storage as gcs

if TYPE_CHECKING:
    from tests.emulator.storage.conftest import Server


NAMES = ["a", "a/", "a/1.txt", "a/2.csv", "a/b/3.txt", "b/4.txt", "b/5.TXT", "c", "ä", "日本/x"]


@pytest.fixture
def filled(bucket: gcs.Bucket) -> gcs.Bucket:
    for name in NAMES:
        bucket.blob(name).upload_from_string("x")
    return bucket


def names(bucket: gcs.Bucket, **options: object) -> list[str]:
    return [blob.name for blob in bucket.list_blobs(**options)]


def folders(bucket: gcs.Bucket, **options: object) -> tuple[list[str], list[str]]:
    found = bucket.list_blobs(**options)
    items = [blob.name for blob in found]
    return items, sorted(found.prefixes)


def test_objects_are_listed_in_the_order_of_their_bytes(filled: gcs.Bucket) -> None:
    assert names(filled) == sorted(NAMES, key=str.encode)
    assert names(filled, prefix="a/") == ["a/", "a/1.txt", "a/2.csv", "a/b/3.txt"]
    assert names(filled, prefix="zzz") == []


def test_a_delimiter_folds_folders(filled: gcs.Bucket) -> None:
    assert folders(filled, delimiter="/") == (["a", "c", "ä"], ["a/", "b/", "日本/"])
    assert folders(filled, delimiter="/", prefix="a/") == (["a/", "a/1.txt", "a/2.csv"], ["a/b/"])
    assert folders(filled, delimiter="/", include_trailing_delimiter=True)[0] == ["a", "a/", "c", "ä"]
    assert folders(filled, delimiter=".t") == (
        ["a", "a/", "a/2.csv", "b/5.TXT", "c", "ä", "日本/x"],
        ["a/1.t", "a/b/3.t", "b/4.t"],
    )


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_pages_of_any_size_give_the_same_listing(filled: gcs.Bucket, size: int) -> None:
    assert names(filled, page_size=size) == sorted(NAMES, key=str.encode)
    assert folders(filled, delimiter="/", page_size=size) == (["a", "c", "ä"], ["a/", "b/", "日本/"])
    pages = list(filled.list_blobs(page_size=size).pages)
    assert len(pages) == -(-len(NAMES) // size)
    assert len(names(filled, max_results=size)) == size


def test_offsets_cut_a_listing(filled: gcs.Bucket) -> None:
    assert names(filled, start_offset="a/2", end_offset="b/5") == ["a/2.csv", "a/b/3.txt", "b/4.txt"]
    assert names(filled, start_offset="c") == ["c", "ä", "日本/x"]
    assert names(filled, prefix="b/", start_offset="b/5") == ["b/5.TXT"]


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("*.txt", []),
        ("**.txt", ["a/1.txt", "a/b/3.txt", "b/4.txt"]),
        ("*/*.txt", ["a/1.txt", "b/4.txt"]),
        ("a/?.txt", ["a/1.txt"]),
        ("[a-b]/[!5].*", ["a/1.txt", "a/2.csv", "b/4.txt"]),
        ("{a,b}/*.{txt,csv}", ["a/1.txt", "a/2.csv", "b/4.txt"]),
        ("a", ["a"]),
        ("ä", ["ä"]),
    ],
)
def test_globs(filled: gcs.Bucket, glob: str, expected: list[str]) -> None:
    assert names(filled, match_glob=glob) == expected


def test_a_folder_with_many_objects_is_one_step(bucket: gcs.Bucket, server: Server) -> None:
    for n in range(700):
        server.storage.write(f"gs://bkt/deep/{n:04}", b"", "text/plain")
    server.storage.write("gs://bkt/last", b"", "text/plain")
    assert folders(bucket, delimiter="/") == (["last"], ["deep/"])
    assert len(names(bucket)) == 701
    assert len(names(bucket, page_size=300)) == 701


def test_only_the_asked_fields_are_sent(filled: gcs.Bucket) -> None:
    blob = next(iter(filled.list_blobs(fields="items(name,size),nextPageToken")))
    assert set(blob._properties) == {"name", "size"}
    with pytest.raises(exceptions.BadRequest, match="field selection"):
        names(filled, fields="items(")


def test_a_token_that_is_none_is_refused(filled: gcs.Bucket) -> None:
    with pytest.raises(exceptions.BadRequest, match="page token"):
        names(filled, page_token="???")


def test_listing_a_bucket_that_is_not_there(client: gcs.Client) -> None:
    with pytest.raises(exceptions.NotFound):
        list(client.list_blobs("nothing-here"))
