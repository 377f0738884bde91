"""The verdict on a data set."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from vertex_tuning.errors import DatasetError, Fault

_INDEX = re.compile(r"\[\d+\]")
_LINES_SHOWN = 5


@dataclass(slots=True)
class Finding:
    """A fault that some rows share: the rule, the place in a row, and how often."""

    rule: str
    path: str
    """JSON path in the first row that has it: `contents[2].role`."""
    what: str
    fix: str = ""
    why: str = ""
    count: int = 0
    """Rows that have it."""
    lines: list[int] = field(default_factory=list)
    """The first of their line numbers, from 1."""


@dataclass(slots=True)
class DataReport:
    """What a check found. `ok` tells whether the set would be taken; `str()` says it to people."""

    source: str
    """File name, or `rows`."""
    form: str = ""
    """`contents`, `messages` or `prompt/completion`."""
    rows: int = 0
    bytes: int = 0
    turns: int = 0
    characters: int = 0
    """In all texts."""
    estimated_tokens: int = 0
    """Characters divided by four: an estimate, not a count."""
    longest_row_tokens: int = 0
    """Estimate for the longest row."""
    duplicates: int = 0
    """Rows that stand in the set word for word before."""
    answers: int = 0
    """Different last answers, up to 1,000."""
    findings: dict[tuple[str, str], Finding] = field(default_factory=dict)
    """Faults, by rule and place; bounded, however many rows have them."""
    warnings: list[Fault] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether there is no fault; warnings do not count."""
        return not self.findings

    @property
    def faults(self) -> list[Fault]:
        """One fault per rule and place, the first line that has it, and how many more do."""
        return [self._fault(finding) for finding in self.findings.values()]

    def add(self, line: int, rule: str, path: str, what: str, *, fix: str = "", why: str = "") -> None:
        """Note a fault of a row; line 0 stands for the set as a whole."""
        key = (rule, _INDEX.sub("[]", path))
        finding = self.findings.get(key)
        if finding is None:
            finding = self.findings[key] = Finding(rule, path, what, fix, why)
        if not finding.lines or finding.lines[-1] != line:
            finding.count += 1
            if len(finding.lines) < _LINES_SHOWN:
                finding.lines.append(line)

    def raise_for_faults(self) -> DataReport:
        """Return itself where there is no fault.

        Raises:
            DatasetError: VT200, with every fault.
        """
        if self.ok:
            return self
        faults = self.faults
        if len(faults) == 1:
            only = faults[0]
            raise DatasetError(only.rule, only.what, where=only.where, why=only.why, fix=only.fix)
        raise DatasetError(
            "VT200", f"the data set has {len(faults)} faults", where=self.source, faults=faults
        )

    def _fault(self, finding: Finding) -> Fault:
        place = self.source if finding.lines[0] == 0 else f"{self.source} line {finding.lines[0]}"
        where = f"{place}, {finding.path}" if finding.path else place
        others = finding.count - 1
        more = ""
        if others:
            shown = ", ".join(str(line) for line in finding.lines[1:])
            rest = "" if others < len(finding.lines) else ", ..."
            rows, line = ("rows have", "lines") if others > 1 else ("row has", "line")
            more = f"{others} other {rows} the same fault: {line} {shown}{rest}."
        return Fault(
            finding.rule,
            finding.what,
            where,
            " ".join(part for part in (finding.why, more) if part),
            finding.fix,
        )

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "source": self.source,
            "ok": self.ok,
            "form": self.form,
            "rows": self.rows,
            "bytes": self.bytes,
            "turns": self.turns,
            "characters": self.characters,
            "estimated_tokens": self.estimated_tokens,
            "longest_row_estimated_tokens": self.longest_row_tokens,
            "duplicates": self.duplicates,
            "different_answers": self.answers,
            "faults": [
                {**self._fault(finding).to_json(), "rows": finding.count, "lines": finding.lines}
                for finding in self.findings.values()
            ],
            "warnings": [fault.to_json() for fault in self.warnings],
        }

    def __str__(self) -> str:
        lines = [str(fault) for fault in self.faults] + [f"warning {fault}" for fault in self.warnings]
        figures = (
            f"{self.source}: {self.rows:,} rows, {self.turns:,} turns, about {self.estimated_tokens:,} tokens"
            f"{f', {self.duplicates:,} duplicates' if self.duplicates else ''}"
        )
        verdict = (
            "ready to tune"
            if self.ok
            else f"{len(self.findings)} fault{'s' if len(self.findings) > 1 else ''}"
        )
        return "\n".join([*lines, f"{figures}: {verdict}"])
