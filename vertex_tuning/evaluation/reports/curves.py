"""Lines over a common axis, with bands round them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vertex_tuning.evaluation.reports import drawing as draw
from vertex_tuning.evaluation.reports.blocks import Cell, Table
from vertex_tuning.evaluation.reports.drawing import COLOURS, Axes, Drawing
from vertex_tuning.evaluation.reports.figures import HEIGHT, figure, in_markdown
from vertex_tuning.evaluation.reports.scales import ends

_MOST_ROWS = 40
"""Of a plot's table: of a longer curve, points at even distances are told."""
_MOST_MARKERS = 30
"""With more points, a line alone is drawn."""


@dataclass(frozen=True, slots=True)
class Series:
    """A line: places, values, and a band round it where there is one."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    """As many; NaN leaves a gap."""
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines over a common axis, with bands."""

    title: str
    series: Sequence[Series]
    x_label: str = ""
    y_label: str = ""
    caption: str = ""
    log_x: bool = False
    x_ticks: Mapping[float, str] | None = None
    """Words at places of the axis; else round numbers."""
    level: float | None = None
    """A level to hold the lines against: drawn as a dashed rule."""
    level_name: str = ""
    marks: Mapping[float, str] = field(default_factory=dict)
    """Places on the axis with words: where a run was stopped, the best checkpoint."""

    def draw(self, width: float) -> Drawing:
        """The drawing of a width."""
        found = Drawing(
            width, HEIGHT[int(width)], f"{self.title}: {', '.join(one.name for one in self.series)}"
        )
        values = [
            value for one in self.series for row in (one.y, one.low or (), one.high or ()) for value in row
        ]
        places = [place for one in self.series for place in one.x]
        level = [] if self.level is None else [self.level]
        across = (min(places, default=0.0), max(places, default=1.0))
        at = draw.axes(
            found,
            across,
            ends(values, include=level),
            x_label=self.x_label,
            y_label=self.y_label,
            log_x=self.log_x,
            x_ticks=self.x_ticks,
        )
        if self.level is not None:
            place = at.y(self.level)
            found.add("line", "level", x1=at.x.start, x2=at.x.end, y1=place, y2=place)
            found.text(at.x.end, place + self._beside(at), self.level_name, anchor="end")
        for row, (place, words) in enumerate(sorted(self.marks.items())):
            x = at.x(place)
            found.add("line", "level", x1=x, x2=x, y1=at.y.start, y2=at.y.end)
            late = x > width / 2
            found.text(
                x + (-5 if late else 5),
                at.y.end + 12 + 14 * (row % 3),
                words,
                anchor="end" if late else "start",
            )
        for index, one in enumerate(self.series):
            _band(found, at, one, index)
        for index, one in enumerate(self.series):
            _line(found, at, one, index)
        return found

    def _beside(self, at: Axes) -> float:
        """Where the level's name stands, from its rule: on the side that the lines leave the more room, at its end."""
        level, middle = at.y(float(self.level or 0)), (at.x.start + at.x.end) / 2
        near = [
            at.y(y) - level
            for one in self.series
            for x, y in zip(one.x, one.y, strict=True)
            if at.x(x) > middle - 40
        ]
        above = min((-gap for gap in near if gap <= 0), default=math.inf)
        below = min((gap for gap in near if gap > 0), default=math.inf)
        return -5 if above >= below else 14

    def _numbers(self) -> Table:
        columns = [self.x_label or "x"]
        banded = [one.low is not None for one in self.series]
        for one, band in zip(self.series, banded, strict=True):
            columns += [one.name, *(["low", "high"] if band else [])]
        rows = []
        for place in _thinned(sorted({place for one in self.series for place in one.x})):
            row: list[Cell] = [(self.x_ticks or {}).get(place, f"{place:g}")]
            for one, band in zip(self.series, banded, strict=True):
                index = next((i for i, x in enumerate(one.x) if x == place), None)
                row.append(None if index is None else float(one.y[index]))
                if band:
                    row += [
                        None if index is None else float(bound[index])
                        for bound in (one.low or (), one.high or ())
                    ]
            rows.append(row)
        return Table(columns, rows)

    def html(self) -> str:
        """As HTML."""
        keys = draw.legend([one.name for one in self.series])
        return figure(self.title, self.draw, keys, self._numbers(), self.caption)

    def markdown(self) -> str:
        """As Markdown: the numbers."""
        return in_markdown(self.title, self._numbers(), self.caption)


def _band(found: Drawing, at: draw.Axes, one: Series, index: int) -> None:
    if one.low is None or one.high is None:
        return
    known = [
        (x, low, high)
        for x, low, high in zip(one.x, one.low, one.high, strict=True)
        if math.isfinite(low) and math.isfinite(high)
    ]
    there = [(at.x(x), at.y(high)) for x, _, high in known]
    back = [(at.x(x), at.y(low)) for x, low, _ in reversed(known)]
    if len(known) > 1:
        found.add("path", f"band c{index % COLOURS}", d=draw.path(there + back, closed=True))


def _line(found: Drawing, at: draw.Axes, one: Series, index: int) -> None:
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in zip(one.x, one.y, strict=True):
        if math.isfinite(y):
            runs[-1].append((at.x(x), at.y(y)))
        elif runs[-1]:
            runs.append([])
    for run in runs:
        if len(run) > 1:
            found.add("path", f"line c{index % COLOURS} d{index % COLOURS}", d=draw.path(run))
    points = [point for run in runs for point in run]
    if len(points) <= _MOST_MARKERS:
        for x, y in points:
            draw.marker(found, x, y, index)


def _thinned(places: list[float]) -> list[float]:
    if len(places) <= _MOST_ROWS:
        return places
    last = len(places) - 1
    return [places[round(index * last / (_MOST_ROWS - 1))] for index in range(_MOST_ROWS)]
