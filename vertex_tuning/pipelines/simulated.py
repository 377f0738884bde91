"""Simulated preferences: what the sample run of `rlhf` learns from in the place of people's.

The texts are real: sentences of film reviews. The task is to shorten one, and the preferences follow a stated rule: of two
answers the one is preferred whose words are more like the content words of the text, by token F1; of two that are alike in that,
the shorter. It pays for content that is kept, and charges for every other word: two wishes against each other. The reward model
sees nothing of the rule but who won; token F1 itself is the independent measure. That it is a rule and no people is said wherever
its preferences go.

Demonstrations come from simulated writers too, each with habits of his own: how many content words he keeps, and how many others.
"""

from __future__ import annotations

import csv
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vertex_tuning import metrics

NOTE = "simulated preferences: a stated rule over real text, no people"
RULE = "token F1 of the answer against the content words of the text; of two that have the same, the shorter"
SYSTEM = "Shorten the text."
REFERENCE = "content"
"""Name of the reference that holds the content words."""

_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
_ORIGIN = "rotten_tomatoes"  # the other source in the file is of long texts
_SHORTEST, _LONGEST = 6, 14
"""Words of a text."""
_KEPT, _OTHERS = (1.0, 1.0, 0.85, 0.6), (0.0, 0.3, 1.0, 1.0)
"""Habits of writers: the share of content words, and of others, that stays."""
_FUNCTION_WORDS = frozenset(  # a list in full would be ten times as long
    """
    a about above after again all almost also although always am an and another any are as at be because been
    before being between both but by can cannot could did do does doing done down each either else enough even
    ever every few for from get gets got had has have having he her here hers him his how however i i'd i'll i'm
    i've if in into is isn't it it's its itself just least less let like made make makes many may me might more
    most much must my neither never no nor not nothing now of off often on once one only or other our out over own
    perhaps quite rather really s same seems she should since so some something sometimes still such t than that
    that's the their them then there there's these they they're this those though through to too under until up
    upon us very was way we well were what when where whether which while who whom whose why will with within
    without would yet you you're your
    """.split()  # noqa: SIM905
)


def texts(path: Path, *, seed: int) -> list[str]:
    """Sentences of 6 to 14 words, lower case, without punctuation; shuffled by the seed, none twice.

    Args:
        path: The data set `film-reviews`, as the catalog has it: CSV with `text` and `source`.
        seed: Of the order.
    """
    csv.field_size_limit(10_000_000)
    with path.open(encoding="utf-8", newline="") as file:
        found = {
            " ".join(_WORD.findall(row["text"])) for row in csv.DictReader(file) if row["source"] == _ORIGIN
        }
    usable = sorted(
        text for text in found if _SHORTEST <= len(text.split()) <= _LONGEST and len(content(text)) >= 3
    )
    random.Random(seed).shuffle(usable)
    return usable


def content(text: str) -> list[str]:
    """The content words of a text: those that are no function words."""
    return [word for word in text.split() if word not in _FUNCTION_WORDS]


def demonstration(text: str, pick: random.Random) -> dict[str, Any]:
    """A row to learn by example from: the text, as one of the writers shortens it."""
    kept, others = pick.choice(_KEPT), pick.choice(_OTHERS)
    said = [word for word in text.split() if pick.random() < (others if word in _FUNCTION_WORDS else kept)]
    answer = " ".join(said or content(text)[:1])
    return {**question(text), "contents": [_turn("user", text), _turn("model", answer)]}


def question(text: str) -> dict[str, Any]:
    """A row that asks for a text to be shortened."""
    return {"systemInstruction": {"parts": [{"text": SYSTEM}]}, "contents": [_turn("user", text)]}


def prompt(text: str) -> dict[str, Any]:
    """The same with the reference that the rule looks at."""
    return {**question(text), "references": {REFERENCE: " ".join(content(text))}}


def preference(text: str, answers: Sequence[str]) -> dict[str, Any] | None:
    """A pair as somebody ranks it who goes by the rule; None where it does not tell the two apart.

    Args:
        text: What was to be shortened.
        answers: Two, in the order in which they stand in the row.
    """
    worth = [(rule(text, answer), -len(answer.split())) for answer in answers]
    if worth[0] == worth[1] or not all(answer.strip() for answer in answers):
        return None
    completions = [
        {"score": int(value == max(worth)), "completion": _turn("model", answer)}
        for answer, value in zip(answers, worth, strict=True)
    ]
    return {**question(text), "completions": completions}


def rule(text: str, answer: str) -> float:
    """What an answer is worth by the rule, in [0, 1]."""
    return metrics.token_f1(answer, " ".join(content(text)))


def _turn(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"text": text}]}
