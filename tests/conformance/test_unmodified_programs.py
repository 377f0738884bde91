"""Programs that know nothing of an emulator, run with nothing but what `vertex-tuning emulator env` prints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.projects import SETTINGS, settle

PROGRAMS = Path(__file__).parent / "programs"


def run(emulator, name: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(PROGRAMS / name), *arguments],
        env=emulator.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_programs_do_not_name_the_emulator():
    for program in PROGRAMS.iterdir():
        source = program.read_text(encoding="utf-8").partition('"""\n')[2].lower()
        assert "emulator" not in source
        assert "127.0.0.1" not in source
        assert "vertex_tuning" not in source


def test_google_genai_tunes_generates_and_tunes_on(emulator):
    said = run(emulator, "genai_tuning.py")
    assert "tuned on" in said


def test_vertexai_tunes_over_grpc(emulator):
    assert "succeeded" in run(emulator, "vertexai_sft.py")


def test_batches_are_answered_over_rest_and_grpc(emulator):
    said = run(emulator, "vertexai_batch.py")
    assert "google-genai 12" in said
    assert "vertexai 12" in said


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["rest", "grpc"])
def test_aiplatform_runs_pipelines(emulator, transport):
    said = run(emulator, "aiplatform_pipelines.py", transport)
    assert all(word in said for word in ("succeeded", "failed", "cancelled", "scheduled", "deleted"))


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["rest", "grpc"])
def test_kfp_keeps_pipelines_in_a_registry_and_aiplatform_submits_them(start_emulator, tmp_path, transport):
    said = run(settle(tmp_path, start_emulator), "kfp_registry.py", str(SETTINGS.templates), transport)
    assert "submitted by its address" in said
    assert "deleted" in said


@pytest.mark.slow
def test_aiplatform_uploads_deploys_and_asks_over_grpc(emulator):
    assert "deployed" in run(emulator, "vertexai_models.py")


def test_vertexai_keeps_prompts_over_grpc_and_rest(emulator):
    assert "kept" in run(emulator, "vertexai_prompts.py")


@pytest.mark.slow
def test_cloud_storage_moves_a_hundred_mebibytes(emulator):
    assert "stored" in run(emulator, "cloud_storage.py")
