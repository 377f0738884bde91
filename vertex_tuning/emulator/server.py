"""The server process: its port, its data folder, its end."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import fcntl
import json
import logging
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO, Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

import vertex_tuning
from vertex_tuning import catalog
from vertex_tuning.emulator import guard, own
from vertex_tuning.emulator.app import Emulator
from vertex_tuning.emulator.front_door import FrontDoor
from vertex_tuning.emulator.private import write_private
from vertex_tuning.emulator.settings import Settings
from vertex_tuning.errors import EmulatorError
from vertex_tuning.rewards import maps, sandbox, service

log = logging.getLogger(__name__)

_DRAIN = 3.0
# Google's servers keep an idle connection for minutes; closing early loses the request that is coming.
_KEEP_ALIVE = 300
_LOCK_PATIENCE = 0.5


async def serve(
    settings: Settings,
    announce: Callable[[dict[str, Any]], None],
    stop: asyncio.Event,
    *,
    temporary: bool = False,
) -> None:
    """Serve until `stop` is set.

    Args:
        settings: What it is told.
        announce: Called once, when the port is open, with what `run.json` holds.
        stop: Ends it.
        temporary: Remove the data folder, which must be empty now, at the end.

    Raises:
        EmulatorError: VT401 port in use, VT402 data folder in use, VT403 it is unusable, VT404 no such host.
        WeightsError: VT701 no such stand-in, or size.
        RewardError: VT942, a map leads to the port that was taken.
    """
    own.learn(settings.weights_dir)
    catalog.wished(settings.stand_in)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_lock(settings.data_dir))
        if temporary:
            _check_empty(settings.data_dir)
            stack.callback(shutil.rmtree, settings.data_dir, ignore_errors=True)
        stack.enter_context(_logging_to(settings.data_dir / "logs" / "server.log"))
        listener = stack.enter_context(_listen(settings.host, settings.port))
        bound, port = listener.getsockname()[:2]
        maps.check_port(settings.maps, port)
        if not guard.is_loopback(bound):
            settings = dataclasses.replace(settings, token=secrets.token_urlsafe(24))
        try:
            emulator = Emulator(settings)
        except (OSError, sqlite3.Error) as error:
            raise _unusable(settings.data_dir, error) from error
        stack.callback(_forget_record, settings.data_dir)
        emulator.record = _record(settings, bound, port)
        service.close_port(port)
        service.map_hosts(settings.maps)
        if not settings.local_code:
            sandbox.switch_off()
        try:
            await emulator.start()
            await _answer(emulator, listener, announce, stop)
        finally:
            await emulator.stop()


async def _answer(
    emulator: Emulator,
    listener: socket.socket,
    announce: Callable[[dict[str, Any]], None],
    stop: asyncio.Event,
) -> None:
    """Open the port, and close it in order."""
    settings = emulator.settings
    state = ServerState()
    config = Config(
        emulator,
        interface="asgi3",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE,
    )
    door = FrontDoor(
        lambda request_state: HttpToolsProtocol(config=config, server_state=state, app_state=request_state),
        emulator.keys.context,
        emulator.grpc.connect,
        forward=settings.forward,
        token=settings.token,
    )
    server = await asyncio.get_running_loop().create_server(door, sock=listener, backlog=1024)
    clock = asyncio.create_task(_tell_the_time(state))
    try:
        write_private(settings.data_dir / "run.json", json.dumps(emulator.record).encode())
        announce(emulator.record)
        await stop.wait()
    finally:
        server.close()
        clock.cancel()
        await _drain(state)
        await door.close()


async def _drain(state: ServerState) -> None:
    """Let answers that are under way end, for a while."""
    for connection in list(state.connections):
        connection.shutdown()
    deadline = time.monotonic() + _DRAIN
    while state.connections and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    for connection in list(state.connections):
        connection.transport.abort()


async def _tell_the_time(state: ServerState) -> None:
    while True:
        state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        await asyncio.sleep(1.0)


def _record(settings: Settings, bound: str, port: int) -> dict[str, Any]:
    """What others need to know to find this process and to talk to it."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(bound, f"[{bound}]" if ":" in bound else bound)
    return {
        "address": f"http://{host}:{port}",
        "pid": os.getpid(),
        "data_dir": str(settings.data_dir),
        "project": settings.project,
        "location": settings.location,
        "token": settings.token,
        "forward": settings.forward,
        "version": vertex_tuning.__version__,
        "started": time.time(),
    }


