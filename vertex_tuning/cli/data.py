"""`vertex-tuning data`: data sets."""

from __future__ import annotations

from pathlib import Path

import click

from vertex_tuning.cli import _common


@click.group()
def data() -> None:
    """Check data sets before anything is spent on them."""


@data.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--base-model", default="gemini-2.5-flash", show_default=True, help="What is to be tuned.")
@_common.json_option
def check(file: Path, base_model: str, as_json: bool) -> None:
    """Check a JSONL file as the tuning service would, and say everything that is wrong with it.

    Exit status 1 where it would be refused.

    \b
    Example:
      vertex-tuning data check train.jsonl
    """
    from vertex_tuning.data import check as check_data

    report = check_data(file, base_model=base_model)
    if as_json:
        _common.print_json(report.to_json())
    else:
        click.echo(str(report))
    raise SystemExit(0 if report.ok else 1)
