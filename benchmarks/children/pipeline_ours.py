"""Run a compiled pipeline as `pipeline run` does, twice. Prints seconds: of a step, of the run, and of the second one."""

from __future__ import annotations

import json
import statistics
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from vertex_tuning.pipelines import compiled, running

given: dict[str, Any] = json.loads(sys.argv[1])
spec = compiled.load(given["spec"]).spec
took, steps = [], []
for _ in range(2):
    started = time.perf_counter()
    run = running.run(spec, {}, root=Path(given["folder"]) / "outputs")
    run.wait()
    took.append(time.perf_counter() - started)
    assert run.state == "SUCCEEDED", run.error
    steps.append(
        [
            (datetime.fromisoformat(task.ended) - datetime.fromisoformat(task.started)).total_seconds()
            for task in run.tasks.values()
        ]
    )
print(json.dumps({"step": statistics.median(steps[0]), "run": took[0], "again": took[1]}))
