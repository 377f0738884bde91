"""An evaluation as a page."""

from __future__ import annotations

from typing import Any

from vertex_tuning.evaluation.pairwise import Wins
from vertex_tuning.evaluation.reports import Report
from vertex_tuning.evaluation.reports.blocks import Cell
from vertex_tuning.evaluation.results import Evaluation

_SHOWN_ROWS = 12
_SHOWN_LETTERS = 240
_ROLES = ("baseline", "candidate")


def page(found: Evaluation, title: str) -> Report:
    """The verdict, what was gained, what an answer takes, and some answers side by side."""
    seeds = found.comparisons[0].seeds
    facts: dict[str, Cell] = {"baseline": found.baseline.name, "candidate": found.candidate.name}
    facts["rows"] = len(found.rows)
    if seeds > 1:
        facts["seeds"] = seeds
    report = Report(title, facts=facts)
    if found.decision is not None:
        report.verdict(found.decision)
    report.section("Quality").comparisons(found.comparisons)
    if found.wins is not None:
        report.prose(_judged(found.wins))
    systems: list[list[Cell]] = [
        [
            role,
            one.seconds,
            one.seconds_p95,
            one.prompt_tokens,
            one.answer_tokens,
            one.cost,
            one.cut_off,
            one.refused,
        ]
        for role, one in zip(_ROLES, (found.baseline, found.candidate), strict=True)
    ]
    report.section("What an answer takes").table(
        [
            "",
            "seconds, median",
            "seconds, 95 %",
            "prompt tokens",
            "answer tokens",
            "USD per 1,000",
            "cut off",
            "refused",
        ],
        systems,
    )
    answers: list[list[Cell]] = [
        [
            _short(one["prompt"]),
            _short(one["reference"] or "-"),
            *(_short(one[role]["text"]) for role in _ROLES),
        ]
        for one in _telling(found)
    ]
    report.section("Some answers").prose("Rows on which the two differ come first.")
    return report.table(["asked", "right", *_ROLES], answers)


def _judged(wins: Wins) -> str:
    share = wins.share
    return (
        f"A judge preferred the candidate's answer on {wins.wins:,} of {wins.rows:,} rows and the baseline's on "
        f"{wins.losses:,}, each asked in both orders; {wins.ties:,} were ties. Ties counting half, the candidate wins "
        f"**{share.estimate:.3f}** ({share.confidence:.0%}: {share.low:.3f} to {share.high:.3f}). "
        f"Position bias: {wins.position_bias:+.3f}, where 0 is fair."
    )


def _telling(found: Evaluation) -> list[dict[str, Any]]:
    return sorted(found.answers(), key=lambda one: one["baseline"]["text"] == one["candidate"]["text"])[
        :_SHOWN_ROWS
    ]


def _short(words: str) -> str:
    flat = " ".join(words.split())
    return flat if len(flat) <= _SHOWN_LETTERS else f"{flat[:_SHOWN_LETTERS]}..."
