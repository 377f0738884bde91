"""A project that has everything, at an emulator that is started with its settings, but for what a seed says."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from tests.running import RunningEmulator
from vertex_tuning.config import Config

PROJECT = "demo-tuning"
NUMBER = "123456789012"
KEY = f"projects/{PROJECT}/locations/us-central1/keyRings/vt-us-central1/cryptoKeys/vt-data"
SETTINGS = Config(
    target="local",
    project=PROJECT,
    location="us-central1",
    bucket="demo-tuning-vt-datasets",
    project_number=NUMBER,
    pipelines_bucket="demo-tuning-vt-pipelines",
    artifacts_bucket="demo-tuning-vt-artifacts",
    service_account=f"vt-runner@{PROJECT}.iam.gserviceaccount.com",
    submitter=f"vt-submitter@{PROJECT}.iam.gserviceaccount.com",
    scheduler=f"vt-scheduler@{PROJECT}.iam.gserviceaccount.com",
    reward_account=f"vt-reward@{PROJECT}.iam.gserviceaccount.com",
    images=f"us-central1-docker.pkg.dev/{PROJECT}/vt-images",
    templates=f"https://us-central1-kfp.pkg.dev/{PROJECT}/vt-pipelines",
    kms_key=KEY,
    reward_uri=f"https://vt-reward-{NUMBER}.us-central1.run.app",
    endpoint=f"projects/{PROJECT}/locations/us-central1/endpoints/7",
    network_attachment=f"projects/{PROJECT}/regions/us-central1/networkAttachments/vt-psc",
    labels={"app": "vertex-tuning"},
)


def settle(
    folder: Path,
    start: Callable[..., RunningEmulator],
    seed: str = "",
    *,
    there: dict[str, str] | None = None,
    more: tuple[str, ...] = (),
    **differs: str,
) -> RunningEmulator:
    """Start an emulator that is the project, and write the settings into a folder.

    Args:
        folder: For the settings file of whoever asks.
        start: The fixture `start_emulator`.
        seed: What differs, in TOML.
        there: Settings that are others, at the emulator too.
        more: Further options of the emulator.
        **differs: Settings that are others in the folder alone.
    """
    project = replace(SETTINGS, **(there or {}))
    (folder / "project.toml").write_text(project.to_toml(), encoding="utf-8")
    (folder / "seed.toml").write_text(seed, encoding="utf-8")
    replace(project, **differs).write(folder / "vertex-tuning.toml")
    return start("--config", str(folder / "project.toml"), "--seed", str(folder / "seed.toml"), *more)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[RunningEmulator]:
    """An emulator that is the project, to the end of the block: for the tests of one file."""
    emulator = settle(folder, lambda *options: RunningEmulator(folder / "data", *options))
    yield emulator
    assert emulator.stop() == 0
