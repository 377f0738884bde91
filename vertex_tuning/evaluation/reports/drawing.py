"""SVG by hand: a drawing of one width, its axes, and what all plots share.

Colours are classes, so that one drawing is right by day and by night; series differ in form too, for who cannot tell colours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from importlib import resources

from vertex_tuning.evaluation.reports.scales import Scale, step_for, tick_label

WIDE, NARROW = 680, 340
"""Widths in user units: on a desk, and on a phone. A user unit is about a pixel in both, so that letters keep their size."""
COLOURS = 5
_LETTER = 6.8
"""Mean width of a letter of 12 user units."""


@dataclass(slots=True)
class Drawing:
    """One SVG of a width."""

    width: float
    height: float
    label: str
    """What it shows, for who cannot see it."""
    parts: list[str] = field(default_factory=list)

    @property
    def narrow(self) -> bool:
        """Whether it is for a phone."""
        return self.width < WIDE

    def add(self, tag: str, css: str = "", inner: str = "", **attributes: float | str) -> None:
        """An element; numbers are rounded to a tenth."""
        given = {"class": css, **attributes} if css else attributes
        written = "".join(
            f' {name.rstrip("_").replace("_", "-")}="{value if isinstance(value, str) else f"{value:.1f}"}"'
            for name, value in given.items()
        )
        self.parts.append(f"<{tag}{written}>{inner}</{tag}>" if inner else f"<{tag}{written}/>")

    def text(self, x: float, y: float, words: str, css: str = "t", anchor: str = "start") -> None:
        """Words, whose baseline starts, ends or has its middle here."""
        self.add("text", css, escape(words), x=x, y=y, text_anchor=anchor)

    def svg(self) -> str:
        """The element."""
        css = "narrow" if self.narrow else "wide"
        return (
            f'<svg class="{css}" viewBox="0 0 {self.width:.0f} {self.height:.0f}" role="img" '
            f'aria-label="{escape(self.label, quote=True)}">{"".join(self.parts)}</svg>'
        )


@dataclass(frozen=True, slots=True)
class Axes:
    """A frame with both axes drawn."""

    x: Scale
    y: Scale


def axes(
    drawing: Drawing,
    xs: tuple[float, float],
    ys: tuple[float, float],
    *,
    x_label: str = "",
    y_label: str = "",
    log_x: bool = False,
    x_ticks: Mapping[float, str] | None = None,
) -> Axes:
    """Draw axes into a drawing: rules at the ticks of y, ticks of x below, both named."""
    step = step_for(ys[1] - ys[0], 5)
    y = Scale(*ys, drawing.height - (46 if x_label else 26), 26 if y_label else 10)
    labels = [(value, tick_label(value, step)) for value in y.ticks()]
    left = 12 + max((room_for(words) for _, words in labels), default=_LETTER)
    x = Scale(*xs, left, drawing.width - 14, log_x)
    if y_label:
        drawing.text(0, 12, y_label, "t name")
    for value, words in labels:
        place = y(value)
        drawing.add("line", "grid", x1=left, x2=x.end, y1=place, y2=place)
        drawing.text(left - 8, place + 4, words, anchor="end")
    for place, words in _x_labels(x, x_ticks, drawing.narrow):
        drawing.text(place, y.start + 18, words, anchor="middle")
    drawing.add("line", "axis", x1=left, x2=x.end, y1=y.start, y2=y.start)
    if x_label:
        drawing.text((left + x.end) / 2, drawing.height - 6, x_label, "t name", "middle")
    return Axes(x, y)


def _x_labels(x: Scale, given: Mapping[float, str] | None, narrow: bool) -> list[tuple[float, str]]:
    """Places and words below an axis, without those that would run into each other."""
    if given is not None:
        wanted = [(x(value), words) for value, words in sorted(given.items()) if x.low <= value <= x.high]
    else:
        ticks = x.ticks(4 if narrow else 7)
        step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
        wanted = [(x(value), f"{value:g}" if x.log else tick_label(value, step)) for value in ticks]
    kept: list[tuple[float, str]] = []
    for place, words in wanted:
        if not kept or place - room_for(words) / 2 > kept[-1][0] + room_for(kept[-1][1]) / 2 + 6:
            kept.append((place, words))
    return kept


def room_for(words: str) -> float:
    """How wide words are, about."""
    return len(words) * _LETTER


def fitted(words: str, room: float) -> str:
    """Words, cut where they would not find room."""
    most = max(int(room / _LETTER), 1)
    return words if len(words) <= most else f"{words[: most - 1]}…"


def path(points: Iterable[tuple[float, float]], *, closed: bool = False) -> str:
    """The `d` of a line through points."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + ("Z" if closed else "")


def marker(drawing: Drawing, x: float, y: float, series: int, size: float = 3.6) -> None:
    """The mark of a series: a disc, a square, a diamond, a triangle, a ring, by turns."""
    css = f"mark c{series % COLOURS}"
    if series % COLOURS == 0:
        drawing.add("circle", css, cx=x, cy=y, r=size)
    elif series % COLOURS == 1:
        drawing.add("rect", css, x=x - size, y=y - size, width=2 * size, height=2 * size)
    elif series % COLOURS == 2:
        far = size * 1.35
        drawing.add(
            "path", css, d=path([(x, y - far), (x + far, y), (x, y + far), (x - far, y)], closed=True)
        )
    elif series % COLOURS == 3:
        far = size * 1.3
        drawing.add("path", css, d=path([(x, y - far), (x + far, y + far), (x - far, y + far)], closed=True))
    else:
        drawing.add("circle", f"{css} ring", cx=x, cy=y, r=size)


def sample(drawing: Drawing, x: float, y: float, series: int) -> None:
    """A piece of the line of a series, 26 units long, with its mark."""
    drawing.add("line", f"line c{series % COLOURS} d{series % COLOURS}", x1=x, x2=x + 26.0, y1=y, y2=y)
    marker(drawing, x + 13, y, series)


@cache
def style() -> str:
    """Colours by day and by night, and how lines, marks and letters look: `drawing.css`."""
    return resources.files(__package__).joinpath("drawing.css").read_text(encoding="utf-8")


def legend(names: Sequence[str]) -> str:
    """Names of series with their marks; nothing where one alone is shown."""
    if len(names) < 2:
        return ""
    items = []
    for series, name in enumerate(names):
        swatch = Drawing(NARROW, 12, "")
        sample(swatch, 0, 6, series)
        inner = "".join(swatch.parts)
        items.append(
            f'<li><svg viewBox="0 0 26 12" width="26" height="12" aria-hidden="true">{inner}</svg>{escape(name)}</li>'
        )
    return f'<ul class="legend">{"".join(items)}</ul>'
