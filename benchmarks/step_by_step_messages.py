"""A teacher on real text that nobody tuned: text messages, spam or not, labelled and explained by SmolLM2 135M.

    python benchmarks/step_by_step_messages.py     into step_by_step_messages.json

It is shown four examples that think aloud, and asked by batch prediction through the emulator; as many messages are spam as
not. What it says is read and checked as in `distill label`. Measured on 2026-11-26: every answer has the form that was asked for,
and the content is worth nothing: 396 of 400 say spam, most of them with the words of the last example ("It is a short, personal
answer"), and half of them are right, as by chance. Held against the labels that people gave, half are dropped, and what is left
is of one label: no student was trained on it. A model of this size copies how reasons look.
"""

from __future__ import annotations

import datetime
import json
import random
from collections import Counter
from pathlib import Path

from benchmarks._measure import machine, say
from benchmarks.learning import _messages
from vertex_tuning import connect, data, distill
from vertex_tuning.config import home

DATA = Path(__file__).resolve().parent / "step_by_step_messages.json"
ASKED = 400
_LONGEST = 160
"""Characters of a message: so many fitted in one."""
TEACHER = "gemini-2.5-pro"
PROMPT = distill.TeacherPrompt(
    labels=("ham", "spam"),
    instruction="Is the text message spam, or ham (a message between people)?",
    template="Message: {input}",
    examples=tuple(
        distill.TeacherExample(input=text, rationale=why, label=label)
        for text, why, label in (
            (
                "WINNER! Claim your free prize now, call 0900123456",
                "It promises a prize and asks to call a paid number, so it is spam.",
                "spam",
            ),
            (
                "Are we still meeting at six? I will be a bit late",
                "It is about a plan between two people who know each other, so it is ham.",
                "ham",
            ),
            (
                "Get cheap ringtones, text TONE to 85555, 1.50 per week",
                "It sells something and asks to text a number for money, so it is spam.",
                "spam",
            ),
            ("ok lol see u at home then", "It is a short, personal answer, so it is ham.", "ham"),
        )
    ),
)


def main() -> None:
    """Ask, count, write."""
    folder = home() / "benchmarks" / "step-by-step-messages"
    folder.mkdir(parents=True, exist_ok=True)
    messages = _messages(home() / "datasets")
    random.Random(5).shuffle(messages)
    rows = [{"prompt": text[:_LONGEST], "gold": label} for text, label in messages[200 : 200 + ASKED]]
    with connect("local", stand_in="smollm2-135m-instruct") as client:
        done = distill.label(
            client,
            rows,
            folder / "labelled.jsonl",
            teacher=TEACHER,
            prompt=PROMPT,
            max_output_tokens=48,
            again=True,
        )
    say(str(done))
    said: Counter[tuple[str, str]] = Counter()
    for name in ("labelled.jsonl", "labelled.jsonl.dropped.jsonl"):
        for row in data.read(folder / name):
            answer = (row["rationale"], row["label"]) if "label" in row else _read(row["answers"][0])
            said[answer] += 1
    labels: Counter[str] = Counter()
    for (_, label), count in said.items():
        labels[label] += count
    results = {
        "machine": machine(),
        "date": datetime.date.today().isoformat(),
        "teacher": {**done.to_json(), "path": ""},
        "labels": labels,
        "most_said": [[*answer, count] for answer, count in said.most_common(5)],
    }
    DATA.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(results["most_said"], indent=1))


def _read(answer: str) -> tuple[str, str]:
    parsed = distill.parse(answer)
    return (parsed.rationale, parsed.label) if parsed else (answer, "")


if __name__ == "__main__":
    main()
