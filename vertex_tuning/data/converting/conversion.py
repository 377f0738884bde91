"""What became of a data set that was converted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from vertex_tuning.catalog import tuning
from vertex_tuning.data.report import DataReport, Finding, fault_of
from vertex_tuning.data.words import counted


@dataclass(slots=True)
class Conversion:
    """A converted data set. `str()` says it to people."""

    source: str
    """File name, or `rows`."""
    output: str
    """Path of the file with the rows for Vertex AI."""
    method: str
    """What they are for."""
    rows: int
    """How many were read."""
    written: int
    forms: dict[str, int]
    """How many rows were read in which form."""
    verdict: DataReport
    """What `check` says of the file that was written."""
    next: str
    """The command that comes next."""
    notes: list[Finding] = field(default_factory=list)
    """What was left out of rows, or turned into something similar, and how many have it."""
    left_out: list[int] = field(default_factory=list)
    """The lines of the rows that were dropped."""
    faults: list[Finding] = field(default_factory=list)
    """Why they were."""

    @property
    def ok(self) -> bool:
        """Whether the file would be taken."""
        return self.verdict.ok

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "source": self.source,
            "output": self.output,
            "method": self.method,
            "ok": self.ok,
            "rows": self.rows,
            "written": self.written,
            "forms": self.forms,
            "notes": [
                {"path": note.path, "what": note.what, "rows": note.count, "lines": note.lines}
                for note in self.notes
            ],
            "left_out": self.left_out,
            "faults": [
                {**fault_of(self.source, fault).to_json(), "rows": fault.count, "lines": fault.lines}
                for fault in self.faults
            ],
            "check": self.verdict.to_json(),
            "next": self.next,
        }

    def __str__(self) -> str:
        lines = [str(fault_of(self.source, fault)) for fault in self.faults]
        forms = ", ".join(f"{count:,} {form}" for form, count in self.forms.items())
        lines.append(f"{self.source}: {counted(self.rows, 'row')} ({forms}), for {tuning(self.method)}")
        for note in self.notes:
            rows = f"{note.count:,} rows, the first in line" if note.count > 1 else "1 row, line"
            lines.append(f"  {f'{note.path}: ' if note.path else ''}{note.what} ({rows} {note.lines[0]})")
        if self.left_out:
            rows = "row was" if len(self.left_out) == 1 else "rows were"
            lines.append(f"  {len(self.left_out):,} {rows} dropped, for what is said above")
        lines.append(str(self.verdict))
        if self.ok:
            lines.append(f"Next: {self.next}")
        return "\n".join(lines)
