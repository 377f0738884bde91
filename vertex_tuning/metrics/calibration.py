"""Whether one who is sure is right as often as he is sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bin:
    """Verdicts that were given with about the same confidence."""

    confidence: float
    """Mean confidence of these, in [0, 1]."""
    accuracy: float
    """Share of them that were right."""
    count: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """How confidence and accuracy go together."""

    error: float
    """Expected calibration error, in [0, 1]: the mean gap between the two, each bin by its size."""
    bins: tuple[Bin, ...]
    """Those that are not empty, the least confident first."""


def calibration(
    confidences: Sequence[float], right: Sequence[bool], *, bins: int = 10, least: float = 0.5
) -> Calibration:
    """Confidence against accuracy, in bins of equal width.

    Args:
        confidences: Of each verdict, in [least, 1].
        right: Whether it was right.
        bins: How many.
        least: The confidence of one who knows nothing; 0.5 where there are two possibilities.

    Raises:
        ValueError: No verdicts, or sequences of different length.

    Source: Guo et al., On Calibration of Modern Neural Networks (arXiv 1706.04599), equations 2 and 3.
    """
    if not confidences:
        raise ValueError("no verdicts to look at")
    several: list[list[tuple[float, bool]]] = [[] for _ in range(bins)]
    for confidence, was in zip(confidences, right, strict=True):
        place = int((confidence - least) / (1.0 - least) * bins)
        several[min(max(place, 0), bins - 1)].append((confidence, was))
    found = tuple(
        Bin(sum(sure for sure, _ in one) / len(one), sum(was for _, was in one) / len(one), len(one))
        for one in several
        if one
    )
    gaps = sum(one.count * abs(one.confidence - one.accuracy) for one in found)
    return Calibration(gaps / len(confidences), found)
