"""The command as a user has it: on a terminal, or in a pipe."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = str(Path(sys.executable).parent / "vertex-tuning")
PATIENCE = 90.0
"""Seconds until a test gives up waiting; a busy machine needs many."""
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z]|\r")


@dataclass(frozen=True, slots=True)
class Done:
    """What a command said, and how it ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on standard output."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The records on standard output, one per line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def rule(self) -> str:
        """The rule of the error that it ended with."""
        words = self.err if not self.out.startswith("{") else self.json["error"]["rule"]
        found = re.search(r"^VT\d{3}", words, re.MULTILINE)
        return found[0] if found else ""


def without_control(text: str) -> str:
    """What a terminal was sent, without colours and movements."""
    return _CONTROL.sub("", text)


class Terminal:
    """A command on a terminal of its own; what it draws is in `text`, standard output in `out()` where that is a pipe."""

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        *,
        columns: int = 120,
        pipe_out: bool = False,
        cwd: Path | None = None,
    ) -> None:
        self._parent, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
        self.process = subprocess.Popen(
            argv,
            stdin=child,
            stdout=subprocess.PIPE if pipe_out else child,
            stderr=child,
            env={"TERM": "xterm-256color", **env},
            cwd=cwd,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(child)
        self._raw = b""

    @property
    def raw(self) -> str:
        return self._raw.decode(errors="replace")

    @property
    def text(self) -> str:
        return without_control(self.raw)

    def until(self, pattern: str, *, after: int = 0) -> str:
        """Wait until something is drawn; all that was, from a place on."""
        deadline = time.monotonic() + PATIENCE
        while not re.search(pattern, self.text[after:]):
            assert self._read(deadline), f"never drawn: {pattern}\n{self.text}"
        return self.text[after:]

    def type(self, keys: str) -> None:
        os.write(self._parent, keys.encode())

    def out(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.read().decode()

    def end(self) -> int:
        """Wait for its end; its exit status."""
        deadline = time.monotonic() + PATIENCE
        while self._read(deadline):
            pass
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._parent)
        if self.process.stdout:
            self.process.stdout.close()

    def _read(self, deadline: float) -> bool:
        if not select.select([self._parent], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return False
        with contextlib.suppress(OSError):  # EIO: the other side was closed
            if data := os.read(self._parent, 65536):
                self._raw += data
                return True
        return False
