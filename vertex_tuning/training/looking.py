"""Looks at the held-out prompts while a model is rewarded: the reward, a measure that nobody is paid by, length, repetition.

Each look is a line of `looks.jsonl` in the output folder, so that a run which goes on after an interruption knows what was seen
before. One that has the highest measure so far is worth a checkpoint. Where a look shows reward hacking (`metrics/hacking.py`),
training stops there; the best checkpoint may be none at all: the model that the run began with.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vertex_tuning import metrics
from vertex_tuning.metrics import Look, Verdict
from vertex_tuning.training import examples
from vertex_tuning.training.examples import DataFaultError

FILE = "looks.jsonl"
MEASURES: dict[str, Callable[[str, str], float]] = {
    "token_f1": metrics.token_f1,
    "exact_match": lambda answer, reference: float(metrics.matches([answer], [reference])[0]),
}
"""What answers are measured by: functions of an answer and a reference, to [0, 1]."""


class Looks:
    """What was seen.

    Args:
        folder: Output folder of the run.
        measure: Name of the measure, of `MEASURES`.
        reference: Name of the text among a row's `references` that answers are held against.
        stop: Whether a look that shows reward hacking ends the training.

    Raises:
        DataFaultError: There is no such measure.
    """

    def __init__(self, folder: Path, measure: str, reference: str, *, stop: bool) -> None:
        self._measure, self._reference, self._stop = measure_of(measure), reference, stop
        self._path = folder / FILE
        self.seen = read(folder)
        self.verdict: Verdict | None = None

    def check(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """See that held-out rows can be measured.

        Raises:
            DataFaultError: There are none, or one has no such reference.
        """
        if not rows:
            raise DataFaultError("A measure needs held-out prompts: give a validation set")
        examples.check_references(rows, self._reference)

    def look(
        self,
        step: int,
        rows: Sequence[Mapping[str, Any]],
        answers: Sequence[str],
        rewards: Sequence[float],
    ) -> dict[str, Any]:
        """Enter one: the answers to all held-out prompts, in the same order every time.

        Returns:
            Its figures: `reward`, `measure`, `length` in words, `repetition`, and where it is not the first `wins` against the
            best one before, `hacked` and `reasons`.
        """
        self.seen = [look for look in self.seen if look.step < step]
        self.seen.append(
            Look(
                step=step,
                reward=list(rewards),
                measure=[
                    self._measure(answer, row["references"][self._reference])
                    for answer, row in zip(answers, rows, strict=True)
                ],
                length=[float(len(answer.split())) for answer in answers],
                repetition=[metrics.repetition(answer) for answer in answers],
            )
        )
        write(self._path, self.seen)
        now = self.seen[-1]
        figures = {
            "reward": now.mean_reward,
            "measure": now.mean_measure,
            "length": statistics.fmean(now.length),
            "repetition": statistics.fmean(now.repetition),
        }
        if len(self.seen) == 1:
            return figures
        self.verdict = metrics.hacking(self.seen)
        told = {"wins": self.verdict.wins, "hacked": self.verdict.hacked}
        return {**figures, **told, "reasons": list(self.verdict.reasons)}

    @property
    def best_yet(self) -> bool:
        """Whether the last look has the highest measure of all."""
        return metrics.best(self.seen) is self.seen[-1]

    @property
    def enough(self) -> bool:
        """Whether training is to stop here."""
        return self._stop and self.verdict is not None and self.verdict.hacked

    def result(self, checkpoints: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """`best_checkpoint`: id of the one with the highest measure; None where it was highest before the training."""
        kept = {checkpoint["step"]: checkpoint["checkpoint_id"] for checkpoint in checkpoints}
        found = metrics.best([look for look in self.seen if look.step in kept or look.step == 0])
        hacked = self.verdict is not None and self.verdict.hacked
        reasons = list(self.verdict.reasons) if self.verdict else []
        return {"best_checkpoint": kept.get(found.step), "hacked": hacked, "reasons": reasons}


def measure_of(name: str) -> Callable[[str, str], float]:
    """A measure by its name.

    Raises:
        DataFaultError: There is none of that name.
    """
    if name not in MEASURES:
        raise DataFaultError(f'There is no measure "{name}"; there are: {", ".join(MEASURES)}')
    return MEASURES[name]


def read(folder: Path) -> list[Look]:
    """The looks of a run, in their order."""
    try:
        lines = (folder / FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [Look(**json.loads(line)) for line in lines]


def write(path: Path, looks: Sequence[Look]) -> None:
    """Whole or not at all. An answer without a reward is NaN, as Python's JSON has it."""
    scratch = path.with_name(f".{path.name}")
    scratch.write_text("".join(json.dumps(asdict(look)) + "\n" for look in looks), encoding="utf-8")
    scratch.replace(path)
