"""What tuning costs, before anything is spent: tokens, money and time, from the least to the most that it may be.

What the catalog has no price for is not free, and is not guessed: then there is an error, with the tokens still on it.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from vertex_tuning import catalog, data
from vertex_tuning.data.counting import Counted, Range, count
from vertex_tuning.errors import UnknownPriceError

if TYPE_CHECKING:
    from vertex_tuning.specs import Spec

_MILLION = 1e6


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that is paid for."""

    name: str
    """`training`, `teacher, asked`..."""
    tokens: Range
    usd_per_million: float | None
    """None where nobody here knows it."""
    source: str
    """Who says so, since when; or that nobody does."""

    @property
    def usd(self) -> Range | None:
        """What it costs; None where the price is not known."""
        if self.usd_per_million is None:
            return None
        low, high = self.tokens
        return low * self.usd_per_million / _MILLION, high * self.usd_per_million / _MILLION


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a job costs, from the least to the most."""

    method: str
    model: str
    rows: int
    epochs: Range
    tokens: Range
    """That are paid for as training."""
    items: tuple[Item, ...]
    """All that is paid for."""
    counted: str
    """Which tokens are paid for, in words."""
    tokenizer: str
    """By what the tokens were told."""
    seconds: Range | None = None
    """How long it takes, where something is known to go by."""
    notes: tuple[str, ...] = field(default=())
    """What else is to be known: what was assumed, and what is not in it."""

    @property
    def usd(self) -> Range | None:
        """What all of it costs; None where a price is not known."""
        parts = [item.usd for item in self.items]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        return sum(part[0] for part in known), sum(part[1] for part in known)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready: ranges as `[least, most]`, money in USD."""
        found = asdict(self)
        found["items"] = [{**asdict(item), "usd": item.usd} for item in self.items]
        return {**found, "tokens": [round(value) for value in self.tokens], "usd": self.usd}

    def __str__(self) -> str:
        epochs = between(self.epochs)
        passes = "1 epoch" if epochs == "1" else f"{epochs} epochs"
        words = f"{self.rows:,} rows, {passes}: {between(self.tokens)} tokens"
        money = (
            f"{dollars(self.usd)} on Vertex AI"
            if self.usd is not None
            else "at a price that nobody here knows"
        )
        time = f", about {between(self.seconds)} s" if self.seconds else ""
        return f"{words}, {money}{time}"


def estimate(
    spec: Spec,
    *,
    base_model: str | None = None,
    answer_tokens: Range | None = None,
    characters_per_token: float | None = None,
    tokens_per_second: float | None = None,
) -> Estimate:
    """What a tuning job will cost, before it is submitted. Nothing is uploaded, and nobody is asked.

    Args:
        spec: Any tuning spec. Its training set is read; one in Cloud Storage is not.
        base_model: Of the catalog, where the spec tunes on a tuned model.
        answer_tokens: Of a teacher's answer, or of a try, from the least to the most. Left out: 50 to 1,000.
        characters_per_token: Of this data, as counted by the model's own tokenizer. Left out: 3 to 5.
        tokens_per_second: How fast an earlier job of this kind trained. Left out, nothing is said about time: Google
            publishes nothing to go by.

    Returns:
        Tokens, and money in USD.

    Raises:
        DatasetError: VT201 it is in Cloud Storage, or every fault of the training set.
        UnknownPriceError: VT795; the error's `estimate` has the tokens.

    Source of the rules: Vertex AI documentation of each way of tuning; see `catalog.counted`.
    """
    model = base_model or spec.base_model
    training = spec.training if data.is_path(spec.training) else list(spec.training)
    data.raise_for_faults(data.check(training, method=spec.method, base_model=model))
    found = _estimate(spec, model, count(training), answer_tokens, characters_per_token)
    if tokens_per_second:
        low, high = found.tokens
        found = replace(found, seconds=(low / tokens_per_second, high / tokens_per_second))
    unknown = [item for item in found.items if item.usd_per_million is None]
    if unknown:
        raise UnknownPriceError(
            "VT795",
            f"no price is known for {' and for '.join(f'{item.name} ({model})' for item in unknown)}",
            why=f"It is {between(found.tokens)} training tokens, in {found.rows:,} rows.",
            fix="look it up: https://cloud.google.com/vertex-ai/generative-ai/pricing",
            estimate=found,
        )
    return found


def _estimate(
    spec: Spec, model: str, counted: Counted, answers: Range | None, characters: float | None
) -> Estimate:
    base, assumed = catalog.base_model(model), catalog.assumed()
    asked, answered = (
        _tokens(amount, base.group, characters) for amount in (counted.asked, counted.answered)
    )
    epochs: Range = (spec.epochs, spec.epochs) if spec.epochs else assumed["epochs"].value
    notes = [f"Epochs: {assumed['epochs'].note}"] if not spec.epochs else []
    items: list[Item] = []
    if spec.method == "preference":
        each = _sum(_scaled(asked, 2), answered)
    elif spec.method == "distillation":
        said = _answer_tokens(answers, None, notes)
        taught = _scaled(said, counted.rows)
        each = _sum(asked, taught)
        items += _teacher(spec, asked, taught)
    elif spec.method == "reinforcement":
        epochs = _tries(spec, counted.rows, notes)
        said = _answer_tokens(answers, getattr(spec, "max_output_tokens", None), notes)
        several = (
            getattr(spec, "samples_per_prompt", None) or catalog.limits(spec.method)["samples_per_prompt"]
        )
        each = _scaled(said, counted.rows * several)
    else:
        each = _sum(asked, answered)
    tokens = _product(each, epochs)
    price = catalog.price(base.id, spec.method)
    if counted.asked.media or counted.answered.media:
        notes.append(
            "Files are counted by what is documented; how long a clip is, or a document, is not looked up."
        )
    if spec.validation is not None:
        notes.append("Rows for validation are not in it: nothing is published about them.")
    return Estimate(
        method=spec.method,
        model=base.id,
        rows=counted.rows,
        epochs=epochs,
        tokens=tokens,
        items=(Item("training", tokens, price.value, str(price.source)), *items),
        counted=catalog.counted(spec.method).value,
        tokenizer=_tokenizer(characters),
        notes=tuple(notes),
    )


