"""Real emulators for tests: processes of their own, on free ports, in temporary folders, gone with it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# What a test may not inherit: a proxy, a credential or an emulator of whoever runs it.
for _name in list(os.environ):
    if _name.upper().endswith("_PROXY") or _name.startswith(
        ("GOOGLE_", "CLOUDSDK_", "GEMINI_", "VERTEX_TUNING_")
    ):
        del os.environ[_name]


class RunningEmulator:
    """An emulator process: `address`, `record` (what it said when it was ready), `data_dir`, `process`."""

    def __init__(self, data_dir: Path, *arguments: str) -> None:
        self.data_dir = data_dir
        command = [sys.executable, "-m", "vertex_tuning.emulator", "--port", "0", "--data-dir", str(data_dir)]
        self.process = subprocess.Popen(
            [*command, "--stand-in", "tiny-0.1m", "--ready-json", "--until-stdin-closes", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.kill()
            raise RuntimeError("the emulator did not start; its words are on standard error")
        self.record: dict[str, Any] = json.loads(line)
        self.address: str = self.record["address"]

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    @property
    def environment(self) -> dict[str, str]:
        """The environment of an unmodified Google program: ours, with what `emulator env` sets and clears."""
        answer = self.call("GET", "/emulator/environment")
        return {
            **{key: value for key, value in os.environ.items() if key not in answer["unset"]},
            **answer["set"],
        }

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        """One request to the plain address; the answer as JSON, or (status, JSON) where it is an error."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **(headers or {})}
        request = urllib.request.Request(self.address + path, data, headers, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as response:
                return json.loads(response.read() or b"{}")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"{}")

    def stop(self) -> int:
        """End it as a user does; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        finally:
            self.kill()

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


@pytest.fixture
def start_emulator(tmp_path: Path) -> Iterator[Callable[..., RunningEmulator]]:
    """Starts emulators of the test's own: `start_emulator("--location", "europe-west4", data_dir=...)`."""
    started: list[RunningEmulator] = []

    def start(*arguments: str, data_dir: Path | None = None) -> RunningEmulator:
        emulator = RunningEmulator(data_dir or tmp_path / "emulator", *arguments)
        started.append(emulator)
        return emulator

    yield start
    for emulator in started:
        emulator.kill()


@pytest.fixture(scope="session")
def emulator() -> Iterator[RunningEmulator]:
    """One emulator per run (or worker of xdist): make names of your own in it, and never reset it."""
    with tempfile.TemporaryDirectory(prefix="vertex-tuning-test-", ignore_cleanup_errors=True) as folder:
        running = RunningEmulator(Path(folder))
        yield running
        running.stop()


@pytest.fixture(scope="session")
def emulator_address(emulator: RunningEmulator) -> str:
    """`http://127.0.0.1:PORT` of the session's emulator."""
    return emulator.address
