"""A model of a given shape with weights of noise, and rows of a given length: what memory and speed ask for, and nothing more.

The tokenizer is that of a tiny model: its tokens are among those of any larger vocabulary.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from vertex_tuning import training
from vertex_tuning.training.chat import ChatTokenizer

TINY = Path(training.__file__).parent / "tiny" / "tiny-0.5m"
LETTERS = "abcdefghijklmnopqrstuvwxyz"

given = json.loads(sys.argv[1])
folder = Path(given["model"])
folder.mkdir(parents=True, exist_ok=True)
config = LlamaConfig(**given["shape"], max_position_embeddings=8192, bos_token_id=None, eos_token_id=2)
torch.manual_seed(0)
with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
model.save_pretrained(folder)
for path in TINY.iterdir():
    if path.name not in ("config.json", "model.safetensors"):
        shutil.copy(path, folder)

tokenizer = ChatTokenizer(folder)
pick = random.Random(0)


def chat(words: list[str]) -> list[dict[str, str]]:
    """Half of the words are asked, half are answered."""
    half = len(words) // 2
    return [
        {"role": role, "content": " ".join(part)}
        for role, part in (("user", words[:half]), ("assistant", words[half:]))
    ]


def row() -> list[dict[str, str]]:
    """As many words as the length has room for."""
    words = ["".join(pick.choices(LETTERS, k=4)) for _ in range(given["tokens"])]
    low, high = 2, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        if len(tokenizer.chat(chat(words[:middle])).ids) <= given["tokens"]:
            low = middle
        else:
            high = middle - 1
    return chat(words[:low])


def turns(messages: list[dict[str, str]]) -> list[dict[str, Any]]:
    """As Vertex AI has them."""
    roles = {"user": "user", "assistant": "model"}
    return [{"role": roles[one["role"]], "parts": [{"text": one["content"]}]} for one in messages]


def pair(messages: list[dict[str, str]]) -> dict[str, Any]:
    """The answer is preferred to the same one, backwards."""
    asked, answer = turns(messages)
    other = {"role": "model", "parts": [{"text": answer["parts"][0]["text"][::-1]}]}
    return {
        "contents": [asked],
        "completions": [{"score": 1, "completion": answer}, {"score": 0, "completion": other}],
    }


chats = [row() for _ in range(given["rows"])]
for name, rows in (
    ("examples.jsonl", [{"contents": turns(one)} for one in chats]),
    ("pairs.jsonl", [pair(one) for one in chats]),
):
    (folder / name).write_text("".join(f"{json.dumps(one)}\n" for one in rows), encoding="utf-8")
parameters = sum(one.numel() for one in model.parameters())
print(json.dumps({"parameters": parameters, "longest": max(len(tokenizer.chat(one).ids) for one in chats)}))
