"""Steps that judge: the tuned model against its base on held-out rows, and the gate."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from vertex_tuning import TunedModel, connect
from vertex_tuning.evaluation import Comparison, Decision, Gate
from vertex_tuning.evaluation.asking import System
from vertex_tuning.evaluation.rows import Row, question, read
from vertex_tuning.evaluation.systems import named
from vertex_tuning.pipelines.steps._step import read_json, step, write, write_json
from vertex_tuning.rewards.matching import text_of

if TYPE_CHECKING:
    from vertex_tuning.asking import Answer
    from vertex_tuning.models import Model

log = logging.getLogger(__name__)


class Evaluated(NamedTuple):
    """The means, and what lies between them."""

    baseline: float
    candidate: float
    difference: float


@step
def evaluate(
    test: str,
    *,
    model: str,
    base_model: str,
    measure: str,
    max_output_tokens: int,
    comparison: str,
    figures: dict[str, Any],
    page: str,
    summary: str,
) -> Evaluated:
    """Ask the base and the tuned model the same held-out questions, and compare what the answers are worth.

    Args:
        test: Rows that neither model has learnt from. Where these are pairs of which one is preferred, each model chooses between
            the two: the preferred answer is the right one.
        model: The tuned model's name.
        base_model: Against whom: a model of the catalog, or a tuned one's name.
        measure: One of `vertex_tuning.evaluation.MEASURES`.
        max_output_tokens: Of an answer.
        comparison: Where what was found is put, as JSON.
        figures: Metadata of that artifact, filled here.
        page: Where the report is put, as one page of HTML.
        summary: Where it is put as Markdown.
    """
    rows = read(test)
    with connect() as client:
        models = [named(client.connection, name) for name in (base_model, model)]
        baseline, candidate = (
            [_choosing(one, name) for one, name in zip(models, (base_model, model), strict=True)]
            if rows and "completions" in rows[0]
            else models
        )
        found = client.evaluate(
            rows,
            baseline=baseline,
            candidate=candidate,
            measures=[measure],
            max_output_tokens=max_output_tokens,
        )
        by = found.comparisons[0]
        if isinstance(models[1], TunedModel):  # where nothing was learnt, there is no model to note it of
            client.lineage.note(models[1], "evaluation", {"against": base_model, **by.to_json()})
    log.info("%s", found)
    figures |= {key: value for key, value in by.to_json().items() if isinstance(value, int | float)}
    write_json(comparison, by.to_json())
    report = found.report("Tuned against base")
    write(page, report.html())
    write(summary, report.markdown())
    return Evaluated(by.baseline, by.candidate, by.difference)


@step
def gate(comparison: str, *, margin: float, at_least: float, min_rows: int, decision: str) -> bool:
    """Decide whether the tuned model goes on: whether the gate opened.

    Args:
        comparison: What `evaluate` left.
        margin: The lower end of the gain's interval must lie above this.
        at_least: The tuned model's mean must be this at least.
        min_rows: With fewer, the gate stays closed.
        decision: Where it is told, as Markdown.
    """
    found = Comparison.from_json(read_json(comparison))
    conditions = Gate(measure=found.measure, margin=margin, at_least=at_least, min_rows=min_rows)
    decided = conditions.decide(found)
    log.info("%s", decided)
    write(decision, _told(decided))
    return decided.open


def _choosing(model: Model, name: str) -> System:
    """A model that is asked which of a row's two answers it would give: the likelier."""

    def choose(row: Row) -> Answer:
        asked = question(row)
        labels = [text_of(item["completion"]) for item in row["completions"]]
        system = {} if asked.system is None else {"system": asked.system}
        return model.generate(asked.contents, labels=labels, temperature=0, **system)

    return System.of_function(choose, name=name)


def _told(decided: Decision) -> str:
    conditions = zip(decided.met, decided.reasons, strict=True)
    lines = [f"- {'yes' if met else 'no'}: {words}" for met, words in conditions]
    return "\n".join([f"# The gate is {'open' if decided.open else 'closed'}", "", *lines, ""])
