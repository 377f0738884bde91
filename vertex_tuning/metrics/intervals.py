"""How sure one may be of a difference."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its confidence interval."""

    estimate: float
    low: float
    high: float
    confidence: float
    """Coverage asked for, in (0, 1)."""

    @property
    def above_zero(self) -> bool:
        """Whether the whole interval lies above zero: a gain that chance alone would seldom show."""
        return self.low > 0.0


def paired_difference(
    first: Sequence[float],
    second: Sequence[float],
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Mean of `first - second` over the same rows, with a percentile bootstrap interval.

    Rows are resampled in pairs, so what both systems find hard cancels out.

    Args:
        first: Score per row of one system (bool counts as 0 or 1).
        second: Score of the other system on the same rows, in the same order.
        confidence: Coverage of the interval, in (0, 1).
        resamples: Bootstrap samples; 10,000 put the ends of a 95 % interval within about 0.002 for 200 rows.
        seed: Makes the interval repeatable.

    Raises:
        ValueError: No rows, sequences of different length, a confidence outside (0, 1), or no resamples.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), section 13.3.
    """
    if not 0.0 < confidence < 1.0 or resamples < 1:
        raise ValueError("confidence lies in (0, 1), and there is at least one resample")
    differences = [float(a) - float(b) for a, b in zip(first, second, strict=True)]
    if not differences:
        raise ValueError("no rows to compare")
    rows = len(differences)
    draw = random.Random(seed).choices
    means = sorted(sum(draw(differences, k=rows)) / rows for _ in range(resamples))
    cut = (1.0 - confidence) / 2.0
    return Interval(
        estimate=sum(differences) / rows,
        low=means[int(cut * (resamples - 1))],
        high=means[int((1.0 - cut) * (resamples - 1))],
        confidence=confidence,
    )
