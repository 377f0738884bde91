"""Many scores as one number, by the names that Vertex AI has for it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence


def _spread(of: Callable[[Sequence[float]], float]) -> Callable[[Sequence[float]], float]:
    return lambda values: of(values) if len(values) > 1 else 0.0


def _percentile(share: float) -> Callable[[Sequence[float]], float]:
    """The value below which so large a share lies, on the line between the two nearest."""

    def of(values: Sequence[float]) -> float:
        ordered = sorted(values)
        place = share * (len(ordered) - 1)
        low = int(place)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (place - low) * (ordered[high] - ordered[low])

    return of


_BY_NAME: dict[str, Callable[[Sequence[float]], float]] = {
    "AVERAGE": statistics.fmean,
    "MODE": lambda values: min(statistics.multimode(values)),
    "STANDARD_DEVIATION": _spread(statistics.stdev),
    "VARIANCE": _spread(statistics.variance),
    "MINIMUM": min,
    "MAXIMUM": max,
    "MEDIAN": statistics.median,
    "PERCENTILE_P90": _percentile(0.90),
    "PERCENTILE_P95": _percentile(0.95),
    "PERCENTILE_P99": _percentile(0.99),
}
AGGREGATIONS = tuple(_BY_NAME)
"""The names, as `Metric.aggregationMetrics` has them."""


def aggregate(name: str, values: Sequence[float]) -> float:
    """Scores as one number.

    Args:
        name: One of `AGGREGATIONS`. Deviation and variance are the sample's (n - 1), and 0 of a single score; of several
            modes the least is taken; percentiles lie on the line between the two nearest scores.
        values: The scores, one at least.

    Raises:
        ValueError: There are no scores, or no such name.
    """
    if name not in _BY_NAME:
        raise ValueError(f"{name} is none of {', '.join(AGGREGATIONS)}")
    if not values:
        raise ValueError("no scores to put together")
    return float(_BY_NAME[name](values))
