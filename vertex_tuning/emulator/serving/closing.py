"""How an answer by a schema comes to its end where a stand-in's context runs out.

A small model rambles: it opens strings and lists, and forgets to close them. On Vertex AI there is room for a million tokens;
here the same request would end in half a JSON document. So near the end of the context what is open is closed: strings, lists,
fields that may be left out. Only where the caller said how long the answer may be is it cut there, as on Vertex AI.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from llguidance import LLTokenizer
from torch import Tensor

_SPARE = 24
"""Tokens for what cannot be foreseen: a number that is being written, a character of several tokens."""
_MAX_NODES = 2_000
"""A schema that unfolds to more than this needs more than a stand-in's context has anyway."""
_FORMAT = "0000-00-00T00:00:00+00:00"
_PATTERN = "x" * 16


@dataclass(slots=True)
class Inside:
    """Whether JSON text that is being written is inside a string, read byte by byte."""

    string: bool = False
    escaped: bool = False

    def read(self, piece: bytes) -> None:
        """Go on with a piece of the text."""
        for byte in piece:
            if self.escaped:
                self.escaped = False
            elif byte == ord("\\"):
                self.escaped = self.string
            elif byte == ord('"'):
                self.string = not self.string


class Closers:
    """The tokens of a vocabulary that close something, by what they close."""

    def __init__(self, tokenizer: LLTokenizer) -> None:
        pieces = [tokenizer.decode_bytes([token]) for token in range(tokenizer.vocab_size)]

        def those(fits: Callable[[bytes], bool]) -> Tensor:
            return torch.tensor([fits(piece) for piece in pieces])

        ends = torch.zeros(len(pieces), dtype=torch.bool)
        ends[list(tokenizer.eos_tokens)] = True
        quote = those(lambda piece: piece == b'"')
        self._in_string = (quote, those(lambda piece: piece.startswith(b'"')))
        self._outside = (
            ends,
            those(lambda piece: piece in (b"}", b"]")),
            those(lambda piece: piece.startswith((b"}", b"]"))),
            those(lambda piece: piece.startswith(b"n")),  # of `null`: nothing is shorter
            those(lambda piece: piece.startswith(b",")),
            quote,
            those(lambda piece: not piece.startswith((b"{", b"["))),
        )

    def of(self, allowed: Tensor, inside: Inside) -> Tensor:
        """Of the tokens that a schema allows (vocabulary,) those that come to an end soonest."""
        if inside.escaped:
            return allowed
        for wanted in self._in_string if inside.string else self._outside:
            found = allowed & wanted
            if found.any():
                return found
        return allowed


def longest_way_out(schema: Any) -> str:
    """A document with everything in it that a schema asks or allows, once, and nothing long in it.

    Wherever an answer is, what it still needs to be whole is about a part of this.
    """
    return _Unfolding(schema).text(schema, ())


class _Unfolding:
    def __init__(self, root: Any) -> None:
        self._root = root
        self._left = _MAX_NODES

    def text(self, schema: Any, seen: tuple[str, ...]) -> str:
        self._left -= 1
        if not isinstance(schema, dict) or self._left < 0:
            return "null"
        if "$ref" in schema:
            where = str(schema["$ref"])
            # What holds itself ends where it may: with nothing.
            return "null" if where in seen else self.text(self._found(where), (*seen, where))
        if "const" in schema or schema.get("enum"):
            values = schema.get("enum") or [schema["const"]]
            return max((json.dumps(value, ensure_ascii=False) for value in values), key=len)
        ways = [part for key in ("anyOf", "oneOf", "allOf") for part in _list(schema.get(key))]
        kinds = schema.get("type")
        texts = [self.text(way, seen) for way in ways]
        texts += [self._of_kind(str(kind), schema, seen) for kind in _list(kinds) or _implied(schema)]
        return max(texts, key=len, default="null")

    def _of_kind(self, kind: str, schema: dict[str, Any], seen: tuple[str, ...]) -> str:
        if kind == "object":
            fields = dict(schema["properties"]) if isinstance(schema.get("properties"), dict) else {}
            if isinstance(schema.get("additionalProperties"), dict):
                fields.setdefault("name", schema["additionalProperties"])
            pairs = (f"{json.dumps(str(name))}: {self.text(part, seen)}" for name, part in fields.items())
            return "{" + ", ".join(pairs) + "}"
        if kind == "array":
            items = [self.text(part, seen) for part in _list(schema.get("prefixItems"))]
            if isinstance(schema.get("items"), dict):
                item = self.text(schema["items"], seen)
                items += [item] * min(max(1, _whole(schema.get("minItems"))), _MAX_NODES)
            return "[" + ", ".join(items) + "]"
        if kind == "string":
            if "pattern" in schema or "format" in schema:
                return json.dumps(_FORMAT if "format" in schema else _PATTERN)
            return json.dumps("x" * min(_whole(schema.get("minLength")), _MAX_NODES))
        return {"number": "0.00", "integer": "0000", "boolean": "false"}.get(kind, "null")

    def _found(self, where: str) -> Any:
        found = self._root
        for step in where.removeprefix("#").strip("/").split("/"):
            found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
        return found


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _implied(schema: dict[str, Any]) -> list[str]:
    """The type of a schema that names none."""
    if "properties" in schema or "additionalProperties" in schema:
        return ["object"]
    return ["array"] if "items" in schema or "prefixItems" in schema else []


def _whole(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and value > 0 else 0


def reserve(schema: Any, count: Callable[[str], int]) -> int:
    """How many tokens from the end of its room an answer begins to close.

    Args:
        schema: The JSON Schema.
        count: How many tokens a text has.
    """
    return count(longest_way_out(schema)) + _SPARE
