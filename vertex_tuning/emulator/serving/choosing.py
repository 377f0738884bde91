"""Which of several labels is the likeliest answer.

Not the label with the likeliest first token: the one whose tokens together are. All labels are scored in one
pass, side by side after the prompt, each blind to the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

_MAX_TOKENS = 256
"""Tokens of labels per pass; each costs a row of logits."""


@dataclass(slots=True)
class Label:
    """A label, and what is known of its probability."""

    text: str
    tokens: list[int]
    ends: bool
    """Another label goes on where this one stops: then the end of the turn counts too, or the longer one could
    never win. No two labels are one event."""
    logprobs: list[float] = field(default_factory=list)
    """Of its tokens, and of the end of the turn where that counts."""
    likeliest: list[list[tuple[int, float]]] = field(default_factory=list)
    """At each token: the likeliest tokens and their log-probabilities, where they are asked for."""

    @property
    def score(self) -> float:
        """Log-probability of the label as the answer."""
        return sum(self.logprobs)


class Choice:
    """Labels to be scored after a prompt."""

    def __init__(self, labels: list[tuple[str, list[int]]], end: int, top: int) -> None:
        sequences = [tuple(tokens) for _, tokens in labels]
        beginnings = {tokens[:n] for tokens in sequences for n in range(1, len(tokens))}
        self.labels = [
            Label(text, tokens, sequence in beginnings)
            for (text, tokens), sequence in zip(labels, sequences, strict=True)
        ]
        self._end = end
        self._top = top
        self._left: list[Label] = []
        self._group: list[Label] = []

    @property
    def left(self) -> bool:
        """Whether there are labels that were not scored."""
        return bool(self._left)

    def begin(self, logits: Tensor) -> None:
        """The logits (vocabulary,) after the prompt."""
        logprobs = torch.log_softmax(logits, dim=-1)
        for label in self.labels:
            self._note(label, 0, logprobs)
        self._left = [label for label in self.labels if self._fed(label)]

    def tokens(self) -> tuple[list[int], list[int], Tensor] | None:
        """What the next pass must take; None: every label was scored.

        Returns:
            Tokens, their distances from the prompt's end, and which sees which: (tokens, tokens) bool.
        """
        self._group = []
        tokens: list[int] = []
        distances: list[int] = []
        while self._left and (not tokens or len(tokens) + len(self._fed(self._left[0])) <= _MAX_TOKENS):
            label = self._left.pop(0)
            fed = self._fed(label)
            tokens += fed
            distances += range(len(fed))
            self._group.append(label)
        if not tokens:
            return None
        visible = torch.zeros(len(tokens), len(tokens), dtype=torch.bool)
        at = 0
        for label in self._group:
            size = len(self._fed(label))
            visible[at : at + size, at : at + size] = torch.ones(size, size, dtype=torch.bool).tril()
            at += size
        return tokens, distances, visible

    def scored(self, logits: Tensor) -> None:
        """Logits (tokens, vocabulary) of the pass."""
        logprobs = torch.log_softmax(logits, dim=-1)
        at = 0
        for label in self._group:
            for index in range(len(self._fed(label))):
                self._note(label, index + 1, logprobs[at])
                at += 1

    def _fed(self, label: Label) -> list[int]:
        return label.tokens if label.ends else label.tokens[:-1]

    def _note(self, label: Label, index: int, logprobs: Tensor) -> None:
        token = label.tokens[index] if index < len(label.tokens) else self._end
        label.logprobs.append(float(logprobs[token]))
        if self._top:
            values, tokens = torch.topk(logprobs, self._top)
            label.likeliest.append(list(zip(tokens.tolist(), values.tolist(), strict=True)))
