"""From logits to a token."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor

from vertex_tuning.emulator.serving.protocol import Sampling


def is_greedy(sampling: Sampling) -> bool:
    """Whether the likeliest token is always taken."""
    return sampling.temperature == 0 or sampling.top_k == 1 or sampling.top_p == 0


def penalised(logits: Tensor, sampling: Sampling, said: Counter[int]) -> Tensor:
    """Logits (vocabulary,) less the penalties for what the answer has already."""
    if not said or not sampling.has_penalties:
        return logits
    tokens = torch.tensor(list(said))
    times = torch.tensor([float(count) for count in said.values()])
    logits = logits.clone()
    logits[tokens] -= sampling.presence_penalty + sampling.frequency_penalty * times
    return logits


def pick(logits: Tensor, sampling: Sampling, chance: float) -> int:
    """An index of logits (choices,), float32; `-inf` is never taken.

    Google's order: the `top_k` likeliest, of these the likeliest that together reach `top_p`, of these one by
    chance, their probabilities sharpened or flattened by the temperature.

    Args:
        logits: Of each choice.
        sampling: How to choose.
        chance: In [0, 1): the same chance picks the same choice.
    """
    if is_greedy(sampling):
        return int(logits.argmax())
    count = min(sampling.top_k or logits.shape[0], logits.shape[0])
    values, choices = torch.topk(logits, count)
    if sampling.top_p < 1:
        likely = torch.softmax(values, dim=-1)
        before = likely.cumsum(-1) - likely
        kept = max(1, int((before < sampling.top_p).sum()))
        values = values[:kept]
    reached = torch.softmax(values / sampling.temperature, dim=-1, dtype=torch.float64).cumsum(-1)
    index = int(torch.searchsorted(reached, chance * float(reached[-1]), right=True))
    return int(choices[min(index, values.shape[0] - 1)])
