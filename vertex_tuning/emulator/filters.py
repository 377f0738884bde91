"""Filters of list requests: the part of AIP-160 that Google's clients and samples use.

Comparisons (`= != < <= > >=`), `:` for "has", `AND`, `OR`, `NOT` or `-`, parentheses, dotted fields
(`labels.team`, `labels."a key"`), quoted or bare values, `*` as a wildcard. As in AIP-160, and unlike
elsewhere, OR binds tighter than AND.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from vertex_tuning.emulator.status import ApiError, Code

Body = dict[str, Any]
Predicate = Callable[[Body], bool]

MAX_LENGTH = 8192
_MAX_DEPTH = 50
_TOKEN = re.compile(
    r"""\s*(?:(?P<paren>[()])|(?P<op><=|>=|!=|=|<|>|:)|(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
    r"""|(?P<minus>-(?=[A-Za-z(]))|(?P<word>[^\s()<>=!:"']+))"""
)
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def parse_filter(text: str, fields: Iterable[str] = ()) -> Predicate:
    """A filter as a predicate on a resource's body; an empty one lets everything through.

    Args:
        text: The filter.
        fields: Names that a restriction may begin with, in camelCase; none: any.

    Raises:
        ApiError: 400, with the place where it stops making sense.
    """
    if not text.strip():
        return lambda _: True
    if len(text) > MAX_LENGTH:
        raise ApiError(Code.INVALID_ARGUMENT, f"The filter is longer than {MAX_LENGTH} characters.")
    # google-genai joins a caller's filter and its own with this: a query string inside a query parameter.
    parts = [_Parser(part, frozenset(fields)).whole() for part in text.split("&filter=")]
    return lambda body: all(part(body) for part in parts)


class _Parser:
    """One filter, read from left to right."""

    def __init__(self, text: str, fields: frozenset[str]) -> None:
        self.text = text
        self.fields = fields
        self.depth = 0
        self.tokens = list(self._split(text))

    def _split(self, text: str) -> Iterator[tuple[str, str, int]]:
        position, end = 0, len(text.rstrip())
        while position < end:
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                raise self._fault(position)
            yield match.lastgroup, match.group(match.lastgroup), match.start(match.lastgroup)
            position = match.end()

    def _fault(self, position: int | None = None, why: str = "") -> ApiError:
        if position is None:
            position = self.tokens[0][2] if self.tokens else len(self.text)
        return ApiError(
            Code.INVALID_ARGUMENT,
            f"Invalid filter at position {position}: {self.text!r}{f': {why}' if why else ''}",
        )

    def _next_is(self, kind: str, *values: str) -> bool:
        return bool(self.tokens) and self.tokens[0][0] == kind and (not values or self.tokens[0][1] in values)

    def _take(self, kind: str, *values: str) -> str:
        if not self._next_is(kind, *values):
            raise self._fault()
        return self.tokens.pop(0)[1]

    def whole(self) -> Predicate:
        """The whole text."""
        predicate = self._expression()
        if self.tokens:
            raise self._fault()
        return predicate

    def _expression(self) -> Predicate:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self._fault(why="nested too deep")
        parts = [self._factor()]
        while self.tokens and not self._next_is("paren", ")"):
            if self._next_is("word", "AND"):
                self.tokens.pop(0)
            parts.append(self._factor())
        self.depth -= 1
        return lambda body: all(part(body) for part in parts)

    def _factor(self) -> Predicate:
        parts = [self._term()]
        while self._next_is("word", "OR"):
            self.tokens.pop(0)
            parts.append(self._term())
        return lambda body: any(part(body) for part in parts)

    def _term(self) -> Predicate:
        if self._next_is("word", "NOT") or self._next_is("minus"):
            self.tokens.pop(0)
            inner = self._simple()
            return lambda body: not inner(body)
        return self._simple()

    def _simple(self) -> Predicate:
        if self._next_is("paren", "("):
            self.tokens.pop(0)
            inner = self._expression()
            self._take("paren", ")")
            return inner
        return self._restriction()

    def _restriction(self) -> Predicate:
        start = self.tokens[0][2] if self.tokens else len(self.text)
        path = self._take("word").split(".")
        if path[-1] == "" and self._next_is("text"):
            path[-1] = _unquoted(self._take("text"))
        if not all(path):
            raise self._fault(start)
        path[0] = camel(path[0])
        if self.fields and path[0] not in self.fields:
            raise self._fault(start, f"there is no field '{path[0]}'")
        comparison = self._take("op")
        if self._next_is("text"):
            return _comparison(path, comparison, _unquoted(self._take("text")))
        return _comparison(path, comparison, self._take("word"))


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def camel(name: str) -> str:
    """`display_name` -> `displayName`."""
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def _comparison(path: list[str], comparison: str, value: str) -> Predicate:
    def test(body: Body) -> bool:
        found: Any = body
        for part in path:
            found = found.get(part, found.get(camel(part))) if isinstance(found, dict) else None
        if comparison == ":":
            return _has(found, value)
        if comparison in ("=", "!="):
            return _equals(found, value) == (comparison == "=")
        return found is not None and _ORDER[comparison](*_comparable(found, value))

    return test


def _has(found: Any, value: str) -> bool:
    if found is None:
        return False
    if value == "*":
        return True
    if isinstance(found, dict | list):
        return value in found
    if "*" in value:
        return _like(str(found).lower(), value.lower())
    return value.lower() in str(found).lower()


def _like(found: str, value: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in value.split("*"))
    return re.fullmatch(pattern, found, re.DOTALL) is not None


def _equals(found: Any, value: str) -> bool:
    if found is None:
        return value == ""
    if isinstance(found, bool):
        return value.lower() == str(found).lower()
    if "*" in value:
        return _like(str(found), value)
    if isinstance(found, str) and found != value:
        left, right = _time(found), _time(value)
        return left is not None and left == right
    return str(found) == value


def _comparable(found: Any, value: str) -> tuple[Any, Any]:
    times = _time(found), _time(value)
    if times[0] is not None and times[1] is not None:
        return times
    try:
        return float(found), float(value)
    except (ValueError, TypeError):
        return str(found), value


def _time(value: Any) -> datetime | None:
    # Numbers are ISO 8601 to `fromisoformat` ("20261123"); a time has dashes.
    if not isinstance(value, str) or "-" not in value[1:]:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
