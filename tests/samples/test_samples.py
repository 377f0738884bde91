"""Every sample runs, and says what it promises to say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[2] / "samples"
SAYS = {
    "01_check_data.py": ["120 rows", "ready to tune", "VT203", "VT208", "VT218"],
    "02_tune.py": ["/tuningJobs/", "@1", "->", "genai.Client"],
    "03_follow.py": ["step", "loss:"],
    "04_checkpoints.py": ["checkpoint 4 (epoch 4)", "serves checkpoint"],
    "05_tune_on.py": ["@1", "@2"],
    "06_plain_google_genai.py": ["JOB_STATE_SUCCEEDED", "/endpoints/"],
    "07_async.py": ["multiplier 2.0: validation loss"],
    "08_preference.py": ["preferred, before: ", "preferred, after:  1.00"],
    "09_batch.py": ["20 answered, 0 refused", "ticket-19: ", "/prediction-model-"],
    "10_reinforcement.py": [
        *("128 answers to 16 prompts", "step 16: ", "one word: "),
        *("mean reward on held-out prompts: ", " before, ", " after"),
    ],
    "12_evaluate.py": [
        "label_accuracy: ",
        "95%: ",
        "The gate is ",
        "rows were compared",
        "report.html",
        "base: gemini",
    ],
    "13_pipeline.py": ["tune-model: succeeded", "has succeeded", "# The gate is ", "report: "],
    "11_distillation.py": ["the teacher answered 120 messages", "teacher: ", "student: ", " after"],
}


def test_no_sample_is_left_out():
    assert {path.name for path in SAMPLES.glob("*.py")} == set(SAYS)
    page = (SAMPLES / "README.md").read_text(encoding="utf-8")
    assert [name for name in SAYS if name not in page] == []


@pytest.mark.parametrize("name", sorted(SAYS))
def test_a_sample_runs(emulator, tmp_path, name):
    if name == "06_plain_google_genai.py":
        environment = emulator.environment
    else:
        environment = {**os.environ, "VERTEX_TUNING_EMULATOR": emulator.address}
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", str(SAMPLES / name)],
        env={**environment, "VERTEX_TUNING_HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for words in SAYS[name]:
        assert words in done.stdout
