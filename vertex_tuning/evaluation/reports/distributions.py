"""Where values lie, and whether probabilities are to be believed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vertex_tuning.evaluation.reports import drawing as draw
from vertex_tuning.evaluation.reports.blocks import Cell, Table
from vertex_tuning.evaluation.reports.drawing import COLOURS, Drawing
from vertex_tuning.evaluation.reports.figures import HEIGHT, figure, in_markdown
from vertex_tuning.evaluation.reports.scales import ends
from vertex_tuning.metrics import Calibration


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often values lie where, for one set of them or several, as shares of each."""

    title: str
    sets: Mapping[str, Sequence[float]]
    x_label: str = ""
    caption: str = ""
    bins: int = 20

    def _binned(self) -> tuple[list[float], dict[str, list[float]]]:
        """Edges, and by set the share of values in each bin."""
        low, high = ends(value for values in self.sets.values() for value in values)
        edges = [low + (high - low) * index / self.bins for index in range(self.bins + 1)]
        shares = {}
        for name, given in self.sets.items():
            counts, values = [0] * self.bins, [value for value in given if math.isfinite(value)]
            for value in values:
                counts[min(int((value - low) / (high - low) * self.bins), self.bins - 1)] += 1
            shares[name] = [count / max(len(values), 1) for count in counts]
        return edges, shares

    def draw(self, width: float) -> Drawing:
        """The drawing of a width: outlines, which may lie over each other."""
        edges, shares = self._binned()
        found = Drawing(width, HEIGHT[int(width)] * 0.85, f"{self.title}: {', '.join(self.sets)}")
        tallest = max((share for row in shares.values() for share in row), default=1.0)
        at = draw.axes(
            found, (edges[0], edges[-1]), ends([0.0, tallest]), x_label=self.x_label, y_label="share"
        )
        for index, row in enumerate(shares.values()):
            outline = [(at.x(edges[0]), at.y(0.0))]
            for left, right, share in zip(edges, edges[1:], row, strict=False):
                outline += [(at.x(left), at.y(share)), (at.x(right), at.y(share))]
            outline.append((at.x(edges[-1]), at.y(0.0)))
            found.add("path", f"band c{index % COLOURS}", d=draw.path(outline, closed=True))
            found.add("path", f"line c{index % COLOURS} d{index % COLOURS}", d=draw.path(outline))
        return found

    def _numbers(self) -> Table:
        edges, shares = self._binned()
        rows: list[list[Cell]] = [
            [f"{left:.3g} to {right:.3g}", *(row[index] for row in shares.values())]
            for index, (left, right) in enumerate(itertools.pairwise(edges))
        ]
        return Table([self.x_label or "values", *shares], rows)

    def html(self) -> str:
        """As HTML."""
        return figure(self.title, self.draw, draw.legend(list(self.sets)), self._numbers(), self.caption)

    def markdown(self) -> str:
        """As Markdown: the numbers."""
        return in_markdown(self.title, self._numbers(), self.caption)


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What came true beside what was said to be likely; on the diagonal both are the same."""

    title: str
    calibration: Calibration
    caption: str = ""

    def draw(self, width: float) -> Drawing:
        """The drawing of a width; the area of a disc goes with the predictions in its bin."""
        found = Drawing(width, HEIGHT[int(width)] + 20, self.title)
        at = draw.axes(found, (0.0, 1.0), (0.0, 1.0), x_label="said", y_label="came true")
        found.add("line", "level", x1=at.x(0), y1=at.y(0), x2=at.x(1), y2=at.y(1))
        points = [(at.x(one.said), at.y(one.true)) for one in self.calibration.bins]
        if len(points) > 1:
            found.add("path", "line c0", d=draw.path(points))
        for (x, y), one in zip(points, self.calibration.bins, strict=True):
            size = 3 + 11 * math.sqrt(one.count / self.calibration.count)
            found.add("circle", "disc c0", cx=x, cy=y, r=size)
        return found

    def _numbers(self) -> Table:
        rows: list[list[Cell]] = [
            [f"{one.low:.2f} to {one.high:.2f}", one.count, one.said, one.true]
            for one in self.calibration.bins
        ]
        return Table(["bin", "predictions", "said", "came true"], rows)

    def _caption(self) -> str:
        found = self.calibration
        figures = (
            f"{found.count:,} predictions; expected calibration error {found.expected_error:.3f}, "
            f"Brier score {found.brier:.3f} (0.25 is what saying one half earns)."
        )
        return f"{self.caption} {figures}".strip()

    def html(self) -> str:
        """As HTML."""
        return figure(self.title, self.draw, "", self._numbers(), self._caption())

    def markdown(self) -> str:
        """As Markdown: the numbers."""
        return in_markdown(self.title, self._numbers(), self._caption())
