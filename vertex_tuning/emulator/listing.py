"""Lists: pages that stay whole while new resources appear.

A page's token holds the position of the last row that was shown, not a count of rows: what is created or
deleted meanwhile shifts nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from vertex_tuning.emulator.filters import camel, parse_filter
from vertex_tuning.emulator.state import Database, Resource
from vertex_tuning.emulator.status import ApiError, Code

Body = dict[str, Any]

DEFAULT_PAGE = 100
MAX_PAGE = 1000


def page(
    db: Database,
    kind: str,
    parent: str,
    query: dict[str, str],
    *,
    fields: Iterable[str] = (),
    extra: Callable[[Resource], Body] | None = None,
) -> Body:
    """One page of a collection, newest first.

    Args:
        db: Where the resources are.
        kind: The collection, which is also the list's field in the response: `tuningJobs`.
        parent: What they are listed under.
        query: `pageSize`, `pageToken`, `filter`, in either spelling.
        fields: Names that a filter may begin with; none: any.
        extra: More fields for filters to look at, which are not shown.

    Raises:
        ApiError: 400 for a page size, token or filter that makes no sense.
    """

    def rows(below: int | None) -> Iterator[tuple[int, Body, Body]]:
        for position, item in db.scan(kind, parent, below):
            yield position, item.body, {**item.body, **extra(item)} if extra else item.body

    return _page(rows, f"{kind} {parent}", query, kind, fields)


def page_of(bodies: list[Body], query: dict[str, str], key: str) -> Body:
    """As `page`, of bodies at hand, in their order."""

    def rows(below: int | None) -> Iterator[tuple[int, Body, Body]]:
        for index, body in enumerate(bodies):
            # Counted from the end: what is put before the others changes no position.
            position = len(bodies) - index
            if below is None or position < below:
                yield position, body, body

    return _page(rows, key, query, key, ())


def ordered(
    items: list[Resource],
    query: dict[str, str],
    extra: Callable[[Resource], Body] | None,
    fields: Iterable[str],
) -> list[Body]:
    """The bodies that a filter lets through, by `orderBy`: `create_time desc, display_name`.

    Args:
        items: All of a collection.
        query: `orderBy`, `filter`, in either spelling; the filter is done with and taken out.
        extra: As for `page`.
        fields: Names that both may use.

    Raises:
        ApiError: 400, no such field.
    """
    matches = parse_filter(query.pop("filter", ""), fields)
    found = [(item.body, {**item.body, **extra(item)} if extra else item.body) for item in items]
    kept = [pair for pair in found if matches(pair[1])]
    wanted = (query.get("orderBy") or query.get("order_by") or "").split(",")
    for part in reversed(wanted):  # the last counts least: a stable sort keeps what came before
        name, _, way = part.strip().partition(" ")
        if camel(name) not in fields or way.strip().lower() not in ("", "asc", "desc"):
            raise ApiError(Code.INVALID_ARGUMENT, f"order_by cannot be '{part.strip()}'.")
        kept.sort(key=partial(_sorted_by, camel(name)), reverse=way.strip().lower() == "desc")
    return [body for body, _ in kept]


def _sorted_by(field: str, pair: tuple[Body, Body]) -> str:
    return str(pair[1].get(field, ""))


def _page(
    rows: Callable[[int | None], Iterator[tuple[int, Body, Body]]],
    collection: str,
    query: dict[str, str],
    key: str,
    fields: Iterable[str],
) -> Body:
    given = {name.replace("_", "").lower(): value for name, value in query.items()}
    size = _size(given.get("pagesize", ""))
    text = given.get("filter", "")
    matches = parse_filter(text, fields)
    scope = hashlib.sha256(f"{collection} {text}".encode()).hexdigest()[:12]
    chosen: list[Body] = []
    last = 0
    for position, body, searched in rows(_position(given.get("pagetoken", ""), scope)):
        if not matches(searched):
            continue
        if len(chosen) == size:
            # There is one more: the next page begins below the last row of this one.
            return {key: chosen, "nextPageToken": _token(last, scope)}
        chosen.append(body)
        last = position
    return {key: chosen} if chosen else {}


def _size(given: str) -> int:
    if not given:
        return DEFAULT_PAGE
    try:
        size = int(given)
    except ValueError:
        size = -1
    if size < 0:
        raise ApiError(Code.INVALID_ARGUMENT, f"page_size must be a non-negative number, not '{given}'.")
    return min(size or DEFAULT_PAGE, MAX_PAGE)


def _token(position: int, scope: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([position, scope]).encode()).decode().rstrip("=")


def _position(token: str, scope: str) -> int | None:
    if not token:
        return None
    try:
        position, made_for = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        if not isinstance(position, int):
            raise ValueError(token)
    except (binascii.Error, ValueError, TypeError) as error:
        raise ApiError(Code.INVALID_ARGUMENT, "The page token is invalid.") from error
    if made_for != scope:
        raise ApiError(
            Code.INVALID_ARGUMENT,
            "The page token belongs to another request: parent and filter must be those of the first page.",
        )
    return position
