"""Lists: pages that stay whole while new resources appear, and filters.

The filter language is the part of AIP-160 that Google's clients and samples use: comparisons (`= != < <= > >=`), `:` for "has",
`AND`, `OR`, `NOT` or `-`, parentheses, dotted fields (`labels.team`), and quoted or bare values.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import operator
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from vertex_tuning.emulator.state import Resource
from vertex_tuning.emulator.status import ApiError, Code

Body = dict[str, Any]
Predicate = Callable[[Body], bool]

DEFAULT_PAGE = 100
MAX_PAGE = 1000


def page(found: list[Resource], query: dict[str, str], key: str) -> Body:
    """One page of a list response.

    Args:
        found: All resources of the collection, newest first.
        query: `pageSize`, `pageToken`, `filter`, in either spelling.
        key: The list's field in the response: `tuningJobs`.

    Raises:
        ApiError: 400 for a page size, token or filter that makes no sense.
    """
    given = {name.replace("_", "").lower(): value for name, value in query.items()}
    size = _size(given.get("pagesize", ""))
    matches = parse_filter(given.get("filter", ""))
    start = _position(found, given.get("pagetoken", ""))
    chosen = [item for item in found[start:] if matches(item.body)]
    body: Body = {key: [item.body for item in chosen[:size]]} if chosen else {}
    if len(chosen) > size:
        # The name, not a number: a page does not shift when newer resources appear before it.
        body["nextPageToken"] = base64.urlsafe_b64encode(chosen[size].name.encode()).decode()
    return body


def _size(given: str) -> int:
    if not given:
        return DEFAULT_PAGE
    if not given.isdigit():
        raise ApiError(Code.INVALID_ARGUMENT, f"page_size must be a non-negative number, not '{given}'.")
    return min(int(given) or DEFAULT_PAGE, MAX_PAGE)


def _position(found: list[Resource], token: str) -> int:
    if not token:
        return 0
    try:
        name = base64.urlsafe_b64decode(token.encode()).decode()
    except (binascii.Error, ValueError):
        name = ""
    for index, item in enumerate(found):
        if item.name == name:
            return index
    raise ApiError(Code.INVALID_ARGUMENT, "The page token is not valid, or what it points at was deleted.")


# Filters

_TOKEN = re.compile(
    r"""\s*(?:(?P<paren>[()])|(?P<op><=|>=|!=|=|<|>|:)|(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
    r"""|(?P<minus>-(?=[A-Za-z(]))|(?P<word>[^\s()<>=!:"']+))"""
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def parse_filter(text: str) -> Predicate:
    """A filter as a predicate on a resource's body; an empty one lets everything through.

    Raises:
        ApiError: 400, with the place where it stops making sense.
    """
    if not text.strip():
        return lambda _: True
    parser = _Parser(text)
    predicate = parser.either()
    if parser.tokens:
        raise parser.fault()
    return predicate


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(self._split(text))

    def _split(self, text: str) -> Iterator[tuple[str, str, int]]:
        position = 0
        while position < len(text.rstrip()):
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                raise self.fault(position)
            yield match.lastgroup, match.group(match.lastgroup), match.start(match.lastgroup)
            position = match.end()

    def fault(self, position: int | None = None) -> ApiError:
        if position is None:
            position = self.tokens[0][2] if self.tokens else len(self.text)
        return ApiError(Code.INVALID_ARGUMENT, f"Invalid filter at position {position}: {self.text!r}")

    def _next_is(self, kind: str, *values: str) -> bool:
        return bool(self.tokens) and self.tokens[0][0] == kind and (not values or self.tokens[0][1] in values)

    def _take(self, kind: str, *values: str) -> str:
        if not self._next_is(kind, *values):
            raise self.fault()
        return self.tokens.pop(0)[1]

    def either(self) -> Predicate:
        parts = [self.both()]
        while self._next_is("word", "OR"):
            self.tokens.pop(0)
            parts.append(self.both())
        return lambda body: any(part(body) for part in parts)

    def both(self) -> Predicate:
        parts = [self.one()]
        while self.tokens and not self._next_is("word", "OR") and not self._next_is("paren", ")"):
            if self._next_is("word", "AND"):
                self.tokens.pop(0)
            parts.append(self.one())
        return lambda body: all(part(body) for part in parts)

    def one(self) -> Predicate:
        if self._next_is("word", "NOT") or self._next_is("minus"):
            self.tokens.pop(0)
            inner = self.one()
            return lambda body: not inner(body)
        if self._next_is("paren", "("):
            self.tokens.pop(0)
            inner = self.either()
            self._take("paren", ")")
            return inner
        field = self._take("word")
        comparison = self._take("op")
        if self._next_is("text"):
            quoted = self.tokens.pop(0)[1]
            value = re.sub(r"\\(.)", r"\1", quoted[1:-1])
        else:
            value = self._take("word")
        return _comparison(field, comparison, value)


def _comparison(field: str, comparison: str, value: str) -> Predicate:
    path = [_camel(part) if index == 0 else part for index, part in enumerate(field.split("."))]

    def test(body: Body) -> bool:
        found: Any = body
        for part in path:
            found = found.get(part, found.get(_camel(part))) if isinstance(found, dict) else None
        if comparison == ":":
            return _has(found, value)
        if comparison in ("=", "!="):
            return _equals(found, value) == (comparison == "=")
        return found is not None and _COMPARE[comparison](*_ordered(found, value))

    return test


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _has(found: Any, value: str) -> bool:
    if found is None:
        return False
    if value == "*":
        return True
    if isinstance(found, dict | list):
        return value in found
    return value.lower() in str(found).lower()


def _equals(found: Any, value: str) -> bool:
    if found is None:
        return value == ""
    if isinstance(found, bool):
        return value.lower() == str(found).lower()
    if "*" in value:
        return fnmatch.fnmatchcase(str(found), value.replace("[", "[[]"))
    return str(found) == value


def _ordered(found: Any, value: str) -> tuple[Any, Any]:
    try:
        return datetime.fromisoformat(str(found)), datetime.fromisoformat(value)
    except (ValueError, TypeError):
        pass
    try:
        return float(found), float(value)
    except (ValueError, TypeError):
        return str(found), value
