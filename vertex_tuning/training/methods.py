"""The ways of tuning, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vertex_tuning.training import (
    answering,
    distillation,
    preference,
    reinforcement,
    reward,
    step_by_step,
    supervised,
)
from vertex_tuning.training.config import (
    AnsweringConfig,
    DistillationConfig,
    PreferenceConfig,
    ReinforcementConfig,
    RewardConfig,
    StepByStepConfig,
    SupervisedConfig,
    TrainingConfig,
)
from vertex_tuning.training.loop import Report

_METHODS: dict[str, tuple[type[TrainingConfig], Callable[[Any, Report], None]]] = {
    "supervised": (SupervisedConfig, supervised.run),
    "preference": (PreferenceConfig, preference.run),
    "distillation": (DistillationConfig, distillation.run),
    "reward": (RewardConfig, reward.run),
    "step_by_step": (StepByStepConfig, step_by_step.run),
    "reinforcement": (ReinforcementConfig, reinforcement.run),
    "answering": (AnsweringConfig, answering.run),
}

NAMES = tuple(_METHODS)


def run(method: str, config: dict[str, Any], report: Report) -> None:
    """Train; see `loop.run`.

    Args:
        method: One of `NAMES`.
        config: Its `TrainingConfig`, as JSON.
        report: Gets the events.
    """
    kind, train = _METHODS[method]
    train(kind.from_json(config), report)
