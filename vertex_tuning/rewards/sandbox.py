"""Where code rewards run: behind the walls of `walls.py`, and nowhere else."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import json
import os
import re
import select
import subprocess
import sys
import threading
import time
from functools import cache
from pathlib import Path
from typing import Any

from vertex_tuning import catalog
from vertex_tuning.rewards import scoring
from vertex_tuning.rewards.scoring import Score

_READY = 30.0
_GRACE = 5.0
_PATHS = (
    *("/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime"),
    *("/usr/share/zoneinfo", "/dev/null", "/dev/zero", "/dev/urandom"),
)
_MISSING = re.compile(r"No module named '([\w.]+)'")


class NoWallsError(RuntimeError):
    """This machine cannot keep code in; the message says which wall is missing."""


class Sandbox:
    """A process behind walls, which evaluates one call after the other. May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._ids = itertools.count()
        self._rest = b""

    def evaluate(
        self, code: str, example: Any, response: Any, *, seconds: float, memory: int
    ) -> dict[str, Any]:
        """Call `evaluate(example, response)` of the code.

        Args:
            code: Python, which nobody has read.
            example: A row, as JSON.
            response: A turn, as JSON.
            seconds: How long it may take.
            memory: Bytes of address space that it may have.

        Returns:
            `{"reward": float}` or `{"error": text}`; with `late` where it did not come to an end.

        Raises:
            NoWallsError: The walls cannot be built here. Nothing was run.
        """
        request = {
            "id": next(self._ids),
            "code": code,
            "example": example,
            "response": response,
            "seconds": seconds,
        }
        with self._lock:
            for _ in range(2):
                try:
                    answer = self._ask(request, memory)
                except (OSError, EOFError):
                    # It ends with the thread that started it (prctl(2)), which may be another one: once more.
                    self._stop()
                    continue
                if answer is None or answer.get("id") != request["id"]:
                    break
                return {key: answer[key] for key in ("reward", "error", "late") if key in answer}
            self._stop()
            return {"error": "the process that evaluates it has died", "late": True}

    def _ask(self, request: dict[str, Any], memory: int) -> dict[str, Any] | None:
        process = self._started(memory)
        assert process.stdin is not None
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        return self._read(process, request["seconds"] + _GRACE)

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._stop()

    def _started(self, memory: int) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._stop()  # it died: its pipes are still open
        settings = {"paths": _paths(), "root": os.geteuid() == 0, "memory": memory}
        program = str(Path(__file__).with_name("walls.py"))
        self._rest = b""
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-B", program, json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            cwd="/",
            start_new_session=True,
        )
        try:
            told = self._read(self._process, _READY)
        except EOFError:
            told = None
        if told is None or not told.get("ready"):
            self._stop()
            raise NoWallsError(str((told or {}).get("why", "the process behind the walls did not start")))
        return self._process

    def _read(self, process: subprocess.Popen[bytes], patience: float) -> dict[str, Any] | None:
        assert process.stdout is not None
        deadline = time.monotonic() + patience
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                return None
            chunk = os.read(process.stdout.fileno(), 1 << 16)
            if not chunk:
                raise EOFError
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        found = json.loads(line)
        return found if isinstance(found, dict) else None

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()  # the first process of the namespace dies with it, and so does everything in there
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


_off: list[str] = []


def switch_off() -> None:
    """Run no code in this process from now on, walls or not."""
    _off.append("it is switched off (--no-local-code)")


@cache
def shared() -> Sandbox:
    """The one of this process; it ends with it."""
    sandbox = Sandbox()
    atexit.register(sandbox.close)
    return sandbox


def _paths() -> list[str]:
    """What the interpreter needs to be seen: its own files and the system's libraries, none of them twice."""
    own = (
        sys.prefix,
        sys.base_prefix,
        sys.exec_prefix,
        os.path.realpath(sys.prefix),
        os.path.realpath(sys.base_prefix),
    )
    wanted = sorted({path for path in (*own, *_PATHS) if Path(path).exists()}, key=len)
    kept: list[str] = []
    for path in wanted:
        if not any(f"{path}/".startswith(f"{other}/") for other in kept):
            kept.append(path)
    return kept


def score(code: str, example: Any, response: Any, parsed: str | None) -> Score:
    """What the code pays; a failure where it pays nothing that is a number, or where there are no walls."""
    limits = catalog.limits("reward_code")
    if _off:
        return scoring.failed("VT924", f"no code is run here: {_off[0]}", scoring.UNIMPLEMENTED, parsed)
    try:
        found = shared().evaluate(
            code, example, response, seconds=limits["max_seconds"], memory=limits["max_memory_bytes"]
        )
    except NoWallsError as error:
        what = f"code is run behind walls alone, and this machine cannot build them: {error}"
        return scoring.failed("VT924", what, scoring.UNIMPLEMENTED, parsed)
    if "error" not in found:
        return scoring.clipped(float(found["reward"]), parsed)
    what = str(found["error"])
    # What it raised it would raise again: nothing that it sees changes.
    passing = bool(found.get("late"))
    missing = _MISSING.search(what)
    if missing is not None and missing[1].partition(".")[0] in limits["modules"]:
        package = limits["modules"][missing[1].partition(".")[0]]
        what += f"; the service has it, this machine does not: pip install {package}"
    return scoring.failed("VT925", what, parsed=parsed, passing=passing)
