"""A teacher's answer, read strictly: the one form that it was asked for, or none.

    Rationale: the soup was good, but that is denied. So the answer is plain.
    Label: negative

The rationale begins the answer, may have several lines, and ends where the last line begins; the last line is the label. What a
rationale says inside a line splits nothing. A line of the rationale that itself begins with one of the two words makes the answer
ambiguous, and an ambiguous answer is none: nobody can tell which label was meant. Nothing is ever evaluated.
"""

from __future__ import annotations

from dataclasses import dataclass

_RATIONALE, _LABEL = "Rationale:", "Label:"


@dataclass(frozen=True, slots=True)
class Parsed:
    """What an answer says."""

    rationale: str
    label: str


def written(rationale: str, label: str) -> str:
    """The form that is asked for; what `parse` reads."""
    return f"{_RATIONALE} {rationale}\n{_LABEL} {label}"


def parse(text: str) -> Parsed | None:
    """A rationale and a label; None where the answer has not just that form.

    Args:
        text: The whole answer; blank lines and blanks around it do not matter.
    """
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    if len(lines) < 2 or not lines[0].startswith(_RATIONALE) or not lines[-1].startswith(_LABEL):
        return None
    if any(line.startswith((_RATIONALE, _LABEL)) for line in lines[1:-1]):
        return None
    rationale = "\n".join([lines[0].removeprefix(_RATIONALE).strip(), *lines[1:-1]]).strip()
    label = lines[-1].removeprefix(_LABEL).strip()
    return Parsed(rationale, label) if rationale and label else None
