"""The demo: the whole way, on real data, with a model that is small enough for a test."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_demo_asks_three_ways_and_tells_what_it_measured(tmp_path):
    """Its data comes from the package index; its usual model would take minutes, and has room for more examples."""
    done = subprocess.run(
        [
            Path(sys.executable).parent / "vertex-tuning",
            "demo",
            "--stand-in",
            "tiny-0.1m",
            "--rows",
            "20",
            "--json",
        ],
        env={**os.environ, "VERTEX_TUNING_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["held_out_rows"] == 20
    room = re.search(r"room for (\d) of 6 examples", done.stderr)
    assert room, done.stderr
    few = f"few-shot ({room[1]})"
    assert [system["system"] for system in found["systems"]] == ["zero-shot", few, "tuned on 100"]
    for system in found["systems"]:
        assert 0 <= system["exact_match"] <= 1
        assert 0 <= system["choice_accuracy"] <= 1
        assert system["seconds"] > 0
    assert found["systems"][2]["training_seconds"] > 0
    gain = found["gain"]
    assert -1 <= gain["low"] <= gain["estimate"] <= gain["high"] <= 1
    assert "Pang and Lee" in done.stderr
