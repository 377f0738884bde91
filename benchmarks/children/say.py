"""How long answers of so many tokens take a model: one at a time, as somebody waits for them, and many together.

Every answer has as many tokens as asked for, so that what is timed is the model, and not what it happens to say.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from vertex_tuning.training import rows
from vertex_tuning.training.chat import ChatTokenizer

TIMED, WARM, TOGETHER = 40, 5, 64

given = json.loads(sys.argv[1])
torch.set_num_threads(given["threads"])
tokenizer = ChatTokenizer(Path(given["model"]))
model: Any = AutoModelForCausalLM.from_pretrained(given["model"], dtype=torch.float32, local_files_only=True)
model.eval()
asked = [tokenizer.prompt(rows.messages(row)) for _, row in rows.read(Path(given["prompts"]))]


def generate(prompts: list[list[int]]) -> float:
    """Seconds."""
    length = max(map(len, prompts))
    ids = torch.tensor([[0] * (length - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (length - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    began = time.perf_counter()
    with torch.no_grad():
        model.generate(
            input_ids=ids,
            attention_mask=mask,
            do_sample=False,
            pad_token_id=0,
            min_new_tokens=given["tokens"],
            max_new_tokens=given["tokens"],
        )
    return time.perf_counter() - began


single = [generate([prompt]) for prompt in asked[: WARM + TIMED]][WARM:]
together = [generate(asked[:TOGETHER]) for _ in range(4)][1:]
print(
    json.dumps(
        {
            "parameters": model.num_parameters(),
            "seconds": statistics.median(single),
            "tokens_per_second": given["tokens"] / statistics.median(single),
            "tokens_per_second_together": TOGETHER * given["tokens"] / statistics.median(together),
            "prompt_tokens": statistics.fmean(map(len, asked)),
            "answer_tokens": given["tokens"],
        }
    )
)
