"""What is told of students and their teacher: one page for people, and the same as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from vertex_tuning import distill
from vertex_tuning.evaluation import Comparison, Report
from vertex_tuning.evaluation.reports import Bars, Lines, Series
from vertex_tuning.pipelines.steps.students import LABELS, RATIONALES

TIMED = 20
"""Questions that are asked one by one."""
_SHOWN = 12


@dataclass(slots=True)
class Asked:
    """A model, and what one answer of it takes, asked one at a time."""

    quality: float
    parameters: int = 0
    """0: not known."""
    seconds: float | None = None
    """To an answer, in the median; None: not measured."""
    tokens_per_second: float | None = None
    prompt_tokens: float | None = None
    answer_tokens: float | None = None
    dollars: float | None = None
    """USD for a thousand answers, by the list; None: not known."""
    texts: list[str] = field(default_factory=list)


def report_of(
    found: Comparison,
    by_kind: dict[str, list[dict[str, Any]]],
    master: Asked,
    pupil: Asked,
    untuned: float,
    told: dict[str, Any],
    trained: dict[str, Any],
    rows: Sequence[dict[str, Any]],
    teacher: str,
) -> Report:
    """The report.

    Args:
        found: Rationales held against labels alone.
        by_kind: Runs of students, by kind, as `students.train` left them.
        master: The teacher.
        pupil: The students with rationales; their first one was timed.
        untuned: Share of the labels that the untuned student says.
        told: The manifest of the labels.
        trained: What `students.train` left.
        rows: Held-out rows.
        teacher: What the teacher is called.
    """
    tokens = told["prompt_tokens"] + told["answer_tokens"]
    return (
        Report(
            "Distilled step by step",
            f"A student that learnt labels and rationales, against one that learnt the same labels alone. {found}",
            {
                "teacher": teacher,
                "student": trained["student"],
                "way": trained["way"],
                "rows that were learnt": told["kept"],
                "held-out rows": found.rows,
                "seeds": found.seeds,
                "teacher tokens": tokens,
            },
        )
        .comparisons([found], "What rationales add, at equal rows and steps")
        .add(
            Bars(
                "Labels that are right, word for word",
                {
                    "teacher": master.quality,
                    "student with rationales": found.candidate,
                    "student, labels alone": found.baseline,
                    "student, untuned": untuned,
                },
                caption="Means over held-out rows and seeds.",
            )
        )
        .table(
            ["model", "right", *(f"seed {run['seed']}" for run in by_kind[RATIONALES])],
            [
                [title, mean, *(statistics.fmean(run["exact"]) for run in by_kind[kind])]
                for title, kind, mean in (
                    ("with rationales", RATIONALES, found.candidate),
                    ("labels alone", LABELS, found.baseline),
                )
            ],
            "Share of the held-out labels that are said word for word, by seed.",
        )
        .section("What each takes")
        .prose(_words(master, pupil))
        .table(
            ["", "teacher", "student"],
            [
                [title, getattr(master, name) or None, getattr(pupil, name) or None]
                for title, name in (
                    ("parameters", "parameters"),
                    ("seconds to an answer", "seconds"),
                    ("tokens asked", "prompt_tokens"),
                    ("tokens answered", "answer_tokens"),
                    ("US$ for 1,000 answers, by the list", "dollars"),
                )
            ],
            f"Asked one at a time, median of {TIMED}. The teacher says why; the student says its label alone. A student of "
            "one's own weights has no price by tokens: it costs its machine's hours.",
        )
        .section("What the teacher said")
        .prose(
            f"{told['kept']:,} of {told['asked']:,} answers are worth learning, for {tokens:,} teacher tokens at the price of a "
            "batch. A rationale is learnt, and never generated when the student is asked."
        )
        .table(
            ["reason", "rows"],
            [[distill.REASONS[reason], count] for reason, count in told["dropped"].items()],
            "Why rows were dropped.",
        )
        .section("Answers")
        .table(
            ["asked", "wanted", "teacher", "with rationales", "labels alone"],
            _answers(rows, by_kind, master),
            f"The first {min(_SHOWN, len(rows))} of {len(rows)} held-out rows; students of the first seed.",
        )
        .add(*_losses(by_kind))
    )


def _words(master: Asked, pupil: Asked) -> str:
    parts = []
    if master.parameters and pupil.parameters:
        parts.append(f"{master.parameters / pupil.parameters:.2g} times smaller than its teacher")
    if master.seconds and pupil.seconds:
        parts.append(f"{master.seconds / pupil.seconds:.2g} times as fast to an answer")
    return f"The student is {' and '.join(parts)}." if parts else "Neither size nor speed was measured."


def _answers(
    rows: Sequence[dict[str, Any]], by_kind: dict[str, list[dict[str, Any]]], master: Asked
) -> list[list[Any]]:
    def said(kind: str, number: int) -> str:
        run = by_kind[kind][0]
        if run["exact"][number]:
            return "right"
        return (
            run["chosen"][number]
            if run["chosen"] and run["chosen"][number] != rows[number]["label"]
            else "wrong"
        )

    return [
        [
            "".join(part.get("text", "") for part in row["contents"][-1]["parts"]),
            row["label"],
            master.texts[number],
            said(RATIONALES, number),
            said(LABELS, number),
        ]
        for number, row in enumerate(rows[:_SHOWN])
    ]


def _losses(by_kind: dict[str, list[dict[str, Any]]]) -> list[Lines]:
    """The label's loss as it was learnt, smoothed; of students that were trained in our own container."""
    series = [
        Series(title, *_smoothed(by_kind[kind][0]["losses"]))
        for title, kind in (("with rationales", RATIONALES), ("labels alone", LABELS))
        if by_kind[kind][0]["losses"]
    ]
    if not series:
        return []
    caption = "On the rows that are learnt, mean of twenty steps. A low loss here, and a poor score above, is learning by heart."
    return [Lines("The label's loss", series, x_label="step", y_label="nats per token", caption=caption)]


def _smoothed(losses: Sequence[Sequence[float]], window: int = 20) -> tuple[list[float], list[float]]:
    groups = [losses[start : start + window] for start in range(0, len(losses), window)]
    places = [float(group[-1][0]) for group in groups]
    return places, [statistics.fmean(loss for _, loss in group) for group in groups]
