"""The one database: every resource, every transition.

A resource is its canonical ProtoJSON body (v1beta1 spelling) under its full name, plus a private part that the wire
never shows (paths, the training spec). Every change is written together with the event that caused it, in one
transaction, so the log can always be read back as the history of the table. SQLite in WAL mode: what was committed
survives a `kill -9` of the process.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from vertex_tuning.emulator.clock import CLOCK

_SCHEMA = """
CREATE TABLE IF NOT EXISTS resources (
    name     TEXT PRIMARY KEY,
    kind     TEXT NOT NULL,
    parent   TEXT NOT NULL,
    position INTEGER NOT NULL,
    body     TEXT NOT NULL,
    private  TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS resources_by_parent ON resources (kind, parent, position);
CREATE TABLE IF NOT EXISTS events (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    time     TEXT NOT NULL,
    resource TEXT NOT NULL,
    kind     TEXT NOT NULL,
    data     TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS events_by_resource ON events (resource, id);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
"""
_SCAN_CHUNK = 200


@dataclass(slots=True)
class Resource:
    """A row of the resource table."""

    name: str
    """Full resource name: `projects/123/locations/us-central1/tuningJobs/456`."""

    kind: str
    """Collection: `tuningJobs`, `models`, `endpoints`, `operations`..."""

    parent: str
    """What it is listed under: `projects/123/locations/us-central1`."""

    body: dict[str, Any]
    """What the wire shows: canonical ProtoJSON."""

    private: dict[str, Any] = field(default_factory=dict)
    """What the wire does not show."""


@dataclass(frozen=True, slots=True)
class Event:
    """A row of the event log."""

    id: int
    time: str
    resource: str
    kind: str
    data: dict[str, Any]


def now() -> str:
    """The time as the wire spells it, by the emulator's clock."""
    return spelled(CLOCK.now())


def not_before(stamp: str) -> str:
    """The time, or `stamp` where that is later: a machine's clock can be put back, and that of a simulation was ahead."""
    moment = CLOCK.now()
    return stamp if stamp and datetime.fromisoformat(stamp) > moment else spelled(moment)


def spelled(moment: datetime) -> str:
    """A moment of UTC as ProtoJSON has it: RFC 3339 with `Z`, and 0, 3 or 6 digits of a second, as few as hold it."""
    micro = moment.microsecond
    digits = "microseconds" if micro % 1000 else "milliseconds" if micro else "seconds"
    return moment.replace(tzinfo=None).isoformat(timespec=digits) + "Z"


class Database:
    """Resources, events and counters in one SQLite file. Safe to call from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._depth = 0
        self.sql = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        """The connection itself, for tables of one's own (storage). Use it inside `transaction()`."""
        self.sql.execute("PRAGMA journal_mode=WAL")
        self.sql.execute("PRAGMA synchronous=NORMAL")
        self.sql.execute("PRAGMA busy_timeout=5000")
        self.sql.executescript(_SCHEMA)
        path.chmod(0o600)

    def close(self) -> None:
        """Close the file; nothing is pending, every transaction was committed when it ended."""
        with self._lock:
            self.sql.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; nests."""
        with self._lock:
            if self._depth:
                yield self.sql
                return
            self.sql.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield self.sql
                self.sql.execute("COMMIT")
            except BaseException:
                # A full disk fails the COMMIT itself, and SQLite may have rolled back already.
                if self.sql.in_transaction:
                    self.sql.execute("ROLLBACK")
                raise
            finally:
                self._depth = 0

    # Resources

    def get(self, name: str) -> Resource | None:
        """The resource of this full name, or None."""
        with self._lock:
            row = self.sql.execute(
                "SELECT name, kind, parent, body, private FROM resources WHERE name = ?", (name,)
            ).fetchone()
        return _resource(row) if row else None

    def put(self, resource: Resource, event: str, data: dict[str, Any] | None = None) -> None:
        """Create or replace a resource, and write the event that did it."""
        body = json.dumps(resource.body, separators=(",", ":"))
        private = json.dumps(resource.private, separators=(",", ":"))
        with self.transaction() as sql:
            sql.execute(
                "INSERT INTO resources (name, kind, parent, position, body, private) VALUES (?, ?, ?,"
                " (SELECT COALESCE(MAX(position), 0) + 1 FROM resources), ?, ?)"
                " ON CONFLICT (name) DO UPDATE SET body = excluded.body, private = excluded.private",
                (resource.name, resource.kind, resource.parent, body, private),
            )
            self.record(resource.name, event, data)

    def delete(self, name: str, event: str = "deleted") -> bool:
        """Delete a resource; its events stay. False where there was none."""
        with self.transaction() as sql:
            gone = sql.execute("DELETE FROM resources WHERE name = ?", (name,)).rowcount > 0
            if gone:
                self.record(name, event)
        return gone

    def list(self, kind: str, parent: str | None = None, *, newest_first: bool = True) -> list[Resource]:
        """The resources of a collection, under one parent or everywhere, by creation."""
        order = "DESC" if newest_first else "ASC"
        where, values = ("AND parent = ?", (kind, parent)) if parent is not None else ("", (kind,))
        query = f"SELECT name, kind, parent, body, private FROM resources WHERE kind = ? {where}"
        with self._lock:
            rows = self.sql.execute(f"{query} ORDER BY position {order}", values).fetchall()
        return [_resource(row) for row in rows]

    def scan(self, kind: str, parent: str, below: int | None = None) -> Iterator[tuple[int, Resource]]:
        """The resources of a collection, newest first, read as they are asked for.

        Each comes with its position, which never changes: `below` one of them, a scan goes on where another ended.
        """
        bound = below if below is not None else 1 << 62
        while True:
            with self._lock:
                rows = self.sql.execute(
                    "SELECT position, name, kind, parent, body, private FROM resources"
                    " WHERE kind = ? AND parent = ? AND position < ? ORDER BY position DESC LIMIT ?",
                    (kind, parent, bound, _SCAN_CHUNK),
                ).fetchall()
            for row in rows:
                yield row[0], _resource(row[1:])
            if len(rows) < _SCAN_CHUNK:
                return
            bound = rows[-1][0]

    # Events

    def record(self, resource: str, kind: str, data: dict[str, Any] | None = None) -> int:
        """Append to the event log; returns the event's id."""
        with self.transaction() as sql:
            done = sql.execute(
                "INSERT INTO events (time, resource, kind, data) VALUES (?, ?, ?, ?)",
                (now(), resource, kind, json.dumps(data or {}, separators=(",", ":"))),
            )
            return int(done.lastrowid or 0)

    def events(self, resource: str | None = None, *, after: int = 0, limit: int = 10_000) -> Sequence[Event]:
        """The log, oldest first: of one resource or of all, after an event's id."""
        where, values = ("AND resource = ?", [resource]) if resource is not None else ("", [])
        query = f"SELECT id, time, resource, kind, data FROM events WHERE id > ? {where} ORDER BY id LIMIT ?"
        with self._lock:
            rows = self.sql.execute(query, [after, *values, limit]).fetchall()
        return [Event(row[0], row[1], row[2], row[3], json.loads(row[4])) for row in rows]

    def last_time(self) -> float:
        """When the last event was, in seconds since 1970; 0 where there was none."""
        with self._lock:
            row = self.sql.execute("SELECT time FROM events ORDER BY id DESC LIMIT 1").fetchone()
        return datetime.fromisoformat(row[0]).timestamp() if row else 0.0

    # Names

    def new_id(self, counter: str = "id") -> str:
        """A fresh numeric id, 19 digits as Vertex AI's are: it rises, and is never given twice."""
        with self.transaction() as sql:
            row = sql.execute("SELECT value FROM counters WHERE name = ?", (counter,)).fetchone()
            value = max((row[0] if row else 0) + 1, time.time_ns())
            sql.execute(
                "INSERT INTO counters (name, value) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (counter, value),
            )
        return str(value)


def _resource(row: tuple[str, str, str, str, str]) -> Resource:
    return Resource(row[0], row[1], row[2], json.loads(row[3]), json.loads(row[4]))
