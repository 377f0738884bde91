"""Run a command with an emulator of its own, and leave nothing behind: no process, no port, no file.

Where the kernel allows it (Linux: root, or user namespaces for everybody), emulator and command get a network
of their own that has nothing but loopback in it; so even a program that knows no proxy cannot reach Google,
or anybody. Elsewhere the front door's refusal is what there is.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from vertex_tuning.emulator import control, environment
from vertex_tuning.errors import EmulatorError
from vertex_tuning.supervisor import die_with_parent

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GRACE = 10.0
_GLANCE = 0.05

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_CHILD_SUBREAPER = 36
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1


def run(command: Sequence[str], arguments: Sequence[str], *, share_network: bool = False) -> int:
    """Run a command with a fresh emulator and its variables; returns its exit status as a shell has it.

    SIGINT, SIGTERM and SIGHUP are passed on to the command. What it leaves running is ended with it.

    Args:
        command: The command and its arguments.
        arguments: For the server: `--stand-in`, `--project`...
        share_network: Leave the command on this machine's network.

    Raises:
        EmulatorError: VT411, there is no such command, or, with an `OSError` as its cause, it cannot be run; or what kept the
            emulator from starting.
    """
    if shutil.which(command[0]) is None and not (command[0] and Path(command[0]).exists()):
        raise _not_runnable(command[0])
    if not share_network:
        _leave_the_network()
    signals: list[int] = []
    # From here on a signal ends the command, not us: there is something to clean up.
    ours = [number for number in _FORWARDED if signal.getsignal(number) is not signal.SIG_IGN]
    former = {number: signal.signal(number, lambda got, _: signals.append(got)) for number in ours}
    _adopt_orphans()
    folder = Path(tempfile.mkdtemp(prefix="vertex-tuning-exec-"))
    server: subprocess.Popen[bytes] | None = None
    try:
        options = ["--port", "0", "--data-dir", str(folder), "--no-forward", "--temporary", *arguments]
        scratch = (
            folder / "tmp"
        )  # what its children leave in it, such as caches of torch, goes with the folder
        server, record = control.start_attached(options, {"TMPDIR": str(scratch)})
        scratch.mkdir()  # now, since the folder had to be empty for the server; no child has been started yet
        found = control.ask(record, "GET", "/emulator/environment")["set"]
        if signals:  # it came before there was anybody to pass it on to
            return 128 + signals[0]
        return _run(command, environment.applied(found, os.environ), signals)
    finally:
        if server is not None:
            _end(server)
        _end_orphans()
        shutil.rmtree(folder, ignore_errors=True)
        for number, handler in former.items():
            signal.signal(number, handler)


def _not_runnable(command: str, error: OSError | None = None) -> EmulatorError:
    if error is None or isinstance(error, FileNotFoundError):
        return EmulatorError(
            "VT411", "there is no such command", where=command, fix="check its name and PATH"
        )
    return EmulatorError(
        "VT411",
        f"it cannot be run: {error.strerror}",
        where=command,
        fix=f"see that it is a program, and may be run: chmod +x {shlex.quote(command)}",
    )


def _run(command: Sequence[str], variables: dict[str, str], signals: list[int]) -> int:
    """Run the command to its end, passing on the signals that come into the list."""
    # On a terminal it stays in the foreground with us, where Ctrl-C finds it too. Elsewhere it gets a group
    # of its own, so that a signal to our group does not reach it twice.
    on_terminal = sys.stdin is not None and sys.stdin.isatty()
    try:
        process = subprocess.Popen(
            list(command),
            env=variables,
            preexec_fn=lambda: die_with_parent(signal.SIGTERM),
            process_group=None if on_terminal else 0,
            close_fds=False,  # `<(...)` of a shell is an open file that has a number for its name
        )
    except OSError as error:
        raise _not_runnable(command[0], error) from (None if isinstance(error, FileNotFoundError) else error)
    deadline: float | None = None
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = process.wait(_GLANCE)
            return 128 - status if status < 0 else status
        while signals:
            number = signals.pop(0)
            if number != signal.SIGINT:
                process.send_signal(number)
                deadline = deadline or time.monotonic() + _GRACE
            elif not on_terminal:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)  # Ctrl-C, too, is for the whole group
        if deadline is not None and time.monotonic() > deadline:
            process.kill()


def _end(server: subprocess.Popen[bytes]) -> None:
    """Close the server's line, which asks it to end, and wait for that."""
    if server.stdin:
        server.stdin.close()
    try:
        server.wait(_GRACE)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _adopt_orphans() -> None:
    """Have what the command leaves behind become our child, so that we can end it (prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _end_orphans() -> None:
    """Kill every child that is left, and what becomes our child by that."""
    deadline = time.monotonic() + _GRACE
    while (left := _children()) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)


def _children() -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            # `pid (name) state ppid ...`; the name may hold anything.
            if (
                int(stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
                == os.getpid()
            ):
                found.append(int(stat.parent.name))
    return found


def _leave_the_network() -> bool:
    """Give this process and all that it starts a network of loopback alone; False where it cannot be."""
    if sys.platform != "linux":
        return False
    # Tried in a child first: half-way in, there would be no way back.
    child = os.fork()
    if child == 0:
        try:
            _unshare()
        except BaseException:
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1] != 0:
        return False
    _unshare()
    return True


def _unshare() -> None:
    root = os.geteuid() == 0
    user, group = os.geteuid(), os.getegid()
    flags = _CLONE_NEWNET if root else _CLONE_NEWNET | _CLONE_NEWUSER
    if ctypes.CDLL(None, use_errno=True).unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    if not root:
        # We stay who we are.
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))
