"""The same run by TRL's `SFTTrainer`, in a process that has imported everything; on a GPU, where there is one.

It learns the same tokens, in the same batches and at the same rates, from adapters that start alike: then the same comes out of
it, but for rounding. (Only the mean of many runs could show that with batches of its own: on a hundred rows, another order moves
the loss by 10 % and more.) Our batches cost it no time: they hold less padding than those of its own `group_by_length`.

Whatever costs time without training is off: logging, saving, evaluation, gradient checkpointing, the progress bar.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
import transformers
from datasets import Dataset
from peft import LoraConfig
from torch.utils.data import DataLoader
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback, set_seed
from trl import SFTConfig, SFTTrainer

from vertex_tuning.training import loop, rows
from vertex_tuning.training.chat import ChatTokenizer

given = json.loads(sys.argv[1])
plain_loss = given["options"].pop("plain_loss", False)  # no option of TRL's
gpu = torch.cuda.is_available()
marks: list[tuple[float, float]] = []


class Clock(TrainerCallback):  # type: ignore[misc]
    """When the loop begins, and when each step has been taken."""

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        marks.append((time.perf_counter(), time.process_time()))

    def on_step_end(self, *_: Any, **__: Any) -> None:
        if gpu:
            torch.cuda.synchronize()
        marks.append((time.perf_counter(), time.process_time()))


class Trainer(SFTTrainer):  # type: ignore[misc]
    """TRL's, with our order of the rows, and our warm-up (that of `transformers` begins with a step at a rate of zero)."""

    def get_train_dataloader(self) -> Any:
        lengths = [len(example.ids) for example in examples]
        epochs = range(given["epochs"])
        batches = [
            batch
            for epoch in epochs
            for batch in loop.plan(lengths, given["batch_size"], given["seed"], epoch)
        ]
        return DataLoader(self.train_dataset, batch_sampler=batches, collate_fn=self.data_collator)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer or self.optimizer, lambda step: loop.schedule(step, num_training_steps)
        )
        return self.lr_scheduler

    def compute_loss(self, model: Any, inputs: Any, **options: Any) -> Any:
        if not plain_loss:
            return super().compute_loss(model, inputs, **options)
        return transformers.Trainer.compute_loss(self, model, {**inputs, "use_cache": False}, **options)


torch.set_num_threads(given["threads"])
set_seed(given["seed"])
tokenizer = ChatTokenizer(Path(given["model"]))
examples = [tokenizer.chat(rows.messages(row)) for _, row in rows.read(Path(given["training"]))]
data = Dataset.from_list(
    [
        {
            "input_ids": example.ids,
            "labels": [
                token if learn else -100 for token, learn in zip(example.ids, example.learn, strict=True)
            ],
        }
        for example in examples
    ]
)
model = AutoModelForCausalLM.from_pretrained(
    given["model"],
    dtype=getattr(torch, given.get("dtype", "float32")),
    attn_implementation="sdpa",
    local_files_only=True,
)
settings = {
    "output_dir": given["output"],
    "use_cpu": not gpu,
    "bf16": given["bf16"],
    "per_device_train_batch_size": given["batch_size"],
    "num_train_epochs": 1,  # the loader holds the batches of all epochs
    "max_steps": given.get("steps") or -1,
    "learning_rate": given["learning_rate"],
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "optim": "adamw_torch_fused",
    "gradient_checkpointing": given.get("gradient_checkpointing", False),
    "gradient_checkpointing_kwargs": {"use_reentrant": False},
    "logging_strategy": "no",
    "save_strategy": "no",
    "eval_strategy": "no",
    "report_to": [],
    "disable_tqdm": True,
    "seed": given["seed"],
    **given["options"],
}
trainer = Trainer(
    model,
    args=SFTConfig(**settings),
    train_dataset=data,
    processing_class=AutoTokenizer.from_pretrained(given["model"], local_files_only=True),
    peft_config=LoraConfig(
        r=given["adapter_size"],
        lora_alpha=2 * given["adapter_size"],
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    ),
    callbacks=[Clock()],
)
trainer.train()
trainer.save_model(given["output"])
print(
    json.dumps(
        {
            "tokens_per_epoch": sum(len(example.ids) for example in examples),
            "epochs": given["epochs"],
            "steps": trainer.state.global_step,
            "loop_seconds": marks[-1][0] - marks[0][0],
            "loop_cpu_seconds": marks[-1][1] - marks[0][1],
            "seconds": [after - before for (before, _), (after, _) in itertools.pairwise(marks[1:])],
            "allocated": torch.cuda.max_memory_allocated() if gpu else None,
            "reserved": torch.cuda.max_memory_reserved() if gpu else None,
            "adapter": given["output"],
        }
    )
)
