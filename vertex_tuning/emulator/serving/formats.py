"""Tokens that a JSON Schema allows: constrained decoding with llguidance."""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import Any

import torch
from llguidance import LLMatcher, LLTokenizer
from torch import Tensor

_MAX_KEPT = 32
# Spaces as people write JSON; free whitespace is a trap in which small models fall asleep.
_STYLE = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class FormatError(ValueError):
    """A schema that cannot be followed."""


class Follower:
    """Where an answer is in its schema."""

    def __init__(self, matcher: LLMatcher, vocabulary: int) -> None:
        self._matcher = matcher
        self._words = torch.zeros((vocabulary + 31) // 32, dtype=torch.int32)
        self._vocabulary = vocabulary

    def allowed(self) -> Tensor:
        """Tokens that may come next, the turn's end too where the answer is whole: (vocabulary,) bool."""
        self._matcher.unsafe_compute_mask_ptr(self._words.data_ptr(), self._words.numel() * 4)
        bits = (self._words[:, None] >> torch.arange(32, dtype=torch.int32)) & 1
        return bits.view(-1)[: self._vocabulary].bool()

    def take(self, token: int) -> None:
        """A token was chosen."""
        if not self._matcher.consume_token(token):
            raise FormatError(self._matcher.get_error() or "the schema does not allow the token")

    @property
    def whole(self) -> bool:
        """Whether nothing can follow any more."""
        return bool(self._matcher.is_stopped())


class Formats:
    """Schemas, compiled for one tokenizer."""

    def __init__(self, tokenizer: LLTokenizer) -> None:
        self._tokenizer = tokenizer
        self._compiled: OrderedDict[str, LLMatcher] = OrderedDict()

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
            matcher = LLMatcher(self._tokenizer, grammar, log_level=0)
            if matcher.is_error():
                raise FormatError(matcher.get_error())
            self._compiled[text] = matcher
            if len(self._compiled) > _MAX_KEPT:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(text)
        return Follower(matcher.deep_copy(), self._tokenizer.vocab_size)
