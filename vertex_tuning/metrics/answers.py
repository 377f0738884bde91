"""How right an answer is."""

from __future__ import annotations

import json
import string
from collections.abc import Sequence
from typing import Any

_ROUND_A_LABEL = string.whitespace + string.punctuation


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


def same_label(answer: str, reference: str) -> bool:
    """Whether an answer names the label: upper and lower case, and white space and punctuation round it, do not count."""
    return answer.strip(_ROUND_A_LABEL).casefold() == reference.strip(_ROUND_A_LABEL).casefold()


def valid_json(answer: str, members: Sequence[str] = ()) -> bool:
    """Whether an answer is JSON, all of it (`NaN` and `Infinity` are none); with members, an object that has these."""
    try:
        found: Any = json.loads(answer, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return not members or (isinstance(found, dict) and all(name in found for name in members))


def _refuse(constant: str) -> Any:
    raise ValueError(constant)
