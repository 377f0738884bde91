"""One answer, one reward; or several, by their weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

LOWEST, HIGHEST = -1.0, 1.0
INVALID_ARGUMENT, UNIMPLEMENTED = 3, 12


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an answer has no reward."""

    rule: str
    message: str
    code: int = INVALID_ARGUMENT
    """A `google.rpc.Code`."""
    passing: bool = False
    """Whether the same call may succeed later: nobody listened, no answer came in time, the server was busy."""


@dataclass(frozen=True, slots=True)
class Score:
    """What one answer is worth."""

    reward: float
    """Between -1 and 1; NaN where there is none."""
    failure: Failure | None = None
    parsed: str | None = None
    """What of the answer was looked at; None: nothing in it matched, or several rewards were asked."""
    aux: str = ""
    """What a scorer of the user's had to say beside."""
    parts: dict[str, Score] = field(default_factory=dict)
    """Of several rewards: each, by name."""
    calls: int = 1
    """How often the scorer was asked; of several rewards, all of them together."""

    @property
    def failed(self) -> bool:
        """Whether there is no reward."""
        return self.failure is not None


def failed(
    rule: str,
    message: str,
    code: int = INVALID_ARGUMENT,
    parsed: str | None = None,
    *,
    passing: bool = False,
) -> Score:
    """No reward, and why."""
    return Score(math.nan, Failure(rule, message, code, passing), parsed)


def clipped(value: float, parsed: str | None) -> Score:
    """A reward, brought between -1 and 1; what is no number is a failure."""
    if math.isnan(value):
        return failed("VT922", "the reward is not a number (NaN)", parsed=parsed)
    return Score(min(HIGHEST, max(LOWEST, value)), parsed=parsed)


def weighted(scores: Sequence[tuple[str, Score, float]]) -> Score:
    """The mean of several rewards by their weights: `sum(weight * reward) / sum(weight)`.

    Each was clipped before. Where one has failed there is no mean.
    """
    parts = {name: score for name, score, _ in scores}
    calls = sum(score.calls for _, score, _ in scores)
    failures = [(name, score.failure) for name, score, _ in scores if score.failure is not None]
    if failures:
        name, first = failures[0]
        passing = all(failure.passing for _, failure in failures)
        told = Failure(first.rule, f"{name}: {first.message}", first.code, passing)
        return Score(math.nan, told, parts=parts, calls=calls)
    total = math.fsum(weight for _, _, weight in scores)
    mean = math.fsum(weight * score.reward for _, score, weight in scores) / total
    return Score(min(HIGHEST, max(LOWEST, mean)), parts=parts, calls=calls)
