"""How places and values are spoken of."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

Note = Callable[..., None]
"""`note(rule, path, what, *, fix="", why="")`."""

_PLAIN_NAME = re.compile(r"[A-Za-z_][\w-]{0,60}", re.ASCII)
_SHOWN = 40


def at(path: str, name: str) -> str:
    """The place of a member; a name that is not plain is quoted, and a long one cut."""
    if not _PLAIN_NAME.fullmatch(name):
        return f"{path}[{quoted(name)}]"
    return f"{path}.{name}" if path else name


def quoted(value: Any) -> str:
    """A value for people: on one line, in quotes where it is text, and not too long."""
    if not isinstance(value, str):
        return kind_of(value)
    start = value[:_SHOWN]
    text = json.dumps(start, ensure_ascii=not start.isprintable())
    return text if len(value) <= _SHOWN else f'{text[:-1]}..."'


def counted(number: int, one: str) -> str:
    """How many there are: `1 row`, `2,000 rows`."""
    return f"{number:,} {one if number == 1 else f'{one}s'}"


def kind_of(value: Any) -> str:
    """What kind of JSON a value is, for people."""
    if value is None:
        return "missing"
    names = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "a boolean",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), type(value).__name__) + (", and empty" if value in ([], {}, "") else "")
