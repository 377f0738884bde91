"""Distillation's second half: learn the teacher's answers, as if they were examples.

The rows hold the answers already. Of a conversation the last turn alone is the teacher's, and alone is learnt; the loss is that
of supervised tuning. What is said of the data set is about the prompts: the answers are not the user's.
"""

from __future__ import annotations

from typing import Any

from vertex_tuning.training import loop
from vertex_tuning.training.chat import Encoded, Message
from vertex_tuning.training.config import DistillationConfig
from vertex_tuning.training.loop import Report
from vertex_tuning.training.supervised import Supervised


def run(config: DistillationConfig, report: Report) -> None:
    """Train; see `loop.run`."""
    loop.run(config, lambda: _Distillation(config), report)


class _Distillation(Supervised):
    """Prompts with a teacher's answers."""

    def encode(self, chat: list[Message]) -> Encoded:
        """A chat as tokens; the last turn is learnt."""
        ids = super().encode(chat).ids
        asked = len(self.tokenizer.prompt(chat[:-1]))
        return Encoded(ids, [index >= asked for index in range(len(ids))])

    def stats(self, *, steps: int, epochs: int) -> dict[str, Any]:
        del epochs
        found = self.tally.prompts_to_json(steps=steps)
        return {"distillationDataStats": {"trainingDatasetStats": found}}
