"""Pure functions on answers and references: no I/O, no model; a library is imported when it is asked."""

from vertex_tuning.metrics.aggregates import AGGREGATIONS, aggregate
from vertex_tuning.metrics.answers import exact_match, matches
from vertex_tuning.metrics.calibration import Bin, Calibration, calibration
from vertex_tuning.metrics.intervals import Interval, paired_difference
from vertex_tuning.metrics.overlap import ROUGE_TYPES, bleu, rouge

__all__ = [
    "AGGREGATIONS",
    "ROUGE_TYPES",
    "Bin",
    "Calibration",
    "Interval",
    "aggregate",
    "bleu",
    "calibration",
    "exact_match",
    "matches",
    "paired_difference",
    "rouge",
]
