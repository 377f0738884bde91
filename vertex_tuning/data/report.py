"""The verdict on a data set."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from vertex_tuning.data.words import counted
from vertex_tuning.errors import DatasetError, Fault

_INDEX = re.compile(r"\[\d+\]")
_LINES_SHOWN = 5
_FAULTS_SHOWN = 20
_MOST_FINDINGS = 100
"""Places that are told apart; what comes after them is told by rule alone."""


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
    last: int = -1
    """The last of them."""

    def see(self, line: int) -> None:
        """Another row, or the same once more."""
        if line == self.last:
            return
        self.last = line
        self.count += 1
        if len(self.lines) < _LINES_SHOWN:
            self.lines.append(line)


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
    findings: dict[tuple[str, str, str], Finding] = field(default_factory=dict)
    """Faults, by rule, place and cure; bounded, however many rows have them."""
    warnings: list[Fault] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether there is no fault; warnings do not count."""
        return not self.findings

    @property
    def faults(self) -> list[Fault]:
        """One fault per rule, place and cure: the first line that has it, and how many more do."""
        return [fault_of(self.source, finding) for finding in self.findings.values()]

    def add(self, line: int, rule: str, path: str, what: str, *, fix: str = "", why: str = "") -> None:
        """Note a fault of a row; line 0 stands for the set as a whole."""
        key = (rule, _INDEX.sub("[]", path), fix)
        finding = self.findings.get(key)
        if finding is None and len(self.findings) >= _MOST_FINDINGS:
            key = (rule, "...", "")
            finding = self.findings.get(key)
        if finding is None:
            finding = self.findings[key] = Finding(rule, path, what, fix, why)
        finding.see(line)

    def raise_for_faults(self) -> DataReport:
        """Return itself where there is no fault.

        Raises:
            DatasetError: VT200, with every fault.
        """
        raise_for_faults(self)
        return self

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
                {**fault_of(self.source, finding).to_json(), "rows": finding.count, "lines": finding.lines}
                for finding in self.findings.values()
            ],
            "warnings": [fault.to_json() for fault in self.warnings],
        }

    def __str__(self) -> str:
        lines = [str(fault) for fault in self.faults] + [f"warning {fault}" for fault in self.warnings]
        figures = (
            f"{self.source}: {counted(self.rows, 'row')}, {counted(self.turns, 'turn')}, "
            f"about {counted(self.estimated_tokens, 'token')}"
        )
        if self.duplicates:
            figures += f", {counted(self.duplicates, 'duplicate')}"
        verdict = "ready to tune" if self.ok else counted(len(self.findings), "fault")
        return "\n".join([*lines, f"{figures}: {verdict}"])


def raise_for_faults(*reports: DataReport) -> None:
    """Raise what is wrong with one set, or with several that belong together.

    Raises:
        DatasetError: VT200, with every fault; where there is one alone, that.
    """
    bad = [report for report in reports if not report.ok]
    faults = [fault for report in bad for fault in report.faults]
    if len(faults) == 1:
        only = faults[0]
        raise DatasetError(only.rule, only.what, where=only.where, why=only.why, fix=only.fix)
    if faults:
        sets = "the data set has" if len(bad) == 1 else "the data sets have"
        where = ", ".join(report.source for report in bad)
        raise DatasetError("VT200", f"{sets} {len(faults)} faults", where=where, faults=faults)


def refusal(reports: Iterable[DataReport], *, but: str = "") -> str:
    """What is wrong with the sets of a job, in one text, up to twenty faults; empty where nothing is.

    Args:
        reports: Of the sets.
        but: A rule whose faults do not count.
    """
    bad = [(report.source, [fault for fault in report.faults if fault.rule != but]) for report in reports]
    faults = [fault for _, found in bad for fault in found]
    if not faults:
        return ""
    shown = "\n".join(map(str, faults[:_FAULTS_SHOWN]))
    more = f"\n... and {len(faults) - _FAULTS_SHOWN} more" if len(faults) > _FAULTS_SHOWN else ""
    return f"{' and '.join(source for source, found in bad if found)} cannot be trained on:\n{shown}{more}"


def fault_of(source: str, finding: Finding) -> Fault:
    """A finding for people: the first line that has it, and how many more do."""
    place = source if finding.lines[0] == 0 else f"{source} line {finding.lines[0]}"
    where = f"{place}, {finding.path}" if finding.path else place
    others = finding.count - 1
    more = ""
    if others:
        shown = ", ".join(str(line) for line in finding.lines[1:])
        rest = "." if others < len(finding.lines) else ", ..."
        rows, line = ("rows have", "lines") if others > 1 else ("row has", "line")
        more = f"{others:,} other {rows} the same fault: {line} {shown}{rest}"
    why = " ".join(part for part in (finding.why, more) if part)
    return Fault(finding.rule, finding.what, where, why, finding.fix)
