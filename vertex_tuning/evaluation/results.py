"""What came of an evaluation."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from vertex_tuning.evaluation.asking import Price, Said
from vertex_tuning.evaluation.comparing import Comparison
from vertex_tuning.evaluation.gates import Decision, Figures
from vertex_tuning.evaluation.pairwise import Wins
from vertex_tuning.evaluation.rows import Row, question, reference
from vertex_tuning.metrics import aggregate

if TYPE_CHECKING:
    from vertex_tuning.evaluation.reports import Report

_CUT = "MAX_TOKENS"


@dataclass(frozen=True, slots=True)
class Answered:
    """What a system said, and how it did beside."""

    name: str
    runs: tuple[tuple[Said, ...], ...] = field(repr=False)
    """By seed (or by model, where several make up the system), and by row."""
    price: Price | None = None

    @property
    def _all(self) -> list[Said]:
        return [said for run in self.runs for said in run]

    @property
    def seconds(self) -> float:
        """To an answer, in the median."""
        return statistics.median(said.seconds for said in self._all)

    @property
    def seconds_p95(self) -> float:
        """95 of 100 answers take no longer."""
        return aggregate("PERCENTILE_P95", [said.seconds for said in self._all])

    @property
    def prompt_tokens(self) -> float:
        """Of a row, in the mean."""
        return statistics.fmean(said.prompt_tokens for said in self._all)

    @property
    def answer_tokens(self) -> float:
        """Of an answer, in the mean."""
        return statistics.fmean(said.answer_tokens for said in self._all)

    @property
    def cost(self) -> float | None:
        """USD per thousand answers; None where no price is known."""
        if self.price is None:
            return None
        return (self.prompt_tokens * self.price.prompt + self.answer_tokens * self.price.answer) / 1000

    @property
    def cut_off(self) -> int:
        """Answers that met the limit of output tokens."""
        return sum(said.finish_reason == _CUT for said in self._all)

    @property
    def refused(self) -> int:
        """Rows that the service refused. They count as empty answers."""
        return sum(bool(said.error) for said in self._all)

    @property
    def figures(self) -> Figures:
        """What a gate asks about."""
        return Figures(self.seconds, self.cost)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object, without the answers."""
        names = (
            "name",
            "seconds",
            "seconds_p95",
            "prompt_tokens",
            "answer_tokens",
            "cost",
            "cut_off",
            "refused",
        )
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A candidate beside a baseline. `str()` says it to people, `report()` shows it."""

    baseline: Answered
    candidate: Answered
    comparisons: tuple[Comparison, ...]
    """By measure, in the order in which they were asked for."""
    wins: Wins | None
    """By a judge, where there is one."""
    decision: Decision | None
    """Of the gate, where there is one."""
    rows: tuple[Row, ...] = field(repr=False)

    def __getitem__(self, measure: str) -> Comparison:
        """The comparison by this measure."""
        return {one.measure: one for one in self.comparisons}[measure]

    @property
    def open(self) -> bool:
        """Whether nothing keeps the candidate back: the gate is open, or there is none."""
        return self.decision is None or self.decision.open

    def to_json(self) -> dict[str, Any]:
        """As a JSON object, without the answers."""
        return {
            "baseline": self.baseline.to_json(),
            "candidate": self.candidate.to_json(),
            "comparisons": [one.to_json() for one in self.comparisons],
            "wins": None
            if self.wins is None
            else {k: v for k, v in self.wins.to_json().items() if k != "verdicts"},
            "gate": None if self.decision is None else self.decision.to_json(),
        }

    def answers(self) -> list[dict[str, Any]]:
        """By row: what was asked, what is right, and what each system said in its first run."""
        return [
            {
                "prompt": question(row).text,
                "reference": reference(row),
                "baseline": asdict(before),
                "candidate": asdict(after),
            }
            for row, before, after in zip(
                self.rows, self.baseline.runs[0], self.candidate.runs[0], strict=True
            )
        ]

    def __str__(self) -> str:
        lines = [f"baseline:  {self.baseline.name}", f"candidate: {self.candidate.name}"]
        lines += map(str, self.comparisons)
        if self.wins is not None:
            lines.append(f"judged: {self.wins}")
        for one in (self.baseline, self.candidate):
            if one.refused or one.cut_off:
                said = sum(map(len, one.runs))
                lines.append(f"{one.name}: of {said} answers {one.cut_off} cut off, {one.refused} refused")
        if self.decision is not None:
            lines.append(str(self.decision))
        return "\n".join(lines)

    def report(self, title: str = "Candidate against baseline") -> Report:
        """A page about it."""
        from vertex_tuning.evaluation.page import page

        return page(self, title)
