"""The model over a packed batch, and its key-value cache.

A step takes some tokens of several rows: one of each row that is being answered, a stretch of each prompt
that is being read. They go through the linear layers as one sequence without padding; only attention tells
the rows apart. Every row has a slot in the cache, and its place in it is its position, so rows of any length
share a batch, join it and leave it, and none depends on who else is there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from vertex_tuning.emulator.serving.adapters import Adapter, Adapters

_ATTENTION = "vertex_tuning_packed"
_LENGTH_STEP = 128
_SLOT_STEP = 4


@dataclass(slots=True)
class Segment:
    """Tokens of one row in one step."""

    slot: int
    start: int
    """How much of the row is in the cache already: where these tokens are written."""
    tokens: list[int]
    adapter: Adapter | None = None
    wanted: list[int] = field(default_factory=list)
    """Indices of the tokens after which logits are wanted."""
    positions: list[int] | None = None
    """Position of each token, where it is not simply the next one (labels that are scored side by side)."""
    visible: Tensor | None = None
    """(tokens, tokens) bool: which of these tokens each of them sees, where that is not all before it."""


class Cache:
    """Keys and values of every row: per layer (slots, heads, length, dim). It grows as it must."""

    def __init__(self, layers: int) -> None:
        self.keys: list[Tensor | None] = [None] * layers
        self.values: list[Tensor | None] = [None] * layers
        self.slots = 0
        self.length = 0

    def reserve(self, slots: int, length: int) -> None:
        """Make room; what is there stays."""
        if slots <= self.slots and length <= self.length:
            return
        self.slots = max(self.slots, -(-slots // _SLOT_STEP) * _SLOT_STEP)
        self.length = max(self.length, -(-length // _LENGTH_STEP) * _LENGTH_STEP)
        for store in (self.keys, self.values):
            for layer, old in enumerate(store):
                if old is not None:
                    store[layer] = new = self._empty(old)
                    new[: old.shape[0], :, : old.shape[2]] = old

    def layer(self, index: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of a layer. `like`: (heads, tokens, dim), whose shape they take at the first use."""
        keys, values = self.keys[index], self.values[index]
        if keys is None or values is None:
            self.keys[index] = keys = self._empty(like[None])
            self.values[index] = values = self._empty(like[None])
        return keys, values

    def _empty(self, like: Tensor) -> Tensor:
        # Zeros, not whatever the memory holds: a masked NaN is still a NaN.
        return like.new_zeros(self.slots, like.shape[1], self.length, like.shape[3])

    def read(self, slot: int, length: int) -> list[Tensor]:
        """A copy of the first `length` places of a slot: keys and values, layer by layer."""
        return [store[slot, :, :length].clone() for store in [*self.keys, *self.values] if store is not None]

    def write(self, slot: int, saved: list[Tensor], length: int) -> None:
        """Put the first `length` places of a copy into a slot."""
        layers = len(self.keys)
        for index in range(layers):
            keys, values = self.layer(index, saved[index])
            keys[slot, :, :length] = saved[index][:, :length]
            values[slot, :, :length] = saved[layers + index][:, :length]

    def copy(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` places of one slot to another."""
        for store in [*self.keys, *self.values]:
            if store is not None:
                store[target, :, :length] = store[source, :, :length]

    def clear(self) -> None:
        """Give the memory back."""
        self.__init__(len(self.keys))  # type: ignore[misc]

    @property
    def bytes_per_token(self) -> int:
        """Memory of one place of one slot; 0 before the first use."""
        return sum(
            s.shape[1] * s.shape[3] * s.element_size() for s in [*self.keys, *self.values] if s is not None
        )


class Step:
    """One pass over some segments: what attention must know of them."""

    def __init__(self, cache: Cache, segments: list[Segment]) -> None:
        self.cache = cache
        self.singles = [s for s in segments if len(s.tokens) == 1 and s.visible is None]
        self.longer = [s for s in segments if len(s.tokens) > 1 or s.visible is not None]
        # Rows of one adapter stand together, so that it is applied to a slice.
        self.singles.sort(key=lambda s: id(s.adapter))
        self.segments = [*self.singles, *self.longer]
        cache.reserve(
            max(s.slot for s in segments) + 1,
            max(s.start + len(s.tokens) for s in segments),
        )
        self._masks: dict[tuple[int, int | None], Tensor] = {}
        if self.singles:
            self.low = min(s.slot for s in self.singles)
            self.high = max(s.slot for s in self.singles) + 1
            self.slots = torch.tensor([s.slot for s in self.singles])
            self.starts = torch.tensor([s.start for s in self.singles])
            self.reach = int(self.starts.max()) + 1

    def spans(self) -> list[tuple[Adapter, int, int]]:
        """Which tokens of the packed sequence each adapter is for: (adapter, begin, end)."""
        found: list[tuple[Adapter, int, int]] = []
        at = 0
        for segment in self.segments:
            end = at + len(segment.tokens)
            if segment.adapter is not None:
                if found and found[-1][0] is segment.adapter and found[-1][2] == at:
                    found[-1] = (segment.adapter, found[-1][1], end)
                else:
                    found.append((segment.adapter, at, end))
            at = end
        return found

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float, window: int | None
    ) -> Tensor:
        """Write keys and values, and attend row by row.

        Args:
            layer: Index of the layer.
            query: (heads, tokens, dim).
            key: (key heads, tokens, dim); heads are a multiple of key heads.
            value: Like `key`.
            scaling: Factor of the logits.
            window: How far back a token sees; None: to the beginning.

        Returns:
            (tokens, heads, dim).
        """
        keys, values = self.cache.layer(layer, key)
        out = query.new_empty(query.shape[1], query.shape[0], value.shape[2])
        at = len(self.singles)
        if at:
            out[:at] = self._attend_singles(
                keys, values, query[:, :at], key[:, :at], value[:, :at], scaling, window
            )
        for index, segment in enumerate(self.longer):
            end = at + len(segment.tokens)
            reach = segment.start + len(segment.tokens)
            own_keys, own_values = keys[segment.slot, :, :reach], values[segment.slot, :, :reach]
            own_keys[:, segment.start :] = key[:, at:end]
            own_values[:, segment.start :] = value[:, at:end]
            mask = self._mask(index, segment, window)
            out[at:end] = _attend(query[:, at:end], own_keys, own_values, mask, scaling)
            at = end
        return out

    def _attend_singles(
        self,
        keys: Tensor,
        values: Tensor,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        scaling: float,
        window: int | None,
    ) -> Tensor:
        """Rows with one token each, together: (rows, heads, dim)."""
        keys[self.slots, :, self.starts] = key.transpose(0, 1)
        values[self.slots, :, self.starts] = value.transpose(0, 1)
        width, heads, groups = self.high - self.low, key.shape[0], query.shape[0] // key.shape[0]
        # By slot: (width, key heads, groups, dim). Slots in between that have no part see one place, and are
        # left out after.
        at = self.slots - self.low
        spread = query.new_zeros(width, query.shape[0], query.shape[2])
        spread[at] = query.transpose(0, 1)
        mask = self._masks.get((-1, window))
        if mask is None:
            reach = query.new_zeros(width, dtype=torch.long)
            reach[at] = self.starts
            place = torch.arange(self.reach)
            seen = place <= reach[:, None]
            if window is not None:
                seen &= place > reach[:, None] - window
            mask = _additive(seen, query.dtype)[:, None, None]
            self._masks[-1, window] = mask
        view = slice(self.low, self.high)
        logits = (spread * scaling).view(width, heads, groups, -1) @ keys[view, :, : self.reach].transpose(
            -1, -2
        )
        found = torch.softmax(logits + mask, dim=-1) @ values[view, :, : self.reach]
        return found.reshape(width, query.shape[0], -1)[at]

    def _mask(self, index: int, segment: Segment, window: int | None) -> Tensor:
        mask = self._masks.get((index, window))
        if mask is not None:
            return mask
        count = len(segment.tokens)
        seen = (
            segment.visible
            if segment.visible is not None
            else torch.ones(count, count, dtype=torch.bool).tril()
        )
        seen = torch.cat([torch.ones(count, segment.start, dtype=torch.bool), seen], dim=1)
        if window is not None:
            own = torch.tensor(_positions(segment))
            place = torch.cat([torch.arange(segment.start), own])
            seen &= own[:, None] - place < window
        mask = _additive(seen, torch.float32)
        self._masks[index, window] = mask
        return mask


def _positions(segment: Segment) -> list[int]:
    if segment.positions is not None:
        return segment.positions
    return list(range(segment.start, segment.start + len(segment.tokens)))


def _additive(seen: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros(seen.shape, dtype=dtype).masked_fill_(~seen, float("-inf"))


def _attend(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor, scaling: float) -> Tensor:
    """(heads, tokens, dim) on (key heads, places, dim): (tokens, heads, dim)."""
    count, groups = query.shape[1], query.shape[0] // keys.shape[0]
    grouped = (query * scaling).reshape(keys.shape[0], groups * count, -1)
    logits = (grouped @ keys.transpose(-1, -2)).view(keys.shape[0], groups, count, -1)
    found = torch.softmax(logits + mask, dim=-1).view(keys.shape[0], groups * count, -1) @ values
    return found.view(query.shape[0], count, -1).transpose(0, 1)


def _attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    _mask: Tensor | None,
    *,
    scaling: float,
    step: Step,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """What transformers calls in every layer: (1, heads, tokens, dim) -> (1, tokens, heads, dim)."""
    return step.attend(module.layer_idx, query[0], key[0], value[0], scaling, sliding_window)[None], None


ALL_ATTENTION_FUNCTIONS.register(_ATTENTION, _attention)


class PackedModel:
    """A causal language model of a folder, in float32 throughout: small differences decide what is said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model = AutoModelForCausalLM.from_pretrained(
            str(folder),
            dtype=torch.float32,
            attn_implementation=_ATTENTION,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
        ).eval()
        self.config = self.model.config
        self.cache = Cache(self.config.num_hidden_layers)
        self.adapters = Adapters(self.model)
        self.bytes = sum(p.numel() * p.element_size() for p in self.model.parameters())
        self._decoder = self.model.get_decoder()
        self._head = self.model.get_output_embeddings()
        self._softcap: float | None = getattr(self.config, "final_logit_softcapping", None)

    def forward(self, segments: list[Segment]) -> tuple[list[Segment], Tensor]:
        """One step.

        Returns:
            The segments in the order of the packed batch, and logits (wanted, vocabulary) float32 in that
            order.
        """
        step = Step(self.cache, segments)
        tokens = [token for segment in step.segments for token in segment.tokens]
        positions = [position for segment in step.segments for position in _positions(segment)]
        wanted, at = [], 0
        for segment in step.segments:
            wanted += [at + index for index in segment.wanted]
            at += len(segment.tokens)
        with self.adapters.on(step.spans()):
            hidden = self._decoder(
                input_ids=torch.tensor([tokens]),
                position_ids=torch.tensor([positions]),
                use_cache=False,
                step=step,
            ).last_hidden_state[0]
        logits: Tensor = self._head(hidden[torch.tensor(wanted, dtype=torch.long)])
        if self._softcap is not None:
            logits = torch.tanh(logits / self._softcap) * self._softcap
        return step.segments, logits
