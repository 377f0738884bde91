"""`vertex-tuning cost`: what answers cost, before they are asked for."""

from __future__ import annotations

from typing import Any

import click

from vertex_tuning.cli import _common


@click.command()
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
def cost(
    model: str,
    prompts: str | None,
    prompt_tokens: float | None,
    answer_tokens: float,
    rows: int | None,
    tuned: bool,
    batch: bool,
    as_json: bool,
) -> None:
    """Say what answers of MODEL cost; what tuning costs, `tune --estimate` says.

    Nobody is asked: prices are dated data that comes with this package.

    \b
    Example:
      vertex-tuning cost gemini-2.5-flash --prompt-tokens 400 --answer-tokens 50 --tuned
    """
    from vertex_tuning import catalog
    from vertex_tuning import cost as costs

    if (prompts is None) == (prompt_tokens is None):
        raise click.UsageError("one of --prompts and --prompt-tokens is needed")
    asked = (prompt_tokens or 0.0, prompt_tokens or 0.0)
    if prompts is not None:
        from vertex_tuning.data.counting import count

        counted = count(prompts)
        low, high = counted.asked.tokens(catalog.base_model(model).group)
        asked, rows = (low / max(1, counted.rows), high / max(1, counted.rows)), rows or counted.rows
    number = rows or 1000

    def of(tokens: float) -> float:
        return costs.answers(
            model, prompt_tokens=tokens, answer_tokens=answer_tokens, rows=number, tuned=tuned, batch=batch
        )

    usd = (of(asked[0]), of(asked[1]))
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
