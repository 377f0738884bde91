"""Make the log of lamps that the samples of step-by-step distillation learn from.

    python scripts/sample_signals.py    writes samples/data/signals-{teacher,questions,held-out}.jsonl; the same bytes every time

An entry tells, among other things, whether a lamp of some colour was on. A warm colour that is on is `positive`, and so is a cold
one that is off; else the entry is `negative`. So a reader has to find the lamp among other things that have colours or are
on, and to turn what its colour says round where it is off: the label is a composition, which labels alone teach badly, and the
steps to it quickly. That makes the mechanism of step-by-step distillation visible on models of half a million parameters.

The entries are synthetic, and their labels have no noise. `teacher` is what people annotated, with their reasons: the teacher
learns from it. `questions` has people's label beside it only to tell how often the teacher agrees (`gold`). No entry stands in
two files.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parent.parent / "samples" / "data"
SIZES = {"teacher": 2000, "questions": 2400, "held-out": 400}
WARM = "red orange yellow pink brown".split()
COLD = "blue green grey white black".split()
NAMES = "Ada Ben Cleo Dan Eva Finn Gus Hana Ida Jon".split()
PLACES = "kitchen garden office harbour market school station forest museum cellar".split()
THINGS = "boat car train door bird table cup shirt".split()
LAMPS = [
    "The {colour} lamp was {state}.",
    "{name} saw the {colour} lamp {state}.",
    "In the {place} the {colour} lamp was {state}.",
]
OTHERS = [
    "{name} saw a {colour} {thing}.",
    "The {colour} {thing} was {state}.",
    "{name} went to the {place}.",
    "{name} has a {colour} {thing}.",
    "In the {place} the {thing} was {state}.",
]


def entry(pick: random.Random) -> tuple[str, str, str]:
    """An entry, its label, and why."""

    def told(forms: list[str], **known: str) -> str:
        words = {
            "colour": pick.choice(WARM + COLD),
            "state": pick.choice(["on", "off"]),
            "thing": pick.choice(THINGS),
            "name": pick.choice(NAMES),
            "place": pick.choice(PLACES),
        }
        return pick.choice(forms).format(**{**words, **known})

    warm, on = pick.random() < 0.5, pick.random() < 0.5
    colour, state = pick.choice(WARM if warm else COLD), "on" if on else "off"
    sentences = [told(LAMPS, colour=colour, state=state)]
    sentences += [told(OTHERS) for _ in range(pick.randrange(1, 4))]
    pick.shuffle(sentences)
    sign = "positive" if warm else "negative"
    label = "positive" if warm == on else "negative"
    return " ".join(sentences), label, f"The lamp is {colour}: {sign}. It is {state}: {label}"


def rows() -> Iterator[tuple[str, dict[str, Any]]]:
    """(file, row); no entry twice."""
    pick = random.Random(2305)
    seen: set[str] = set()
    for name, count in SIZES.items():
        for number in range(1, count + 1):
            text, label, why = entry(pick)
            while text in seen:
                text, label, why = entry(pick)
            seen.add(text)
            asked = {"id": f"{name}-{number}", "contents": [{"role": "user", "parts": [{"text": text}]}]}
            beside = {
                "teacher": {"label": label, "rationale": why},
                "questions": {"gold": label},
                "held-out": {"label": label},
            }
            yield name, {**asked, **beside[name]}


def main() -> None:
    """Write the files."""
    made: dict[str, list[str]] = {name: [] for name in SIZES}
    for name, row in rows():
        made[name].append(json.dumps(row) + "\n")
    for name, lines in made.items():
        (TARGET / f"signals-{name}.jsonl").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
