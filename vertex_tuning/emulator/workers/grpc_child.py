"""The server's hold on the gRPC child."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vertex_tuning.emulator.workers.process import Worker

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator

_START_TIMEOUT = 60.0
# sun_path of sockaddr_un(7) takes 108 bytes.
_MAX_SOCKET_PATH = 100


class GrpcChild:
    """The child that speaks gRPC, started by the first connection that wants it, and again after a death."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._worker: Worker | None = None
        self._ready: asyncio.Future[None] | None = None
        self._path = emulator.settings.data_dir / "grpc.sock"
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if len(str(self._path)) > _MAX_SOCKET_PATH:
            self._folder = tempfile.TemporaryDirectory(prefix="vertex-tuning-")
            self._path = Path(self._folder.name) / "grpc.sock"

    @property
    def pid(self) -> int | None:
        """Process id of the child, or None."""
        return self._worker.pid if self._worker else None

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the child's socket."""
        if self._ready is None:
            self._ready = asyncio.get_running_loop().create_future()
            await self._start(self._ready)
        await asyncio.wait_for(asyncio.shield(self._ready), _START_TIMEOUT)
        return await asyncio.open_unix_connection(self._path)

    async def _start(self, ready: asyncio.Future[None]) -> None:
        self._path.unlink(missing_ok=True)

        def on_message(message: dict[str, Any]) -> None:
            if message.get("ready") and not ready.done():
                ready.set_result(None)

        def on_exit(status: int) -> None:
            self._ready = None
            if not ready.done():
                ready.set_exception(ConnectionError(f"the gRPC child ended with status {status}"))
                ready.exception()  # whoever waits is told; nobody waiting is no fault

        settings = self._emulator.settings
        self._worker = Worker(
            "vertex_tuning.emulator.workers.grpc_bridge",
            "grpc",
            log_path=settings.data_dir / "logs" / "grpc.log",
            on_message=on_message,
            on_exit=on_exit,
            arguments=[self._emulator.address, str(self._path)],
            environment={"VERTEX_TUNING_TOKEN": settings.token} if settings.token else {},
        )
        await self._worker.start()

    async def stop(self) -> None:
        """End the child and remove its socket."""
        if self._worker:
            await self._worker.stop()
        self._path.unlink(missing_ok=True)
        if self._folder:
            self._folder.cleanup()
