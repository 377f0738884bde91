"""Pure functions on answers and references: no I/O, no model; a library is imported when it is asked."""

from vertex_tuning.metrics.aggregates import AGGREGATIONS, aggregate
from vertex_tuning.metrics.answers import exact_match, matches, same_label, valid_json
from vertex_tuning.metrics.calibration import Bin, Calibration, calibration
from vertex_tuning.metrics.hacking import Look, Verdict, best, hacking, repetition, wins
from vertex_tuning.metrics.intervals import Interval, crossed_difference, paired_difference, win_share
from vertex_tuning.metrics.overlap import ROUGE_TYPES, bleu, rouge, token_f1

__all__ = [
    "AGGREGATIONS",
    "ROUGE_TYPES",
    "Bin",
    "Calibration",
    "Interval",
    "Look",
    "Verdict",
    "aggregate",
    "best",
    "bleu",
    "calibration",
    "crossed_difference",
    "exact_match",
    "hacking",
    "matches",
    "paired_difference",
    "repetition",
    "rouge",
    "same_label",
    "token_f1",
    "valid_json",
    "win_share",
    "wins",
]
