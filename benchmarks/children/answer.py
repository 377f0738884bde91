"""Let a model answer prompts, taking the likeliest token each time, as a teacher does in distillation; and how quick it is alone.

Writes each prompt with its answer. Prints how many answers came to an end, and tokens a second of one answer at a time.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from vertex_tuning.data import questions
from vertex_tuning.training import rows
from vertex_tuning.training.chat import ChatTokenizer

BATCH, MOST = 64, 16
TIMED, TIMED_TOKENS = 10, 32

given = json.loads(sys.argv[1])
torch.set_num_threads(given["threads"])
tokenizer = ChatTokenizer(Path(given["model"]))
ends = sorted(tokenizer.end_ids)
model: Any = AutoModelForCausalLM.from_pretrained(given["model"], dtype=torch.float32, local_files_only=True)
if given["adapter"]:
    model = PeftModel.from_pretrained(model, given["adapter"]).merge_and_unload()
model.eval()


def generate(prompts: list[list[int]], **options: Any) -> Any:
    """New tokens behind each prompt; padding stands to the left."""
    length = max(map(len, prompts))
    ids = torch.tensor([[0] * (length - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (length - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    with torch.no_grad():
        made = model.generate(
            input_ids=ids,
            attention_mask=mask,
            do_sample=False,
            eos_token_id=ends,
            pad_token_id=ends[0],
            **options,
        )
    return made[:, length:]


asked = [row for _, row in rows.read(Path(given["prompts"]))]
prompts = [tokenizer.prompt(rows.messages(row)) for row in asked]
answered = []
for start in range(0, len(asked), BATCH):
    made = generate(prompts[start : start + BATCH], max_new_tokens=MOST)
    for row, tokens in zip(asked[start : start + BATCH], made.tolist(), strict=True):
        if any(token in tokenizer.end_ids for token in tokens):
            answer = {"role": "model", "parts": [{"text": tokenizer.decode(tokens).strip()}]}
            body = questions.request(row)
            answered.append({**body, "contents": [*body["contents"], answer]})
Path(given["out"]).write_text("".join(json.dumps(row) + "\n" for row in answered), encoding="utf-8")

generate(prompts[:1], max_new_tokens=TIMED_TOKENS)
began = time.perf_counter()
for prompt in prompts[:TIMED]:
    generate([prompt], min_new_tokens=TIMED_TOKENS, max_new_tokens=TIMED_TOKENS)
speed = TIMED * TIMED_TOKENS / (time.perf_counter() - began)
print(
    json.dumps(
        {
            "answered": len(answered),
            "asked": len(asked),
            "tokens_per_second": speed,
            "parameters": model.num_parameters(),
        }
    )
)
