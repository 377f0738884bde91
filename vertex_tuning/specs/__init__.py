"""One file per way of tuning: a typed spec, and how it becomes a job."""

from vertex_tuning.specs._spec import Spec
from vertex_tuning.specs.distillation import Distillation
from vertex_tuning.specs.evaluation import EvaluationConfig, Judged
from vertex_tuning.specs.preference import PreferenceTuning
from vertex_tuning.specs.reinforcement import ReinforcementTuning
from vertex_tuning.specs.supervised import SupervisedTuning

__all__ = [
    "Distillation",
    "EvaluationConfig",
    "Judged",
    "PreferenceTuning",
    "ReinforcementTuning",
    "Spec",
    "SupervisedTuning",
]
