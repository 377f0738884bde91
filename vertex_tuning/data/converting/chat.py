"""What every form becomes before it is written: one chat, in Google's parts; and what is said about a row on the way."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vertex_tuning.data.report import DataReport, Finding

Part = dict[str, Any]
Turn = dict[str, Any]
Reader = Callable[[dict[str, Any], "Remarks"], "Chat"]
"""Makes a chat of a row; what it cannot carry over, it remarks upon."""

UNREADABLE = object()
"""In place of a row that is none; why, was remarked."""

_INDEX = re.compile(r"\[\d+\]")
_MOST_NOTES = 100


@dataclass(slots=True)
class Chat:
    """What a row says, whatever its form was."""

    turns: list[Turn]
    """As in `contents`: no two turns of one role follow each other."""
    system: list[Part] = field(default_factory=list)
    tools: list[dict[str, Any]] = field(default_factory=list)
    """As in `tools`: `functionDeclarations` and whatever else a row of Vertex AI had."""
    pair: tuple[list[Part], list[Part]] | None = None
    """The preferred answer and the other one; they are not in `turns`."""
    others: dict[str, Any] = field(default_factory=dict)
    """Members of the row that the form does not have: what graders see."""
    references: Any = None
    """Where the row has them already; whatever stands there."""
    settings: dict[str, Any] = field(default_factory=dict)
    """`toolConfig`, `labels` and `generationConfig` of a row of Vertex AI."""
    unlearnt: str = ""
    """Path of a weight that says that the last answer is not to be learnt."""


class Remarks:
    """What is said about the rows: faults, for which a row is not written, and notes on what was left out."""

    def __init__(self, source: str) -> None:
        self.report = DataReport(source)
        self.notes: dict[tuple[str, str], Finding] = {}
        self.line = 0
        """Of the row that is being read."""
        self.bad = False
        """Whether it has a fault."""
        self._noted: list[tuple[str, str]] = []
        """What was left out of it."""

    def begin(self, line: int) -> None:
        """Another row."""
        self.line, self.bad = line, False
        self._noted.clear()

    def keep(self) -> None:
        """The row is written, and what was noted of it counts."""
        for path, what in self._noted:
            key = (_INDEX.sub("[]", path), what)
            if key not in self.notes and len(self.notes) >= _MOST_NOTES:
                key = ("...", "and more of the kind")
            self.notes.setdefault(key, Finding("", *key)).see(self.line)

    def fault(self, rule: str, path: str, what: str, *, fix: str = "", why: str = "") -> None:
        """The row cannot be written: something of it cannot be carried over."""
        self.bad = True
        self.report.add(self.line, rule, path, what, fix=fix, why=why)

    def note(self, path: str, what: str) -> None:
        """Something is left out, or turned into something else, and the row is still worth its place."""
        self._noted.append((path, what))


def add(turns: list[Turn], role: str, parts: list[Part]) -> bool:
    """Add what somebody says; whether it was joined to the turn before, which was of the same role."""
    if turns and turns[-1]["role"] == role:
        turns[-1]["parts"] += parts
        return True
    turns.append({"role": role, "parts": parts})
    return False


def meant(table: Mapping[str, str], name: Any) -> str | None:
    """What a name stands for; None: nothing, as whatever is no name at all."""
    return table.get(name) if isinstance(name, str) else None


def said(text: str) -> list[Part]:
    """A text as the parts of a turn."""
    return [{"text": text}]
