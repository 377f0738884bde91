"""A stream on its way to disk, hashed as it passes, a few blocks at a time in memory."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Executor

from vertex_tuning.emulator.storage.blobs import Hashes, write_all

_BLOCK = 2 << 20
_SYNC_EVERY = 32 << 20


class Sink:
    """Takes chunks, and writes them behind.

    While one block is written in one thread and goes through MD5 in another, the next one is received. Long
    streams are brought to the disk every now and then, so that the last wait is short.
    """

    def __init__(self, fd: int, hashes: Hashes, executor: Executor) -> None:
        self._fd = fd
        self._hashes = hashes
        self._executor = executor
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._unsynced = 0
        self._working: list[asyncio.Future[None]] = []
        self._syncing: asyncio.Future[None] | None = None
        self.size = 0
        """Bytes taken."""

    async def write(self, chunk: bytes) -> None:
        """Take a chunk; waits while the block before last is still being written."""
        self._pending.append(chunk)
        self._pending_size += len(chunk)
        self.size += len(chunk)
        if self._pending_size >= _BLOCK:
            await self._flush()

    async def close(self) -> None:
        """Everything is on the disk, the file closed."""
        try:
            if self._working or self._syncing:
                await self._flush()
                await self._settle()
                self._working = [self._run(os.fdatasync, self._fd)]
            else:
                self._working = [self._run(self._store_small)]
            await self._settle()
        finally:
            await self.abort()

    async def abort(self) -> None:
        """Stop; the file is closed once no thread uses it."""
        if self._fd < 0:
            return
        working = [*self._working, *([self._syncing] if self._syncing else [])]
        if working:
            await asyncio.wait(working)
            for future in working:
                future.exception()
        os.close(self._fd)
        self._fd = -1

    async def _flush(self) -> None:
        await self._settle()
        chunks, self._pending, self._pending_size = self._pending, [], 0
        self._unsynced += sum(len(chunk) for chunk in chunks)
        self._working = [
            self._run(self._store, chunks),
            self._run(self._hashes.digest_md5, chunks),
        ]
        if self._unsynced >= _SYNC_EVERY and (self._syncing is None or self._syncing.done()):
            if self._syncing:
                self._syncing.result()
            self._unsynced = 0
            self._syncing = self._run(os.fdatasync, self._fd)

    async def _settle(self) -> None:
        working, self._working = self._working, []
        try:
            for future in working:
                await asyncio.shield(future)
        except BaseException:
            self._working = [future for future in working if not future.done()]
            raise

    def _store(self, chunks: list[bytes]) -> None:
        write_all(self._fd, chunks)
        self._hashes.count(chunks)

    def _store_small(self) -> None:
        self._store(self._pending)
        self._hashes.digest_md5(self._pending)
        os.fdatasync(self._fd)

    def _run(self, function: Callable[..., None], *arguments: object) -> asyncio.Future[None]:
        return asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)
