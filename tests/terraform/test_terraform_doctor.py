"""From an apply to a project that doctor finds nothing wrong with, by the commands that the README names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.running import RunningEmulator
from tests.terraform.checks import COMPLETE, MINIMAL
from tests.terraform.conftest import Made


@pytest.fixture
def command(tmp_path: Path, terraform: Path) -> Callable[..., Any]:
    """Runs `vertex-tuning` as people do, in a folder of its own; the status, and what it printed as JSON."""

    def run(*arguments: str, address: str = "") -> tuple[int, Any]:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("VERTEX_TUNING_")},
            "PATH": f"{terraform.parent}:{os.environ['PATH']}",
            "VERTEX_TUNING_HOME": str(tmp_path / "home"),
            **({"VERTEX_TUNING_EMULATOR": address} if address else {}),
        }
        done = subprocess.run(
            [sys.executable, "-m", "vertex_tuning", *arguments, "--json"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, json.loads(done.stdout or done.stderr)

    return run


@pytest.fixture
def made_here(
    made: Callable[..., Made],
    command: Callable[..., Any],
    start_emulator: Callable[..., RunningEmulator],
    tmp_path: Path,
) -> Callable[[str], RunningEmulator]:
    """Starts an emulator that knows an example from Terraform's own state: what is not in it, is not there."""

    def start(example: str) -> RunningEmulator:
        project = made(example)
        state = tmp_path / "state.json"
        state.write_text(json.dumps(project.space.show(example)), encoding="utf-8")
        command("init", "--from-terraform", str(project.space.folder / example))
        return start_emulator("--config", str(tmp_path / "vertex-tuning.toml"), "--seed", str(state))

    return start


def ids(report: dict[str, Any], status: str) -> set[str]:
    """Rules of what was found with a status; of what has no rule, where it is."""
    return {one["rule"] or one["where"] for one in report["findings"] if one["status"] == status}


@pytest.mark.parametrize("example", [MINIMAL, COMPLETE])
def test_after_an_apply_init_and_doctor_find_a_project_that_is_ready(
    example: str,
    made: Callable[..., Made],
    command: Callable[..., Any],
    start_emulator: Callable[..., RunningEmulator],
    tmp_path: Path,
):
    folder = made(example).space.folder / example
    status, written = command("init", "--from-terraform", str(folder))
    assert (status, written["written"]) == (0, True), written
    emulator = start_emulator("--config", str(tmp_path / "vertex-tuning.toml"))
    status, report = command("doctor", "--target", "local", "--strict", address=emulator.address)
    assert status == 0, report
    assert ids(report, "fault") == ids(report, "warning") == ids(report, "not seen") == set()


def test_what_terraform_grants_is_all_that_doctor_asks_for(
    made_here: Callable[[str], RunningEmulator], command: Callable[..., Any]
):
    emulator = made_here(COMPLETE)
    status, report = command("doctor", "--target", "local", address=emulator.address)
    assert (status, ids(report, "fault")) == (0, set()), report


def test_the_agents_that_tune_come_in_two_steps(
    made_here: Callable[[str], RunningEmulator], command: Callable[..., Any]
):
    """As the README tells it: applied without them, they are made, and then they lack what the second apply gives."""
    emulator = made_here(MINIMAL)
    status, report = command("doctor", "--target", "local", address=emulator.address)
    assert (status, ids(report, "fault"), ids(report, "warning")) == (0, set(), {"VT145"}), report
    assert report["commands"] == ["vertex-tuning init --make-agents"]

    status, made_now = command(
        "init", "--make-agents", "--yes", "--target", "local", address=emulator.address
    )
    assert status == 0, made_now
    status, report = command("doctor", "--target", "local", address=emulator.address)
    assert (status, ids(report, "fault")) == (1, {"VT144"}), report
    assert report["terraform"] == ["tuning_agents = { gemini = true, open_models = true }"]
