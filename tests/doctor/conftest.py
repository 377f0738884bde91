"""Projects to look at: sound ones, broken ones, and ones that may not be looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.doctor.gates import Gate
from tests.projects import settle
from tests.running import RunningEmulator
from vertex_tuning import Diagnosis, connect


@pytest.fixture
def place(
    start_emulator: Callable[..., RunningEmulator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., RunningEmulator]:
    """Starts an emulator that is the project, and works from a folder with its settings; arguments as of `settle`."""

    def start(seed: str = "", **settings: Any) -> RunningEmulator:
        emulator = settle(tmp_path, start_emulator, seed, **settings)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
        monkeypatch.setenv("VERTEX_TUNING_HOME", str(tmp_path / "home"))
        return emulator

    return start


@pytest.fixture
def diagnose(place: Callable[..., RunningEmulator]) -> Callable[..., Diagnosis]:
    """What `doctor` finds there: arguments as of `place`."""

    def look(seed: str = "", **settings: Any) -> Diagnosis:
        place(seed, **settings)
        with connect() as client:
            return client.doctor()

    return look


@pytest.fixture
def gate(
    place: Callable[..., RunningEmulator], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Gate]]:
    """Puts somebody between doctor and the project who refuses, or keeps silent: `gate(lambda path: 403, seed="")`."""
    gates: list[Gate] = []

    def put(fate: Callable[[str], int], seed: str = "", **settings: Any) -> Gate:
        gates.append(Gate(place(seed, **settings).address, fate))
        monkeypatch.setenv("VERTEX_TUNING_EMULATOR", gates[-1].address)
        return gates[-1]

    yield put
    for one in gates:
        one.close()
