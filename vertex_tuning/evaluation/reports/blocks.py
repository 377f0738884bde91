"""What a report is made of beside plots: each block as HTML and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Protocol

from vertex_tuning.evaluation.gates import Decision
from vertex_tuning.evaluation.reports.scales import number

Cell = str | float | int | bool | None
"""What stands in a table: a number is written for people, None is a dash."""

_CODE = re.compile(r"`([^`]+)`")
_FIGURES = re.compile(r"[-+\d.,%/ ]+( to [-+\d.,%]+)?")
"""Text that is figures, and stands to the right as numbers do."""
_STRONG = re.compile(r"\*\*([^*]+)\*\*")
_IN_A_CELL = str.maketrans({"|": "\\|", "\n": " "})


class Block(Protocol):
    """A piece of a report."""

    def html(self) -> str:
        """As HTML."""
        ...

    def markdown(self) -> str:
        """As Markdown, without the empty line behind it."""
        ...


@dataclass(frozen=True, slots=True)
class Section:
    """A heading."""

    title: str

    def html(self) -> str:
        """As HTML."""
        return f"<h2>{escape(self.title)}</h2>"

    def markdown(self) -> str:
        """As Markdown."""
        return f"## {harmless(self.title)}"


@dataclass(frozen=True, slots=True)
class Prose:
    """Paragraphs, with an empty line between them; `code` and **strong** as in Markdown, and nothing else."""

    text: str

    def html(self) -> str:
        """As HTML."""
        return "".join(f"<p>{inline(words)}</p>" for words in self._paragraphs())

    def markdown(self) -> str:
        """As Markdown."""
        return "\n\n".join(map(harmless, self._paragraphs()))

    def _paragraphs(self) -> list[str]:
        return [" ".join(words.split()) for words in self.text.split("\n\n") if words.strip()]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a gate opened, and every reason."""

    decision: Decision
    title: str = ""
    """Else it says that the gate is open, or closed."""

    def _head(self) -> str:
        return self.title or f"The gate is {'open' if self.decision.open else 'closed'}"

    def html(self) -> str:
        """As HTML."""
        items = "".join(
            f'<li class="{"met" if met else "unmet"}"><span class="word">{"met" if met else "not met"}</span> '
            f"{inline(words)}</li>"
            for met, words in zip(self.decision.met, self.decision.reasons, strict=True)
        )
        css = "open" if self.decision.open else "closed"
        return f'<section class="verdict {css}"><h2>{escape(self._head())}</h2><ul>{items}</ul></section>'

    def markdown(self) -> str:
        """As Markdown."""
        pairs = zip(self.decision.met, self.decision.reasons, strict=True)
        items = [f"- {'met' if met else '**not met**'}: {harmless(words)}" for met, words in pairs]
        return "\n".join([f"## {harmless(self._head())}", "", *items])


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first column names the row."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""

    def html(self) -> str:
        """As HTML; it scrolls by itself where it is wider than the page."""
        numeric = self._numeric()
        caption = f"<caption>{inline(self.caption)}</caption>" if self.caption else ""
        head = "".join(
            f'<th scope="col"{_right(number)}>{escape(name)}</th>'
            for name, number in zip(self.columns, numeric, strict=True)
        )
        body = "".join(f"<tr>{self._row(row, numeric)}</tr>" for row in self.rows)
        name = escape(self.caption or ", ".join(self.columns), quote=True)
        return (
            f'<div class="scroll" role="region" tabindex="0" aria-label="{name}">'
            f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )

    @staticmethod
    def _row(row: Sequence[Cell], numeric: Sequence[bool]) -> str:
        first, *others = [
            f"{_right(right)}>{inline(written(cell))}" for cell, right in zip(row, numeric, strict=True)
        ]
        return f'<th scope="row"{first}</th>' + "".join(f"<td{cell}</td>" for cell in others)

    def markdown(self) -> str:
        """As Markdown."""
        lines = [f"*{harmless(self.caption)}*", ""] if self.caption else []
        lines.append(_line(self.columns))
        lines.append("|" + "|".join("--:" if right else "---" for right in self._numeric()) + "|")
        lines += [_line([written(cell) for cell in row]) for row in self.rows]
        return "\n".join(lines)

    def _numeric(self) -> list[bool]:
        columns = zip(*self.rows, strict=True) if self.rows else [[] for _ in self.columns]
        return [bool(column) and all(map(_is_figure, column)) for column in columns]


def _is_figure(cell: Cell) -> bool:
    if isinstance(cell, str):
        return _FIGURES.fullmatch(cell) is not None
    return cell is None or (isinstance(cell, int | float) and not isinstance(cell, bool))


def _right(numeric: bool) -> str:
    return ' class="n"' if numeric else ""


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(harmless(cell).translate(_IN_A_CELL) for cell in cells)} |"


def written(cell: Cell) -> str:
    """A cell's words."""
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    return number(cell) if isinstance(cell, float) else cell


def inline(words: str) -> str:
    """Words as HTML, with `code` and **strong**."""
    return _STRONG.sub(r"<strong>\1</strong>", _CODE.sub(r"<code>\1</code>", escape(words, quote=False)))


def harmless(words: str) -> str:
    """Words for Markdown in which no tag stands open to be read as HTML; `code` stays as it is."""
    pieces = _CODE.split(words)
    return "".join(
        f"`{piece}`" if index % 2 else piece.replace("<", "&lt;") for index, piece in enumerate(pieces)
    )
