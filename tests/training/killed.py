"""A run that is killed after its first checkpoint, and begun once more."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from vertex_tuning.training.config import TrainingConfig


def killed_and_begun_again(settings: TrainingConfig, path: Path) -> list[dict[str, Any]]:
    """Events of the second run; `path` is where the settings are written."""
    path.write_text(json.dumps(settings.to_json()), encoding="utf-8")
    command = [sys.executable, "-W", "ignore", "-m", "vertex_tuning.training", "--method", settings.method]
    command += ["--config", str(path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "checkpoint":
            os.kill(process.pid, signal.SIGKILL)
            break
    process.wait()
    process.stdout.close()
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return [json.loads(line) for line in done.stdout.splitlines()]
