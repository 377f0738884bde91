"""Stands over a process that runs a user's code (a custom job, a pipeline), and ends with it, and it with all that it started.

Run as `python -m vertex_tuning.supervisor PID` by the process of that id. It is told what to run in one line of JSON (`command`,
`folder`, `environment`, and `grace`, where it is not the usual one), and says how that ended. When its own line closes, because
the job was cancelled or whoever started it is gone, it ends the process and all its offspring: first asking, then not. The kernel
gives it whatever the process leaves behind (PR_SET_CHILD_SUBREAPER), so that nothing gets away by becoming a daemon.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_GRACE = 2.0
"""Seconds between asking a process to end and ending it."""
_GLANCE = 1.0
"""Seconds between looks whether our parent is still there: another process may hold its end of our line open."""


def main() -> None:
    """Run one job."""
    # Not by the kernel (`die_with_parent`): that would end us with the thread that started us.
    parent = int(sys.argv[1])
    if os.getppid() != parent:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # What the job prints goes to the log; the real output is for the server alone.
    out = os.dup(1)
    os.dup2(2, 1)
    line = sys.stdin.buffer.readline()
    if line:
        _tell(out, _Job(json.loads(line), parent).run())


def die_with_parent(signum: int = signal.SIGKILL) -> None:
    """Ask the kernel for a signal when the thread that started us ends, however it ends (prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signum), 0, 0, 0)


def _tell(out: int, message: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(out, json.dumps(message).encode() + b"\n")


class _Job:
    """One process, and its offspring."""

    def __init__(self, order: dict[str, Any], parent: int) -> None:
        self._order = order
        self._parent = parent
        self._pid = 0
        self._status: int | None = None
        # A pipe that wakes the loop: a child has ended, or we are to end.
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._to_end = False

    def run(self) -> dict[str, Any]:
        """Until the process has ended, or the line is closed; what to say of it."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._on_term)
        signal.set_wakeup_fd(self._wake_write)
        try:
            # Kept, and never asked: one that is dropped takes leave of its process, and that is for `_reap` to do.
            self._process = subprocess.Popen(
                self._order["command"],
                cwd=self._order["folder"],
                env=self._order["environment"],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        except (OSError, ValueError) as error:
            return {"missing": f"{self._order['command'][0]}: {getattr(error, 'strerror', None) or error}"}
        self._pid = self._process.pid
        self._watch()
        self._end_all()
        return {"status": self._status}

    def _on_term(self, *_: object) -> None:
        self._to_end = True

    def _watch(self) -> None:
        while self._status is None and not self._to_end:
            ready, _, _ = select.select([0, self._wake_read], [], [], _GLANCE)
            if not ready and os.getppid() != self._parent:
                return
            if self._wake_read in ready:
                os.read(self._wake_read, 4096)
                if not self._reap():
                    return
            if 0 in ready and not os.read(0, 4096):
                return

    def _reap(self) -> bool:
        """Take leave of those that have ended; whether any are left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self._pid:
                self._status = os.waitstatus_to_exitcode(status)

    def _end_all(self) -> None:
        if self._status is None:
            self._signal(signal.SIGTERM)
            self._wait(float(self._order.get("grace", _GRACE)))
        # What is left has been asked already, or has outlived the process that a container ends with.
        deadline = time.monotonic() + _GRACE
        while self._reap() and time.monotonic() < deadline:
            self._signal(signal.SIGKILL)
            time.sleep(0.01)

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._reap() and time.monotonic() < deadline:
            left = max(0.0, min(0.1, deadline - time.monotonic()))
            if select.select([self._wake_read], [], [], left)[0]:
                os.read(self._wake_read, 4096)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, number)
        for pid in offspring(os.getpid()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)


def offspring(ancestor: int) -> list[int]:
    """Process ids of the children of a process, and of theirs; none where the system does not tell."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The name in brackets may hold blanks and brackets itself.
            parents[int(path.parent.name)] = int(path.read_bytes().rpartition(b")")[2].split()[1])
    found: list[int] = []
    last = {ancestor}
    while last:
        last = {pid for pid, parent in parents.items() if parent in last}
        found.extend(last)
    return found


if __name__ == "__main__":
    main()
