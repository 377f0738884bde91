"""A project that has everything, at an emulator that was started with its settings; and what differs from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.running import RunningEmulator
from vertex_tuning import Diagnosis, connect
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


@pytest.fixture
def place(
    start_emulator: Callable[..., RunningEmulator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., RunningEmulator]:
    """Starts an emulator that is the project, but for what a seed says, and works from a folder with the settings.

    `place('[services]...', number="1")`: settings that are given differ in the folder alone; those of `there`, at the emulator too.
    """

    def start(seed: str = "", *, there: dict[str, str] | None = None, **differs: str) -> RunningEmulator:
        project = replace(SETTINGS, **(there or {}))
        files = {"project.toml": project.to_toml(), "seed.toml": seed}
        for name, text in files.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        replace(project, **differs).write(tmp_path / "vertex-tuning.toml")
        monkeypatch.chdir(tmp_path)
        seeded = ["--seed", str(tmp_path / "seed.toml")] if seed else []
        emulator = start_emulator("--config", str(tmp_path / "project.toml"), *seeded)
        monkeypatch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
        monkeypatch.setenv("VERTEX_TUNING_HOME", str(tmp_path / "home"))
        return emulator

    return start


@pytest.fixture
def diagnose(place: Callable[..., RunningEmulator]) -> Callable[..., Diagnosis]:
    """What `doctor` finds there: arguments as of `place`."""

    def look(seed: str = "", **settings: object) -> Diagnosis:
        place(seed, **settings)
        with connect() as client:
            return client.doctor()

    return look
