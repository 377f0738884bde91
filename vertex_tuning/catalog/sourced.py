"""Where a figure comes from: every cell of the catalog has a source, and a source has a date."""

from __future__ import annotations

import datetime
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from vertex_tuning.errors import SpecError

KINDS = ("documentation", "client source", "third party", "assumption", "nothing found")
"""How far a source can be trusted, the furthest first; `sources.toml` says what each means."""

_ABOUT = {"source", "sources", "notes", "unknown"}


@dataclass(frozen=True, slots=True)
class Source:
    """Who says so, and since when."""

    name: str
    """In `sources.toml`."""
    title: str
    page: str
    """Its address; empty for an assumption."""
    date: datetime.date
    """What the page bears, or the day on which a copy that bears none was read."""
    kind: str
    """One of `KINDS`."""
    note: str = ""

    def __str__(self) -> str:
        said = f'as of {self.date}, by "{self.title}"'
        return said if self.kind == "documentation" else f"{said} ({self.kind})"

    def to_json(self) -> dict[str, str]:
        """As JSON-ready strings."""
        return {
            "name": self.name,
            "title": self.title,
            "page": self.page,
            "date": str(self.date),
            "kind": self.kind,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure of the catalog."""

    value: Any
    """None where it is unknown."""
    source: Source
    note: str = ""
    """What the value alone does not say."""

    @property
    def date(self) -> datetime.date:
        """Since when it is known to be so."""
        return self.source.date

    def to_json(self) -> dict[str, Any]:
        """Value, date, source and note, JSON-ready."""
        value = list(self.value) if isinstance(self.value, tuple) else self.value
        return {
            "value": value,
            "date": str(self.date),
            "source": self.source.to_json(),
            "note": self.note,
        }


def read(name: str) -> dict[str, Any]:
    """A TOML file of the catalog."""
    return tomllib.loads((Path(__file__).parent / name).read_text(encoding="utf-8"))


@cache
def sources() -> dict[str, Source]:
    """Every source, by name.

    Raises:
        SpecError: VT371, one of them has no date, or is of no kind.
    """
    return {name: source_from(name, row) for name, row in read("sources.toml")["sources"].items()}


def source_from(name: str, row: dict[str, Any]) -> Source:
    """A row of `sources.toml`.

    Raises:
        SpecError: VT371, it has no date, or is of no kind.
    """
    if not isinstance(row.get("date"), datetime.date):
        raise _unsourced(f'the source "{name}" has no date', f"sources.{name}", "date = YEAR-MONTH-DAY")
    if row.get("kind") not in KINDS:
        raise _unsourced(
            f'the source "{name}" is of no kind', f"sources.{name}", f"kind = one of: {', '.join(KINDS)}"
        )
    return Source(name, row["title"], row["page"], row["date"], row["kind"], row.get("note", ""))


def cell_from(value: Any, source: str | None, where: str, note: str = "") -> Cell:
    """A cell whose source has this name.

    Raises:
        SpecError: VT371, there is no such source.
    """
    if source not in sources():
        what = f'there is no source "{source}"' if source else "the figure has no source"
        raise _unsourced(what, where, "name one of sources.toml")
    return Cell(value, sources()[source], note)


def cells_from(table: dict[str, Any], where: str) -> dict[str, Cell]:
    """The figures of a table with `source`, `sources` and `notes` beside them.

    Raises:
        SpecError: VT371, a figure without a source, or with one that is not known.
    """
    own, notes = table.get("sources", {}), table.get("notes", {})
    return {
        name: cell_from(value, own.get(name, table.get("source")), f"{where}.{name}", notes.get(name, ""))
        for name, value in figures(table).items()
    }


def figures(table: dict[str, Any]) -> dict[str, Any]:
    """A table without what is said about its figures."""
    return {name: value for name, value in table.items() if name not in _ABOUT}


def _unsourced(what: str, where: str, fix: str) -> SpecError:
    why = "A figure that nobody can check is not printed as a fact."
    return SpecError("VT371", what, where=where, why=why, fix=fix)
