"""The server process: its port, its children, its end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import json
import logging
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from email.utils import formatdate
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO, Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

import vertex_tuning
from vertex_tuning.emulator import guard
from vertex_tuning.emulator.app import Emulator
from vertex_tuning.emulator.authority import Authority, write_private
from vertex_tuning.emulator.front_door import FrontDoor
from vertex_tuning.emulator.settings import Settings
from vertex_tuning.emulator.workers.process import Worker
from vertex_tuning.errors import EmulatorError

log = logging.getLogger(__name__)

_SHUTDOWN_GRACE = 3.0
_GRPC_START_TIMEOUT = 60.0


class Server:
    """One emulator process, from the lock on its data folder to its last connection."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock: IO[str] | None = None
        self._grpc: GrpcChild | None = None

    async def run(self, announce: Callable[[dict[str, Any]], None], stop: asyncio.Event) -> None:
        """Serve until `stop` is set. `announce` is called once, when the port is open.

        Raises:
            EmulatorError: VT401 port in use, VT402 data folder in use, VT403 data folder not writable.
        """
        settings = self.settings
        self._lock = _lock(settings.data_dir)
        _log_to(settings.data_dir / "logs" / "server.log")
        listener = _listen(settings.host, settings.port)
        emulator = Emulator(settings)
        host, port = listener.getsockname()[:2]
        name = f"[{host}]" if ":" in host else host
        emulator.address = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else name}:{port}"
        self._grpc = GrpcChild(emulator.address, settings)

        state = ServerState()
        config = Config(emulator, lifespan="off", log_config=None, access_log=False, ws="none", server_header=False)
        config.load()
        door = FrontDoor(
            lambda: HttpToolsProtocol(config=config, server_state=state, app_state={}),
            lambda: Authority(settings.data_dir / "front-door"),
            self._grpc.connect,
            forward=settings.forward,
            token=settings.token,
        )
        server = await asyncio.get_running_loop().create_server(door, sock=listener, backlog=1024)
        clock = asyncio.create_task(_tell_the_time(state))
        await emulator.start()
        record = self._write_record(emulator.address)
        announce(record)
        try:
            await stop.wait()
        finally:
            server.close()
            clock.cancel()
            await self._drain(state)
            door.close()
            await emulator.stop()
            await self._grpc.stop()
            with contextlib.suppress(FileNotFoundError):
                (settings.data_dir / "run.json").unlink()
            self._lock.close()

    def _write_record(self, address: str) -> dict[str, Any]:
        record = {
            "address": address,
            "pid": os.getpid(),
            "data_dir": str(self.settings.data_dir),
            "project": self.settings.project,
            "location": self.settings.location,
            "token": self.settings.token,
            "version": vertex_tuning.__version__,
            "started": time.time(),
        }
        write_private(self.settings.data_dir / "run.json", json.dumps(record).encode())
        return record

    async def _drain(self, state: ServerState) -> None:
        """Let answers that are under way end, for a while."""
        for connection in list(state.connections):
            connection.shutdown()
        deadline = time.monotonic() + _SHUTDOWN_GRACE
        while state.connections and time.monotonic() < deadline:
            await asyncio.sleep(0.02)


class GrpcChild:
    """The child that speaks gRPC, started by the first connection that wants it."""

    def __init__(self, address: str, settings: Settings) -> None:
        self._address = address
        self._settings = settings
        self._worker: Worker | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._ready: asyncio.Future[str] | None = None

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the child's socket."""
        if self._ready is None or (self._worker and not self._worker.running):
            await self._start()
        assert self._ready is not None
        path = await asyncio.wait_for(asyncio.shield(self._ready), _GRPC_START_TIMEOUT)
        return await asyncio.open_unix_connection(path)

    async def _start(self) -> None:
        # A folder of its own: the path of a socket may not be long, and a data folder's may be.
        self._folder = tempfile.TemporaryDirectory(prefix="vertex-tuning-")
        path = str(Path(self._folder.name) / "grpc")
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._ready = ready

        def on_message(message: dict[str, Any]) -> None:
            if message.get("ready") and not ready.done():
                ready.set_result(path)

        def on_exit(status: int) -> None:
            if not ready.done():
                ready.set_exception(ConnectionError(f"the gRPC child ended with status {status}"))
            self._ready = None

        environment = {"VERTEX_TUNING_TOKEN": self._settings.token} if self._settings.token else {}
        self._worker = Worker(
            "vertex_tuning.emulator.workers.grpc_bridge",
            "grpc",
            log_path=self._settings.data_dir / "logs" / "grpc.log",
            on_message=on_message,
            on_exit=on_exit,
            arguments=[self._address, path],
            environment=environment,
        )
        await self._worker.start()

    async def stop(self) -> None:
        """End the child and remove its socket."""
        if self._worker:
            await self._worker.stop()
        if self._folder:
            self._folder.cleanup()


def main(settings: Settings, *, ready_json: bool, until_stdin_closes: bool) -> None:
    """Run a server in this process until SIGTERM, SIGINT or, if asked, the end of standard input."""

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        if until_stdin_closes:
            loop.add_reader(sys.stdin.fileno(), lambda: None if os.read(0, 4096) else stop.set())
        await Server(settings).run(lambda record: _announce(record, settings, ready_json), stop)

    asyncio.run(run())


def _announce(record: dict[str, Any], settings: Settings, ready_json: bool) -> None:
    if ready_json:
        line = json.dumps(record)
    else:
        line = f"The emulator is ready at {record['address']} (data in {record['data_dir']})"
        if settings.token:
            line += f"\nIt listens beyond loopback; every call needs this token: {settings.token}"
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def _tell_the_time(state: ServerState) -> None:
    while True:
        state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        await asyncio.sleep(1.0)


def _lock(data_dir: Path) -> IO[str]:
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (data_dir / "lock").open("w", encoding="ascii")
    except OSError as error:
        raise EmulatorError(
            "VT403",
            f"the data folder cannot be written: {error.strerror}",
            where=str(data_dir),
            fix="give another one: --data-dir DIR",
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise EmulatorError(
            "VT402",
            "another emulator works on this data folder",
            where=str(data_dir),
            fix="use that one (vertex-tuning emulator status), stop it (vertex-tuning emulator stop), or give "
            "another folder: --data-dir DIR",
        ) from error
    return lock


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise EmulatorError(
                "VT401",
                f"port {port} is in use",
                where=f"{host}:{port}",
                fix="take another one (--port 0: any that is free), or stop what uses it",
            ) from error
        raise EmulatorError(
            "VT404", f"cannot listen there: {error.strerror or error}", where=f"{host}:{port}", fix="--host 127.0.0.1"
        ) from error
    listener.setblocking(False)
    return listener


def _log_to(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = RotatingFileHandler(path, maxBytes=8 * 1024 * 1024, backupCount=2, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)


def needs_token(host: str) -> bool:
    """Whether listening on this host would let others than this machine in."""
    return not guard.is_loopback(host)
