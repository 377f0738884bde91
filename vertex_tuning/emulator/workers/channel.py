"""The child's end of the line to the server."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from typing import Any

from vertex_tuning.supervisor import die_with_parent


class Channel:
    """Messages from the server, and messages to it. `send` may be called from any thread."""

    def __init__(self) -> None:
        die_with_parent()
        # Keep the real output for the protocol; fd 1 is the log from now on, so that no print corrupts it.
        self._out = os.dup(1)
        os.set_inheritable(self._out, False)
        os.dup2(2, 1)
        self._in = os.dup(0)
        os.set_inheritable(self._in, False)
        self._pending = b""
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Messages until the server closes the line, or is gone."""
        while (messages := self.receive()) is not None:
            yield from messages

    def fileno(self) -> int:
        """For a selector: readable when there are messages, or the line is closed."""
        return self._in

    def receive(self) -> list[dict[str, Any]] | None:
        """The messages that have arrived, waiting for some bytes; None at the end of the line."""
        data = os.read(self._in, 1 << 20)
        if not data:
            return None
        *lines, self._pending = (self._pending + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def send(self, message: dict[str, Any]) -> None:
        """One message; lost without a sound where the server is gone, since the child is about to end too."""
        # Another process that writes here may have been killed in the middle of a line: begin a new one.
        data = b"\n" + json.dumps(message, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            view = memoryview(data)
            try:
                while view:
                    view = view[os.write(self._out, view) :]
            except BrokenPipeError:
                return

    def forked(self) -> None:
        """For a child forked from here: it may send, but must not hold the line open, nor outlive us."""
        die_with_parent()
        if os.getppid() != self._pid:
            # It died before the kernel was asked: whoever waits for the end of the line would wait for us.
            os._exit(1)
        self._lock = threading.Lock()
        os.close(self._in)
