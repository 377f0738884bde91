"""Train one model by one way, and ask it what nobody has trained on.

For each held-out question: what the model gives the right answer and the wrong one (logarithms), and whether it says the right
one word for word where it takes the likeliest token each time. That needs no generation: it does if each token of the right
answer, the end of the turn included, is the likeliest after those before it. In fp32.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from vertex_tuning.training import examples, methods, rows
from vertex_tuning.training.chat import ChatTokenizer, Encoded

BATCH = 16

given = json.loads(sys.argv[1])
torch.set_num_threads(given["threads"])


def report(event: dict[str, Any]) -> None:
    """A run that fails ends everything."""
    if event["event"] == "failed":
        raise SystemExit(event["message"])


folder, adapter = given["model"], None
if given["method"]:
    config = given["config"]
    methods.run(given["method"], config, report)
    done = Path(config["output"]) / "checkpoints" / "1"
    if config.get("mode") == "full":
        folder = str(done)
    else:
        adapter = str(done)

tokenizer = ChatTokenizer(Path(given["model"]))
model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
if adapter is not None:
    model = PeftModel.from_pretrained(model, adapter).get_base_model()
model.eval()


def encoded(question: list[dict[str, str]], answer: str) -> Encoded:
    """The chat with this answer, of which the answer alone counts."""
    asked = len(tokenizer.prompt(question))
    whole = tokenizer.chat([*question, {"role": "assistant", "content": answer}])
    return Encoded(whole.ids, [index >= asked for index in range(len(whole.ids))])


items = []
for _, row in rows.read(Path(given["rows"])):
    question = rows.messages({"contents": row["contents"], "systemInstruction": row.get("systemInstruction")})
    items += [encoded(question, row["right"]), encoded(question, row["wrong"])]

likely, exact = [0.0] * len(items), [False] * len(items)
order = sorted(range(len(items)), key=lambda number: len(items[number].ids))
for start in range(0, len(order), BATCH):
    numbers = order[start : start + BATCH]
    ids, before, answers = examples.tensors([items[number] for number in numbers], torch.device("cpu"))
    with torch.no_grad():
        hidden = model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state
        logits = model.get_output_embeddings()(hidden[before])
        each = -torch.nn.functional.cross_entropy(logits, answers, reduction="none")
    hits = logits.argmax(dim=-1) == answers
    where = before.nonzero()[:, 0]
    for index, number in enumerate(numbers):
        mine = where == index
        likely[number] = float(each[mine].sum())
        exact[number] = bool(hits[mine].all())

print(json.dumps({"right": likely[::2], "wrong": likely[1::2], "exact": exact[::2]}))
