"""Real emulators for tests: processes of their own, on free ports, in temporary folders, gone with it."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.running import RunningEmulator

# What a test may not inherit: a proxy, a credential or an emulator of whoever runs it.
for _name in list(os.environ):
    if _name.upper().endswith("_PROXY") or _name.startswith(
        ("GOOGLE_", "CLOUDSDK_", "GEMINI_", "VERTEX_TUNING_")
    ):
        del os.environ[_name]


# Who starts the tests in the background may have these ignored, and then so would everything that they start.
for _signal, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_signal) is signal.SIG_IGN:
        signal.signal(_signal, _usual)


# Each worker of xdist gets a processor of its own, and so does all that it starts: threads of several trainers on one processor
# wait for each other.
_worker = os.environ.get("PYTEST_XDIST_WORKER", "")
if _worker.startswith("gw") and hasattr(os, "sched_setaffinity"):
    _processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {_processors[int(_worker[2:]) % len(_processors)]})


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
        log = (Path(folder) / "logs" / "server.log").read_text(encoding="utf-8")
        assert "incident" not in log, log[log.index("incident") - 200 :][:5000]


@pytest.fixture(scope="session")
def emulator_address(emulator: RunningEmulator) -> str:
    """`http://127.0.0.1:PORT` of the session's emulator."""
    return emulator.address
