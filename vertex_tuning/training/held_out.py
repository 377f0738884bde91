"""Short answers, held out: which the model would say, without generating any.

A model that takes the likeliest token each time says an answer word for word just if each token of it, the end of the turn
included, is the likeliest after those before it. And of several labels it chooses the one that is likeliest as a whole. Both come
out of forward passes over the known answers. Logits are compared in fp32: bf16 makes ties.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vertex_tuning.training import examples
from vertex_tuning.training.chat import ChatTokenizer, Encoded, Message
from vertex_tuning.training.loop import Learner

MOST_LABELS = 16
"""Where there are more different answers, none are chosen among: each costs a pass over all questions."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a model would answer, by question."""

    exact: list[bool]
    """Whether it says the right answer word for word."""
    chosen: list[str]
    """The label that it chooses; empty where there are too many to choose among."""
    right: list[str]
    """The right answer."""

    @property
    def word_for_word(self) -> float:
        """Share of questions."""
        return sum(self.exact) / len(self.exact)

    @property
    def choice(self) -> float | None:
        """Share of questions for which it chooses the right label; None where it did not choose."""
        if not self.chosen:
            return None
        return sum(map(str.__eq__, self.chosen, self.right)) / len(self.right)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


class HeldOut:
    """Questions, with their right answers.

    Args:
        tokenizer: Of the model that is asked.
        items: (question, right answer).
    """

    def __init__(self, tokenizer: ChatTokenizer, items: Sequence[tuple[list[Message], str]]) -> None:
        self._right = [answer for _, answer in items]
        labels = sorted(set(self._right))
        self._labels = labels if 1 < len(labels) <= MOST_LABELS else []
        self._items = [
            (row, label, _encoded(tokenizer, question, label))
            for row, (question, answer) in enumerate(items)
            for label in self._labels or [answer]
        ]

    def ask(self, learner: Learner, batch_size: int) -> Said:
        """Ask a model, in evaluation mode and without gradients."""
        exact = [False] * len(self._right)
        best: list[tuple[float, str]] = [(float("-inf"), "")] * len(self._right)
        order = sorted(self._items, key=lambda item: len(item[2].ids))
        for start in range(0, len(order), 4 * batch_size):
            batch = order[start : start + 4 * batch_size]
            ids, before, answers = examples.tensors(
                [encoded for _, _, encoded in batch], learner.accelerator.device
            )
            each, hits = learner.likelihoods(ids, before, answers)
            where = before.nonzero()[:, 0]
            for index, (row, label, _) in enumerate(batch):
                mine = where == index
                best[row] = max(best[row], (float(each[mine].sum()), label))
                if label == self._right[row]:
                    exact[row] = bool(hits[mine].all())
        chosen = [label for _, label in best] if self._labels else []
        return Said(exact, chosen, self._right)


def _encoded(tokenizer: ChatTokenizer, question: list[Message], answer: str) -> Encoded:
    """The chat with this answer, of which the answer alone counts."""
    asked = len(tokenizer.prompt(question))
    ids = tokenizer.chat([*question, {"role": "assistant", "content": answer}]).ids
    return Encoded(ids, [index >= asked for index in range(len(ids))])
