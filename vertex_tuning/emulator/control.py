"""Start, find and stop emulator processes: the command's hands."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vertex_tuning.errors import EmulatorError

VARIABLE = "VERTEX_TUNING_EMULATOR"
TOKEN_VARIABLE = "VERTEX_TUNING_EMULATOR_TOKEN"

Record = Mapping[str, Any]
"""What a server tells of itself: `address`, `pid`, `token`... (`run.json`)."""

_READY_TIMEOUT = 60.0
_STOP_GRACE = 15.0
_ANSWER_TIMEOUT = 60.0
_GLANCE = 0.02
# How an error reads on standard error: see `errors.Fault`.
_WORDS = re.compile(
    r"^(?P<rule>VT\d{3})  (?P<what>.*?)(?:\n +Fix: (?P<fix>[^\n]*))?\s*\Z", re.MULTILINE | re.DOTALL
)


def find(data_dir: Path) -> Record | None:
    """The record of the emulator that works on a data folder, or None."""
    if not _held(data_dir):
        return None
    # It holds the folder a moment before it has written its record, and a moment after.
    with contextlib.suppress(OSError, ValueError):
        return dict(json.loads((data_dir / "run.json").read_bytes()))
    return None


def _held(data_dir: Path) -> bool:
    """Whether a server holds the folder: the kernel lets its lock go when it ends, however it ends."""
    try:
        with (data_dir / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def find_or_start(data_dir: Path) -> tuple[Record, bool]:
    """The record of the emulator that works on a data folder, started where none does, and whether it was started.

    Raises:
        EmulatorError: As `start_detached`.
    """
    record = find(data_dir)
    if record is not None:
        return record, False
    try:
        return start_detached(["--port", "0", "--data-dir", str(data_dir)]), True
    except EmulatorError as error:
        if error.rule != "VT402":
            raise
        # Somebody else was quicker, and is about to be ready.
        deadline = time.monotonic() + _READY_TIMEOUT
        while _held(data_dir) and time.monotonic() < deadline:
            if record := find(data_dir):
                return record, False
            time.sleep(_GLANCE)
        raise


def running(data_dir: Path) -> Record:
    """The record of the emulator that works on a data folder.

    Raises:
        EmulatorError: VT405, none does.
    """
    record = find(data_dir)
    if record is None:
        raise EmulatorError(
            "VT405",
            "no emulator is running",
            where=str(data_dir),
            fix="vertex-tuning emulator start --detach",
        )
    return record


def pointed_at() -> Record | None:
    """The emulator that the environment names, as in `emulator exec`; None where it names none.

    Raises:
        EmulatorError: VT406, it does not answer.
    """
    address = os.environ.get(VARIABLE)
    if not address:
        return None
    record = {"address": address, "token": os.environ.get(TOKEN_VARIABLE)}
    return {**record, **ask(record, "GET", "/emulator/status")}


def ask(record: Record, method: str, path: str) -> dict[str, Any]:
    """One call to the admin routes of a running emulator.

    Raises:
        EmulatorError: VT406, it does not answer.
    """
    headers = {"Authorization": f"Bearer {record['token']}"} if record.get("token") else {}
    connection = http.client.HTTPConnection("", timeout=_ANSWER_TIMEOUT)
    try:
        parts = urlsplit(record["address"])
        connection.host, connection.port = parts.hostname or "", parts.port or http.client.HTTP_PORT
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        body = json.loads(response.read())
        if response.status == 200:
            return dict(body)
        words = f"the emulator answered: {body['error']['message']}"
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
        words = "no emulator answers there"
    finally:
        connection.close()
    raise EmulatorError("VT406", words, where=record["address"], fix="vertex-tuning emulator start --detach")


def start_detached(arguments: Sequence[str]) -> Record:
    """Start a server that outlives us; returns its record once it is ready.

    Raises:
        EmulatorError: What the server said; VT407 where it said nothing we understand.
    """
    process, record = _start(arguments, stdin=subprocess.DEVNULL)
    process.returncode = 0  # or Popen would warn that we do not wait for it
    return record


def start_attached(
    arguments: Sequence[str], variables: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], Record]:
    """Start a server that ends when we do, since it watches its standard input.

    Args:
        arguments: Of its command line.
        variables: Added to its environment.

    Raises:
        EmulatorError: As `start_detached`.
    """
    environment = {**os.environ, **variables}
    return _start([*arguments, "--until-stdin-closes"], stdin=subprocess.PIPE, environment=environment)


def _start(
    arguments: Sequence[str], *, stdin: int, environment: Mapping[str, str] | None = None
) -> tuple[subprocess.Popen[bytes], Record]:
    command = [sys.executable, "-m", "vertex_tuning.emulator", *arguments, "--ready-json"]
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=words,
            env=environment,
            start_new_session=True,
        )
        assert process.stdout is not None
        with process.stdout as output:
            ready, _, _ = select.select([output], [], [], _READY_TIMEOUT)
            line = output.readline() if ready else b""
        if line:
            return process, json.loads(line)
        process.kill()
        process.wait()
        if process.stdin:
            process.stdin.close()
        words.seek(0)
        raise _not_started(words.read().decode("utf-8", "replace").strip())


def _not_started(words: str) -> EmulatorError:
    found = _WORDS.search(words)
    if found:
        return EmulatorError(found["rule"], found["what"].strip(), fix=found["fix"] or "")
    return EmulatorError(
        "VT407",
        f"the emulator did not start: {words[-2000:] or 'it was not ready in time'}",
        fix="pip install 'vertex-tuning[emulator]'" if "ModuleNotFoundError" in words else "",
    )


def stop(record: Record) -> None:
    """End an emulator, and wait until it is gone: asked first, killed after a grace.

    Raises:
        EmulatorError: VT405, no emulator of this machine works on its folder; VT408, it does not end.
    """
    pid, data_dir = int(record["pid"]), Path(record["data_dir"])
    if running(data_dir)["pid"] != pid:  # it answered from elsewhere: the number is another process here
        raise EmulatorError(
            "VT408",
            f"the emulator at {record['address']} is not a process of this machine",
            where=str(data_dir),
            fix="stop it where it was started",
        )
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        except PermissionError:
            break
        deadline = time.monotonic() + _STOP_GRACE
        while time.monotonic() < deadline:
            if not _held(data_dir):
                return
            time.sleep(_GLANCE)
    raise EmulatorError(
        "VT408", f"the emulator (pid {pid}) does not end", where=str(data_dir), fix=f"kill -9 {pid}"
    )
