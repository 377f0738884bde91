"""Causal attention for short texts on a CPU.

PyTorch's blocked kernel is made for thousands of tokens; on a training example of sixty it takes four times as long as the plain
products, most of it in the backward pass. Up to 256 tokens the scores of a batch fit into the cache, and the plain products win.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "vertex_tuning"
"""What `from_pretrained(attn_implementation=...)` takes."""
_LONGEST = 256


def register() -> str:
    """Make it known to transformers; returns its name."""
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    return NAME


def attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """Attention as transformers calls it: `softmax(q k' / sqrt(d)) v`, causal (Vaswani et al. 2017, equation 1).

    Args:
        module: The layer that asks.
        query: (batch, heads, length, d)
        key: (batch, groups, length, d); several heads may share a group's.
        value: As key.
        attention_mask: None where causality is all there is; anything else goes to PyTorch's kernel.
        **options: `scaling`, and what PyTorch's kernel takes.

    Returns:
        (batch, length, heads, d), and no weights.
    """
    length = query.shape[2]
    plain = attention_mask is None and query.device.type == "cpu" and length == key.shape[2] <= _LONGEST
    if (
        not plain
        or options.get("dropout")
        or options.get("softcap")
        or options.get("position_bias") is not None
    ):
        found: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, **options
        )
        return found
    batch, heads, _, size = query.shape
    groups = key.shape[1]
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    # Heads of a group are rows of one product, so that its keys are never copied for each of them.
    rows = query.reshape(batch, groups, -1, size)
    scores = (rows @ key.transpose(-1, -2)).view(batch, groups, -1, length, length)
    scores = scores.float() * (options.get("scaling") or size**-0.5) + _future(length)
    weights = torch.softmax(scores, dim=-1).to(value.dtype).view(batch, groups, -1, length)
    attended = (weights @ value).view(batch, heads, length, size)
    return attended.transpose(1, 2).contiguous(), None


@cache
def _future(length: int) -> Tensor:
    """Minus infinity where a token would look ahead: (length, length) float32."""
    return torch.full((length, length), float("-inf")).triu(1)
