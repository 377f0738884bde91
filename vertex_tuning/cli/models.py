"""`vertex-tuning models`: what can be tuned, and what was."""

from __future__ import annotations

import sys
from typing import Any

import click

from vertex_tuning.cli import _common
from vertex_tuning.cli._lazy import Group


@click.group(cls=Group)
def models() -> None:
    """List and show models, and ask them.

    \b
    Example:
      vertex-tuning models list --base
    """


@models.command("list")
@click.option("--base", is_flag=True, help="Models that can be tuned, from the catalog; nobody is asked.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="No more than these.")
@_common.target_options
def list_models(base: bool, limit: int, where: dict[str, str], as_json: bool) -> None:
    """List tuned models, newest first; with --base, what can be tuned.

    `vertex-tuning catalog` says more of what can be tuned: where, since when, for how much, and who says so.

    \b
    Example:
      vertex-tuning models list --base
    """
    if base:
        _list_base(as_json)
        return
    with _common.open_client(where) as client:
        found = client.models.list(limit=limit)
        if as_json:
            _common.print_json([model.to_json() for model in found])
            return
        _common.print_table(
            ["model", "endpoint"], ((model.name, model.endpoint) for model in found), empty="No tuned models."
        )


def _list_base(as_json: bool) -> None:
    from dataclasses import asdict

    from vertex_tuning import catalog

    found = list(catalog.models().values())
    if as_json:
        _common.print_json([asdict(model) for model in found])
        return
    _common.print_table(
        ["model", "tuning", "adapter sizes", "stand-in here"],
        (
            (model.id, ", ".join(model.methods), " ".join(map(str, model.adapter_sizes)), model.stand_in)
            for model in found
        ),
        empty="The catalog is empty.",
    )


@models.command()
@click.argument("model")
@_common.target_options
def show(model: str, where: dict[str, str], as_json: bool) -> None:
    """Show MODEL: its endpoint, its checkpoints, and how to call it.

    \b
    Example:
      vertex-tuning models show projects/P/locations/us-central1/models/123@1
    """
    with _common.open_client(where) as client:
        found = client.models.get(model)
        checkpoints = found.checkpoints()
        if as_json:
            _common.print_json({**found.to_json(), "checkpoints": [item.to_json() for item in checkpoints]})
            return
        click.echo(f"Model:    {found.name}\nEndpoint: {found.endpoint}")
        _common.print_table(
            ["checkpoint", "epoch", "step", "default", "endpoint"],
            (
                (item.checkpoint_id, item.epoch, item.step, "yes" if item.default else "", item.served_as)
                for item in checkpoints
            ),
            empty="Only the last checkpoint was kept.",
        )
        click.echo(found.how_to_call())


@models.command()
@click.argument("model")
@click.argument("prompt")
@click.option("--system", help="System instruction.")
@click.option("--temperature", type=_common.Number(min=0), help="0: always the likeliest token.")
@click.option("--max-output-tokens", type=click.IntRange(1), help="Longest answer.")
@click.option("--label", "labels", multiple=True, help="Answer with one of these; give it once per label.")
@click.option("--stream", is_flag=True, help="Print the answer as it comes.")
@_common.target_options
def generate(
    model: str,
    prompt: str,
    labels: tuple[str, ...],
    stream: bool,
    where: dict[str, str],
    as_json: bool,
    **options: Any,
) -> None:
    """Ask MODEL, a tuned one or a base model.

    PROMPT - is read from standard input. With --stream and --json, there is a line per piece of the answer.

    \b
    Example:
      vertex-tuning models generate gemini-2.5-flash "What is the capital of France?"
    """
    given = {key: value for key, value in options.items() if value is not None}
    if labels:
        given["labels"] = list(labels)
    if prompt == "-":
        prompt = sys.stdin.read()
    with _common.open_client(where) as client:
        asked = client.models.get(model) if _is_tuned(model) else client.models.base(model)
        if stream:
            for text in asked.stream(prompt, **given):
                if as_json:
                    _common.print_json_line({"text": text})
                else:
                    click.echo(text, nl=False)
            if not as_json:
                click.echo()
            return
        answer = asked.generate(prompt, **given)
        if as_json:
            _common.print_json(
                {
                    "text": answer.text,
                    "finish_reason": answer.finish_reason,
                    "prompt_tokens": answer.prompt_tokens,
                    "answer_tokens": answer.answer_tokens,
                }
            )
        else:
            click.echo(answer.text)


def _is_tuned(model: str) -> bool:
    return model.startswith("projects/") or model.partition("@")[0].isdigit()
