"""The server's end of the line to a child."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

LINE_LIMIT = 64 * 1024 * 1024
_KEPT = frozenset(
    {
        "HOME",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "LD_LIBRARY_PATH",
        "PATH",
        "TMPDIR",
        "TZ",
        "USER",
        "VERTEX_TUNING_HOME",
        "VIRTUAL_ENV",
        "XDG_CACHE_HOME",
        "XDG_DATA_HOME",
    }
)
_KEPT_PREFIXES = ("PYTHON", "OMP_", "MKL_", "OPENBLAS_", "CUDA_", "NVIDIA_")


def scrubbed_environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """What a child may know of ours: no credentials, no proxies; and models are never looked for online."""
    environment = {
        key: value for key, value in os.environ.items() if key in _KEPT or key.startswith(_KEPT_PREFIXES)
    }
    environment.update(
        HF_HUB_OFFLINE="1",
        HF_HUB_DISABLE_TELEMETRY="1",
        TRANSFORMERS_VERBOSITY="error",
        TOKENIZERS_PARALLELISM="false",
        # Threads of an OpenMP pool that wait must not burn the core that another process works on.
        OMP_WAIT_POLICY="PASSIVE",
    )
    environment.update(extra or {})
    return environment


class Worker:
    """One child process.

    Args:
        module: Run as `python -m module`.
        name: For the log.
        log_path: Where its output goes, appended.
        on_message: Called with each message, in order, on the event loop.
        on_exit: Called once with the exit status (negative: a signal), after the last message.
        arguments: Command line arguments.
        environment: Added to the scrubbed environment.
    """

    def __init__(
        self,
        module: str,
        name: str,
        *,
        log_path: Path,
        on_message: Callable[[dict[str, Any]], None],
        on_exit: Callable[[int], None],
        arguments: Sequence[str] = (),
        environment: dict[str, str] | None = None,
    ) -> None:
        self.module = module
        self.name = name
        self.log_path = log_path
        self.on_message = on_message
        self.on_exit = on_exit
        self.arguments = arguments
        self.environment = environment or {}
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Process id, or None where it does not run."""
        return self._process.pid if self._process and self.running else None

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start the process; messages come as it sends them."""
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                self.module,
                *self.arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=output,
                env=scrubbed_environment(self.environment),
                limit=LINE_LIMIT,
                # Ctrl-C in the terminal is for the server, which ends its children in order.
                start_new_session=True,
            )
        log.info("%s: pid %d", self.name, self._process.pid)
        self._reader = asyncio.create_task(self._read(self._process))

    def send(self, message: dict[str, Any]) -> None:
        """Send one message; it is dropped where the process has ended (`on_exit` tells)."""
        if self.running and self._process and self._process.stdin:
            with contextlib.suppress(ConnectionError, RuntimeError):
                self._process.stdin.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")

    async def stop(self, grace: float = 3.0) -> None:
        """Close its line, which asks it to end; kill it after `grace` seconds."""
        process, reader = self._process, self._reader
        if process is None or reader is None:
            return
        if process.stdin:
            process.stdin.close()
        # The reader ends with the process: whoever stops a worker has seen its last message and its exit.
        done, _ = await asyncio.wait([reader], timeout=grace)
        if not done:
            self.kill()
            await reader

    def kill(self) -> None:
        """End it at once, and what it started: it leads a process group of its own."""
        if self._process and self._reader and not self._reader.done():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        try:
            while line := await process.stdout.readline():
                if line.strip():
                    self._handle(line)
        except ValueError:
            log.error("%s sent a line of more than %d bytes; it is ended", self.name, LINE_LIMIT)
            self.kill()
        status = await process.wait()
        log.info("%s (pid %d) ended with status %d", self.name, process.pid, status)
        self.on_exit(status)

    def _handle(self, line: bytes) -> None:
        try:
            self.on_message(json.loads(line))
        except Exception:
            log.exception("a message from %s could not be handled", self.name)
