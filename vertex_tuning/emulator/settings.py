"""What an emulator is told at its start."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from vertex_tuning.config import home

if TYPE_CHECKING:
    from vertex_tuning.emulator.project.given import Given

DEFAULT_PORT = 8085
DEFAULT_PROJECT = "vertex-tuning-local"
DEFAULT_PROJECT_NUMBER = "123456789012"
DEFAULT_LOCATION = "us-central1"
DEFAULT_SPEED = 3600.0
"""Of a simulation: a job of three hours in three seconds."""


def processors() -> int:
    """CPUs that this process, and what it starts, may use: as many threads compute."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # not Linux


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one emulator process."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    """0: any free port."""
    data_dir: Path = field(default_factory=lambda: home() / "emulator")
    weights_dir: Path = field(default_factory=lambda: home() / "weights")
    """Converted stand-in weights, shared by all emulators of this user."""
    project: str = DEFAULT_PROJECT
    project_number: str = DEFAULT_PROJECT_NUMBER
    location: str = DEFAULT_LOCATION
    stand_in: str | None = None
    """Serve every base model by this one stand-in, whatever the catalog says."""
    token: str | None = None
    """Demanded on every call where `host` is not loopback."""
    forward: bool = True
    """Whether the front door lets hosts through that are not Google's, for callers on loopback."""

    local_code: bool = True
    """Whether code of a user's is run (code rewards, behind walls; custom jobs, pipelines) at all."""
    local_images: tuple[str, ...] = ("*/vertex-tuning*",)
    """Patterns of images whose command a custom job may run as a process here; without tag and digest."""

    drop_media: bool = False
    """Leave rows out that a stand-in cannot see or hear, instead of failing their job."""

    simulate: float | None = None
    """Go through jobs without training, on a clock that runs so many times as fast as the machine's; None: train."""

    maps: Mapping[str, str] = field(default_factory=dict)
    """Hosts of rewards in the cloud, and the addresses on this machine that stand in for them; see `rewards.maps`."""

    given: Given | None = None
    """What its project is provisioned with; None: any project exists, and all is welcome in it."""

    strict: bool = False
    """Hold every answer against Google's schema; one that does not fit is an internal error. For tests."""

    def number_of(self, project: str) -> str:
        """The number of a project, given by id or number: names that we return carry numbers, as Google's do."""
        if project.isdigit():
            return project
        if project == self.project:
            return self.project_number
        # Any project exists here; its number is derived, so that it is the same after a restart.
        return str(10**11 + int.from_bytes(hashlib.sha256(project.encode()).digest()[:5]) % (9 * 10**11))
