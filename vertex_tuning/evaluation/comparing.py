"""Two systems on the same rows: what one gains over the other, and how sure that is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from vertex_tuning.errors import EvaluationError
from vertex_tuning.metrics import Interval, crossed_difference, win_share

Scores = Sequence[float] | Sequence[Sequence[float]]
"""By row; or, of several seeds, by seed and then by row."""

_ALIKE = 1e-9


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one measure says of two systems."""

    measure: str
    baseline: float
    """Mean over rows and seeds."""
    candidate: float
    difference: float
    """Candidate less baseline."""
    low: float
    """Lower end of the interval of the difference."""
    high: float
    rows: int
    """That both systems have a score for."""
    seeds: int
    confidence: float
    """Coverage of the intervals, in (0, 1)."""
    wins: int
    """Rows for which the candidate's score is higher, in the mean over seeds."""
    ties: int
    losses: int
    win_share: Interval
    """Share of rows that the candidate wins, ties counting half."""
    baseline_by_seed: tuple[float, ...]
    """Means."""
    candidate_by_seed: tuple[float, ...]
    left_out: int = 0
    """Rows that some score is missing for."""

    @property
    def better(self) -> bool:
        """Whether all of the interval lies above zero."""
        return self.low > 0.0

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Comparison:
        """What `to_json` gave."""
        by_seed = {name: tuple(found[name]) for name in ("baseline_by_seed", "candidate_by_seed")}
        return cls(**{**found, **by_seed, "win_share": Interval(**found["win_share"])})

    def __str__(self) -> str:
        return (
            f"{self.measure}: {self.baseline:.3f} -> {self.candidate:.3f}, "
            f"{self.difference:+.3f} ({self.confidence:.0%}: {self.low:+.3f} to {self.high:+.3f}), "
            f"{self.rows:,} rows{f', {self.seeds} seeds' if self.seeds > 1 else ''}"
        )


def compare(
    baseline: Scores,
    candidate: Scores,
    *,
    measure: str = "score",
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Hold a candidate against a baseline, row by row.

    The interval of the difference is a paired bootstrap over rows and, where there are several, over seeds; the same scores
    give the same interval. A row that some score is missing for (NaN) is left out for both.

    Args:
        baseline: Score per row; of several seeds, a sequence of these.
        candidate: The same, on the same rows in the same order. With as many seeds, these belong together in their order.
        measure: What the scores are called.
        confidence: Coverage of the intervals, in (0, 1).
        resamples: Bootstrap samples.
        seed: Of the bootstrap.

    Raises:
        EvaluationError: VT755, the scores are not of the same rows, or there are none.
        ValueError: A confidence outside (0, 1), or no resamples.
    """
    before, after = _by_seed(baseline), _by_seed(candidate)
    counts = {len(run) for run in (*before, *after)}
    seeds = max(len(before), len(after))
    if len(counts) != 1 or {len(before), len(after)} - {1, seeds}:
        shape = (
            f"{len(before)} x {[len(run) for run in before]} and {len(after)} x {[len(run) for run in after]}"
        )
        raise EvaluationError(
            "VT755",
            f"the scores of two systems do not belong together: seeds x rows are {shape}",
            where=measure,
            fix="the same rows in the same order, and as many seeds of both, or one of either",
        )
    kept = [
        row
        for row in range(counts.pop())
        if not any(math.isnan(float(run[row])) for run in (*before, *after))
    ]
    if not kept:
        what = "there is no row that both systems have a score for"
        raise EvaluationError(
            "VT755", what, where=measure, fix="see why the measure fails: one answer says it"
        )
    left_out = len(before[0]) - len(kept)
    before = [[float(run[row]) for row in kept] for run in before]
    after = [[float(run[row]) for row in kept] for run in after]
    gain = crossed_difference(after, before, confidence=confidence, resamples=resamples, seed=seed)
    gaps = [_mean(run[row] for run in after) - _mean(run[row] for run in before) for row in range(len(kept))]
    wins, losses = sum(gap > _ALIKE for gap in gaps), sum(gap < -_ALIKE for gap in gaps)
    ties = len(kept) - wins - losses
    means = [tuple(map(statistics.fmean, runs)) for runs in (before, after)]
    return Comparison(
        measure=measure,
        baseline=statistics.fmean(means[0]),
        candidate=statistics.fmean(means[1]),
        difference=gain.estimate,
        low=gain.low,
        high=gain.high,
        rows=len(kept),
        seeds=seeds,
        confidence=confidence,
        wins=wins,
        ties=ties,
        losses=losses,
        win_share=win_share(wins, ties, losses, confidence=confidence),
        baseline_by_seed=means[0],
        candidate_by_seed=means[1],
        left_out=left_out,
    )


def _mean(values: Any) -> float:
    return statistics.fmean(values)


def _by_seed(scores: Scores) -> list[Sequence[float]]:
    if scores and isinstance(scores[0], Sequence):
        return list(cast("Sequence[Sequence[float]]", scores))
    return [cast("Sequence[float]", scores)]
