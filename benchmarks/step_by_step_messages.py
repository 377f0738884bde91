"""Step by step on real text, by a teacher that nobody tuned: text messages, spam or not, labelled and explained by SmolLM2 135M.

    python benchmarks/step_by_step_messages.py     into step_by_step_messages.json, and a table

The teacher is shown four examples that think aloud. What it says is read and checked as in `distill label`; then tiny-0.5m
students learn what is left, with rationales and without, with three seeds, and are asked for 200 held-out labels. The labels that
are learnt are the teacher's where people agree with it: what is compared is what its reasons add.
"""

from __future__ import annotations

import json
import random
import statistics
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import step_by_step as curve
from benchmarks._measure import CORES, machine, say
from benchmarks.learning import _messages
from vertex_tuning import connect, data, distill
from vertex_tuning.config import home
from vertex_tuning.evaluation import compare

DATA = Path(__file__).resolve().parent / "step_by_step_messages.json"
ASKED, HELD_OUT, STEPS = 400, 200, 300
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
    """Run, print, write."""
    folder = home() / "benchmarks" / "step-by-step-messages"
    folder.mkdir(parents=True, exist_ok=True)
    messages = _messages(home() / "datasets")
    random.Random(5).shuffle(messages)
    # A tiny model reads half a thousand tokens, of about two characters each.
    rows = [
        {"contents": [{"role": "user", "parts": [{"text": text[:160]}]}], "gold": label}
        for text, label in messages[: ASKED + HELD_OUT]
    ]
    held_out = folder / "held-out.jsonl"
    curve.write(held_out, [{"contents": row["contents"], "label": row["gold"]} for row in rows[:HELD_OUT]])
    labelled = folder / "labelled.jsonl"
    if not labelled.exists():
        with connect("local", stand_in="smollm2-135m-instruct") as client:
            asked = rows[HELD_OUT:]
            say(
                str(
                    distill.label(
                        client,
                        asked,
                        labelled,
                        teacher=TEACHER,
                        prompt=PROMPT,
                        max_output_tokens=48,
                        again=True,
                    )
                )
            )
    manifest = json.loads(labelled.with_name("labelled.jsonl.manifest.json").read_text(encoding="utf-8"))
    learnt = [json.dumps(row) + "\n" for row in data.read(labelled)]
    wanted = [(kind, seed) for seed in curve.SEEDS for kind in (curve.WITH, curve.ALONE)]
    with ThreadPoolExecutor(CORES) as pool:
        cells = list(
            pool.map(
                lambda cell: curve.student(
                    folder, learnt, cell[0], 1.0, cell[1], steps=STEPS, held_out=held_out
                ),
                wanted,
            )
        )
    results: dict[str, Any] = {"machine": machine(), "teacher": manifest, "students": cells}
    DATA.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    scores = {kind: curve.scores(results, kind, 1.0) for kind in (curve.WITH, curve.ALONE)}
    print(compare(scores[curve.ALONE], scores[curve.WITH], measure="exact_match"))
    print("untuned", statistics.fmean(float(bit) for bit in cells[0]["untuned"]))


if __name__ == "__main__":
    main()
