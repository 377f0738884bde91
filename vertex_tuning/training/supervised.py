"""Supervised tuning: learn answers from examples, with an adapter or with every weight.

The loss is the mean cross-entropy over answer tokens; the head is computed on those alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from vertex_tuning.training import examples, loop, rows
from vertex_tuning.training.chat import ChatTokenizer, Encoded, Message
from vertex_tuning.training.config import SupervisedConfig, TrainingConfig
from vertex_tuning.training.loop import Learner, Objective, Report
from vertex_tuning.training.stats import Tally


def run(config: SupervisedConfig, report: Report) -> None:
    """Train; see `loop.run`."""
    loop.run(config, lambda: Supervised(config), report)


class Supervised(Objective):
    """Examples, and the loss on their answers."""

    def __init__(self, config: TrainingConfig) -> None:
        examples.check(config, method="supervised")
        self.tokenizer = ChatTokenizer(Path(config.model))
        self._config = config
        self.tally = Tally()
        self._examples = self._load(config.training, config.training_name, self.tally, config.dropped)
        self._held_out: list[Encoded] = []
        if config.validation:
            before = config.dropped_validation
            self._held_out = self._load(config.validation, config.validation_name, Tally(), before)

    def encode(self, chat: list[Message]) -> Encoded:
        """A chat as tokens; every model turn is learnt."""
        return self.tokenizer.chat(chat)

    def _load(
        self, path: str, name: str | None, tally: Tally, before: Sequence[tuple[int, str]]
    ) -> list[Encoded]:
        found: list[Encoded] = []

        def encode(row: dict[str, Any]) -> None:
            chat = rows.messages(row)
            encoded = self.encode(chat)
            if not any(encoded.learn):
                raise ValueError("there is no model turn to learn")
            if len(encoded.ids) > self._config.max_tokens:
                raise examples.TooLongError(len(encoded.ids))
            tally.add(
                input_tokens=len(encoded.ids) - encoded.output_tokens,
                output_tokens=encoded.output_tokens,
                turns=len(chat),
                characters=sum(len(message["content"]) for message in chat),
                contents=row.get("contents"),
            )
            found.append(encoded)

        examples.read(path, name, encode, config=self._config, dropped=tally.dropped, before=before)
        return found

    @property
    def lengths(self) -> Sequence[int]:
        """Tokens of each training example."""
        return [len(example.ids) for example in self._examples]

    def stats(self, *, steps: int, epochs: int) -> dict[str, Any]:
        """The job's `tuningDataStats`."""
        return {"supervisedTuningDataStats": self.tally.to_json(steps=steps, epochs=epochs)}

    def begin(self, learner: Learner) -> None:
        """Nothing is to be known of the weights before."""

    def loss(
        self, learner: Learner, numbers: Sequence[int], _step: int
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Of the training examples with these numbers; and the share of answer tokens that were the likeliest."""
        loss, hits, count = _forward(learner, [self._examples[number] for number in numbers])
        return loss, {"accuracy": float(hits) / count}

    def evaluate(self, learner: Learner, batch_size: int) -> dict[str, float]:
        """Loss and accuracy per answer token."""
        if not self._held_out:
            return {}
        order = sorted(self._held_out, key=lambda example: len(example.ids))
        total = hits = tokens = 0.0
        for start in range(0, len(order), 2 * batch_size):
            loss, right, count = _forward(learner, order[start : start + 2 * batch_size])
            total += float(loss) * count
            hits += float(right)
            tokens += count
        return {"eval_loss": total / tokens, "eval_accuracy": hits / tokens}


def _forward(learner: Learner, batch: Sequence[Encoded]) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Loss (mean over answer tokens), how many were predicted exactly, and how many there are."""
    ids, before, answers = examples.tensors(batch, learner.accelerator.device)
    each, likeliest = learner.likelihoods(ids, before, answers)
    return -each.mean(), likeliest.sum(), len(answers)
