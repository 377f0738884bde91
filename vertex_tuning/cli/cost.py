"""`vertex-tuning cost`: what answers cost, before they are asked for, and what a project costs at rest."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import click

from vertex_tuning.cli import _common
from vertex_tuning.cli._lazy import Group


@click.group(cls=Group)
def cost() -> None:
    """Say what answers cost, or a project in which nobody works; what tuning costs, `tune --estimate` says.

    Nobody is asked: prices are dated data that comes with this package.

    \b
    Example:
      vertex-tuning cost answers gemini-2.5-flash \\
          --prompt-tokens 400 --answer-tokens 50
      vertex-tuning cost project
    """


@cost.command()
@click.argument("model")
@click.option(
    "--prompts", type=click.Path(exists=True, dir_okay=False), help="JSONL file of what is to be asked."
)
@click.option("--prompt-tokens", type=_common.Number(min=0), help="Of what is asked, on average.")
@click.option("--answer-tokens", type=_common.Number(min=0), required=True, help="Of an answer, on average.")
@click.option("--rows", type=click.IntRange(1), help="How many. [default: those of the file, else 1,000]")
@click.option("--tuned", is_flag=True, help="A model tuned from MODEL answers.")
@click.option("--batch", is_flag=True, help="They are asked in a batch.")
@_common.json_option
def answers(
    model: str,
    prompts: str | None,
    prompt_tokens: float | None,
    answer_tokens: float,
    rows: int | None,
    tuned: bool,
    batch: bool,
    as_json: bool,
) -> None:
    """Say what answers of MODEL cost.

    \b
    Example:
      vertex-tuning cost answers gemini-2.5-flash \\
          --prompt-tokens 400 --answer-tokens 50 --tuned
    """
    from vertex_tuning import catalog
    from vertex_tuning import cost as costs

    if (prompts is None) == (prompt_tokens is None):
        raise click.UsageError("one of --prompts and --prompt-tokens is needed")
    asked = (prompt_tokens or 0.0, prompt_tokens or 0.0)
    if prompts is not None:
        from vertex_tuning.data.counting import count

        _check(prompts)
        counted = count(prompts)
        low, high = counted.asked.tokens(catalog.base_model(model).group)
        asked, rows = (low / max(1, counted.rows), high / max(1, counted.rows)), rows or counted.rows
    number = rows or 1000

    def of(tokens: float) -> float:
        return costs.answers(
            model, prompt_tokens=tokens, answer_tokens=answer_tokens, rows=number, tuned=tuned, batch=batch
        )

    usd = (round(of(asked[0]), 6), round(of(asked[1]), 6))
    prices: dict[str, Any] = dict(
        zip(("asked", "answered"), (cell.to_json() for cell in catalog.answer_prices(model)), strict=True)
    )
    if as_json:
        found = {"model": model, "rows": number, "tuned": tuned, "batch": batch, "prompt_tokens": asked}
        _common.print_json({**found, "answer_tokens": answer_tokens, "usd": usd, "prices": prices})
        return
    who = f"a model tuned from {model}" if tuned else model
    how = ", in a batch" if batch else ""
    click.echo(f"{number:,} answers of {who}{how}: {costs.dollars(usd)} on Vertex AI")
    for cell in catalog.answer_prices(model):
        _common.say(f"US${cell.value:.2f} per million tokens, {cell.source}")


def _check(prompts: str) -> None:
    """Refuse what is no set of prompts: what cannot be read would cost nothing."""
    from vertex_tuning import data
    from vertex_tuning.data import requests
    from vertex_tuning.errors import DatasetError

    row: Any = None
    with contextlib.suppress(DatasetError):  # the check tells what is wrong, and all of it
        row = next(iter(data.read(prompts)), None)
    fields = set(row) if isinstance(row, dict) else set()
    if "completions" in fields:
        report = data.check(prompts, method="preference", base_model=None)
    elif fields & {"messages", "completion"}:
        report = data.check(prompts, method="distillation", base_model=None)  # with an answer, or without one
    else:
        with Path(os.devnull).open("wb") as nowhere:
            report = requests.prepare(prompts, {}, nowhere)
    data.raise_for_faults(report)


@cost.command()
@click.option(
    "--size",
    "given",
    multiple=True,
    metavar="NAME=AMOUNT",
    help="How much there is of something: artifacts_gb=200. May be given again. [default: a small team's]",
)
@click.option(
    "--all", "everything", is_flag=True, help="With all that terraform/ can make. [default: as configured]"
)
@_common.json_option
def project(given: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Say what a project costs while nobody works in it.

    That is a month of what terraform/ makes; tuning, answers, requests and traffic come on top.

    \b
    Example:
      vertex-tuning cost project --size artifacts_gb=200 --size schedules=5
    """
    from dataclasses import asdict

    from vertex_tuning import catalog, config

    sizes = _sizes(given)
    items = catalog.upkeep() if everything else catalog.upkeep_of(asdict(config.load()))
    costs = [item.usd(sizes) for item in items]
    total = sum(usd for usd in costs if usd is not None)
    unknown = [item.title for item, usd in zip(items, costs, strict=True) if usd is None]
    if as_json:
        found = {
            "region": catalog.upkeep_region(),
            "sizes": sizes,
            "usd": round(total, 6),
            "unknown": unknown,
        }
        _common.print_json({**found, "items": [item.to_json(sizes) for item in items]})
        return
    _common.print_table(
        ["what is paid for", "how much", "free", "USD a month", "by whom"],
        (
            (
                item.title,
                item.amount(sizes),
                f"{item.free:,g}" if item.free else "",
                "unknown" if usd is None else f"{usd:,.2f}",
                str(item.price.source),
            )
            for item, usd in zip(items, costs, strict=True)
        ),
        empty="Nothing.",
    )
    click.echo(f"\nUS${total:,.2f} a month in {catalog.upkeep_region()}, at rest")
    if unknown:
        _common.say(f"Without: {', '.join(unknown)}. Nobody here knows the price.")


def _sizes(given: tuple[str, ...]) -> dict[str, float]:
    """How much there is of everything: what is given, else what a small team has."""
    from vertex_tuning import catalog

    sizes = {name: float(cell.value) for name, cell in catalog.upkeep_sizes().items()}
    for text in given:
        name, _, amount = text.partition("=")
        if name not in sizes:
            raise click.BadParameter(f"{name!r} is none of: {', '.join(sizes)}", param_hint="--size")
        try:
            sizes[name] = _common.Number(min=0).convert(amount, None, None)
        except click.BadParameter as error:
            raise click.BadParameter(error.message, param_hint=f"--size {name}") from error
    return sizes
