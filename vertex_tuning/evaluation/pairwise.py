"""Which of two answers is better, asked in both orders: who comes first must not matter.

Judges lean towards a place. So a win counts where both orders agree; what changes with the order is a tie, and how much one
place is favoured is reported.

Source: Zheng et al., Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena (2023), section 3.4.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from vertex_tuning.errors import EvaluationError
from vertex_tuning.evaluation.rows import Row, question
from vertex_tuning.metrics import Interval, win_share

if TYPE_CHECKING:
    from vertex_tuning.models import Model

Prefers = Callable[[Row, str, str], float]
"""Holds two answers to a row against each other.

Above 0 the first is better, below 0 the second, at 0 neither; NaN is no verdict.
"""

WIN, TIE, LOSS = "win", "tie", "loss"
_AT_ONCE = 8
_FIRST, _SECOND, _NEITHER = "A", "B", "TIE"

TEMPLATE = """You compare two answers to the same request. Judge by what the request asks for: whether an answer is right, \
complete and to the point. Length is no merit, and the order in which the answers stand means nothing.

Request:
{{prompt}}

Answer A:
{{first}}

Answer B:
{{second}}

Which answer is better? Say A, B or TIE, and nothing else."""
"""What a judge is asked unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Wins:
    """How often the candidate's answer was the better one."""

    wins: int
    """Rows on which both orders prefer the candidate's answer."""
    ties: int
    """Rows on which neither answer was preferred, or the preference changed with the order."""
    losses: int
    share: Interval
    """Share of rows won, ties counting half, in [0, 1]."""
    first_place: int
    """Rows on which whichever answer came first was preferred."""
    second_place: int
    no_verdict: int
    """Rows without a verdict in one order or in both; they are counted nowhere else."""
    verdicts: tuple[str, ...] = field(repr=False, default=())
    """By row: `win`, `tie` or `loss`; empty without a verdict."""

    @property
    def rows(self) -> int:
        """With a verdict."""
        return self.wins + self.ties + self.losses

    @property
    def position_bias(self) -> float:
        """Share of rows decided by the first place less that by the second, in [-1, 1]; 0 is fair."""
        return (self.first_place - self.second_place) / self.rows

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {**asdict(self), "position_bias": self.position_bias}

    def __str__(self) -> str:
        return (
            f"{self.wins} won, {self.ties} tied, {self.losses} lost of {self.rows}: {self.share.estimate:.3f} "
            f"({self.share.confidence:.0%}: {self.share.low:.3f} to {self.share.high:.3f}), "
            f"position bias {self.position_bias:+.3f}"
        )


def pairwise(
    prefers: Prefers,
    rows: Sequence[Row],
    baseline: Sequence[str],
    candidate: Sequence[str],
    *,
    confidence: float = 0.95,
    at_once: int = _AT_ONCE,
) -> Wins:
    """Ask who prefers which answer, each row in both orders.

    Args:
        prefers: A judge (`judge(model)`), a scoring function (`by_score(function)`), or any function
            `(row, first, second) -> float`.
        rows: What was asked.
        baseline: Answers of one system, by row.
        candidate: Answers of the other, by row.
        confidence: Coverage of the interval, in (0, 1).
        at_once: Rows that are judged at a time.

    Raises:
        EvaluationError: VT755 the answers are not of these rows, VT756 there was no verdict at all.
    """
    if not len(rows) == len(baseline) == len(candidate):
        counts = f"{len(rows)} rows, {len(baseline)} and {len(candidate)} answers"
        raise EvaluationError(
            "VT755", f"the answers are not of these rows: {counts}", fix="an answer for each row"
        )

    def both(item: tuple[Row, str, str]) -> tuple[float, float]:
        row, before, after = item
        if before == after:  # nobody needs to be asked
            return 0.0, 0.0
        return prefers(row, after, before), prefers(row, before, after)

    with ThreadPoolExecutor(at_once) as pool:
        found = list(pool.map(both, zip(rows, baseline, candidate, strict=True)))
    verdicts = tuple(_verdict(*pair) for pair in found)
    wins, ties, losses = (verdicts.count(kind) for kind in (WIN, TIE, LOSS))
    if not wins + ties + losses:
        raise EvaluationError(
            "VT756",
            "there was not one verdict",
            where="judge",
            fix="ask it about one pair, and see what it says",
        )
    return Wins(
        wins=wins,
        ties=ties,
        losses=losses,
        share=win_share(wins, ties, losses, confidence=confidence),
        first_place=sum(first > 0 and second > 0 for first, second in found),
        second_place=sum(first < 0 and second < 0 for first, second in found),
        no_verdict=len(rows) - wins - ties - losses,
        verdicts=verdicts,
    )


def _verdict(candidate_first: float, baseline_first: float) -> str:
    if math.isnan(candidate_first) or math.isnan(baseline_first):
        return ""
    if candidate_first > 0 > baseline_first:
        return WIN
    return LOSS if candidate_first < 0 < baseline_first else TIE


def by_score(score: Callable[[str, Row], float], *, margin: float = 0.0) -> Prefers:
    """Prefers the answer that a measure, a reward model or any other function `(answer, row) -> float` scores higher.

    Args:
        score: What an answer is worth.
        margin: Differences up to it count as none.
    """

    def prefers(row: Row, first: str, second: str) -> float:
        gap = score(first, row) - score(second, row)
        return 0.0 if abs(gap) <= margin else gap

    return prefers


def judge(model: Model, *, template: str = TEMPLATE, **options: Any) -> Prefers:
    """A model that says which of two answers is better.

    It can answer nothing but `A`, `B` or `TIE`. An error of the service is raised: what was not judged is no tie.

    Args:
        model: Who is asked.
        template: With `{{prompt}}`, `{{first}}` and `{{second}}`.
        **options: As `Model.generate` has them. Temperature is 0 unless given.

    Raises:
        EvaluationError: VT757, the template lacks a place for an answer.
    """
    missing = [name for name in ("first", "second") if f"{{{{{name}}}}}" not in template]
    if missing:
        what = f"the template has no place for {' and '.join(missing)}"
        raise EvaluationError("VT757", what, where="template", fix="{{prompt}}, {{first}} and {{second}}")
    how = {"temperature": 0, **options, "labels": (_FIRST, _SECOND, _NEITHER)}

    def prefers(row: Row, first: str, second: str) -> float:
        # In one go: an answer that holds a placeholder's words is not filled again.
        asked = _filled(template, {"prompt": question(row).text, "first": first, "second": second})
        said = model.generate(asked, **how).text.strip()
        return {_FIRST: 1.0, _SECOND: -1.0, _NEITHER: 0.0}.get(said, math.nan)

    return prefers


def _filled(template: str, values: dict[str, str]) -> str:
    pieces = template.split("{{")
    whole = pieces[0]
    for piece in pieces[1:]:
        name, closed, rest = piece.partition("}}")
        whole += f"{values[name]}{rest}" if closed and name in values else f"{{{{{piece}"
    return whole
