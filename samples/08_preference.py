"""Two answers, one of them preferred: the team's name alone is liked better than a chatty sentence with it."""

import json
from pathlib import Path
from typing import Any

from vertex_tuning import Model, PreferenceTuning, connect

DATA = Path(__file__).parent / "data"


def pair(row: dict[str, Any]) -> dict[str, Any]:
    """A row of supervised tuning as a preference: its answer, and one that says the same at length."""
    *asked, answer = row["contents"]
    team = answer["parts"][0]["text"]
    chatty = f"Sure, happy to help! I would say that this one goes to {team}."
    return {
        "systemInstruction": row["systemInstruction"],
        "contents": asked,
        "completions": [
            {"score": 1, "completion": answer},
            {"score": 0, "completion": {"role": "model", "parts": [{"text": chatty}]}},
        ],
    }


def pairs(name: str) -> list[dict[str, Any]]:
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    return [pair(json.loads(line)) for line in lines]


def preferred(model: Model, held_out: list[dict[str, Any]]) -> float:
    """Share of pairs of which the model finds the preferred answer likelier."""
    right = 0
    for row in held_out:
        good, other = (item["completion"]["parts"][0]["text"] for item in row["completions"])
        answer = model.generate(row["contents"], system=row["systemInstruction"], labels=[good, other])
        right += answer.text == good
    return right / len(held_out)


with connect() as client:
    spec = PreferenceTuning(
        base_model="gemini-2.5-flash",
        training=pairs("tickets-train.jsonl"),
        validation=pairs("tickets-validation.jsonl"),
        epochs=2,
        beta=0.1,
        display_name="tickets-brief",
    )
    model = client.tune(spec).result()

    held_out = pairs("tickets-validation.jsonl")
    base = client.models.base("gemini-2.5-flash")
    print(f"brief answers preferred, before: {preferred(base, held_out):.2f}")
    print(f"brief answers preferred, after:  {preferred(model, held_out):.2f}")
    question = held_out[0]
    print(
        model.generate(question["contents"], system=question["systemInstruction"], max_output_tokens=8).text
    )
