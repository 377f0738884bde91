from __future__ import annotations

import hashlib
import os
import random
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
import requests
from google.cloud import storage as gcs

from vertex_tuning.emulator.settings import Settings
from vertex_tuning.emulator.state import Database
from vertex_tuning.emulator.storage import Storage

if TYPE_CHECKING:
    from tests.emulator.storage.conftest import Server

MEBIBYTE = 1 << 20


@contextmanager
def process(data_dir: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server process, and its address."""
    command = [sys.executable, str(Path(__file__).with_name("serve.py")), str(data_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            yield child, f"http://127.0.0.1:{int(child.stdout.readline())}"
        finally:
            child.kill()


def md5_of(answer: requests.Response) -> str:
    return hashlib.md5(answer.content).hexdigest()


def test_a_killed_server_loses_nothing_that_it_acknowledged_and_shows_no_half(tmp_path: Path) -> None:
    chance = random.Random(7)
    sent: dict[str, set[str]] = {}
    acknowledged: dict[str, str] = {}

    def upload(address: str, worker: int, round: int) -> None:
        """Upload until the server dies."""
        session = requests.Session()
        with session:
            for n in range(10_000):
                name = f"{worker}/{n % 5}"
                data = f"{worker} {round} {n} ".encode() * chance.choice((1, 5_000, 150_000))
                digest = hashlib.md5(data).hexdigest()
                sent.setdefault(name, set()).add(digest)
                try:
                    answer = session.put(f"{address}/bkt/{name}", data=data, timeout=60)
                except requests.RequestException:
                    # The new version may be there or not; the one before may have been replaced.
                    acknowledged.pop(name, None)
                    return
                assert answer.status_code == 200
                acknowledged[name] = digest

    for round in range(4):
        with process(tmp_path) as (child, address):
            requests.put(f"{address}/bkt", timeout=60)
            for name, digest in acknowledged.items():
                assert md5_of(requests.get(f"{address}/bkt/{name}", timeout=60)) == digest, name
            for name, digests in sent.items():
                answer = requests.get(f"{address}/bkt/{name}", timeout=60)
                assert answer.status_code == 404 or md5_of(answer) in digests, name
            before = sum(map(len, sent.values()))
            workers = [threading.Thread(target=upload, args=(address, n, round)) for n in range(3)]
            for worker in workers:
                worker.start()
            wanted = before + chance.randint(10, 60)
            while sum(map(len, list(sent.values()))) < wanted and any(
                map(threading.Thread.is_alive, workers)
            ):
                workers[0].join(0.01)
            child.kill()
            for worker in workers:
                worker.join()
    db = Database(tmp_path / "emulator.sqlite")
    Storage(Settings(data_dir=tmp_path), db)
    named = {row[0] for row in db.sql.execute("SELECT blob FROM storage_objects")}
    sizes = dict(db.sql.execute("SELECT blob, size FROM storage_objects"))
    db.close()
    on_disk = {path.name: path.stat().st_size for path in (tmp_path / "objects").glob("*/*")}
    assert on_disk == {blob: sizes[blob] for blob in named}


def test_a_big_upload_and_download_do_not_grow_the_server(tmp_path: Path) -> None:
    block = os.urandom(MEBIBYTE)
    with process(tmp_path) as (child, address):
        requests.put(f"{address}/bkt", timeout=60)
        requests.put(f"{address}/bkt/x", data=block, timeout=60)
        requests.get(f"{address}/bkt/x", timeout=60)
        seen = psutil.Process(child.pid)
        before = seen.memory_info().rss
        peak = 0

        def blocks() -> Iterator[bytes]:
            nonlocal peak
            for _ in range(200):
                peak = max(peak, seen.memory_info().rss)
                yield block

        assert requests.put(f"{address}/bkt/x", data=blocks(), timeout=120).status_code == 200
        with requests.get(f"{address}/bkt/x", stream=True, timeout=120) as answer:
            size = 0
            for part in answer.iter_content(MEBIBYTE):
                peak = max(peak, seen.memory_info().rss)
                size += len(part)
        assert size == 200 * MEBIBYTE
        assert peak - before < 32 * MEBIBYTE


def test_everything_survives_a_restart(server: Server, bucket: gcs.Bucket) -> None:
    bucket.labels = {"a": "b"}
    bucket.versioning_enabled = True
    bucket.patch()
    blob = bucket.blob("x")
    blob.metadata = {"k": "v"}
    blob.upload_from_string("one", content_type="text/csv")
    blob.upload_from_string("two", content_type="text/csv")
    before = [item._properties for item in bucket.list_blobs(versions=True)]
    server.restart()
    assert [item._properties for item in bucket.list_blobs(versions=True)] == before
    again = bucket.client.get_bucket("bkt")
    assert (again.labels, again.versioning_enabled) == ({"a": "b"}, True)
    assert bucket.blob("x").download_as_text() == "two"


def test_what_an_interrupted_upload_left_is_swept_at_the_next_start(
    server: Server, bucket: gcs.Bucket
) -> None:
    bucket.blob("kept").upload_from_string("x")
    session = bucket.blob("y").create_resumable_upload_session()
    stray = server.data_dir / "objects" / "ab" / ("ab" + "0" * 30)
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"half an object")
    assert len(server.files()) == 3
    server.restart()
    assert not stray.exists()
    assert len(server.files()) == 2
    assert requests.put(session, data=b"whole", timeout=30).status_code == 200
    assert bucket.blob("y").download_as_bytes() == b"whole"


def test_an_upload_that_breaks_off_leaves_nothing(server: Server, bucket: gcs.Bucket) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * MEBIBYTE * 3
        raise InterruptedError

    with pytest.raises(requests.ConnectionError):
        requests.put(f"{server.address}/bkt/x", data=broken(), timeout=30)
    requests.put(f"{server.address}/bkt/after", data=b"x", timeout=30)
    # The server may notice the broken connection a little later than the client does.
    for _ in range(1000):
        if len(server.files()) == 1:
            break
        requests.get(f"{server.address}/bkt/after", timeout=30)
    assert len(server.files()) == 1
    assert not bucket.blob("x").exists()


@contextmanager
def small_disk(size: int) -> Iterator[None]:
    """No file may grow beyond a size: the error is the kernel's own, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_said_and_nothing_half_written_stays(server: Server, bucket: gcs.Bucket) -> None:
    kept = bucket.blob("x")
    kept.upload_from_string("before")
    session = bucket.blob("x").create_resumable_upload_session()
    url = f"{server.address}/upload/storage/v1/b/bkt/o?uploadType=media&name=x"
    part = f"{server.address}/bkt/x"
    with small_disk(16 * MEBIBYTE):
        data = os.urandom(20 * MEBIBYTE)
        for answer in (
            requests.post(url, data=data, timeout=60),
            requests.put(part, data=data, timeout=60),
            requests.put(session, data=data, timeout=60),
        ):
            assert answer.status_code == 507
            assert "VT451" in answer.text
    assert bucket.blob("x").download_as_text() == "before"
    assert len(server.files()) == 2  # the object, and the resumable upload that can go on
    assert requests.put(session, data=data, timeout=60).status_code == 200
    assert bucket.blob("x").download_as_bytes() == data
    assert len(server.files()) == 1


def test_a_full_disk_for_the_database_loses_nothing_either(server: Server, bucket: gcs.Bucket) -> None:
    bucket.blob("x").upload_from_string("before")
    with small_disk((server.data_dir / "emulator.sqlite-wal").stat().st_size):
        answer = requests.put(f"{server.address}/bkt/y", data=b"after", timeout=60)
    assert answer.status_code in (500, 507)
    assert "VT45" in answer.text
    assert len(server.files()) == 1
    assert requests.put(f"{server.address}/bkt/y", data=b"after", timeout=60).status_code == 200
    assert bucket.blob("x").download_as_text() == "before"
    assert bucket.blob("y").download_as_text() == "after"
