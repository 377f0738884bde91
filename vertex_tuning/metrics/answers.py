"""How right an answer is."""

from __future__ import annotations

from collections.abc import Sequence


def matches(answers: Sequence[str], references: Sequence[str]) -> list[bool]:
    """Whether each answer is its reference, leading and trailing white space apart.

    Raises:
        ValueError: The sequences differ in length.
    """
    return [
        answer.strip() == reference.strip() for answer, reference in zip(answers, references, strict=True)
    ]


def exact_match(answers: Sequence[str], references: Sequence[str]) -> float:
    """Share of answers, in [0, 1], that are their reference exactly; `nan` where there are none."""
    hits = matches(answers, references)
    return sum(hits) / len(hits) if hits else float("nan")
