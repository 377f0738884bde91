"""How long answers take a model: of so many tokens, one at a time, as somebody waits for them; and how fast it speaks at length.

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
AT_LENGTH = 32
"""Tokens of an answer by which speed is told: of an answer of two, most of the time is the question's."""

given = json.loads(sys.argv[1])
torch.set_num_threads(given["threads"])
tokenizer = ChatTokenizer(Path(given["model"]))
model: Any = AutoModelForCausalLM.from_pretrained(given["model"], dtype=torch.float32, local_files_only=True)
model.eval()
asked = [tokenizer.prompt(rows.messages(row)) for _, row in rows.read(Path(given["prompts"]))]


def generate(prompts: list[list[int]], tokens: int) -> float:
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
            min_new_tokens=tokens,
            max_new_tokens=tokens,
        )
    return time.perf_counter() - began


answers = [generate([prompt], given["tokens"]) for prompt in asked[: WARM + TIMED]][WARM:]
single = [generate([prompt], AT_LENGTH) for prompt in asked[:TIMED]]
together = [generate(asked[:TOGETHER], AT_LENGTH) for _ in range(4)][1:]
print(
    json.dumps(
        {
            "parameters": model.num_parameters(),
            "seconds": statistics.median(answers),
            "tokens_per_second": AT_LENGTH / statistics.median(single),
            "tokens_per_second_together": TOGETHER * AT_LENGTH / statistics.median(together),
            "prompt_tokens": statistics.fmean(map(len, asked)),
            "answer_tokens": given["tokens"],
        }
    )
)
