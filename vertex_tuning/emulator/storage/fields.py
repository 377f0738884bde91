"""Partial responses: `fields=items(name,size),nextPageToken`."""

from __future__ import annotations

import re
from typing import Any

from vertex_tuning.emulator.storage.errors import StorageError

_TOKEN = re.compile(r"\s*([(),/]|[^(),/\s]+)")
_MAX_DEPTH = 16
Mask = dict[str, "Mask | None"]
"""Members to keep; None: with all that is below."""


def selected(resource: dict[str, Any], fields: str) -> dict[str, Any]:
    """The parts of a resource that a `fields` parameter names; 400 where it does not parse."""
    tokens = _TOKEN.findall(fields)
    mask, rest = _parse(tokens, 0)
    if rest:
        raise _bad(fields)
    kept: dict[str, Any] = _keep(resource, mask)
    return kept


def _parse(tokens: list[str], depth: int) -> tuple[Mask, list[str]]:
    """`a,b/c,d(e,f)` up to a closing parenthesis."""
    if depth > _MAX_DEPTH:
        raise _bad("".join(tokens))
    mask: Mask = {}
    while True:
        level, last = mask, ""
        while True:
            if not tokens or tokens[0] in "(),/":
                raise _bad("".join(tokens))
            last, tokens = tokens[0], tokens[1:]
            if not tokens or tokens[0] != "/":
                break
            below = level.setdefault(last, {})
            level = below if below is not None else {}
            tokens = tokens[1:]
        if tokens and tokens[0] == "(":
            inner, tokens = _parse(tokens[1:], depth + 1)
            if not tokens or tokens[0] != ")":
                raise _bad("".join(tokens))
            tokens = tokens[1:]
            level[last] = inner
        else:
            level[last] = None
        if not tokens or tokens[0] == ")":
            return mask, tokens
        if tokens[0] != ",":
            raise _bad("".join(tokens))
        tokens = tokens[1:]


def _keep(value: Any, mask: Mask) -> Any:
    if isinstance(value, list):
        return [_keep(item, mask) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for name, item in value.items():
        if name in mask or "*" in mask:
            below = mask[name] if name in mask else mask["*"]
            kept[name] = item if below is None else _keep(item, below)
    return kept


def _bad(fields: str) -> StorageError:
    return StorageError(400, "invalidParameter", f"Invalid field selection {fields[:100]}", location="fields")
