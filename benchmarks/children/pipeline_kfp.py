"""Run a compiled pipeline with `kfp.local` here, twice. Prints seconds: of a step, of the run, and of the second one."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from kfp import components, local

given: dict[str, Any] = json.loads(sys.argv[1])
folder = Path(given["folder"])
local.init(
    local.SubprocessRunner(use_venv=False),
    pipeline_root=str(folder / "outputs"),
    enable_caching=True,
    cache_root=str(folder / "cache"),
)
pipeline = components.load_component_from_file(given["spec"])
took = []
for _ in range(2):
    started = time.perf_counter()
    pipeline(number=1)
    took.append(time.perf_counter() - started)
steps = len(pipeline.pipeline_spec.root.dag.tasks)
print(json.dumps({"step": took[0] / steps, "run": took[0], "again": took[1]}))
