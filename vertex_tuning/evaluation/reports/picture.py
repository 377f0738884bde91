"""A plot as a picture: an SVG file that needs nothing beside itself, for a page of somebody else's."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Protocol

from vertex_tuning.evaluation.reports.drawing import WIDE, Drawing, room_for, sample, style

_MARGIN = 16
_TITLE, _LEGEND = 34, 24
_FONT = 'svg { background: var(--paper); font-family: system-ui, -apple-system, "Segoe UI", sans-serif; }'


class Plot(Protocol):
    """What can be drawn: `Lines`, `Points`, `Bars`, `Histogram`, `Calibrated`."""

    @property
    def title(self) -> str:
        """What it shows."""
        ...

    def draw(self, width: float) -> Drawing:
        """The drawing of a width."""
        ...


def picture(plot: Plot) -> str:
    """A plot with its title and the names of its series, as SVG; it is right by day and by night."""
    drawn = plot.draw(WIDE)
    names = _names(plot)
    head = Drawing(WIDE, 0, "")
    head.add("text", "t name", escape(plot.title), x=0.0, y=16.0, style="font-size: 16px; font-weight: 600")
    top, left = float(_TITLE), 0.0
    for series, name in enumerate(names):
        room = 54 + room_for(name)
        if left and left + room > WIDE:
            top, left = top + _LEGEND, 0.0
        sample(head, left, top + 4, series)
        head.text(left + 34, top + 8, name)
        left += room
    above = top + (_LEGEND if names else 0)
    width, height = WIDE + 2 * _MARGIN, drawn.height + above + 2 * _MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img" aria-label="{escape(drawn.label, quote=True)}"><style>{style()}{_FONT}</style>'
        f'<g transform="translate({_MARGIN} {_MARGIN})">{"".join(head.parts)}'
        f'<g transform="translate(0 {above:.0f})">{"".join(drawn.parts)}</g></g></svg>\n'
    )


def _names(plot: Plot) -> Sequence[str]:
    found = [one.name for one in getattr(plot, "series", ())] or list(getattr(plot, "sets", ()))
    return found if len(found) > 1 else []
