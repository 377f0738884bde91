"""Reports: one page that needs nothing beside itself, and the same as Markdown.

page.css          how a page looks
blocks.py         headings, prose, tables, verdicts
curves.py         plots: lines with bands
rows.py           ... points with intervals, and bars
distributions.py  ... histograms, and calibration
figures.py        what every plot has: two drawings, and its numbers
drawing.py        SVG by hand: axes, marks; drawing.css: how they look, by day and by night
picture.py        a plot as a file of its own
scales.py         ticks and numbers
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from importlib import resources
from pathlib import Path

from vertex_tuning.evaluation.comparing import Comparison
from vertex_tuning.evaluation.gates import Decision
from vertex_tuning.evaluation.reports.blocks import (
    Block,
    Cell,
    Prose,
    Section,
    Table,
    Verdict,
    harmless,
    inline,
    written,
)
from vertex_tuning.evaluation.reports.curves import Lines, Series
from vertex_tuning.evaluation.reports.distributions import Calibrated, Histogram
from vertex_tuning.evaluation.reports.drawing import style
from vertex_tuning.evaluation.reports.picture import picture
from vertex_tuning.evaluation.reports.rows import Bars, Point, Points

__all__ = [
    "Bars",
    "Block",
    "Calibrated",
    "Histogram",
    "Lines",
    "Point",
    "Points",
    "Prose",
    "Report",
    "Section",
    "Series",
    "Table",
    "Verdict",
    "picture",
]


@dataclass(slots=True)
class Report:
    """A page, built from above: `Report("Tickets").verdict(decision).section("Quality").add(Lines(...))`."""

    title: str
    subtitle: str = ""
    facts: Mapping[str, Cell] = field(default_factory=dict)
    """Shown below the title: models, rows, seeds, dates."""
    blocks: list[Block] = field(default_factory=list)
    footer: str = ""
    language: str = "en"

    def add(self, *blocks: Block) -> Report:
        """Blocks of any kind; returns itself, as all of these do."""
        self.blocks += blocks
        return self

    def section(self, title: str) -> Report:
        """A heading."""
        return self.add(Section(title))

    def prose(self, text: str) -> Report:
        """Paragraphs, with an empty line between them; `code` and **strong** as in Markdown."""
        return self.add(Prose(text))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Cell]], caption: str = "") -> Report:
        """A table, whose first column names the row."""
        return self.add(Table(columns, rows, caption))

    def verdict(self, decision: Decision, title: str = "") -> Report:
        """Whether a gate opened, and why."""
        return self.add(Verdict(decision, title))

    def comparisons(self, found: Iterable[Comparison], title: str = "What the candidate gains") -> Report:
        """Comparisons: their intervals drawn, and a table.

        On the axis stand those alone whose means lie between -1 and 1: a gain of words would flatten one of accuracy.
        """
        items = list(found)
        if not items:
            return self
        one = items[0]
        seeds = f" and {one.seeds} seeds" if one.seeds > 1 else ""
        shares = [item for item in items if max(abs(item.baseline), abs(item.candidate)) <= 1.0] or items
        points = [Point(item.measure, item.difference, item.low, item.high) for item in shares]
        rows: list[list[Cell]] = [
            [
                item.measure,
                item.baseline,
                item.candidate,
                f"{item.difference:+.3f}",
                f"{item.low:+.3f} to {item.high:+.3f}",
                f"{item.wins} / {item.ties} / {item.losses}",
                item.rows,
            ]
            for item in items
        ]
        note = (
            f"Candidate less baseline, with intervals of {one.confidence:.0%}: a paired bootstrap over rows{seeds}. "
            "An interval that does not touch zero is more than chance."
        )
        columns = ["measure", "baseline", "candidate", "gain", f"{one.confidence:.0%} interval"]
        return self.add(
            Points(title, points, x_label="gain", caption=note),
            Table([*columns, "won / tied / lost", "rows"], rows),
        )

    def html(self) -> str:
        """The page; it loads nothing, and runs nothing."""
        facts = "".join(
            f"<div><dt>{escape(name)}</dt><dd>{inline(written(value))}</dd></div>"
            for name, value in self.facts.items()
        )
        parts = [
            "<!doctype html>",
            f'<html lang="{escape(self.language, quote=True)}"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(self.title)}</title><style>{_style()}</style></head><body>",
            f"<header><h1>{escape(self.title)}</h1>",
            f'<p class="sub">{inline(self.subtitle)}</p>' if self.subtitle else "",
            f'<dl class="facts">{facts}</dl>' if facts else "",
            "</header><main>",
            *(block.html() for block in self.blocks),
            "</main>",
            f"<footer>{inline(self.footer)}</footer>" if self.footer else "",
            "</body></html>",
        ]
        return "\n".join(part for part in parts if part) + "\n"

    def markdown(self) -> str:
        """The same as Markdown; of a plot, its numbers."""
        facts = "\n".join(harmless(f"- {name}: {written(value)}") for name, value in self.facts.items())
        parts = [
            f"# {harmless(self.title)}",
            harmless(self.subtitle),
            facts,
            *(block.markdown() for block in self.blocks),
            harmless(self.footer),
        ]
        return "\n\n".join(part for part in parts if part) + "\n"

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write it to a file: Markdown where the name ends with `.md`, else HTML."""
        found = Path(path)
        found.parent.mkdir(parents=True, exist_ok=True)
        found.write_text(self.markdown() if found.suffix == ".md" else self.html(), encoding="utf-8")
        return found


@cache
def _style() -> str:
    page = resources.files(__name__).joinpath("page.css").read_text(encoding="utf-8")
    return style() + page
