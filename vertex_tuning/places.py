"""The place that a program means, and what must be there.

`vertex` is Vertex AI, and needs credentials; `local` is an emulator on this machine, which is started where none runs. This is
the only module of the SDK that knows the difference.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vertex_tuning.config import Config, home
from vertex_tuning.connection import SCOPE, VARIABLE, Connection
from vertex_tuning.errors import ConfigurationError, EmulatorError

_PROBE_TIMEOUT = 2.0


def open_connection(config: Config, *, stand_in: str | None = None) -> Connection:
    """A connection to the target of a config.

    Args:
        config: Target, project, location, bucket.
        stand_in: The model to serve everything by: where the emulator that runs does not, one is started for this connection.

    Raises:
        ConfigurationError: VT104 no project, VT105 emulator variables in the way of Vertex AI, VT106 an address that is not
            loopback, VT107 no credentials.
        EmulatorError: VT407, the emulator did not start.
    """
    return _local(config, stand_in) if config.target == "local" else _vertex(config)


def _vertex(config: Config) -> Connection:
    pointed = os.environ.get(VARIABLE)
    if pointed:
        raise ConfigurationError(
            "VT105",
            "the emulator's variables are set, so Vertex AI is out of reach from here",
            where=VARIABLE,
            why="A program that was pointed at the emulator must not reach the cloud by accident.",
            fix='connect("local") or --target local; or a shell without the variables of `vertex-tuning emulator env`',
        )
    if not config.project:
        raise ConfigurationError(
            "VT104",
            "Vertex AI needs a project",
            where="project",
            fix='project="my-project" (--project my-project), or VERTEX_TUNING_PROJECT=my-project',
        )
    import google.auth
    import google.auth.exceptions

    try:
        google.auth.default(scopes=[SCOPE])
    except google.auth.exceptions.DefaultCredentialsError as error:
        raise ConfigurationError(
            "VT107", "no Google credentials were found", fix="gcloud auth application-default login"
        ) from error
    return Connection(config)


def _local(config: Config, stand_in: str | None) -> Connection:
    record = _running()
    emulator = None
    if record is None or stand_in not in (None, record.get("stand_in")):
        emulator = EmulatorProcess(config, stand_in)
        record = emulator.record
    # A server's own project, unless another was asked for: any project exists there.
    config = replace(
        config,
        target="local",
        project=config.project or record["project"],
        location=config.location or record["location"],
    )
    return Connection(config, address=record["address"], token=record.get("token"), held=emulator)


def _running() -> dict[str, Any] | None:
    """The emulator that the environment names, or the user's own if it answers."""
    pointed = os.environ.get(VARIABLE)
    if pointed:
        host = urlsplit(pointed).hostname or ""
        if host not in ("localhost", "127.0.0.1", "::1"):
            raise ConfigurationError(
                "VT106",
                f"{pointed} is not on this machine",
                where=VARIABLE,
                why="What is meant for the emulator must not leave this machine.",
                fix="vertex-tuning emulator start, then eval what vertex-tuning emulator env prints",
            )
        status = _probe(pointed)
        if status is None:
            raise EmulatorError(
                "VT406",
                "no emulator answers there",
                where=f"{VARIABLE}={pointed}",
                fix="vertex-tuning emulator start --detach, or unset the variable",
            )
        return {**status, "address": pointed}
    with contextlib.suppress(OSError, ValueError):
        record = json.loads((home() / "emulator" / "run.json").read_text(encoding="utf-8"))
        status = _probe(record["address"], record.get("token"))
        if status is not None:
            return {**status, **record}
    return None


def _probe(address: str, token: str | None = None) -> dict[str, Any] | None:
    request = urllib.request.Request(f"{address}/emulator/status")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_PROBE_TIMEOUT) as answer:
            return dict(json.load(answer))
    except (urllib.error.URLError, OSError, ValueError):
        return None


class EmulatorProcess:
    """An emulator of one's own, in a folder of its own; both are gone when the connection is."""

    def __init__(self, config: Config, stand_in: str | None) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="vertex-tuning-"))
        command = [
            sys.executable,
            "-m",
            "vertex_tuning.emulator",
            "--port",
            "0",
            "--data-dir",
            str(self._folder),
        ]
        for option, value in (
            ("--project", config.project),
            ("--location", config.location),
            ("--stand-in", stand_in),
        ):
            command += [option, value] if value else []
        self._words = tempfile.TemporaryFile()  # noqa: SIM115  # it lives as long as the process
        self._process = subprocess.Popen(
            [*command, "--ready-json", "--until-stdin-closes"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            # Ctrl-C is for the program; it closes the connection, and that ends the server.
            start_new_session=True,
        )
        atexit.register(self.stop)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._words.seek(0)
            words = self._words.read().decode("utf-8", "replace").strip()
            self.stop()
            raise EmulatorError(
                "VT407",
                f"the emulator did not start: {words[-2000:]}",
                fix="pip install 'vertex-tuning[emulator]'" if "ModuleNotFoundError" in words else "",
            )
        self.record: dict[str, Any] = json.loads(line)

    def stop(self) -> None:
        """End the process and remove its folder; may be called twice."""
        atexit.unregister(self.stop)
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                stream.close()
        try:
            self._process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._words.close()
        shutil.rmtree(self._folder, ignore_errors=True)
