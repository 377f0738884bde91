"""What a judge said, read strictly: what is not a verdict and nothing else is none.

A score is a number, or a JSON object with a number as its `score`. A choice between two answers is BASELINE, CANDIDATE or TIE,
or a JSON object with one of these as its `pairwise_choice`. Either object may have an `explanation`. A number that stands
somewhere in a sentence is not taken for a score: it may be one of "3 of 5 facts are wrong".
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

CANDIDATE, BASELINE, TIE = "CANDIDATE", "BASELINE", "TIE"
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)")


def score(said: str) -> float | None:
    """The score that a judge gave; None where it gave none."""
    text = said.strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    value = _object(text).get("score")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def choice(said: str) -> str | None:
    """Which answer a judge preferred: `CANDIDATE`, `BASELINE` or `TIE`; None where it did not say."""
    text = said.strip()
    found = _object(text).get("pairwise_choice", text)
    return found if found in (CANDIDATE, BASELINE, TIE) else None


def majority(choices: Sequence[str]) -> str | None:
    """What most of several verdicts are; `TIE` where two are as many; None without one."""
    ranked = Counter(choices).most_common(2)
    if not ranked:
        return None
    if len(ranked) == 2 and ranked[0][1] == ranked[1][1]:
        return TIE
    return ranked[0][0]


def explanation(said: str) -> str:
    """The reason that came with a verdict; empty without one."""
    found = _object(said.strip()).get("explanation")
    return found if isinstance(found, str) else ""


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
