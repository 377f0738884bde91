"""What an answer is worth beside its row: a number, the higher the better."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vertex_tuning import metrics
from vertex_tuning.errors import EvaluationError, Fault
from vertex_tuning.evaluation.rows import Row, reference

if TYPE_CHECKING:
    from vertex_tuning.rewards import AnyReward
    from vertex_tuning.rewards.rating import Rate

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure of answers; a function `(answer, row) -> float` with a name."""

    name: str
    score: Callable[[str, Row], float]
    """What an answer is worth; NaN where that cannot be said, and then the row is left out."""
    needs_reference: bool = False
    """Whether a row must say what the right answer is."""
    title: str = ""
    """For people."""

    def __str__(self) -> str:
        return self.title or self.name.replace("_", " ")


AnyMeasure = Measure | str | Callable[[str, Row], float]
"""A measure, the name of one of ours, or a function of an answer and its row."""


def _held(of: Callable[[str, str], float]) -> Callable[[str, Row], float]:
    """A function of an answer and a reference as one of an answer and a row."""
    return lambda answer, row: float(of(answer, reference(row) or ""))


def _rouge_l(answer: str, meant: str) -> float:
    return metrics.rouge(answer, meant, "rougeL")


def _as_json(answer: str, row: Row) -> float:
    del row
    return float(metrics.valid_json(answer))


_BY_NAME = {
    "exact_match": Measure("exact_match", _held(lambda a, b: metrics.matches([a], [b])[0]), True),
    "label_accuracy": Measure("label_accuracy", _held(metrics.same_label), True),
    "token_f1": Measure("token_f1", _held(metrics.token_f1), True, "token F1"),
    "rouge_l": Measure("rouge_l", _held(_rouge_l), True, "ROUGE-L"),
    "valid_json": Measure("valid_json", _as_json, title="valid JSON"),
}
MEASURES = tuple(_BY_NAME)
"""The names of ours. All lie in [0, 1]."""


def measure(wanted: AnyMeasure) -> Measure:
    """A measure, from its name or from a function.

    Raises:
        EvaluationError: VT750 there is none of that name, VT751 it needs a package that is not here.
    """
    if isinstance(wanted, Measure):
        return wanted
    if callable(wanted):
        return Measure(getattr(wanted, "__name__", "score").strip("<>"), wanted)
    if wanted not in _BY_NAME:
        raise EvaluationError(
            "VT750",
            f'there is no measure "{wanted}"',
            where="measure",
            fix=f"one of: {', '.join(MEASURES)}; or a function (answer, row) -> float",
        )
    if wanted == "rouge_l" and importlib.util.find_spec("rouge_score") is None:
        what = "rouge_l is computed by rouge-score, which is not installed"
        raise EvaluationError("VT751", what, where="measure", fix="pip install rouge-score")
    return _BY_NAME[wanted]


def of_reward(reward: AnyReward, *, rate: Rate | None = None, name: str = "") -> Measure:
    """A reward as a measure, in [-1, 1]; NaN where it fails.

    Args:
        reward: Of `vertex_tuning.rewards`.
        rate: How a judge is asked, where the reward has one.
        name: What the measure is called; else by the reward's own name.
    """

    def score(answer: str, row: Row) -> float:
        return reward.score(row, answer, rate=rate).reward

    return Measure(name or getattr(reward, "name", "reward"), score)


def scores(of: Measure, answers: Sequence[str], rows: Sequence[Row]) -> list[float]:
    """What each answer is worth, in their order."""
    return [float(of.score(answer, row)) for answer, row in zip(answers, rows, strict=True)]


def check(wanted: Sequence[Measure], rows: Sequence[Row]) -> None:
    """See that the rows can be measured.

    Raises:
        EvaluationError: VT752 there are no rows, or no measure; VT753 rows without the right answer; VT754 two measures of one
            name.
    """
    faults = []
    if not rows or not wanted:
        what = f"there is no {'row' if not rows else 'measure'}"
        faults.append(Fault("VT752", what, fix="at least one of either"))
    names = [one.name for one in wanted]
    for name in sorted({name for name in names if names.count(name) > 1}):
        faults.append(Fault("VT754", f'two measures are called "{name}"', "measure", fix="a name for each"))
    without = [number for number, row in enumerate(rows, 1) if not reference(row)]
    needing = [one.name for one in wanted if one.needs_reference]
    if without and needing:
        shown = ", ".join(map(str, without[:_MOST_NAMED])) + (", ..." if len(without) > _MOST_NAMED else "")
        what = f"{len(without)} of {len(rows)} rows do not say what the right answer is: {shown}"
        why = f"{', '.join(needing)} holds an answer against it."
        fix = "end contents with the model's turn, or give references.answer"
        faults.append(Fault("VT753", what, "rows", why, fix))
    if faults:
        first = faults[0]
        raise EvaluationError(
            first.rule, first.what, where=first.where, why=first.why, fix=first.fix, faults=faults
        )


def known(values: Sequence[float]) -> list[float]:
    """Those that are numbers."""
    return [value for value in values if not math.isnan(value)]
