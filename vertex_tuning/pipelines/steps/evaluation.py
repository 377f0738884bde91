"""Steps that judge: the tuned model against its base on held-out rows, and the gate."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from vertex_tuning import connect
from vertex_tuning.errors import ServiceError
from vertex_tuning.evaluation import Comparison, Decision, Gate, Report, compare
from vertex_tuning.evaluation import measures as known
from vertex_tuning.evaluation import rows as forms
from vertex_tuning.metrics import Interval
from vertex_tuning.pipelines.steps._step import read_json, step, write, write_json
from vertex_tuning.rewards.matching import text_of

if TYPE_CHECKING:
    from vertex_tuning.client import TuningClient
    from vertex_tuning.models import Model

log = logging.getLogger(__name__)

_AT_ONCE = 8
_SHOWN = 20


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
        test: Rows that neither model has learnt from. Rows with two answers of which one is preferred are asked as a choice
            between the two.
        model: The tuned model's name.
        base_model: Against whom: a model of the catalog, or a tuned one's name.
        measure: One of `vertex_tuning.evaluation.MEASURES`.
        max_output_tokens: Of an answer.
        comparison: Where what was found is put, as JSON.
        figures: Metadata of that artifact, filled here.
        page: Where the report is put, as one page of HTML.
        summary: Where it is put as Markdown.
    """
    rows = forms.read(test)
    wanted = known.measure(measure)
    known.check([wanted], rows)
    with connect() as client:
        answers = [_answers(_model(client, name), rows, max_output_tokens) for name in (base_model, model)]
    baseline, candidate = (known.scores(wanted, said, rows) for said in answers)
    found = compare(baseline, candidate, measure=wanted.name)
    log.info("%s", found)
    figures |= {key: value for key, value in found.to_json().items() if isinstance(value, int | float)}
    write_json(comparison, {"comparison": found.to_json(), "base_model": base_model, "model": model})
    report = _report(found, rows, *answers, base_model=base_model, model=model)
    write(page, report.html())
    write(summary, report.markdown())
    return Evaluated(found.baseline, found.candidate, found.difference)


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
    found = _comparison(read_json(comparison)["comparison"])
    conditions = Gate(measure=found.measure, margin=margin, at_least=at_least, min_rows=min_rows)
    decided = conditions.decide(found)
    log.info("%s", decided)
    write(decision, _told(decided))
    return decided.open


def _model(client: TuningClient, name: str) -> Model:
    return client.models.get(name) if name.startswith(("projects/", "gs://")) else client.models.base(name)


def _answers(model: Model, rows: Sequence[forms.Row], max_output_tokens: int) -> list[str]:
    """One per row; empty where the service refuses the row, which is worth what an empty answer is worth."""

    def ask(row: forms.Row) -> str:
        asked = forms.question(row)
        options: dict[str, Any] = {"temperature": 0, "max_output_tokens": max_output_tokens}
        if asked.system:
            options["system"] = asked.system
        if row.get("completions"):
            options["labels"] = [text_of(item["completion"]) for item in row["completions"]]
        try:
            return model.generate(asked.contents, **options).text.strip()
        except ServiceError as error:
            if error.code != 400:
                raise
            log.warning("%s", error)
            return ""

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(ask, rows))


def _report(
    found: Comparison,
    rows: Sequence[forms.Row],
    baseline: Sequence[str],
    candidate: Sequence[str],
    *,
    base_model: str,
    model: str,
) -> Report:
    shown = list(zip(rows, baseline, candidate, strict=True))[:_SHOWN]
    table = [
        [forms.question(row).text, forms.reference(row) or "", before, after] for row, before, after in shown
    ]
    facts: dict[str, str | float | int | bool | None] = {
        "base model": base_model,
        "tuned model": model,
        "held-out rows": found.rows,
    }
    return (
        Report("Tuned against base", str(found), facts)
        .comparisons([found])
        .section("Answers")
        .table(["asked", "wanted", "base", "tuned"], table, f"The first {len(shown)} of {len(rows)} rows")
    )


def _comparison(found: dict[str, Any]) -> Comparison:
    """As `Comparison.to_json` wrote it."""
    tuples = {name: tuple(value) for name, value in found.items() if isinstance(value, list)}
    return Comparison(**{**found, **tuples, "win_share": Interval(**found["win_share"])})


def _told(decided: Decision) -> str:
    conditions = zip(decided.met, decided.reasons, strict=True)
    lines = [f"- {'yes' if met else 'no'}: {words}" for met, words in conditions]
    return "\n".join([f"# The gate is {'open' if decided.open else 'closed'}", "", *lines, ""])
