"""`vertex-tuning distill`: step by step, from a teacher's labels and rationales."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vertex_tuning.cli import _common
from vertex_tuning.cli._lazy import Group

if TYPE_CHECKING:
    from vertex_tuning.distill import TeacherPrompt

_path = click.Path(path_type=Path, dir_okay=False)


@click.group(cls=Group)
def distill() -> None:
    """Teach a small model step by step: a teacher's labels, and why.

    \b
    Example:
      vertex-tuning distill label notes.jsonl --teacher gemini-2.5-pro \\
          --prompt teacher.toml --output labelled.jsonl
      vertex-tuning distill mix labelled.jsonl --output train.jsonl
    """


@distill.command()
@click.argument("file", type=_path)
@click.option(
    "--output", type=_common.OutputFile(), required=True, help="File for the rows that are worth learning."
)
@click.option(
    "--teacher", required=True, help="gemini-2.5-pro..., or a tuned model: projects/.../models/ID@V."
)
@click.option(
    "--prompt",
    "prompt_file",
    type=_path,
    help="TOML file: labels, instruction, template, and [[examples]] with input, rationale and label.",
)
@click.option(
    "--label", "labels", multiple=True, help="One of the labels; give it once per label, or use --prompt."
)
@click.option(
    "--samples", type=click.IntRange(1), default=1, show_default=True, help="Answers to each row; most win."
)
@click.option(
    "--agreement",
    type=_common.Number(min=0, max=1, max_open=True),
    default=0.5,
    show_default=True,
    help="With several samples, more than this share has to give the label.",
)
@click.option(
    "--rationale",
    type=click.Choice(["any", "named"]),
    default="any",
    show_default=True,
    help="A rationale may name no label, or has to name its own.",
)
@click.option(
    "--gold",
    type=click.Choice(["drop", "count"]),
    default="drop",
    show_default=True,
    help="Rows whose gold label the teacher does not give: dropped, or counted alone.",
)
@click.option("--temperature", type=_common.Number(min=0), help="[default: 0; with several samples 0.7]")
@click.option(
    "--max-output-tokens", type=click.IntRange(1), default=256, show_default=True, help="Longest answer."
)
@click.option("--seed", type=int, default=42, show_default=True, help="Of the samples.")
@click.option("--again", is_flag=True, help="Ask anew, and pay anew, even where the same was asked before.")
@_common.target_options
def label(
    file: Path,
    output: Path,
    teacher: str,
    prompt_file: Path | None,
    labels: tuple[str, ...],
    agreement: float,
    rationale: str,
    gold: str,
    where: dict[str, str],
    as_json: bool,
    **options: Any,
) -> None:
    """Let a teacher label the rows of FILE, and say why.

    A row is a text, {"prompt": "..."}, or a GenerateContent request; "gold" beside it is the label that people gave. The teacher
    is asked by one batch prediction job, at half the price of asking row by row. Its answers are read strictly and checked; what
    is dropped stands in OUTPUT.dropped.jsonl with its reason, and what it took in OUTPUT.manifest.json. The same command, given
    again after an interruption, goes on with the same job.

    \b
    Example:
      vertex-tuning distill label notes.jsonl --teacher gemini-2.5-pro \\
          --prompt teacher.toml --output labelled.jsonl
    """
    from vertex_tuning import distill
    from vertex_tuning.cli import _follow

    _common.keep_apart(output, file)
    prompt = _prompt(prompt_file, labels)
    with _common.open_client(where) as client:

        def follow(job: Any) -> None:
            if not as_json:
                _common.say(job.name)
            _follow.follow(job, as_json=as_json, where=where)

        with _follow.upload_progress() as progress:
            done = distill.label(
                client,
                file,
                output,
                teacher=teacher,
                prompt=prompt,
                checks=distill.Checks(rationale=rationale, gold=gold, agreement=agreement),
                progress=progress,
                follow=follow,
                **options,
            )
    if as_json:
        _common.print_json_line(done.to_json())
    else:
        click.echo(str(done))


@distill.command()
@click.argument("file", type=_path)
@click.option("--output", type=_common.OutputFile(), required=True, help="File for the mix; written over.")
@click.option(
    "--label-weight",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="How often each label stands in it.",
)
@click.option(
    "--rationale-weight",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="How often each rationale does; 0: labels alone, to compare with.",
)
@click.option("--seed", type=int, default=42, show_default=True, help="Of the order.")
@_common.json_option
def mix(file: Path, output: Path, as_json: bool, **options: Any) -> None:
    """Write labels and rationales of FILE as rows to tune on.

    Each row of FILE, which `distill label` wrote, becomes two: one begins with [label] and is answered by the label, one begins
    with [rationale] and is answered by the rationale. The tuned model is asked with [label], and generates no rationale.

    \b
    Example:
      vertex-tuning distill mix labelled.jsonl --output train.jsonl
      vertex-tuning tune supervised train.jsonl --base-model gemini-2.5-flash-lite
    """
    from vertex_tuning import distill

    _common.keep_apart(output, file)
    done = distill.mix(file, output, **options)
    if as_json:
        _common.print_json(done.to_json())
    else:
        click.echo(str(done))


def _prompt(file: Path | None, labels: tuple[str, ...]) -> TeacherPrompt:
    """From the file, or of labels alone."""
    from vertex_tuning.distill import prompting

    if file is not None and labels:
        raise click.UsageError("Give --prompt or --label: the file has the labels.")
    if file is not None:
        return prompting.read_prompt(file)
    if not labels:
        raise click.UsageError("Give --prompt FILE, or --label once for each label.")
    return prompting.prompt_of({"labels": list(labels)}, "--label")
