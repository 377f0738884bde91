"""The same steps by TRL's `GRPOTrainer`: the same prompts, as many answers of as many tokens, the same reward and adapters.

Whatever costs time without training is off: logging, saving, evaluation, gradient checkpointing, a reference model, the
progress bar.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback, set_seed
from trl import GRPOConfig, GRPOTrainer

from vertex_tuning.training import rows

given = json.loads(sys.argv[1])
config = given["config"]
marks: list[tuple[float, float]] = []
earned: list[float] = []


class Clock(TrainerCallback):  # type: ignore[misc]
    """When each step ended."""

    def on_step_end(self, *_: Any, **__: Any) -> None:
        marks.append((time.perf_counter(), time.process_time()))


def right(completions: list[Any], answer: list[str], **_: Any) -> list[float]:
    """1 for the right answer, 0 for any other."""
    scores = [
        float(completion[0]["content"] == wanted)
        for completion, wanted in zip(completions, answer, strict=True)
    ]
    earned.append(sum(scores) / len(scores))
    return scores


torch.set_num_threads(config["threads"])
set_seed(config["seed"])
asked = [row for _, row in rows.read(Path(config["training"]))]
data = Dataset.from_list(
    [{"prompt": rows.messages(row), "answer": row["references"]["answer"]} for row in asked]
)
several = config["batch_size"] * config["samples_per_prompt"]
trainer = GRPOTrainer(
    model=AutoModelForCausalLM.from_pretrained(
        config["model"], dtype=torch.float32, attn_implementation="sdpa", local_files_only=True
    ),
    reward_funcs=right,
    args=GRPOConfig(
        output_dir=config["output"],
        use_cpu=True,
        bf16=given["bf16"],
        per_device_train_batch_size=several,
        num_generations=config["samples_per_prompt"],
        max_completion_length=config["max_output_tokens"],
        max_steps=config["steps"],
        learning_rate=config["learning_rate"],
        temperature=1.0,
        beta=0.0,
        weight_decay=0.0,
        optim="adamw_torch_fused",
        gradient_checkpointing=False,
        logging_strategy="no",
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        seed=config["seed"],
    ),
    train_dataset=data,
    processing_class=AutoTokenizer.from_pretrained(config["model"], local_files_only=True),
    peft_config=LoraConfig(
        r=config["adapter_size"],
        lora_alpha=2 * config["adapter_size"],
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    ),
    callbacks=[Clock()],
)
trainer.train()
(began, began_cpu), (ended, ended_cpu) = marks[0], marks[-1]
print(
    json.dumps(
        {
            "seconds": (ended - began) / (len(marks) - 1),
            "cpu_seconds": (ended_cpu - began_cpu) / (len(marks) - 1),
            "rewards": earned,
        }
    )
)
