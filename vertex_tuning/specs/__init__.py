"""One file per way of tuning: a typed spec, and how it becomes a job."""

from vertex_tuning.specs.supervised import SupervisedTuning

__all__ = ["SupervisedTuning"]
