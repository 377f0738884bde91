"""Listing objects: prefixes, delimiters, globs, pages.

Rows are read in order of name, in short batches; under a delimiter a whole "folder" is one step, however much
lies in it. The page token is the place where the page ended: a page costs the same wherever it begins.
"""

from __future__ import annotations

import base64
import binascii
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from vertex_tuning.emulator.state import Database
from vertex_tuning.emulator.storage.errors import invalid
from vertex_tuning.emulator.storage.names import encoded
from vertex_tuning.emulator.storage.objects import COLUMNS, Version, version_of

_FIRST_BATCH = 32
_LAST_BATCH = 512
MAX_RESULTS = 1000
_LAST = b"\xff"
"""Sorts after every byte of UTF-8."""


@dataclass(frozen=True, slots=True)
class Query:
    """What to list."""

    prefix: str = ""
    delimiter: str = ""
    start: str = ""
    """From this name on."""
    end: str = ""
    """Up to this name, without it."""
    glob: str = ""
    versions: bool = False
    """Noncurrent versions too."""
    trailing_delimiter: bool = False
    """Objects whose name ends with the delimiter stand among the items too."""
    limit: int = MAX_RESULTS
    token: str = ""


@dataclass(slots=True)
class Page:
    """What was found."""

    items: list[Version] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    next_token: str = ""


Key = tuple[bytes, int]
"""Where a row stands: its name, and its generation."""


def page(db: Database, bucket: str, query: Query) -> Page:
    """One page of a listing."""
    found = Page()
    prefix, delimiter, end = encoded(query.prefix), encoded(query.delimiter), encoded(query.end)
    matches = _glob(query.glob).fullmatch if query.glob else None
    first = max((prefix, -1), (encoded(query.start), -1), _key(query.token))
    with db.transaction() as sql:
        rows = _Rows(sql, bucket, first, versions=query.versions)
        while row := rows.next():
            name, generation = row[1], row[2]
            if not name.startswith(prefix) or (end and name >= end):
                break
            if matches and not matches(name.decode()):
                continue
            cut = name.find(delimiter, len(prefix)) if delimiter else -1
            folder = name[: cut + len(delimiter)] if cut >= 0 else b""
            is_item = not folder or (query.trailing_delimiter and folder == name)
            is_new = bool(folder) and found.prefixes[-1:] != [folder.decode()]
            if (is_item or is_new) and len(found.items) + len(found.prefixes) >= query.limit:
                found.next_token = _token((name, generation))
                break
            if is_new:
                found.prefixes.append(folder.decode())
            if is_item:
                found.items.append(version_of(row))
            else:
                rows.seek((folder + _LAST, -1))
    return found


class _Rows:
    """The rows of a bucket in order, from a place on; able to leap."""

    def __init__(self, sql: sqlite3.Connection, bucket: str, at: Key, *, versions: bool) -> None:
        live = "" if versions else "AND live = 1"
        self._sql = sql
        self._select = (
            f"SELECT {COLUMNS} FROM storage_objects WHERE bucket = ? AND (name, generation) >= (?, ?) {live}"
            " ORDER BY name, generation LIMIT ?"
        )
        self._bucket = bucket
        self._at = at
        self._batch = _FIRST_BATCH
        self._rows: Iterator[tuple[Any, ...]] = iter(())
        self._ended = False

    def next(self) -> tuple[Any, ...] | None:
        """The next row, or None."""
        while True:
            for row in self._rows:
                if (row[1], row[2]) >= self._at:
                    self._at = (row[1], row[2] + 1)
                    return row
            if self._ended:
                return None
            rows = self._sql.execute(self._select, (self._bucket, *self._at, self._batch)).fetchall()
            self._ended = len(rows) < self._batch
            self._batch = min(self._batch * 2, _LAST_BATCH)
            self._rows = iter(rows)

    def seek(self, at: Key) -> None:
        """Go on from a place further down. After a leap little may be wanted, so little is read at first."""
        self._at = at
        self._batch = _FIRST_BATCH


def _glob(glob: str) -> re.Pattern[str]:
    """A `matchGlob` as a pattern: `*` and `?` stop at a slash, `**` does not, `[a-z]`, `{this,that}`."""
    parts: list[str] = []
    depth = 0
    at = 0
    while at < len(glob):
        char = glob[at]
        if glob.startswith("**", at):
            parts.append(".*")
            at += 1
        elif char == "*":
            parts.append("[^/]*")
        elif char == "?":
            parts.append("[^/]")
        elif char == "[" and (close := glob.find("]", at + 2)) > 0:
            inside = glob[at + 1 : close]
            negated = inside[0] in "!^"
            escaped = re.sub(r"([\\\[\]^&~|])", r"\\\1", inside[negated:])
            parts.append(f"[{'^' if negated else ''}{escaped}]")
            at = close
        elif char == "{":
            parts.append("(?:")
            depth += 1
        elif char == "}" and depth:
            parts.append(")")
            depth -= 1
        elif char == "," and depth:
            parts.append("|")
        elif char == "\\" and at + 1 < len(glob):
            at += 1
            parts.append(re.escape(glob[at]))
        else:
            parts.append(re.escape(char))
        at += 1
    try:
        return re.compile("".join(parts), re.DOTALL)
    except re.error:
        raise invalid(f"Invalid value for matchGlob: {glob!r}", location="matchGlob") from None


def behind(name: str, delimiter: str) -> str:
    """The token of the page that begins behind a name, or behind a folder."""
    raw = encoded(name)
    return _token((raw + _LAST, 0) if delimiter and name.endswith(delimiter) else (raw + b"\0", 0))


def _token(at: Key) -> str:
    return base64.urlsafe_b64encode(at[1].to_bytes(8) + at[0]).decode()


def _key(token: str) -> Key:
    if not token:
        return b"", -1
    try:
        raw = base64.urlsafe_b64decode(token)
    except (binascii.Error, ValueError):
        raw = b""
    generation = int.from_bytes(raw[:8])
    if len(raw) < 9 or generation >= 1 << 62:
        raise invalid("Invalid page token.", location="pageToken")
    return raw[8:], generation
