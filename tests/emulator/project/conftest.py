"""Emulators that are a project: that of the settings below, as far as a seed does not say otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.emulator.project.settings import SETTINGS
from tests.running import RunningEmulator


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEmulator]:
    """The project as it should be, for the tests of one file."""
    folder = tmp_path_factory.mktemp("healthy")
    (folder / "settings.toml").write_text(SETTINGS.to_toml(), encoding="utf-8")
    running = RunningEmulator(folder / "data", "--config", str(folder / "settings.toml"))
    yield running
    assert running.stop() == 0


@pytest.fixture
def start_project(
    start_emulator: Callable[..., RunningEmulator], tmp_path: Path
) -> Callable[..., RunningEmulator]:
    """`start_project('[services]...')`: with seeds, TOML each; the same folder again and again."""

    def start(*seeds: str, options: tuple[str, ...] = ()) -> RunningEmulator:
        (tmp_path / "settings.toml").write_text(SETTINGS.to_toml(), encoding="utf-8")
        arguments = ["--config", str(tmp_path / "settings.toml"), *options]
        for number, seed in enumerate(seeds):
            (tmp_path / f"seed-{number}.toml").write_text(seed, encoding="utf-8")
            arguments += ["--seed", str(tmp_path / f"seed-{number}.toml")]
        return start_emulator(*arguments)

    return start
