"""The loss per answer token of an adapter on rows that nobody has trained on, in fp32."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from vertex_tuning.training import rows
from vertex_tuning.training.chat import ChatTokenizer

BATCH = 16

given = json.loads(sys.argv[1])
torch.set_num_threads(given["threads"])
tokenizer = ChatTokenizer(Path(given["model"]))
examples = [tokenizer.chat(rows.messages(row)) for _, row in rows.read(Path(given["rows"]))]
examples.sort(key=lambda example: len(example.ids))
base = AutoModelForCausalLM.from_pretrained(given["model"], dtype=torch.float32, local_files_only=True)
model = PeftModel.from_pretrained(base, given["adapter"]).eval().get_base_model()
total = tokens = 0.0
for start in range(0, len(examples), BATCH):
    batch = examples[start : start + BATCH]
    length = max(len(example.ids) for example in batch)
    # Padding stands to the right, where causal attention never looks.
    ids = torch.zeros((len(batch), length), dtype=torch.long)
    answer = torch.zeros((len(batch), length), dtype=torch.bool)
    for row, example in enumerate(batch):
        ids[row, : len(example.ids)] = torch.tensor(example.ids)
        answer[row, : len(example.ids)] = torch.tensor(example.learn)
    with torch.no_grad():
        hidden = model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
        logits = model.get_output_embeddings()(hidden[answer[:, 1:]])
        wanted = ids[:, 1:][answer[:, 1:]]
        total += float(torch.nn.functional.cross_entropy(logits, wanted, reduction="sum"))
    tokens += len(wanted)
print(json.dumps({"loss": total / tokens, "answer_tokens": int(tokens)}))
