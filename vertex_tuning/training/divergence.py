"""Weights that have stopped being numbers: seen before they are written down, and taken back.

A step can ruin a model: its rate is too high, the weights leap, and the next loss is no number. Whether weights are of use is
known only when something has been computed with them. So those that gave a finite loss and finite gradients are put aside before
a step changes them, and they are what is left when training diverges.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from vertex_tuning.training.loop import Learner

_PROBE = 16
"""Tokens that a model is asked about, to see whether it answers with numbers."""


class DivergedError(Exception):
    """The weights, or what they give, are no numbers any more."""


class Guard:
    """Keeps the last weights that were seen to work: a second copy of what is trained, in the memory of the device.

    Args:
        learner: The model that learns.
        trainable: Its parameters that change.
        step: How many steps it has taken already.
    """

    def __init__(self, learner: Learner, trainable: Sequence[torch.Tensor], step: int) -> None:
        self.step = step
        """How many steps the weights had taken that were kept."""
        self._learner = learner
        self._trainable = [parameter.detach() for parameter in trainable]
        self._kept = [parameter.clone() for parameter in self._trainable]

    def keep(self, step: int) -> None:
        """These weights work: whatever comes next, they can be had back."""
        torch._foreach_copy_(self._kept, self._trainable)
        self.step = step

    def put_back(self) -> None:
        """Give the model the weights that were kept last."""
        torch._foreach_copy_(self._trainable, self._kept)

    @torch.no_grad()
    def works(self) -> bool:
        """Whether every weight is finite, and what the model makes of a few tokens is too, and tells them apart.

        Of weights that are too large, squares are infinite within the norms of the layers: what those divide by them is nothing,
        and all that comes out is the same finite number, whatever went in.
        """
        if not all(bool(torch.isfinite(parameter).all()) for parameter in self._trainable):
            return False
        device = self._learner.accelerator.device
        ids = torch.arange(_PROBE, device=device)[None]
        made = self._learner.logits(ids, torch.ones_like(ids, dtype=torch.bool))
        return bool(torch.isfinite(made).all()) and bool(made.max() > made.min())

    def hold(self) -> None:
        """Hold that the weights are of use, before somebody goes on from them.

        Raises:
            DivergedError: They are not.
        """
        if not self.works():
            raise DivergedError("the weights became too large to compute with")

    def check(self, measured: Mapping[str, float]) -> None:
        """Hold that all of it is finite.

        Raises:
            DivergedError: The first that is not, by its name.
        """
        broken = next((name for name, value in measured.items() if not math.isfinite(value)), None)
        if self._anywhere(broken is not None):
            raise DivergedError(
                f"the {broken} became {measured[broken]}"
                if broken
                else "the loss of another device is no number"
            )

    @contextmanager
    def computing(self) -> Iterator[None]:
        """What cannot be computed because the weights are ruined is divergence, and no fault of the program's."""
        try:
            yield
        except RuntimeError as error:  # such as: one cannot draw from probabilities that are no numbers
            if "probability tensor" not in str(error) and self.works():
                raise
            raise DivergedError("the model does not answer with numbers any more") from error

    def _anywhere(self, here: bool) -> bool:
        """Devices go on, or stop, together: one that waits for another would wait for ever."""
        accelerator: Any = self._learner.accelerator
        if accelerator.num_processes == 1:
            return here
        flag = torch.tensor(float(here), device=accelerator.device)
        return bool(accelerator.reduce(flag, reduction="sum") > 0)
