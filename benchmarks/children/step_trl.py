"""The same steps by TRL's `SFTTrainer` on a GPU: the same rows in the same batches, LoRA or every weight, bf16."""

from __future__ import annotations

import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from torch.utils.data import DataLoader
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback, set_seed
from trl import SFTConfig, SFTTrainer

from vertex_tuning.training import loop, rows
from vertex_tuning.training.chat import ChatTokenizer

given = json.loads(sys.argv[1])
config = given["config"]
marks: list[float] = []


class Clock(TrainerCallback):  # type: ignore[misc]
    """When each step ended; a GPU is waited for, as ours is."""

    def on_step_end(self, *_: Any, **__: Any) -> None:
        torch.cuda.synchronize()
        marks.append(time.perf_counter())


class Trainer(SFTTrainer):  # type: ignore[misc]
    """TRL's, with our order of the rows."""

    def get_train_dataloader(self) -> Any:
        lengths = [len(example.ids) for example in examples]
        batches = [
            batch
            for epoch in range(config["epochs"])
            for batch in loop.plan(lengths, config["batch_size"], config["seed"], epoch)
        ]
        return DataLoader(self.train_dataset, batch_sampler=batches, collate_fn=self.data_collator)


set_seed(config["seed"])
tokenizer = ChatTokenizer(Path(config["model"]))
examples = [tokenizer.chat(rows.messages(row)) for _, row in rows.read(Path(config["training"]))]
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
    config["model"], dtype=getattr(torch, given["dtype"]), attn_implementation="sdpa", local_files_only=True
)
adapter = LoraConfig(
    r=config["adapter_size"],
    lora_alpha=2 * config["adapter_size"],
    lora_dropout=0.0,
    target_modules="all-linear",
    task_type="CAUSAL_LM",
)
trainer = Trainer(
    model,
    args=SFTConfig(
        output_dir=config["output"],
        bf16=True,
        per_device_train_batch_size=config["batch_size"],
        num_train_epochs=1,  # the loader holds the batches of all epochs
        max_steps=config.get("steps") or -1,
        max_length=None,
        learning_rate=config["learning_rate"],
        weight_decay=0.0,
        max_grad_norm=1.0,
        optim="adamw_torch_fused",
        gradient_checkpointing=config.get("gradient_checkpointing", False),
        gradient_checkpointing_kwargs={"use_reentrant": False},
        logging_strategy="no",
        save_strategy="no",
        eval_strategy="no",
        report_to=[],
        disable_tqdm=True,
        seed=config["seed"],
        **given["options"],
    ),
    train_dataset=data,
    processing_class=AutoTokenizer.from_pretrained(config["model"], local_files_only=True),
    peft_config=adapter if config.get("mode") != "full" else None,
    callbacks=[Clock()],
)
trainer.train()
print(
    json.dumps(
        {
            "seconds": [after - before for before, after in itertools.pairwise(marks)],
            "allocated": torch.cuda.max_memory_allocated(),
            "reserved": torch.cuda.max_memory_reserved(),
        }
    )
)
