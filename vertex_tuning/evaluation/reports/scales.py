"""Axes: where the ticks stand, and how a number is written."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


def number(value: float) -> str:
    """A number for people: four digits that count, three of them behind the point at most; `-` for none."""
    if not math.isfinite(value):
        return "-"
    size = math.floor(math.log10(abs(value))) if value else 0
    if size < -3:
        return f"{value:.1e}"
    return f"{value + 0.0:,.{min(3, max(0, 3 - size))}f}"


@dataclass(frozen=True, slots=True)
class Scale:
    """From numbers to places on an axis."""

    low: float
    high: float
    start: float
    """Where `low` stands, in user units of the drawing."""
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Where a number stands."""
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        share = 0.5 if high == low else (value - low) / (high - low)
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """About so many round numbers between the ends."""
        if self.log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            found = [base * 10.0**power for power in range(first, last + 1) for base in (1, 2, 5)]
            return [value for value in found if self.low <= value <= self.high * (1 + 1e-9)]
        step = step_for(self.high - self.low, count)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [place * step + 0.0 for place in range(first, last + 1)]


def step_for(width: float, count: int) -> float:
    """A step of 1, 2 or 5 times a power of ten that divides a width into about so many."""
    if width <= 0:
        return 1.0
    raw = width / max(count, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= raw * (1 - 1e-9))


def ends(values: Iterable[float], *, include: Iterable[float] = (), count: int = 5) -> tuple[float, float]:
    """Round ends of an axis that holds all values, and what else it is to include."""
    known = [value for value in (*values, *include) if math.isfinite(value)]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    if low == high:
        room = abs(low) * 0.1 or 0.5
        low, high = low - room, high + room
    step = step_for(high - low, count)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step


def tick_label(value: float, step: float) -> str:
    """A tick with as many digits as the step between ticks needs."""
    if abs(value) >= 10_000:
        return f"{value:,.0f}"
    digits = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    return f"{value + 0.0:.{digits}f}"
