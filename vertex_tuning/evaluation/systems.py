"""Whom a user names, as systems that can be asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vertex_tuning import catalog
from vertex_tuning.asking import Answer
from vertex_tuning.errors import EvaluationError, SpecError
from vertex_tuning.evaluation import evaluating
from vertex_tuning.evaluation.asking import Price, System
from vertex_tuning.evaluation.measures import measure, of_reward
from vertex_tuning.evaluation.pairwise import judge as judged_by
from vertex_tuning.evaluation.results import Evaluation
from vertex_tuning.evaluation.rows import Row, read
from vertex_tuning.jobs import Jobs, TuningJob
from vertex_tuning.models import Checkpoint, Model, Models, TunedModel
from vertex_tuning.rewarding import rating
from vertex_tuning.rewards import AnyReward

if TYPE_CHECKING:
    from vertex_tuning.connection import Connection

_ANSWER_TOKENS = 256
"""Of an answer, at most, unless something else is said."""

Named = System | Model | str | Callable[[Row], Answer | str]
"""A system, a model, the name of one, or a function of a row."""


def named(connection: Connection, name: str) -> Model:
    """A model by its name: a base model of the catalog, or a tuned one.

    Raises:
        SpecError: VT316, not a model's name.
    """
    models = Models(connection)
    return models.base(name) if name in catalog.models() else models.get(name)


def systems(
    connection: Connection,
    given: Named | Sequence[Named],
    *,
    price: Price | None,
    options: Mapping[str, Any],
) -> list[System]:
    """What can be asked, for each that was named.

    Args:
        connection: Where models are looked for.
        given: One, or one for each seed.
        price: Of the base model's tokens; a tuned model's are a factor of it, where that is known. None: as the catalog has it.
        options: As `Model.generate` has them; a function is asked without.
    """
    many = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    return [_system(connection, one, price, options) for one in many]


def _system(connection: Connection, given: Named, price: Price | None, options: Mapping[str, Any]) -> System:
    if isinstance(given, System):
        return given
    model = named(connection, given) if isinstance(given, str) else given
    if not isinstance(model, Model):
        return System.of_function(model, price=None)
    place = f"{connection.address or 'vertex'} {connection.project} {connection.location}"
    return System.of_model(model, place=place, price=_priced(connection, model, price), **options)


def _priced(connection: Connection, model: Model, price: Price | None) -> Price | None:
    """What a model's tokens cost; of a tuned one, a factor of its base's, where that is known."""
    job = made_by(connection, model)
    if job is None:
        return None if isinstance(model, TunedModel | Checkpoint) else price or _listed(model.served_as)
    source = job.resource.pre_tuned_model
    base = job.resource.base_model or (source.base_model if source else "") or ""
    factor = catalog.inference_factor(base).value if base in catalog.models() else None
    price = price or _listed(base)
    return None if factor is None or price is None else Price(price.prompt * factor, price.answer * factor)


def _listed(base: str) -> Price | None:
    """What a base model's tokens cost, as far as the catalog knows."""
    try:
        asked, answered = (cell.value for cell in catalog.answer_prices(base))
    except SpecError:  # none that the catalog has
        return None
    return None if asked is None or answered is None else Price(asked, answered)


def made_by(connection: Connection, model: Model) -> TuningJob | None:
    """The job that made a tuned model; None of a base model, or where nobody knows."""
    jobs = Jobs(connection)
    if isinstance(model, Checkpoint):
        return jobs.of(Models(connection).get(model.model)) if model.model else None
    return jobs.of(model) if isinstance(model, TunedModel) else None


def started_from(connection: Connection, candidate: Named) -> Model:
    """What a tuned model was tuned from: a base model, or the tuned one that it goes on from.

    Raises:
        EvaluationError: VT760, nobody knows, or it was not tuned at all.
    """
    model = named(connection, candidate) if isinstance(candidate, str) else candidate
    job = made_by(connection, model) if isinstance(model, Model) else None
    if job is None or not job.base_model:
        raise EvaluationError(
            "VT760",
            "nothing tells what the candidate was tuned from",
            where="baseline",
            fix='name what it is held against: baseline="gemini-2.5-flash" (--baseline gemini-2.5-flash)',
        )
    return named(connection, job.base_model)


def evaluate(
    connection: Connection,
    dataset: Any,
    *,
    candidate: Any,
    baseline: Any,
    measures: Sequence[Any],
    judge: Any,
    limit: int | None,
    price: tuple[float, float] | None,
    options: Mapping[str, Any],
    **rest: Any,
) -> Evaluation:
    """Look up whoever is named, and evaluate; see `TuningClient.evaluate`."""
    rows = read(dataset, limit)
    rate = rating(connection)
    measures = [measures] if isinstance(measures, str) else measures
    wanted = [of_reward(one, rate=rate) if isinstance(one, AnyReward) else measure(one) for one in measures]
    if isinstance(judge, str | Model):
        judge = judged_by(named(connection, judge) if isinstance(judge, str) else judge)
    first = candidate[0] if isinstance(candidate, list | tuple) and candidate else candidate
    paid = None if price is None else Price(*price)
    how = {"temperature": 0, "max_output_tokens": _ANSWER_TOKENS, **options}
    before = started_from(connection, first) if baseline is None else baseline
    return evaluating.evaluate(
        rows,
        baseline=systems(connection, before, price=paid, options=how),
        candidate=systems(connection, candidate, price=paid, options=how),
        measures=wanted,
        judge=judge,
        **rest,
    )
