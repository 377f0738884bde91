"""Both tasks as rows for supervised tuning: how step by step is done where the service has one loss for all rows.

Vertex AI's supervised tuning knows no weights between tasks; what weighs there is how often a row stands in the set. A service
that takes the mean over all answer tokens of a batch lets long rationales outweigh short labels: `Mixed.share` says how they
stand, and repeating label rows moves it. The true two-part loss, with a mean for each task, needs training of one's own:
`python -m vertex_tuning.training --method step_by_step`.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vertex_tuning import data
from vertex_tuning.data import rationales
from vertex_tuning.errors import SpecError


@dataclass(frozen=True, slots=True)
class Mixed:
    """A mix that was written."""

    path: str
    rows: int
    """In all."""
    label_rows: int
    rationale_rows: int
    label_characters: int
    """Of answers, repetitions included."""
    rationale_characters: int

    @property
    def share(self) -> float:
        """Which part of the answers' characters are labels: what counts where every token counts alike."""
        return self.label_characters / (self.label_characters + self.rationale_characters)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {**asdict(self), "label_share": round(self.share, 4)}

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.rows:,} rows, {self.label_rows:,} labels and {self.rationale_rows:,} rationales; "
            f"labels are {self.share:.0%} of what is learnt, by characters"
        )


def mix(
    labelled: str | os.PathLike[str] | Iterable[Mapping[str, Any]],
    output: str | os.PathLike[str],
    *,
    label_weight: int = 1,
    rationale_weight: int = 1,
    seed: int = 42,
) -> Mixed:
    """Write both tasks of every row, in GenerateContent form, shuffled.

    Args:
        labelled: Rows with a label and a rationale, as `label` writes them: a JSONL file, or rows.
        output: JSONL file; written over.
        label_weight: How often each label stands in it, 1 or more.
        rationale_weight: How often each rationale does; 0: labels alone, which is what to compare with.
        seed: Of the order.

    Raises:
        SpecError: VT330, weights that are no such numbers.
        DatasetError: Every fault of the rows.
    """
    for name, weight, least in (
        ("label_weight", label_weight, 1),
        ("rationale_weight", rationale_weight, 0),
    ):
        if isinstance(weight, bool) or not isinstance(weight, int) or weight < least:
            raise SpecError(
                "VT330",
                f"{weight!r} is not a whole number from {least}",
                where=name,
                fix="rows are repeated: 2 is twice as often",
            )
    rows = list(data.read(labelled)) if not data.is_path(labelled) else labelled
    data.raise_for_faults(data.check(rows, method="step_by_step", base_model=None))
    lines: list[str] = []
    counts, characters = {"label": 0, "rationale": 0}, {"label": 0, "rationale": 0}
    for row in data.read(rows):
        for task, prefix, weight in (
            ("label", rationales.LABEL, label_weight),
            ("rationale", rationales.RATIONALE, rationale_weight),
        ):
            answered = rationales.answered(row, prefix)
            if answered is None:
                continue
            lines += [json.dumps(answered, ensure_ascii=False) + "\n"] * weight
            counts[task] += weight
            characters[task] += weight * len(row[task])
    random.Random(seed).shuffle(lines)
    Path(output).write_text("".join(lines), encoding="utf-8")
    return Mixed(
        str(output),
        len(lines),
        counts["label"],
        counts["rationale"],
        characters["label"],
        characters["rationale"],
    )
