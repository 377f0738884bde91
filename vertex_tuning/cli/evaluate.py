"""`vertex-tuning evaluate`: is a tuned model better, how sure is that, and may it go on?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vertex_tuning.cli import _common
from vertex_tuning.cli.reward import read_reward

if TYPE_CHECKING:
    from vertex_tuning.evaluation import Gate

CLOSED = 3
"""Exit status where the gate stays closed: nothing went wrong, and the answer is no."""


@click.command()
@click.argument("model")
@click.argument("dataset", metavar="DATA", type=click.Path(path_type=Path))
@click.option("--baseline", help="What MODEL is held against. [default: what it was tuned from]")
@click.option(
    "--also", multiple=True, metavar="MODEL", help="The same, tuned with another seed; may be given again."
)
@click.option(
    "--measure",
    "measures",
    multiple=True,
    type=click.Choice(["exact_match", "label_accuracy", "token_f1", "rouge_l", "valid_json"]),
    help="May be given again. [default: exact_match]",
)
@click.option(
    "--reward",
    "reward_files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A reward as a measure: a JSON file, as for `reward test`; may be given again.",
)
@click.option("--judge", help="A model that says which answer is better, in both orders.")
@click.option(
    "--gate", "gated", metavar="MEASURE", help="What MODEL must gain in: the gate opens, or stays closed."
)
@click.option(
    "--margin",
    type=_common.Number(),
    default=0.0,
    show_default=True,
    help="The gain's lower end must lie above it.",
)
@click.option("--at-least", type=_common.Number(), help="What its mean must be.")
@click.option(
    "--keep",
    multiple=True,
    metavar="MEASURE=LOSS",
    help="What may be lost elsewhere, at most; may be given again.",
)
@click.option(
    "--win-share", type=_common.Number(0, 1), help="The lower end of its wins must lie above it: 0.5 is even."
)
@click.option("--max-seconds", type=_common.Number(0), help="To an answer, in the median.")
@click.option(
    "--max-cost", type=_common.Number(0), help="USD per thousand answers, by --price or the catalog."
)
@click.option("--min-rows", type=click.IntRange(1), default=30, show_default=True, help="Fewer open no gate.")
@click.option(
    "--price",
    nargs=2,
    type=_common.Number(0),
    metavar="PROMPT ANSWER",
    help="USD per million tokens of the base model. [default: as the catalog has it]",
)
@click.option("--rows", type=click.IntRange(1), help="The first of DATA alone.")
@click.option("--label", "labels", multiple=True, help="Answers are one of these; give it once per label.")
@click.option(
    "--max-output-tokens", type=click.IntRange(1), default=256, show_default=True, help="Of an answer."
)
@click.option(
    "--answers",
    "kept",
    type=click.Path(path_type=Path),
    help="JSONL file of answers: what is in it is not asked again.",
)
@click.option("--report", type=_common.OutputFile(new_folders=True), help="Write a page: .html or .md.")
@_common.target_options
def evaluate(
    model: str,
    dataset: Path,
    also: tuple[str, ...],
    measures: tuple[str, ...],
    reward_files: tuple[Path, ...],
    price: tuple[float, float] | None,
    labels: tuple[str, ...],
    report: Path | None,
    where: dict[str, str],
    as_json: bool,
    **fields: Any,
) -> None:
    """Hold MODEL against another on the rows of DATA.

    DATA is a JSONL file that nobody was trained on, in any form. Both models answer every row; each measure is compared with a
    paired bootstrap interval of 95 %. With --gate, the exit status tells whether MODEL may go on: 0 yes, 3 no.

    \b
    Example:
      vertex-tuning evaluate projects/P/locations/L/models/123@1 test.jsonl \\
          --gate exact_match --report report.html
    """
    gate = _gate(fields)
    asked: dict[str, Any] = {
        name: fields[name] for name in ("baseline", "judge", "rows", "kept", "max_output_tokens")
    }
    if labels:
        asked["labels"] = list(labels)
    rewards = [read_reward(path, strict="here") for path in reward_files]
    with _common.open_client(where) as client:
        found = client.evaluate(
            dataset,
            candidate=[model, *also],
            measures=[*(measures or (() if rewards else ("exact_match",))), *rewards],
            gate=gate,
            price=price,
            progress=None if as_json else _common.answers_there,
            **asked,
        )
    if report is not None:
        found.report(f"{dataset.name}: {model.rpartition('/')[2]}").write(report)
    if as_json:
        _common.print_json(found.to_json())
    else:
        click.echo(str(found))
        if report is not None:
            _common.say(f"Report: {report}")
    raise SystemExit(0 if found.open else CLOSED)


def _gate(fields: dict[str, Any]) -> Gate | None:
    """The gate that the options describe; None without one."""
    from vertex_tuning.evaluation import Gate

    conditions = ("at_least", "win_share", "max_seconds", "max_cost")
    given = {name: fields[name] for name in conditions if fields[name] is not None}
    measure = fields["gated"]
    if measure is None:
        if given or fields["keep"] or fields["margin"]:
            raise click.UsageError("conditions belong to a gate: --gate MEASURE")
        return None
    keep = dict(_loss(item) for item in fields["keep"])
    return Gate(measure, margin=fields["margin"], keep=keep, min_rows=fields["min_rows"], **given)


def _loss(item: str) -> tuple[str, float]:
    name, separator, loss = item.partition("=")
    try:
        return name, float(loss) if separator else 0.0
    except ValueError as error:
        raise click.BadParameter(f"{item!r} is not MEASURE=LOSS", param_hint="--keep") from error
