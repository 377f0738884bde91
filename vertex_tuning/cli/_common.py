"""What every command shares: where it talks to, and how it speaks."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from vertex_tuning.client import TuningClient

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")


def target_options(command: F) -> F:
    """`--target`, `--project`, `--location`, `--bucket` and `--json`, handed on as one `where` and `as_json`."""

    @click.option(
        "--target",
        type=click.Choice(["local", "vertex"]),
        help="The local emulator, or Vertex AI. [default: as configured, else local]",
    )
    @click.option("--project", help="Google Cloud project id.")
    @click.option("--location", help="Region, such as us-central1.")
    @click.option("--bucket", help="Bucket for data sets, without gs://.")
    @json_option
    @functools.wraps(command)
    def wrapped(
        *args: Any,
        target: str | None,
        project: str | None,
        location: str | None,
        bucket: str | None,
        **rest: Any,
    ) -> Any:
        where = {"target": target, "project": project, "location": location, "bucket": bucket}
        return command(*args, where={key: value for key, value in where.items() if value}, **rest)

    return wrapped  # type: ignore[return-value]


def open_client(where: dict[str, str]) -> AbstractContextManager[TuningClient]:
    """A client for the target that was asked for; a command closes it when it ends."""
    from vertex_tuning import connect

    return connect(**where)


def print_json(data: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def print_json_line(data: Any) -> None:
    """One JSON document on one line: the form of records that follow each other."""
    click.echo(json.dumps(data, ensure_ascii=False, separators=(",", ":")))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """A table for people; `empty` is said where there are no rows."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    count = 0
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
        count += 1
    if count:
        Console().print(table)
    else:
        click.echo(empty)


def say(message: str) -> None:
    """A remark for people: on standard error, so that standard output stays clean."""
    click.echo(message, err=True)


def is_interactive() -> bool:
    """Whether somebody is there to answer a question."""
    return sys.stdin.isatty() and sys.stderr.isatty()
