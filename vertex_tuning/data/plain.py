"""Rows of Python as JSON, and what JSON cannot say. Nothing is turned into something similar in silence."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from vertex_tuning.data.words import Note, at

_DEEPEST = 100
"""Levels of a value that cannot be read as a whole, to which it is looked into."""

_ENCODER = json.JSONEncoder(
    ensure_ascii=False,
    allow_nan=False,
    separators=(",", ":"),
    default=lambda value: dict(value) if isinstance(value, Mapping) else _refuse(value),
)


def encoded(row: Any) -> bytes:
    """A row as a line of a file, without its end. What is not JSON is refused, never turned into something similar.

    Raises:
        TypeError, ValueError, RecursionError: It holds what JSON cannot say; `plain` tells where.
    """
    return _ENCODER.encode(row).encode()


def _refuse(value: Any) -> Any:
    raise TypeError(type(value).__name__)


def plain(value: Any, note: Note, path: str = "", depth: int = 0) -> Any:
    """A copy of a value that JSON can say; every place where it cannot is noted, and has a word instead."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        if (fault := _text_fault(value)) is None:
            return str(value)
    elif isinstance(value, float):
        if math.isfinite(value):
            return value
        fault = f"{value}, which JSON does not have"
    elif isinstance(value, Mapping | list | tuple):
        if depth < _DEEPEST:
            return _plain_members(value, note, path, depth)
        fault = "nested too deeply"
    else:
        fault = f"a {type(value).__name__}, which JSON does not have"
    note("VT223", path, fault, fix="a text, a number, true, false, null, a list or an object")
    return "?"


def _plain_members(value: Any, note: Note, path: str, depth: int) -> Any:
    if not isinstance(value, Mapping):
        return [plain(item, note, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
    copy = {}
    for key, item in value.items():
        try:
            [name] = json.loads(_ENCODER.encode({key: None}))  # a number becomes a text
            fault = _text_fault(name)
        except (TypeError, ValueError):
            name, fault = "", f"of type {type(key).__name__}"
        if fault is None:
            copy[name] = plain(item, note, at(path, name), depth + 1)
        else:
            note("VT223", path, f"a key that is no text: {fault}", fix="keys are texts")
    return copy


def _text_fault(text: str) -> str | None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"half of a surrogate pair at character {error.start}, which is no text"
    return None
