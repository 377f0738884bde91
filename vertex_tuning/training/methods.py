"""The ways of tuning, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vertex_tuning.training import distillation, preference, reinforcement, reward, supervised
from vertex_tuning.training.config import (
    DistillationConfig,
    PreferenceConfig,
    ReinforcementConfig,
    RewardConfig,
    SupervisedConfig,
    TrainingConfig,
)
from vertex_tuning.training.loop import Report

_METHODS: dict[str, tuple[type[TrainingConfig], Callable[[Any, Report], None]]] = {
    "supervised": (SupervisedConfig, supervised.run),
    "preference": (PreferenceConfig, preference.run),
    "distillation": (DistillationConfig, distillation.run),
    "reward": (RewardConfig, reward.run),
    "reinforcement": (ReinforcementConfig, reinforcement.run),
}


def run(method: str, config: dict[str, Any], report: Report) -> None:
    """Train; see `loop.run`.

    Args:
        method: `supervised`, `preference`, `reward`, `reinforcement` or `distillation`.
        config: Its `TrainingConfig`, as JSON.
        report: Gets the events.
    """
    kind, train = _METHODS[method]
    train(kind.from_json(config), report)
