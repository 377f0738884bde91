"""Start, find and stop emulator processes: what the command does, and nothing else may."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vertex_tuning.errors import EmulatorError

_READY_TIMEOUT = 30.0
_STOP_GRACE = 15.0


def find(data_dir: Path) -> dict[str, Any] | None:
    """The record of the emulator that works on this data folder, or None."""
    if not _locked(data_dir):
        return None
    with contextlib.suppress(OSError, ValueError):
        return dict(json.loads((data_dir / "run.json").read_text(encoding="utf-8")))
    return None


def _locked(data_dir: Path) -> bool:
    """Whether a server holds the folder: it keeps the lock as long as it lives, however it ends."""
    try:
        with (data_dir / "lock").open("r", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def running(data_dir: Path) -> dict[str, Any]:
    """The record of the emulator that works on this data folder.

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


def ask(record: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    """One call to the admin routes of a running emulator.

    Raises:
        EmulatorError: VT406, it does not answer.
    """
    parts = urlsplit(record["address"])
    headers = {"Authorization": f"Bearer {record['token']}"} if record.get("token") else {}
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        body = json.loads(response.read())
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise EmulatorError(
            "VT406",
            "the emulator does not answer",
            where=record["address"],
            fix="vertex-tuning emulator stop",
        ) from error
    finally:
        connection.close()
    if response.status != 200:
        raise EmulatorError("VT406", f"the emulator answered: {body['error']['message']}", where=path)
    return dict(body)


def start_detached(arguments: list[str]) -> dict[str, Any]:
    """Start a server that outlives us, and return its record once it is ready.

    Raises:
        EmulatorError: VT407, with the server's own words.
    """
    with tempfile.TemporaryFile() as words:
        process = _spawn(arguments, stdin=subprocess.DEVNULL, stderr=words, start_new_session=True)
        line = process.stdout.readline() if process.stdout else b""
        if not line:
            process.wait(_READY_TIMEOUT)
            words.seek(0)
            raise _not_started(words.read().decode("utf-8", "replace"))
    return dict(json.loads(line))


def start_attached(arguments: list[str]) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    """Start a server that ends when we do: it watches its standard input."""
    with tempfile.TemporaryFile() as words:
        process = _spawn(
            [*arguments, "--until-stdin-closes"], stdin=subprocess.PIPE, stderr=words, start_new_session=True
        )
        line = process.stdout.readline() if process.stdout else b""
        if not line:
            process.wait(_READY_TIMEOUT)
            words.seek(0)
            raise _not_started(words.read().decode("utf-8", "replace"))
    return process, dict(json.loads(line))


def _spawn(arguments: list[str], **options: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "vertex_tuning.emulator", *arguments, "--ready-json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, **options)


def _not_started(words: str) -> EmulatorError:
    return EmulatorError("VT407", f"the emulator did not start: {words.strip()[-2000:]}")


def stop(data_dir: Path) -> bool:
    """End the emulator of a data folder, and wait until it is gone; False where none ran."""
    record = find(data_dir)
    if record is None:
        return False
    pid = int(record["pid"])
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + _STOP_GRACE
        while time.monotonic() < deadline:
            if not _locked(data_dir):
                return True
            time.sleep(0.02)
    raise EmulatorError("VT408", f"the emulator (pid {pid}) does not end", where=str(data_dir))
