"""A reward model at work: what answers are worth to it, many at a time.

    reward = tanh((R - mean) / 2) = 2 * sigmoid(R - mean) - 1

`R` is what the model says and `mean` what it said of answers on average when it was made. `sigmoid(R - mean)` is the probability,
by Bradley and Terry's model, that the answer is preferred to such an average one. So the reward lies between -1 and 1, as the
service wants it, and 0 is an answer like any other.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from vertex_tuning.training import attention, loop, pairs, reward
from vertex_tuning.training.chat import ChatTokenizer, Message
from vertex_tuning.training.examples import DataFaultError
from vertex_tuning.training.loop import Learner

_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Answered:
    """A chat, and an answer to it."""

    chat: list[Message]
    answer: str


class RewardModel:
    """A reward model from a folder.

    Args:
        folder: A checkpoint of `--method reward`.
        accelerator: On whose device it works; None: on one of its own.

    Raises:
        DataFaultError: There is no reward model in the folder.
    """

    def __init__(self, folder: Path, accelerator: Accelerator | None = None) -> None:
        from transformers import AutoModelForSequenceClassification

        self.card = _card(folder)
        self._mean = float(self.card["mean_reward"])
        self._tokenizer = ChatTokenizer(folder)
        model: Any = AutoModelForSequenceClassification.from_pretrained(
            str(folder),
            dtype=torch.float32,
            attn_implementation=attention.register(),
            local_files_only=True,
        )
        accelerator = accelerator or loop.accelerated()
        model = loop.lean(model.eval().requires_grad_(False))
        self._learner = Learner(accelerator, model.to(accelerator.device))

    def rewards(self, answered: Sequence[Answered]) -> list[float]:
        """What the answers are worth, each in (-1, 1), in their order."""
        encoded = [pairs.encoded(self._tokenizer, one.chat, one.answer) for one in answered]
        order = sorted(range(len(encoded)), key=lambda number: len(encoded[number].ids))
        found = [0.0] * len(encoded)
        with torch.no_grad():
            for start in range(0, len(order), _AT_ONCE):
                numbers = order[start : start + _AT_ONCE]
                raw = reward.last_rewards(self._learner, [encoded[number] for number in numbers])
                for number, value in zip(numbers, raw.tolist(), strict=True):
                    found[number] = math.tanh((value - self._mean) / 2)
        return found


def _card(folder: Path) -> dict[str, Any]:
    try:
        card: dict[str, Any] = json.loads((folder / reward.CARD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataFaultError(
            f"There is no reward model in {folder}: {reward.CARD} is missing. "
            "One is made by: python -m vertex_tuning.training --method reward"
        ) from None
    return card
