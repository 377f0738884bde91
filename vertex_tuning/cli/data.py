"""`vertex-tuning data`: data sets."""

from __future__ import annotations

from pathlib import Path

import click

from vertex_tuning.cli import _common
from vertex_tuning.cli._lazy import Group

_STDIN = Path("/dev/stdin")


@click.group(cls=Group)
def data() -> None:
    """Check data sets before anything is spent on them.

    \b
    Example:
      vertex-tuning data check train.jsonl
    """


@data.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--method",
    type=click.Choice(["supervised", "preference", "reinforcement"]),
    default="supervised",
    show_default=True,
    help="What it is for.",
)
@click.option("--base-model", default="gemini-2.5-flash", show_default=True, help="What is to be tuned.")
@_common.json_option
def check(file: Path, method: str, base_model: str, as_json: bool) -> None:
    """Check a JSONL file as the tuning service would.

    Everything that is wrong with FILE (-: standard input) is said at once. Exit status 1 where it would be refused.

    \b
    Example:
      vertex-tuning data check train.jsonl
    """
    from vertex_tuning.data import check as check_data

    report = check_data(_STDIN if file == Path("-") else file, method=method, base_model=base_model)
    if as_json:
        _common.print_json(report.to_json())
    else:
        click.echo(str(report))
    raise SystemExit(0 if report.ok else 1)
