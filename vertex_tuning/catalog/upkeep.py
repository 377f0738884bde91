"""What a project costs while nobody works in it: `upkeep.toml`, read and added up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from vertex_tuning.catalog.sourced import Cell, cell_from, cells_from, read

HOURS = 730
"""In a month."""


@dataclass(frozen=True, slots=True)
class Upkeep:
    """One thing that a project pays for every month."""

    name: str
    title: str
    unit: str
    """In which it is counted."""
    price: Cell
    """USD a month for `per` units; a value of None where no price is known."""
    per: float = 1
    free: float = 0
    """Units a month that cost nothing."""
    sizes: tuple[str, ...] = ()
    """What there is of it, by the names of `upkeep_sizes`, added up; empty: one."""
    input: str = ""
    """Of terraform/, without which it is not there; empty: it always is."""
    setting: str = ""
    """That tells whether a project has it."""

    def quantity(self, sizes: Mapping[str, float]) -> float:
        """How many units there are of it."""
        return sum(sizes[name] for name in self.sizes) if self.sizes else 1

    @property
    def measure(self) -> str:
        """What has one price: `1 GB`, `10,000 operations`."""
        return self._words(self.per)

    def amount(self, sizes: Mapping[str, float]) -> str:
        """How much of it there is, in words: `80 GB`, `2 schedules`."""
        return self._words(self.quantity(sizes))

    def _words(self, number: float) -> str:
        plural = self.unit.islower() and number != 1
        return f"{number:,g} {self.unit}{'s' if plural else ''}"

    def usd(self, sizes: Mapping[str, float]) -> float | None:
        """What it costs a month; None where no price is known."""
        if self.price.value is None:
            return None
        return max(0.0, self.quantity(sizes) - self.free) / self.per * float(self.price.value)

    def to_json(self, sizes: Mapping[str, float]) -> dict[str, Any]:
        """JSON-ready, with what it comes to."""
        return {
            "name": self.name,
            "title": self.title,
            "input": self.input,
            "quantity": self.quantity(sizes),
            "unit": self.unit,
            "free": self.free,
            "per": self.per,
            "price": self.price.to_json(),
            "usd": self.usd(sizes),
        }


@cache
def upkeep() -> tuple[Upkeep, ...]:
    """All that a project may have to pay for at rest.

    Raises:
        SpecError: VT371, a price has no source.
    """
    return tuple(_items(read("upkeep.toml")["items"]))


def upkeep_of(configured: Mapping[str, object]) -> tuple[Upkeep, ...]:
    """What a project of these settings has to pay for; what no setting tells of is left out.

    Args:
        configured: Name of a setting to its value; what is not set is None or empty.
    """
    return tuple(item for item in upkeep() if not item.input or configured.get(item.setting))


@cache
def upkeep_sizes() -> dict[str, Cell]:
    """How much of everything a small team has, by name."""
    return cells_from(read("upkeep.toml")["sizes"], "upkeep.sizes")


def upkeep_region() -> str:
    """Where these are the prices."""
    return str(read("upkeep.toml")["region"])


@cache
def machine_hours() -> dict[str, Cell]:
    """USD an hour of machines that are forgotten most easily, by what they are."""
    rows = read("upkeep.toml")["machines"]
    return {row["title"]: _price(row, f"upkeep.machines.{name}") for name, row in rows.items()}


def _items(table: Mapping[str, Any]) -> Iterator[Upkeep]:
    for name, row in table.items():
        yield Upkeep(
            name=name,
            title=row["title"],
            unit=row["unit"],
            price=_price(row, f"upkeep.items.{name}"),
            per=row.get("per", 1),
            free=row.get("free", 0),
            sizes=tuple(row.get("sizes", ())),
            input=row.get("input", ""),
            setting=row.get("setting", ""),
        )


def _price(row: Mapping[str, Any], where: str) -> Cell:
    return cell_from(row.get("usd"), row.get("source"), where, row.get("note", ""))
