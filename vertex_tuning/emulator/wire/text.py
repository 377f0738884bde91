"""The bytes of a request as JSON; what is no JSON is refused in the words of Google's reader."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from vertex_tuning.emulator.status import ApiError, Code
from vertex_tuning.emulator.wire.values import MAX_DEPTH

_AROUND = 20
"""Characters shown on each side of a fault."""


def parse_json(body: bytes) -> Any:
    """The JSON of a request body; an empty body is an empty object, as for Google.

    Raises:
        ApiError: INVALID_ARGUMENT: not UTF-8, not JSON (a bare `NaN` included), or nested too deep.
    """
    if not body.strip():
        return {}
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _refused("Encountered non UTF-8 code points.") from None
    try:
        data = json.loads(text, parse_constant=_constant)
    except json.JSONDecodeError as error:
        raise _refused(f"{_words(error)}\n{_excerpt(text, error.pos)}") from None
    except _Constant as constant:
        raise _refused(f"Unexpected token.\n{_excerpt(text, text.find(str(constant)))}") from None
    except ValueError:
        raise _refused("Number is too long.") from None
    except RecursionError:
        raise _refused("Message too deep. Max recursion depth reached.") from None
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _bound(data)
    return data


class _Constant(Exception):
    """NaN or Infinity, bare."""


def _constant(name: str) -> NoReturn:
    raise _Constant(name)


def _bound(data: Any) -> None:
    level = [data]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return
    raise _refused("Message too deep. Max recursion depth reached.")


def _words(error: json.JSONDecodeError) -> str:
    if error.pos >= len(error.doc.rstrip()):
        return "Unexpected end of string."
    if error.msg.startswith("Expecting ','"):
        return "Expected , or } after key:value pair, or ] after array value."
    if error.msg.startswith("Expecting ':'"):
        return "Expected : between key:value pair."
    if error.msg.startswith("Expecting property name"):
        return "Expected an object key or }."
    if error.msg.startswith("Extra data"):
        return "Parsing terminated before end of input."
    if error.msg.startswith("Unterminated string"):
        return "Closing quote expected in string."
    if error.msg.startswith("Invalid \\"):
        return "Invalid escape sequence."
    return "Unexpected token."


def _excerpt(text: str, position: int) -> str:
    start = max(position - _AROUND, 0)
    return f"{text[start : position + _AROUND]}\n{' ' * (position - start)}^"


def _refused(why: str) -> ApiError:
    return ApiError(Code.INVALID_ARGUMENT, f"Invalid JSON payload received. {why}")
