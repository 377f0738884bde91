"""Which of a teacher's answers are worth learning, and why the others are not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vertex_tuning.distill.parsing import Parsed, parse

REASONS = {
    "duplicate": "asks what an earlier row asks; the teacher was not asked again",
    "unanswered": "the service refused it, or gave no answer",
    "cut_off": "the answer had not come to its end when it reached its longest length",
    "unread": "the answer does not have the form that was asked for",
    "unknown_label": "the label is none of the labels",
    "inconsistent": "too few of the samples agree on a label",
    "misled": "the rationale leads to another label, or (where it has to) to none",
    "disagrees": "the label is not the one that people gave",
}
"""Why a row is dropped, in the order in which that is looked at."""

ANY, NAMED = "any", "named"
DROP, COUNT = "drop", "count"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """What an answer is held against."""

    rationale: str = ANY
    """Does the rationale lead to the label? `any`: if it names labels, the last that it names is the label. `named`: and it
    names one."""
    gold: str = DROP
    """Of a row to which people gave another label: `drop` it, or `count` it and keep the teacher's."""
    agreement: float = 0.5
    """With several samples: more than this share of them has to agree on the label, 0 to below 1."""

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Answer:
    """One sample of what a teacher said to a row."""

    text: str
    """Empty where there is none."""
    complete: bool = True
    """Whether it came to its end."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a row."""

    parsed: Parsed | None
    """What is to be learnt; None where it was dropped."""
    reason: str = ""
    """Of `REASONS`; empty where it is kept."""
    agrees: bool | None = None
    """Whether the label is the one that people gave; None where they gave none, or there is no label."""


def judge(
    answers: Sequence[Answer], labels: Sequence[str], checks: Checks, gold: str | None = None
) -> Verdict:
    """Hold the samples of one row against the checks.

    Of several, the label is the one that most of them give, and the rationale that of the first sample that leads to it
    (self-consistency; Wang et al., arXiv 2203.11171, with the rationale kept).

    Args:
        answers: One or more.
        labels: The labels that there are.
        checks: What to look at.
        gold: The label that people gave.
    """
    readable: list[Parsed] = []
    worst: Counter[str] = Counter()
    for answer in answers:
        parsed = parse(answer.text) if answer.complete else None
        if parsed is not None and parsed.label in labels:
            readable.append(parsed)
        elif not answer.text:
            worst["unanswered"] += 1
        elif not answer.complete:
            worst["cut_off"] += 1
        else:
            worst["unread" if parsed is None else "unknown_label"] += 1
    if not readable:
        return Verdict(None, worst.most_common(1)[0][0])
    votes = Counter(parsed.label for parsed in readable)
    label, count = votes.most_common(1)[0]
    agrees = None if gold is None else label == gold
    if len(answers) > 1 and count <= checks.agreement * len(answers):
        return Verdict(None, "inconsistent", agrees)
    led = [parsed for parsed in readable if parsed.label == label and leads(parsed, labels, checks.rationale)]
    if not led:
        return Verdict(None, "misled", agrees)
    if agrees is False and checks.gold == DROP:
        return Verdict(None, "disagrees", agrees)
    return Verdict(led[0], "", agrees)


def leads(parsed: Parsed, labels: Sequence[str], demand: str = ANY) -> bool:
    """Whether a rationale leads to its label: the last label that it names is that one.

    Labels are looked for as whole words, the longer first, so that "not spam" is not taken for "spam"; capitals do not matter.
    """
    longest_first = sorted(labels, key=len, reverse=True)
    pattern = "|".join(re.escape(label) for label in longest_first)
    named = re.findall(rf"(?<!\w)(?:{pattern})(?!\w)", parsed.rationale, re.IGNORECASE)
    if not named:
        return demand != NAMED
    return str(named[-1]).casefold() == parsed.label.casefold()
