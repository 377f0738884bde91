"""How far a model has gone from the one that the run began with: what reinforcement keeps short.

For a token `y` after what stands before it, with `p` the model that learns and `q` the one that the run began with:

    kl = q(y) / p(y) - log(q(y) / p(y)) - 1

Over tokens that `p` has sampled its mean is the divergence KL(p || q) in nats a token, and no single value is negative.

Source: Schulman, Approximating KL Divergence (2020), estimator k3; Shao et al., DeepSeekMath (arXiv 2402.03300), equation 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


class Beginning:
    """The weights that the run began with: a copy of what is trained, in the memory of the device."""

    def __init__(self, trainable: Sequence[Tensor]) -> None:
        self._trainable = list(trainable)
        self._kept = [parameter.detach().clone() for parameter in self._trainable]

    @contextmanager
    def back(self) -> Iterator[None]:
        """The model as it was, for as long as this lasts; nothing is copied."""
        self._exchange()
        try:
            with torch.no_grad():
                yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        for index, parameter in enumerate(self._trainable):
            parameter.data, self._kept[index] = self._kept[index], parameter.data


def divergence(now: Tensor, before: Tensor) -> Tensor:
    """`kl` of each token.

    Args:
        now: log p, (tokens,) float32; gradients flow through it.
        before: log q of the same tokens, (tokens,) float32.
    """
    gap = before - now
    return gap.exp() - gap - 1
