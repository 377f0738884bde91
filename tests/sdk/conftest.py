"""The SDK, connected to the session's emulator."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.running import RunningEmulator
from vertex_tuning import SupervisedTuning, TunedModel, TuningClient, connect

OPPOSITES = [("hot", "cold"), ("up", "down"), ("big", "small"), ("old", "new"), ("wet", "dry")]


def row(question: str, answer: str) -> dict[str, Any]:
    return {
        "contents": [
            {"role": "user", "parts": [{"text": question}]},
            {"role": "model", "parts": [{"text": answer}]},
        ]
    }


def rows(count: int = 40, *, tag: str = "") -> list[dict[str, Any]]:
    """Rows that a tiny model can learn; another tag makes another data set."""
    pairs = (OPPOSITES * count)[:count]
    return [row(f"Opposite of {word}?{tag}", answer) for word, answer in pairs]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes rows, or bytes, to a file: `write(rows, "train.jsonl")`."""

    def write_(data: list[Any] | bytes, name: str = "train.jsonl") -> Path:
        path = tmp_path / name
        if not isinstance(data, bytes):
            data = "".join(json.dumps(item) + "\n" for item in data).encode()
        path.write_bytes(data)
        return path

    return write_


@pytest.fixture
def open_client(
    emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., TuningClient]]:
    """Opens clients of the session's emulator, each test with a home folder of its own."""
    monkeypatch.setenv("VERTEX_TUNING_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
    opened: list[TuningClient] = []

    def open_(**where: Any) -> TuningClient:
        opened.append(connect("local", **where))
        return opened[-1]

    yield open_
    for client in opened:
        client.close()


@pytest.fixture
def client(open_client: Callable[..., TuningClient]) -> TuningClient:
    """A client of the session's emulator."""
    return open_client()


@pytest.fixture(scope="session")
def tuned_name(emulator: RunningEmulator, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Name of a model with two checkpoints; not to be changed or deleted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VERTEX_TUNING_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
        with connect("local") as client:
            spec = SupervisedTuning(
                base_model="gemini-2.5-flash", training=rows(), epochs=2, display_name="opposites"
            )
            return client.tune(spec).result().name


@pytest.fixture
def tuned(client: TuningClient, tuned_name: str) -> TunedModel:
    """That model, from this test's client."""
    return client.models.get(tuned_name)
