"""What OpenAI paid, held against what is paid here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vertex_tuning.data.converting.references import references_of
from vertex_tuning.errors import RewardError
from vertex_tuning.rewards.rating import AutoRater
from vertex_tuning.rewards.scorers import AnyReward, CompositeReward

_SAME = 1e-6
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Proof:
    """How far two ways of grading agree. `str()` says it to people."""

    runs: int
    same: int
    """Runs whose rewards differ by no more than a millionth."""
    largest: float
    """The largest difference; NaN where a reward failed."""
    apart: tuple[str, ...]
    """The first runs that differ, in words."""

    @property
    def ok(self) -> bool:
        """Whether all are the same."""
        return self.same == self.runs

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        largest = None if math.isnan(self.largest) else self.largest
        return {
            "runs": self.runs,
            "same": self.same,
            "largest_difference": largest,
            "apart": list(self.apart),
        }

    def __str__(self) -> str:
        head = f"{self.same:,} of {self.runs:,} runs are paid the same"
        return "\n".join(
            [head if self.ok else f"{head}; the largest difference is {self.largest:.4g}", *self.apart]
        )


def prove(reward: AnyReward, runs: Iterable[Mapping[str, Any]], *, source: str = "runs") -> Proof:
    """Hold a reward against what a grader paid.

    Args:
        reward: What was made of the grader.
        runs: Each with `item` and `model_sample`, as a grader is run with, and the `reward` that it paid.
        source: Where they come from, for what is said of them.

    Raises:
        RewardError: VT955, a run is none; or a model judges, which does not say the same twice.
    """
    parts = reward.parts if isinstance(reward, CompositeReward) else ((reward, 1.0),)
    judges = [one.name for one, _ in parts if isinstance(one.scorer, AutoRater)]
    if judges:
        what = f"{', '.join(judges)}: a model judges, through a connection, and does not say the same twice"
        fix = "--runs for the graders without a model alone; for a judge, reward test with answers that you know"
        raise RewardError("VT955", what, where=source, fix=fix)
    found, same, largest, apart = 0, 0, 0.0, []
    for number, run in enumerate(runs, 1):
        item, answer, paid = run.get("item"), run.get("model_sample"), run.get("reward")
        if not isinstance(item, Mapping) or not isinstance(answer, str) or not isinstance(paid, int | float):
            fix = '{"item": {...}, "model_sample": "...", "reward": 0.5}'
            raise RewardError("VT955", "it is no run of a grader", where=f"{source}, run {number}", fix=fix)
        score = reward.score({"contents": [], "references": references_of(item)}, answer)
        found += 1
        difference = abs(score.reward - paid)
        same += difference <= _SAME
        if not difference <= _SAME:
            largest = difference if math.isnan(difference) else max(largest, difference)
            why = f" ({score.failure.message})" if score.failure else ""
            apart.append(f"run {number}: {paid:g} there, {score.reward:g} here{why}")
    if not found:
        fix = 'what the grader paid: {"item": {...}, "model_sample": "...", "reward": 0.5}'
        raise RewardError("VT955", "there are no runs", where=source, fix=fix)
    return Proof(found, same, largest, tuple(apart[:_SHOWN]))
