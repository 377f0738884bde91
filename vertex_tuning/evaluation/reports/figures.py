"""What every plot has: a title, two drawings, and its numbers in a table, which are all that Markdown shows."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from vertex_tuning.evaluation.reports.blocks import Table, harmless, inline
from vertex_tuning.evaluation.reports.drawing import NARROW, WIDE, Drawing

HEIGHT = {WIDE: 320.0, NARROW: 250.0}
"""Of a plot with two axes, by width."""


def figure(title: str, drawn: Callable[[float], Drawing], legend: str, numbers: Table, caption: str) -> str:
    """A plot in HTML: its title, both drawings, and its numbers."""
    words = f'<p class="note">{inline(caption)}</p>' if caption else ""
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>{legend}"
        f"{drawn(WIDE).svg()}{drawn(NARROW).svg()}{words}"
        f"<details><summary>Numbers</summary>{numbers.html()}</details></figure>"
    )


def in_markdown(title: str, numbers: Table, caption: str) -> str:
    """A plot in Markdown: its title and its numbers."""
    return "\n\n".join(
        part for part in (f"**{harmless(title)}**", harmless(caption), numbers.markdown()) if part
    )
