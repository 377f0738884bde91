"""One run of `vertex_tuning.training.supervised`, in a process that has imported everything: how long, and how long its loop."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from accelerate import Accelerator
from peft import LoraConfig  # noqa: F401  # the trainer imports it when it is needed; the emulator's has it by then
from transformers.models.llama.modeling_llama import LlamaForCausalLM  # noqa: F401

from vertex_tuning.training import loop, supervised
from vertex_tuning.training.config import SupervisedConfig

prepare = Accelerator.prepare
marks: list[tuple[float, float]] = []
found: dict[str, Any] = {}


def marked(self: Accelerator, *parts: Any, **options: Any) -> Any:
    """The loop begins where everything is loaded and prepared, which is what TRL's `on_train_begin` says too."""
    prepared = prepare(self, *parts, **options)
    marks.append((time.perf_counter(), time.process_time()))
    return prepared


def report(event: loop.Event) -> None:
    """Note what is needed of the events."""
    if event["event"] == "step":
        marks[1:] = [(time.perf_counter(), time.process_time())]
    elif event["event"] == "dataset":
        # The billable count of the service is that of all epochs; these are of one.
        read, answers = (
            int(event["stats"]["supervisedTuningDataStats"][f"user{side}TokenDistribution"]["sum"])
            for side in ("Input", "Output")
        )
        found.update(tokens_per_epoch=read + answers, answers_per_epoch=answers)
    elif event["event"] == "done":
        found.update(steps=event["steps"], epochs=event["epochs"])
    elif event["event"] == "failed":
        raise SystemExit(event["message"])


Accelerator.prepare = marked
config = SupervisedConfig.from_json(json.loads(sys.argv[1]))
started = time.perf_counter()
supervised.run(config, report)
found.update(
    seconds=time.perf_counter() - started,
    loop_seconds=marks[1][0] - marks[0][0],
    loop_cpu_seconds=marks[1][1] - marks[0][1],
    adapter=f"{config.output}/checkpoints/1",
)
print(json.dumps(found))
