"""All of it in one call: ask two systems, measure, compare, decide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from vertex_tuning.evaluation import measures as measuring
from vertex_tuning.evaluation.asking import AT_ONCE, Kept, System, answers
from vertex_tuning.evaluation.comparing import compare
from vertex_tuning.evaluation.gates import Gate
from vertex_tuning.evaluation.measures import AnyMeasure
from vertex_tuning.evaluation.pairwise import Prefers, pairwise
from vertex_tuning.evaluation.results import Answered, Evaluation
from vertex_tuning.evaluation.rows import Row


def evaluate(
    rows: Sequence[Row],
    *,
    baseline: System | Sequence[System],
    candidate: System | Sequence[System],
    measures: Sequence[AnyMeasure],
    gate: Gate | None = None,
    judge: Prefers | None = None,
    kept: str | Path | None = None,
    at_once: int = AT_ONCE,
    confidence: float = 0.95,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Ask two systems about the same rows, and compare what they say.

    Args:
        rows: That nobody was trained on.
        baseline: What the candidate is held against; several where there is one for each seed.
        candidate: What is to be judged; several where one was made for each seed.
        measures: Names, measures, or functions of an answer and its row.
        gate: Conditions; see `Gate`.
        judge: Says which of two answers is better (`judge(model)`, `by_score(function)`); of several seeds the first is judged.
        kept: JSONL file of answers: those in it are not asked for again.
        at_once: Rows asked about at a time.
        confidence: Coverage of intervals, in (0, 1).
        seed: Of the bootstrap.
        progress: Told how far it is: (answers there, answers in all).

    Raises:
        EvaluationError: VT75x, what cannot be measured or compared.
        ServiceError: A system cannot be asked. What was answered until then is kept.
    """
    wanted = [measuring.measure(one) for one in measures]
    measuring.check(wanted, rows)
    if gate is not None:
        gate.check([one.name for one in wanted], judged=judge is not None)
    store = Kept(kept)
    before = [baseline] if isinstance(baseline, System) else list(baseline)
    after = [candidate] if isinstance(candidate, System) else list(candidate)
    total, done = len(rows) * (len(before) + len(after)), 0

    def ask(systems: Sequence[System]) -> Answered:
        nonlocal done
        runs = []
        for system in systems:
            base = done

            def told(count: int, _: int, base: int = base) -> None:
                if progress is not None:
                    progress(base + count, total)

            runs.append(tuple(answers(system, rows, kept=store, at_once=at_once, progress=told)))
            done += len(rows)
        return Answered(systems[0].name, tuple(runs), systems[0].price)

    found = (ask(before), ask(after))

    def scored(one: Answered, by: measuring.Measure) -> list[list[float]]:
        return [measuring.scores(by, [said.text for said in run], rows) for run in one.runs]

    comparisons = tuple(
        compare(*(scored(one, by) for one in found), measure=by.name, confidence=confidence, seed=seed)
        for by in wanted
    )
    wins = None
    if judge is not None:
        texts = [[said.text for said in one.runs[0]] for one in found]
        wins = pairwise(judge, rows, *texts, confidence=confidence, at_once=at_once)
    decision = None
    if gate is not None:
        decision = gate.decide(comparisons, wins=wins, figures=found[1].figures)
    return Evaluation(*found, comparisons, wins, decision, tuple(rows))
