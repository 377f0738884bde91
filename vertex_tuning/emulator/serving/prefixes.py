"""What prompts share is computed once.

The examples of a few-shot prompt, a system instruction, the earlier turns of a chat: prompts that follow one
another often begin with the same tokens. Their keys and values are kept for a while, and copied instead of
computed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from torch import Tensor

_BUDGET = 256 * 1024 * 1024
MIN_SHARED = 32
"""Tokens below which copying, keeping and waiting for one another are not worth it."""


def shared(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens two sequences have in common at their beginning."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


class Prefixes:
    """Keys and values of prompts read lately, by adapter and tokens; those least used go first."""

    def __init__(self, budget: int = _BUDGET) -> None:
        self._budget = budget
        self._kept: OrderedDict[tuple[Any, tuple[int, ...]], list[Tensor]] = OrderedDict()
        self._bytes = 0

    def find(self, adapter: Any, tokens: list[int]) -> tuple[int, list[Tensor]]:
        """The longest known beginning of a prompt: (tokens, keys and values), (0, []) where there is none.

        The last token of a prompt is never taken from here: somebody must compute what comes after it.
        """
        wanted = tuple(tokens[:-1])
        best, length = None, MIN_SHARED - 1
        for key in self._kept:
            if key[0] is adapter and (found := shared(key[1], wanted)) > length:
                best, length = key, found
        if best is None:
            return 0, []
        self._kept.move_to_end(best)
        return length, self._kept[best]

    def keep(self, adapter: Any, tokens: list[int], saved: list[Tensor]) -> None:
        """Remember a prompt's keys and values, each (heads, tokens, dim)."""
        size = _bytes(saved)
        if size > self._budget:
            return
        new = tuple(tokens)
        for key in [k for k in self._kept if k[0] is adapter and new[: len(k[1])] == k[1]]:
            self._bytes -= _bytes(self._kept.pop(key))
        self._kept[adapter, new] = saved
        self._bytes += size
        while self._bytes > self._budget:
            self._bytes -= _bytes(self._kept.popitem(last=False)[1])


def _bytes(tensors: list[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
