"""Tokens that a JSON Schema allows: constrained decoding with llguidance."""

from __future__ import annotations

import json
from collections import OrderedDict
from functools import cached_property
from typing import Any

import torch
from llguidance import LLMatcher, LLTokenizer
from torch import Tensor

from vertex_tuning.emulator.serving.closing import Closers, Inside

_MAX_KEPT = 32
# Spaces as people write JSON; free whitespace is a trap in which small models fall asleep. `oneOf` is `anyOf` to Vertex AI too.
_STYLE = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "coerce_one_of": True,
}


class FormatError(ValueError):
    """A schema that cannot be followed."""


class Follower:
    """Where an answer is in its schema."""

    def __init__(self, matcher: LLMatcher, formats: Formats) -> None:
        self._matcher = matcher
        self._formats = formats
        self._inside = Inside()
        self._vocabulary = formats.tokenizer.vocab_size
        self._words = torch.zeros((self._vocabulary + 31) // 32, dtype=torch.int32)

    def closing(self) -> Tensor:
        """Of the tokens that may come next those that bring the answer to its end: (vocabulary,) bool."""
        forced = self._matcher.compute_ff_tokens()
        if forced:
            only = torch.zeros(self._vocabulary, dtype=torch.bool)
            only[forced[0]] = True
            return only
        return self._formats.closers.of(self.allowed(), self._inside)

    def allowed(self) -> Tensor:
        """Tokens that may come next, the turn's end too where the answer is whole: (vocabulary,) bool."""
        self._matcher.unsafe_compute_mask_ptr(self._words.data_ptr(), self._words.numel() * 4)
        bits = (self._words[:, None] >> torch.arange(32, dtype=torch.int32)) & 1
        return bits.view(-1)[: self._vocabulary].bool()

    def take(self, token: int) -> None:
        """A token was chosen."""
        if not self._matcher.consume_token(token):
            raise FormatError(self._matcher.get_error() or "the schema does not allow the token")
        self._inside.read(self._formats.tokenizer.decode_bytes([token]))

    @property
    def whole(self) -> bool:
        """Whether nothing can follow any more."""
        return bool(self._matcher.is_stopped())


class Formats:
    """Schemas, compiled for one tokenizer."""

    def __init__(self, tokenizer: LLTokenizer) -> None:
        self.tokenizer = tokenizer
        self._compiled: OrderedDict[str, LLMatcher] = OrderedDict()

    @cached_property
    def closers(self) -> Closers:
        """Made when the first answer needs them: a large vocabulary takes half a second."""
        return Closers(self.tokenizer)

    def follow(self, schema: Any) -> Follower:
        """A new answer by this JSON Schema.

        Raises:
            FormatError: The schema says something that cannot be followed.
        """
        text = json.dumps(schema)
        matcher = self._compiled.get(text)
        if matcher is None:
            try:
                grammar = LLMatcher.grammar_from_json_schema(text, overrides=_STYLE)
            except ValueError as error:
                raise FormatError(str(error)) from error
            matcher = LLMatcher(self.tokenizer, grammar, log_level=0)
            if matcher.is_error():
                raise FormatError(matcher.get_error())
            self._compiled[text] = matcher
            if len(self._compiled) > _MAX_KEPT:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(text)
        return Follower(matcher.deep_copy(), self)
