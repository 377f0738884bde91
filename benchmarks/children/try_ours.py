"""Some steps of our reinforcement tuning, in a process that has imported everything."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from vertex_tuning.training import methods

given = json.loads(sys.argv[1])
marks: list[tuple[float, float]] = []
rewards: list[float] = []


def report(event: dict[str, Any]) -> None:
    """When each step ended; the clock runs from the end of the first, in which weights are cast and caches filled."""
    if event["event"] == "failed":
        raise SystemExit(event["message"])
    if event["event"] == "step":
        marks.append((time.perf_counter(), time.process_time()))
        rewards.append(event["/train_mean_reward"])


methods.run("reinforcement", given["config"], report)
(began, began_cpu), (ended, ended_cpu) = marks[0], marks[-1]
print(
    json.dumps(
        {
            "seconds": (ended - began) / (len(marks) - 1),
            "cpu_seconds": (ended_cpu - began_cpu) / (len(marks) - 1),
            "rewards": rewards,
        }
    )
)
