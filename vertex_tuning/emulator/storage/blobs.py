"""Bytes on disk: one file per blob, under a random id, readable by the owner alone.

A blob is written in place under its new id, brought to the disk, and only then named by a row of the
database: a server that dies in between leaves a file that no row names, and `sweep` removes it at the next
start. Rows may share a blob (a copy costs nothing); the last one to go takes it along.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import logging
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import google_crc32c

log = logging.getLogger(__name__)

_BLOCK = 1 << 20
"""Bytes that are read at once."""
_IOV_MAX = 1024
_FOLDER = re.compile(r"[0-9a-f]{2}")
_BLOB = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Digest:
    """Size and hashes of a blob; the hashes in base64, as the wire shows them."""

    size: int
    crc32c: str
    md5: str | None
    """None where Google has none either: composed objects and multipart uploads of the XML API."""


class Hashes:
    """Running size, CRC32C and MD5 of a stream."""

    def __init__(self) -> None:
        self.size = 0
        self._crc32c = 0
        self._md5 = hashlib.md5(usedforsecurity=False)

    def count(self, chunks: Iterable[bytes]) -> None:
        """Size and CRC32C: 16 GB/s."""
        for chunk in chunks:
            self.size += len(chunk)
            self._crc32c = google_crc32c.extend(self._crc32c, chunk)

    def digest_md5(self, chunks: Iterable[bytes]) -> None:
        """MD5: 0.6 GB/s, the slowest step of an upload; a thread of its own runs it beside the rest."""
        for chunk in chunks:
            self._md5.update(chunk)

    def update(self, chunks: Iterable[bytes]) -> None:
        """All three."""
        chunks = list(chunks)
        self.count(chunks)
        self.digest_md5(chunks)

    def digest(self, *, md5: bool = True) -> Digest:
        """The result so far."""
        crc32c = base64.b64encode(self._crc32c.to_bytes(4)).decode()
        return Digest(self.size, crc32c, base64.b64encode(self._md5.digest()).decode() if md5 else None)


class BlobStore:
    """The folder of blobs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, blob: str) -> Path:
        """Where a blob lies."""
        return self.root / blob[:2] / blob

    def create(self) -> tuple[str, int]:
        """A new empty blob: its id, and a file descriptor to write it."""
        while True:
            blob = secrets.token_hex(16)
            path = self.path(blob)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                return blob, os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)

    def reopen(self, blob: str, size: int) -> int:
        """A blob to be continued after `size` bytes; what a broken request left behind them is cut off."""
        fd = os.open(self.path(blob), os.O_RDWR | os.O_CLOEXEC)
        try:
            os.ftruncate(fd, size)
            os.lseek(fd, size, os.SEEK_SET)
        except OSError:
            os.close(fd)
            raise
        return fd

    def put(self, data: bytes) -> tuple[str, Digest]:
        """Store bytes that are at hand."""
        hashes = Hashes()
        hashes.update([data])
        with self._new() as (blob, fd):
            write_all(fd, [data])
        return blob, hashes.digest()

    def copy_in(self, source: Path) -> tuple[str, Digest]:
        """Store a copy of a file."""
        hashes = Hashes()
        with self._new() as (blob, fd):
            for block in read_blocks(source):
                write_all(fd, [block])
                hashes.update([block])
        return blob, hashes.digest()

    def join(self, parts: Iterable[str]) -> tuple[str, Digest]:
        """A new blob of several old ones, one after the other."""
        hashes = Hashes()
        with self._new() as (blob, fd):
            for part in parts:
                for block in read_blocks(self.path(part)):
                    write_all(fd, [block])
                    hashes.count([block])
        return blob, hashes.digest(md5=False)

    def rehash(self, blob: str, size: int) -> Hashes:
        """The hashes of a blob's first `size` bytes: an upload goes on after a restart."""
        hashes = Hashes()
        for block in read_blocks(self.path(blob), 0, size):
            hashes.update([block])
        return hashes

    def discard(self, *blobs: str) -> None:
        """Remove blobs that no row names. Who reads one at this moment reads it to its end.

        It never fails: what caused the removal is done already, and the next start sweeps what is left.
        """
        for blob in blobs:
            try:
                self.path(blob).unlink(missing_ok=True)
            except OSError as error:
                log.warning("storage: blob %s stays until the next start: %s", blob, error)

    def sweep(self, named: set[str]) -> int:
        """Remove every blob that no row names: a dying server left it unfinished. Returns how many."""
        stray = [
            file.name
            for folder in os.scandir(self.root)
            if _FOLDER.fullmatch(folder.name)
            for file in os.scandir(folder.path)
            if _BLOB.fullmatch(file.name) and file.name not in named
        ]
        self.discard(*stray)
        if stray:
            log.info("storage: removed %d unfinished blobs", len(stray))
        return len(stray)

    @contextlib.contextmanager
    def _new(self) -> Iterator[tuple[str, int]]:
        """A blob that is on the disk when the block ends, and gone when it fails."""
        blob, fd = self.create()
        try:
            try:
                yield blob, fd
                os.fdatasync(fd)
            finally:
                os.close(fd)
        except BaseException:
            self.discard(blob)
            raise


def write_all(fd: int, chunks: list[bytes]) -> None:
    """Write chunks to the end of a file, gathered into as few calls as the system allows."""
    pending = [memoryview(chunk) for chunk in chunks if len(chunk)]
    while pending:
        written = os.writev(fd, pending[:_IOV_MAX])
        while pending and written >= len(pending[0]):
            written -= len(pending.pop(0))
        if written:
            pending[0] = pending[0][written:]


def read_blocks(path: Path, start: int = 0, length: int | None = None) -> Iterator[bytes]:
    """The bytes of a file, block by block: all of them, or `length` from `start`."""
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        left = length
        while left is None or left > 0:
            block = file.read(_BLOCK if left is None else min(_BLOCK, left))
            if not block:
                return
            if left is not None:
                left -= len(block)
            yield block
