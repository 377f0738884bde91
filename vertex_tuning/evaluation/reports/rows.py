"""One below the other: estimates with their intervals, and bars."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vertex_tuning.evaluation.reports import drawing as draw
from vertex_tuning.evaluation.reports.blocks import Cell, Table
from vertex_tuning.evaluation.reports.drawing import Drawing
from vertex_tuning.evaluation.reports.figures import figure, in_markdown
from vertex_tuning.evaluation.reports.scales import Scale, ends, step_for, tick_label


@dataclass(frozen=True, slots=True)
class Point:
    """An estimate with its interval."""

    name: str
    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Points:
    """Estimates with their intervals, one below the other, held against a level."""

    title: str
    points: Sequence[Point]
    level: float = 0.0
    """No difference, or even odds."""
    x_label: str = ""
    caption: str = ""
    signed: bool = True
    """Whether values are differences, and are written with their sign."""

    def draw(self, width: float) -> Drawing:
        """The drawing of a width: names beside the intervals on a desk, above them on a phone."""
        narrow = width < draw.WIDE
        row = 44.0 if narrow else 34.0
        height = row * len(self.points) + 48
        found = Drawing(width, height, self.title)
        span = ends((v for p in self.points for v in (p.low, p.high, p.estimate)), include=[self.level])
        left = 2.0 if narrow else 18 + max((draw.room_for(point.name) for point in self.points), default=0.0)
        x = Scale(*span, min(left, width / 2), width - (14.0 if narrow else 176.0))
        bottom = height - 44
        step = step_for(span[1] - span[0], 4 if narrow else 5)
        for value in x.ticks(4 if narrow else 5):
            found.add("line", "grid", x1=x(value), x2=x(value), y1=4.0, y2=bottom)
            found.text(x(value), bottom + 18, tick_label(value, step), anchor="middle")
        found.add("line", "level", x1=x(self.level), x2=x(self.level), y1=4.0, y2=bottom)
        if self.x_label:
            found.text((x.start + x.end) / 2, height - 6, self.x_label, "t name", "middle")
        for index, point in enumerate(self.points):
            y = index * row + (32 if narrow else 22)
            css = "c0" if point.low > self.level else "c1" if point.high < self.level else "plain"
            if all(map(math.isfinite, (point.low, point.high, point.estimate))):
                found.add("line", f"whisker {css}", x1=x(point.low), x2=x(point.high), y1=y, y2=y)
                found.add("circle", f"mark {css}", cx=x(point.estimate), cy=y, r=5.0)
            words = self._words(point)
            if narrow:
                found.text(x.start, y - 12, draw.fitted(point.name, width - 30 - draw.room_for(words)))
                found.text(width - 14, y - 12, words, anchor="end")
            else:
                found.text(x.start - 12, y + 4, draw.fitted(point.name, x.start - 12), anchor="end")
                found.text(width - 2, y + 4, words, anchor="end")
        return found

    def _words(self, point: Point) -> str:
        form = "{:+.3f}" if self.signed else "{:.3f}"
        estimate, low, high = (form.format(value + 0.0) for value in (point.estimate, point.low, point.high))
        return f"{estimate}  ({low} to {high})"

    def _numbers(self) -> Table:
        rows: list[list[Cell]] = [
            [point.name, float(point.estimate), float(point.low), float(point.high)] for point in self.points
        ]
        return Table(["", "estimate", "low", "high"], rows)

    def html(self) -> str:
        """As HTML."""
        return figure(self.title, self.draw, "", self._numbers(), self.caption)

    def markdown(self) -> str:
        """As Markdown: the numbers."""
        return in_markdown(self.title, self._numbers(), self.caption)


@dataclass(frozen=True, slots=True)
class Bars:
    """Amounts, one below the other, from zero."""

    title: str
    bars: Mapping[str, float]
    unit: str = ""
    caption: str = ""

    def draw(self, width: float) -> Drawing:
        """The drawing of a width."""
        narrow = width < draw.WIDE
        row = 42.0 if narrow else 30.0
        found = Drawing(width, row * len(self.bars) + 8, self.title)
        left = 0.0 if narrow else 18 + max(map(draw.room_for, self.bars), default=0.0)
        known = [value for value in self.bars.values() if math.isfinite(value)]
        x = Scale(
            min([0.0, *known]), max([0.0, *known]), min(left, width / 2), width - (10.0 if narrow else 96.0)
        )
        for index, (name, value) in enumerate(self.bars.items()):
            y = index * row + (20 if narrow else 6)
            end = x.start
            if math.isfinite(value):
                start, end = sorted((x(0.0), x(value)))
                found.add("rect", "bar c0", x=start, y=y, width=max(end - start, 1.0), height=18.0)
            words = self._words(value)
            if narrow:
                found.text(0, y - 5, draw.fitted(name, width - 30 - draw.room_for(words)))
                found.text(width - 10, y - 5, words, anchor="end")
            else:
                found.text(x.start - 12, y + 13, draw.fitted(name, x.start - 12), anchor="end")
                found.text(end + 8, y + 13, words)
        return found

    def _words(self, value: float) -> str:
        if not math.isfinite(value):
            return "-"
        return (
            f"{value:,.3g} {self.unit}".strip() if abs(value) < 1000 else f"{value:,.0f} {self.unit}".strip()
        )

    def _numbers(self) -> Table:
        return Table(["", self.unit or "value"], [(name, float(value)) for name, value in self.bars.items()])

    def html(self) -> str:
        """As HTML."""
        return figure(self.title, self.draw, "", self._numbers(), self.caption)

    def markdown(self) -> str:
        """As Markdown: the numbers."""
        return in_markdown(self.title, self._numbers(), self.caption)