def _forget_record(data_dir: Path) -> None:
    with contextlib.suppress(OSError):
        (data_dir / "run.json").unlink()


@contextlib.contextmanager
def _lock(data_dir: Path) -> Iterator[None]:
    """Hold the data folder; the kernel lets it go when this process ends, however it ends."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (data_dir / "lock").open("w", encoding="ascii")
    except OSError as error:
        raise _unusable(data_dir, error) from error
    with lock:
        _acquire(lock, data_dir)
        yield


def _acquire(lock: IO[str], data_dir: Path) -> None:
    deadline = time.monotonic() + _LOCK_PATIENCE
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            # Somebody who only looks whether the folder is held (`control.find`) holds it for a moment too.
            if time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            raise EmulatorError(
                "VT402",
                f"another emulator works on this data folder{_address(data_dir)}",
                where=str(data_dir),
                fix="use it (vertex-tuning emulator status), stop it (vertex-tuning emulator stop), or give "
                "another folder: --data-dir DIR",
            ) from error
        except OSError as error:
            raise _unusable(data_dir, error) from error
        return


def _address(data_dir: Path) -> str:
    """Where the one that works there answers, as far as it has said so."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        return f", and answers at {json.loads((data_dir / 'run.json').read_bytes())['address']}"
    return ""


def _check_empty(data_dir: Path) -> None:
    if any(entry.name != "lock" for entry in data_dir.iterdir()):
        raise EmulatorError(
            "VT403",
            "a temporary data folder, which is removed at the end, must be empty at the start",
            where=str(data_dir),
            fix="give another one: --data-dir DIR",
        )


def _unusable(data_dir: Path, error: Exception) -> EmulatorError:
    words = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    return EmulatorError(
        "VT403",
        f"the data folder cannot be used: {words}",
        where=str(data_dir),
        fix="give another one (--data-dir DIR, or VERTEX_TUNING_HOME for all that is kept), or free some space "
        "and check who may write there",
    )


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # The protocol is named, or asyncio leaves Nagle's delay on for what is accepted.
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise EmulatorError(
                "VT401",
                f"port {port} is in use{_by_whom(port)}",
                where=f"{host}:{port}",
                fix="take any that is free (--port 0), or another one (--port N), or stop what uses it",
            ) from error
        raise EmulatorError(
            "VT404",
            f"cannot listen there: {getattr(error, 'strerror', None) or error}",
            where=f"{host}:{port}",
            fix="--host 127.0.0.1 --port 0",
        ) from error
    listener.setblocking(False)
    return listener


def _by_whom(port: int) -> str:
    """` by python (pid 123)`, where that can be seen: Linux, and a process of ours."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        sockets = set()
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                # Local address, state (0A: listening), inode.
                if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == "0A":
                    sockets.add(f"socket:[{fields[9]}]")
        for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
            with contextlib.suppress(OSError):
                if str(descriptor.readlink()) in sockets:
                    process = descriptor.parent.parent
                    return (
                        f" by {(process / 'comm').read_text(encoding='utf-8').strip()} (pid {process.name})"
                    )
    return ""


@contextlib.contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handler = RotatingFileHandler(path, maxBytes=8 * 1024 * 1024, backupCount=2, encoding="utf-8")
    except OSError as error:
        raise _unusable(path.parent.parent, error) from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()


def main(
    settings: Settings, *, ready_json: bool, until_stdin_closes: bool = False, temporary: bool = False
) -> None:
    """Run a server in this process until SIGTERM, SIGINT or, if asked, the end of standard input.

    Args:
        settings: What it is told.
        ready_json: Announce it as JSON, for programs.
        until_stdin_closes: End when standard input does: its starter is gone.
        temporary: As for `serve`, and so are the errors.
    """

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        if until_stdin_closes:
            loop.add_reader(sys.stdin.fileno(), lambda: None if os.read(0, 4096) else stop.set())
        await serve(settings, lambda record: _announce(record, ready_json), stop, temporary=temporary)

    asyncio.run(run())


def _announce(record: dict[str, Any], ready_json: bool) -> None:
    if ready_json:
        line = json.dumps(record)
    else:
        line = f"The emulator is ready at {record['address']} (data in {record['data_dir']})"
        if record["token"]:
            line += f"; it listens beyond loopback, and every call needs this token: {record['token']}"
    # Whoever started us may have gone; that is no reason to end.
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
