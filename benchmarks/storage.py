"""An upload of 256 MiB by google-cloud-storage to the emulator, beside `shutil.copyfile` of the same file.

Both end on the disk: the emulator answers once the bytes are synced (`fdatasync`), so the copy is followed by `os.fsync`, and is
shown without it too. The client computes a CRC32C of what it sends, the emulator CRC32C and MD5 of what it gets. Uploads and
copies take turns, in one file system. The file has been read before, so that the disk is not read.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks._measure import Figure, Result, emulator, say
from vertex_tuning import connect

_MIB = 1024 * 1024
SIZE = 256 * _MIB
_BUCKET = "bench"


def measure(*, quick: bool) -> Result:
    """Upload and copy."""
    repeats = 2 if quick else 7
    with (
        emulator(),
        connect("local") as client,
        tempfile.TemporaryDirectory(prefix="vertex-tuning-bench-") as folder,
    ):
        source, target = Path(folder) / "source", Path(folder) / "target"
        with source.open("wb") as file:
            for _ in range(SIZE // _MIB):
                file.write(os.urandom(_MIB))
            os.fsync(file.fileno())
        bucket = client.connection.storage.create_bucket(_BUCKET)
        ways: dict[str, Callable[[], None]] = {
            "upload": lambda: bucket.blob("target").upload_from_filename(source),
            "copy and sync": lambda: _copy(source, target, sync=True),
            "copy": lambda: _copy(source, target, sync=False),
        }
        speeds: dict[str, list[float]] = {way: [] for way in ways}
        for turn in range(repeats + 1):
            for way, move in ways.items():
                started = time.perf_counter()
                move()
                speed = SIZE / 1e6 / (time.perf_counter() - started)
                # Whatever was written goes away at once: nobody else's pages wait for the disk.
                target.unlink(missing_ok=True)
                if way == "upload":
                    bucket.blob("target").delete()
                if turn:  # the first turn connects, and fills the page cache
                    speeds[way].append(speed)
            if turn:
                say(f"storage: {turn} of {repeats}: {speeds['upload'][-1]:.0f} MB/s")
    ours, synced, plain = (statistics.median(speeds[way]) for way in ways)
    what = "upload of 256 MiB by google-cloud-storage"
    details: dict[str, Any] = {"mb_per_second": speeds, "bytes": SIZE}
    return Result(
        [
            Figure(what, ours, "MB/s", "`shutil.copyfile` and `os.fsync`", synced, more_is_better=True),
            Figure(what, ours, "MB/s", "`shutil.copyfile`", plain, more_is_better=True),
        ],
        details,
    )


def _copy(source: Path, target: Path, *, sync: bool) -> None:
    shutil.copyfile(source, target)
    if sync:
        with target.open("rb") as file:
            os.fsync(file.fileno())
