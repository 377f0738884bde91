"""What tests of samples share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.running import RunningEmulator
from tests.samples.repositories import Repository

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A user's repository: samples/ci, and data."""
    folder = tmp_path / "repository"
    shutil.copytree(SAMPLES / "ci", folder)
    (folder / "data").mkdir()
    for name, source in {"train": "train", "validation": "validation", "held-out": "validation"}.items():
        shutil.copy(SAMPLES / "data" / f"tickets-{source}.jsonl", folder / "data" / f"{name}.jsonl")
    return Repository(folder)


@pytest.fixture
def vertex(start_emulator, repository: Repository) -> RunningEmulator:
    """An emulator in the place of Vertex AI: the project of the sample's settings."""
    return start_emulator("--config", str(repository.folder / "vertex-tuning.toml"))
