"""Steps and pipelines, run against the session's emulator."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.running import RunningEmulator
from vertex_tuning import TuningClient, connect

PAIRS = [("hot", "cold"), ("up", "down"), ("big", "small"), ("old", "new"), ("wet", "dry")]


def rows(count: int, *, tag: str = "") -> list[dict[str, Any]]:
    """Rows that a tiny model can learn; another tag makes another data set."""
    return [
        {
            "contents": [
                {"role": "user", "parts": [{"text": f"{number}. Opposite of {word}?{tag}"}]},
                {"role": "model", "parts": [{"text": answer}]},
            ]
        }
        for number, (word, answer) in enumerate((PAIRS * count)[:count])
    ]


def pairs(count: int, *, tag: str = "") -> list[dict[str, Any]]:
    """Preferences: the opposite is liked better than the word itself."""

    def said(text: str, score: int) -> dict[str, Any]:
        return {"score": score, "completion": {"role": "model", "parts": [{"text": text}]}}

    return [
        {
            "contents": row["contents"][:1],
            "completions": [said(row["contents"][1]["parts"][0]["text"], 1), said(word, 0)],
        }
        for row, (word, _) in zip(rows(count, tag=tag), PAIRS * count, strict=False)
    ]


def write_rows(path: Path, data: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in data), encoding="utf-8")
    return path


@pytest.fixture
def home(emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this package keeps things; `connect()` in this process, and in what it starts, finds the emulator."""
    monkeypatch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
    monkeypatch.setenv("VERTEX_TUNING_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def client(home: Path) -> Iterator[TuningClient]:
    with connect() as found:
        yield found


@pytest.fixture
def train(tmp_path: Path) -> Path:
    """Eighty rows that can be tuned on; no other test has the same."""
    return write_rows(tmp_path / "train.jsonl", rows(80, tag=f" {tmp_path.name}"))


@pytest.fixture
def place(tmp_path: Path) -> Callable[[str], str]:
    """URIs of outputs of steps of one run, as its steps have them: `place("tune")`."""
    return lambda step: f"gs://bucket/root/{tmp_path.name}/{step}/out"
