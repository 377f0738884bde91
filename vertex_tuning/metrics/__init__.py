"""Pure functions on answers and references: no I/O, no model, no third-party import."""

from vertex_tuning.metrics.aggregates import AGGREGATIONS, aggregate
from vertex_tuning.metrics.answers import exact_match, matches
from vertex_tuning.metrics.intervals import Interval, paired_difference

__all__ = ["AGGREGATIONS", "Interval", "aggregate", "exact_match", "matches", "paired_difference"]
