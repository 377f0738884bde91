"""Whether what is said to be likely comes true as often as was said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions of about the same probability."""

    low: float
    high: float
    count: int
    said: float
    """Mean probability that was predicted."""
    true: float
    """Share that came true."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Predictions beside what came true."""

    bins: tuple[Bin, ...]
    """Those with a prediction in them, by probability."""
    expected_error: float
    """Mean distance of what was said from what came true, over the predictions (ECE), in [0, 1]."""
    brier: float
    """Mean square of probability less outcome, in [0, 1]; 0.25 is what saying one half earns."""
    count: int


def calibration(probabilities: Sequence[float], outcomes: Sequence[bool], *, bins: int = 10) -> Calibration:
    """Hold probabilities against what came true.

    Args:
        probabilities: Predicted, in [0, 1].
        outcomes: Whether each came true.
        bins: Of equal width over [0, 1].

    Raises:
        ValueError: None, sequences of different length, a probability outside [0, 1], or no bins.

    Source: Guo et al., On Calibration of Modern Neural Networks (2017), equation 3; Brier (1950).
    """
    pairs = [(float(said), float(true)) for said, true in zip(probabilities, outcomes, strict=True)]
    if not pairs or bins < 1:
        raise ValueError("at least one prediction, and one bin")
    if not all(0.0 <= said <= 1.0 for said, _ in pairs):
        raise ValueError("a probability lies in [0, 1]")
    held: list[list[tuple[float, float]]] = [[] for _ in range(bins)]
    for said, true in pairs:
        held[min(int(said * bins), bins - 1)].append((said, true))
    found = tuple(
        Bin(
            number / bins,
            (number + 1) / bins,
            len(inside),
            sum(said for said, _ in inside) / len(inside),
            sum(true for _, true in inside) / len(inside),
        )
        for number, inside in enumerate(held)
        if inside
    )
    return Calibration(
        bins=found,
        expected_error=sum(one.count * abs(one.said - one.true) for one in found) / len(pairs),
        brier=sum((said - true) ** 2 for said, true in pairs) / len(pairs),
        count=len(pairs),
    )
