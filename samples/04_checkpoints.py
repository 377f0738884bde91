"""Which checkpoint is best on rows that no one trained on? The endpoint shall serve that one."""

import json
from pathlib import Path
from typing import Any

from vertex_tuning import Checkpoint, SupervisedTuning, connect

DATA = Path(__file__).parent / "data"
TEAMS = ["billing", "delivery", "account", "technical"]


def accuracy(checkpoint: Checkpoint, rows: list[dict[str, Any]]) -> float:
    """Share of rows for which the likeliest team is the right one."""
    right = 0
    for row in rows:
        *asked, answer = row["contents"]
        found = checkpoint.generate(asked, system=row["systemInstruction"], labels=TEAMS)
        right += found.text == answer["parts"][0]["text"]
    return right / len(rows)


with connect() as client:
    spec = SupervisedTuning(
        base_model="gemini-3.5-flash",
        training=DATA / "tickets-train.jsonl",
        epochs=4,
        display_name="tickets-by-checkpoint",
    )
    model = client.tune(spec).result()

    lines = (DATA / "tickets-validation.jsonl").read_text(encoding="utf-8").splitlines()
    held_out = [json.loads(line) for line in lines]
    scores = {}
    for checkpoint in model.checkpoints():
        scores[checkpoint.checkpoint_id] = accuracy(checkpoint, held_out)
        print(
            f"checkpoint {checkpoint.checkpoint_id} (epoch {checkpoint.epoch}): {scores[checkpoint.checkpoint_id]:.3f}"
        )

    best = max(scores, key=lambda name: scores[name])
    model.make_default(best)
    print(f"{model.name} serves checkpoint {best}")