def _tokens(amount: Any, group: str, characters: float | None) -> Range:
    low, high = amount.tokens(group)
    if characters is None:
        return low, high
    text = catalog.text_tokens()
    letters = amount.latin + amount.other
    rest_low = low - letters / text["sparse"].value
    rest_high = high - amount.latin / text["dense"].value - amount.other / text["other_scripts"].value
    return letters / characters + rest_low, letters / characters + rest_high


def _tokenizer(characters: float | None) -> str:
    if characters is not None:
        return f"the model's own, on some rows: {characters:.2f} characters a token"
    text = catalog.text_tokens()
    return (
        f"none: {text['dense'].value} to {text['sparse'].value} characters a token "
        f'("about {text["characters"].value}", {text["characters"].source.title})'
    )


def _answer_tokens(given: Range | None, most: int | None, notes: list[str]) -> Range:
    cell = catalog.assumed()["answer_tokens"]
    low, high = given or cell.value
    if given is None:
        notes.append(f"Of an answer, {between((low, high))} tokens are assumed.")
    return (min(low, most), min(high, most)) if most else (low, high)


def _teacher(spec: Spec, asked: Range, taught: Range) -> list[Item]:
    teacher = str(getattr(spec, "teacher", ""))
    if teacher.startswith("projects/"):
        words = "not looked up: the teacher is a tuned model"
        return [Item("the teacher's answers", taught, None, words)]
    prices = catalog.answer_prices(teacher)
    names, amounts = ("what the teacher is asked", "what the teacher answers"), (asked, taught)
    return [
        Item(name, tokens, cell.value, str(cell.source))
        for name, tokens, cell in zip(names, amounts, prices, strict=True)
    ]


def _tries(spec: Spec, rows: int, notes: list[str]) -> Range:
    """Passes of reinforcement tuning: as given, or by the service's rule; never more steps than it takes."""
    limits = catalog.limits("reinforcement")
    batch = getattr(spec, "batch_size", None) or limits["batch_size"]
    # Source: "Hyperparameters" of reinforcement tuning (2026-09-25).
    wish = spec.epochs or max(1, min(110 * batch // max(rows, 1), 10))
    steps = math.ceil(rows / batch) * wish
    if steps > limits["max_steps"]:
        notes.append(f"It ends after {limits['max_steps']} steps.")
        wish = limits["max_steps"] / math.ceil(rows / batch)
    return float(wish), float(wish)


# Answers


def answers(
    model: str,
    *,
    prompt_tokens: float,
    answer_tokens: float,
    rows: float = 1000,
    tuned: bool = False,
    batch: bool = False,
) -> float:
    """What answers of a model cost, in USD; of a thousand unless another number is given.

    Args:
        model: Of the catalog: the base model, of a tuned one too.
        prompt_tokens: Of what is asked, on average.
        answer_tokens: Of an answer, on average, thoughts included.
        rows: How many.
        tuned: Whether a tuned model answers: from Gemini 3 on, that costs more.
        batch: Whether they are asked in a batch: half the price.

    Raises:
        SpecError: VT301, the model is not in the catalog.
        UnknownPriceError: VT795.
    """
    asked, answered = catalog.answer_prices(model)
    factor = catalog.inference_factor(model) if tuned else None
    if asked.value is None or answered.value is None or (factor and factor.value is None):
        what = f"no price is known for answers of {'a model tuned from ' if tuned else ''}{model}"
        fix = "look it up: https://cloud.google.com/vertex-ai/generative-ai/pricing"
        raise UnknownPriceError("VT795", what, fix=fix)
    each = (prompt_tokens * asked.value + answer_tokens * answered.value) / _MILLION
    share = 1 - catalog.batch_discount().value if batch else 1
    return float(rows * each * (factor.value if factor else 1) * share)


# Words and sums


def between(values: Range) -> str:
    """`1,200 to 2,000`, or one number where both are the same."""
    low, high = (f"{value:,.3g}" if value < 10 else f"{_rounded(value):,}" for value in values)
    return low if low == high else f"{low} to {high}"


def dollars(values: Range) -> str:
    """`US$0.06 to 0.10`; what is less than a cent is said so."""
    if values[1] < 0.01:
        return "less than US$0.01"
    low, high = (f"{value:,.2f}" for value in values)
    return f"US${low}" if low == high else f"US${low} to {high}"


def _rounded(value: float) -> int:
    """To three digits: more would say what nobody knows."""
    digits = max(0, math.floor(math.log10(value)) - 2)
    return int(round(value, -digits))


def _sum(*parts: Range) -> Range:
    return sum(part[0] for part in parts), sum(part[1] for part in parts)


def _scaled(one: Range, factor: float) -> Range:
    return one[0] * factor, one[1] * factor


def _product(one: Range, other: Range) -> Range:
    return one[0] * other[0], one[1] * other[1]
