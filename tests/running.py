"""An emulator process for tests."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any


class RunningEmulator:
    """An emulator process: `address`, `record` (what it said when it was ready), `data_dir`, `process`."""

    def __init__(self, data_dir: Path, *arguments: str) -> None:
        self.data_dir = data_dir
        command = [sys.executable, "-m", "vertex_tuning.emulator", "--port", "0", "--data-dir", str(data_dir)]
        self.process = subprocess.Popen(
            [
                *command,
                "--stand-in",
                "tiny-0.1m",
                "--strict",
                "--ready-json",
                "--until-stdin-closes",
                *arguments,
            ],
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
        """One request to the plain address; the answer as JSON, or (status, JSON or text) where it is an error."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **(headers or {})}
        request = urllib.request.Request(self.address + path, data, headers, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as response:
                return json.loads(response.read() or b"{}")
        except urllib.error.HTTPError as error:
            with error:
                body = error.read()
                is_json = error.headers.get_content_type() == "application/json"
                return error.code, json.loads(body) if is_json else body.decode()

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
