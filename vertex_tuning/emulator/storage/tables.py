"""Tables of buckets, object versions and uploads, in the emulator's one database.

Names are BLOBs (UTF-8), so that they compare byte by byte, as Cloud Storage sorts them, whatever is in them.
"""

from __future__ import annotations

import time

from vertex_tuning.emulator.state import Database

_SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS storage_buckets (
    name    TEXT PRIMARY KEY,
    project TEXT NOT NULL,
    body    TEXT NOT NULL,
    policy  TEXT NOT NULL,
    frozen  INTEGER NOT NULL
) STRICT
""",
    """
CREATE TABLE IF NOT EXISTS storage_objects (
    bucket         TEXT NOT NULL,
    name           BLOB NOT NULL,
    generation     INTEGER NOT NULL,
    metageneration INTEGER NOT NULL,
    live           INTEGER NOT NULL,
    blob           TEXT NOT NULL,
    size           INTEGER NOT NULL,
    crc32c         TEXT NOT NULL,
    md5            TEXT,
    body           TEXT NOT NULL,
    PRIMARY KEY (bucket, name, generation)
) STRICT
""",
    "CREATE UNIQUE INDEX IF NOT EXISTS storage_live ON storage_objects (bucket, name) WHERE live = 1",
    "CREATE INDEX IF NOT EXISTS storage_blobs ON storage_objects (blob)",
    """
CREATE TABLE IF NOT EXISTS storage_uploads (
    id      TEXT PRIMARY KEY,
    bucket  TEXT NOT NULL,
    name    BLOB NOT NULL,
    body    TEXT NOT NULL,
    blob    TEXT,
    size    INTEGER NOT NULL,
    created REAL NOT NULL
) STRICT
""",
    """
CREATE TABLE IF NOT EXISTS storage_parts (
    upload  TEXT NOT NULL REFERENCES storage_uploads (id),
    number  INTEGER NOT NULL,
    blob    TEXT NOT NULL,
    size    INTEGER NOT NULL,
    md5     TEXT NOT NULL,
    time    TEXT NOT NULL,
    PRIMARY KEY (upload, number)
) STRICT
""",
)


NAMES = ("storage_parts", "storage_uploads", "storage_objects", "storage_buckets")
"""All tables, those that refer to others first."""


def create(db: Database) -> None:
    """Make the tables where they are missing."""
    with db.transaction() as sql:
        for statement in _SCHEMA:
            sql.execute(statement)


def new_generation(db: Database) -> int:
    """A fresh generation: microseconds, as Google's; rising, never given twice, whatever the clock does."""
    with db.transaction() as sql:
        row = sql.execute("SELECT value FROM counters WHERE name = 'storage.generation'").fetchone()
        value = max((row[0] if row else 0) + 1, time.time_ns() // 1000)
        sql.execute(
            "INSERT INTO counters (name, value) VALUES ('storage.generation', ?)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (value,),
        )
    return value


def named_blobs(db: Database) -> set[str]:
    """Every blob that a row names."""
    with db.transaction() as sql:
        rows = sql.execute(
            "SELECT blob FROM storage_objects UNION SELECT blob FROM storage_parts"
            " UNION SELECT blob FROM storage_uploads WHERE blob IS NOT NULL"
        ).fetchall()
    return {row[0] for row in rows}
