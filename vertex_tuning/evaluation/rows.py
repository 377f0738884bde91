"""What a row asks, and what it says the right answer is, whatever its form."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vertex_tuning import data
from vertex_tuning.data import questions
from vertex_tuning.errors import DatasetError
from vertex_tuning.rewards.matching import text_of

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """What a row asks."""

    contents: list[dict[str, Any]]
    """Turns in GenerateContent form, the user's last."""
    system: dict[str, Any] | None
    """Instruction, where the row has one."""

    @property
    def text(self) -> str:
        """The words of its turns, for people and for judges."""
        return "\n".join(text_of(turn) for turn in self.contents)


def question(row: Row) -> Question:
    """What a row asks: all of its turns but an answer that it ends with."""
    asked = questions.request(dict(row))
    contents = list(asked["contents"])
    while len(contents) > 1 and contents[-1].get("role") == "model":
        contents.pop()
    return Question(contents, asked.get("systemInstruction"))


def reference(row: Row) -> str | None:
    """The right answer, as the row has it; None where it has none.

    It is the last turn of the model (`contents`, `messages`), the `completion`, the preferred one of two `completions`, or, of
    `references`, the `answer`, or the only one.
    """
    references = row.get("references")
    if isinstance(references, Mapping):
        found = references.get("answer", next(iter(references.values())) if len(references) == 1 else None)
        return None if found is None else str(found)
    if row.get("completions"):
        best = max(row["completions"], key=lambda one: one.get("score") or 0)
        return text_of(best["completion"])
    if isinstance(row.get("completion"), str):
        return str(row["completion"])
    if row.get("contents"):
        last = row["contents"][-1]
        return text_of(last) if last.get("role") == "model" else None
    last = (row.get("messages") or [{}])[-1]
    said = last.get("content")
    return said if last.get("role") == "assistant" and isinstance(said, str) else None


def read(dataset: Any, limit: int | None = None) -> list[dict[str, Any]]:
    """The rows of a set of any form, checked.

    Args:
        dataset: A JSONL file, or rows.
        limit: The first of them alone.

    Raises:
        DatasetError: Every fault of the set.
    """
    given = dataset if data.is_path(dataset) else [dict(row) for row in dataset]
    first: Any = {}
    with contextlib.suppress(DatasetError, StopIteration):  # the check tells what is wrong, and all of it
        first = next(data.read(given))
    data.raise_for_faults(data.check(given, method=_method(first), base_model=None))
    return list(itertools.islice(data.read(given), limit))


def _method(row: Any) -> str:
    """What rows like this one are for."""
    if not isinstance(row, Mapping):
        return "supervised"
    if "completions" in row:
        return "preference"
    if "references" in row:
        return "reinforcement"
    contents = row.get("contents")
    ends = contents[-1] if isinstance(contents, list) and contents else {}
    asks = "contents" in row and isinstance(ends, Mapping) and ends.get("role", "user") == "user"
    return "distillation" if asks else "supervised"
