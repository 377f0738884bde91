"""`{{references.answer}}` in an expression: the reference of that name, put in as plain text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_REFERENCE = re.compile(r"\{\{references\.([^{}]+)\}\}")
_BRACES = re.compile(r"\{\{[^{}]*\}\}")


class MissingReferenceError(ValueError):
    """An expression names a reference that the example does not have."""


def names(expression: str) -> list[str]:
    """The references that an expression names, in their order."""
    return _REFERENCE.findall(expression)


def strange(expression: str) -> list[str]:
    """What stands in double braces and is no reference: it would be compared letter by letter."""
    return [found for found in _BRACES.findall(expression) if not _REFERENCE.fullmatch(found)]


def fill(expression: str, references: Mapping[str, Any]) -> str:
    """The expression with its references in it. What they hold is not looked at again.

    Raises:
        MissingReferenceError: The example does not have one of them.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name not in references:
            there = ", ".join(map(str, references)) or "none"
            raise MissingReferenceError(f'the example has no reference "{name}" (it has: {there})')
        return str(references[name])

    return _REFERENCE.sub(value, expression)
