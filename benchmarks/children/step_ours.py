"""Some steps of our training on whatever device there is: seconds and tokens of each, and the most memory that a GPU held."""

from __future__ import annotations

import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

from vertex_tuning.training import methods

given = json.loads(sys.argv[1])
marks: list[float] = []
losses: list[float] = []
done: dict[str, Any] = {}


def report(event: dict[str, Any]) -> None:
    """When each step ended: by then its loss is known, so that nothing of it is still under way."""
    if event["event"] == "failed":
        raise SystemExit(event["message"])
    if event["event"] == "step":
        marks.append(time.perf_counter())
        losses.append(event["loss"])
    if event["event"] == "done":
        done.update(event)


methods.run(given["method"], given["config"], report)
gpu = torch.cuda.is_available()
checkpoint = f"{given['config']['output']}/checkpoints/{done['checkpoints'][-1]['checkpoint_id']}"
print(
    json.dumps(
        {
            "seconds": [after - before for before, after in itertools.pairwise(marks)],
            "losses": losses,
            "checkpoint": str(Path(checkpoint)),
            "allocated": torch.cuda.max_memory_allocated() if gpu else None,
            "reserved": torch.cuda.max_memory_reserved() if gpu else None,
        }
    )
)
