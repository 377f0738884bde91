"""Rows that a stand-in cannot see or hear, left out where `emulator start --drop-media` asks for it.

Vertex AI would have taken them: so what it would refuse of the set is refused first, in them too. Where a row stood, an empty
line is left; lines and rows that are spoken of later keep their numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vertex_tuning import data
from vertex_tuning.emulator.jobs.files import JobFolder
from vertex_tuning.emulator.status import ApiError, Code
from vertex_tuning.training import sight

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Dropped:
    """What was left out: (row from 1, reason)."""

    training: Sequence[tuple[int, str]] = field(default_factory=list)
    validation: Sequence[tuple[int, str]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)

    def told(self) -> dict[str, Any]:
        """For the event log: how many, and the first of them."""
        sides = {"training": self.training, "validation": self.validation}
        shown = {
            name: {"rows": len(rows), "first": [f"row {row}: {reason}" for row, reason in rows[:_SHOWN]]}
            for name, rows in sides.items()
            if rows
        }
        return {"rows": len(self.training) + len(self.validation), **shown}


def find(folder: JobFolder, method: str, base_model: str, names: tuple[str, str | None]) -> Dropped:
    """What is to be left out of a job's data sets.

    Raises:
        ApiError: 400, the service would refuse the set, or no row would be left of it.
    """
    validation = folder.validation if folder.validation.exists() else None
    found = Dropped(_rows(folder.training), _rows(validation) if validation else [])
    if not found.training and not found.validation:
        return found
    reports = data.check_job(folder.training, validation, method=method, base_model=base_model, names=names)
    if words := data.refusal(reports, but="VT216"):
        raise ApiError(Code.INVALID_ARGUMENT, words, rule="VT642")
    for report, dropped in zip(reports, (found.training, found.validation), strict=False):
        if len(dropped) == report.rows:
            text = (
                f"Every row of {report.source} has something that the stand-in cannot see or hear, so that none is left: "
                f"row {dropped[0][0]}: {dropped[0][1]}. Rehearse with rows of text; Vertex AI takes these."
            )
            raise ApiError(Code.INVALID_ARGUMENT, text, rule="VT686")
    return found


def drop(folder: JobFolder, found: Dropped) -> None:
    """Leave them out. It may be done again, when it was interrupted."""
    for path, dropped in ((folder.training, found.training), (folder.validation, found.validation)):
        if dropped:
            lines = {one.line for one in sight.unread(path) if one.media}
            scratch = path.with_suffix(".part")
            with path.open("rb") as source, scratch.open("wb") as target:
                for number, line in enumerate(source, 1):
                    target.write(b"\n" if number in lines else line)
            scratch.replace(path)  # the object in storage, which it may be a link of, stays as it is


def _rows(path: Path) -> list[tuple[int, str]]:
    """One reason for each row."""
    reasons: dict[int, str] = {}
    for one in sight.unread(path):
        if one.media:
            reasons.setdefault(one.row, f"{one.path} is {one.what}: the stand-in reads text only")
    return list(reasons.items())
