"""What every command shares: where it talks to, and how it speaks."""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import json
import math
import os
import shlex
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from vertex_tuning.client import TuningClient

F = TypeVar("F", bound=Callable[..., Any])

_GAP = "  "
_PAGE = 120
"""Columns of what is read elsewhere than on a terminal, where COLUMNS says nothing else."""
_TRACEBACK = "VERTEX_TUNING_TRACEBACK"
_OF_THE_DISK = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space, or ask for a larger quota",
    errno.EROFS: "write to another disk: this one is read-only",
}

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
map_option = click.option(
    "--map",
    multiple=True,
    metavar="HOST=http://127.0.0.1:PORT",
    help="Rehearse a Cloud Run reward: what names HOST is sent there instead. May be given several times.",
)


limit_option = click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="No more than these."
)


class Number(click.FloatRange):
    """A number in a range: neither infinite nor "not a number", which are in every range and none."""

    name = "number"

    def _describe_range(self) -> str:
        return "" if self.min is self.max is None else super()._describe_range()

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        found = float(super().convert(value, param, ctx))
        if not math.isfinite(found):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return found


class OutputFile(click.Path):
    """A file that can be written, which is known before anything is asked, and paid, for.

    Args:
        new_folders: Whether the folder that it is to lie in is made where there is none.
    """

    def __init__(self, *, new_folders: bool = False) -> None:
        super().__init__(path_type=Path, dir_okay=False, writable=True)
        self._new_folders = new_folders

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path."""
        path = Path(str(super().convert(value, param, ctx)))
        folder = path.parent
        while self._new_folders and not folder.exists():
            folder = folder.parent
        if not folder.is_dir():
            self.fail(f"there is no folder {folder}", param, ctx)
        if not path.exists():
            try:
                # Rights alone do not tell: a disk may be read-only, or full.
                tempfile.TemporaryFile(dir=folder).close()
            except OSError as error:
                self.fail(f"{path} cannot be written: {error.strerror}", param, ctx)
        return path


def keep_apart(output: Path | None, given: Path | str) -> None:
    """Refuse to write over what is read: nobody means that, and the data would be gone."""
    with contextlib.suppress(OSError):
        if output is not None and output.samefile(given):
            raise click.BadParameter(f"{output} is what is read; name another file", param_hint="--output")


# Which of many


def list_options(command: F) -> F:
    """`--filter` and `--limit` of what is a job, handed on as `expression` and `limit`."""
    words = 'As the service understands it: state="JOB_STATE_RUNNING".'
    return click.option("--filter", "expression", default="", help=words)(limit_option(command))


# Where a command talks to


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
    """A client for the target that was asked for; a command closes it when it ends.

    Commands follow each other, and what one made the next one looks for. So where the local emulator does not run, the user's
    own is started and left running: one that ended with the command would take the job with it.
    """
    import logging

    from vertex_tuning import connect

    # What the SDK has to remark, it logs; here people read it.
    logging.basicConfig(format="warning: %(message)s", level=logging.WARNING)
    _see_to_an_emulator(where)
    return connect(**where)


def _see_to_an_emulator(where: Mapping[str, str]) -> None:
    from vertex_tuning.config import load
    from vertex_tuning.emulator import control
    from vertex_tuning.emulator.settings import Settings

    if load(**where).target != "local" or os.environ.get(control.VARIABLE):
        return
    record, started = control.find_or_start(Settings().data_dir)
    if started:
        say(
            f"No emulator was running; one was started at {record['address']}. To end it: vertex-tuning emulator stop"
        )


def again(words: str, where: Mapping[str, str]) -> str:
    """A command line for the same place: `jobs watch NAME`, with the options that say where."""
    options = [f"--{name} {shlex.quote(value)}" for name, value in where.items() if name != "bucket"]
    return " ".join(["vertex-tuning", words, *options])


# How it speaks


def print_json(data: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=_ascii_only()))


def print_json_line(data: Any) -> None:
    """One JSON document on one line: the form of records that follow each other."""
    click.echo(json.dumps(data, ensure_ascii=_ascii_only(), separators=(",", ":")))


def _ascii_only() -> bool:
    encoding = getattr(sys.stdout, "encoding", None) or ""
    return encoding.lower().replace("-", "") != "utf8"


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str, wrapped: bool = False
) -> None:
    """A table, in which nothing is ever cut off; `empty` is said, on standard error, where there are no rows.

    On a terminal it is fitted to it, and where that cannot be, told row by row; elsewhere one line is one row.

    Args:
        columns: Their heads.
        rows: Of cells.
        empty: What is said where there are none.
        wrapped: Whether long cells are broken elsewhere too, where a line of them would be too long to read.
    """
    cells = [[str(cell) for cell in row] for row in rows]
    if not cells:
        say(empty)
        return
    room = shutil.get_terminal_size((_PAGE, 0)).columns if wrapped or is_terminal(sys.stdout) else None
    widths = _widths([columns, *cells], room)
    if widths is None:
        width = max(map(len, columns))
        records = (
            [f"{name:<{width}}  {cell}" for name, cell in zip(columns, row, strict=True)] for row in cells
        )
        click.echo("\n\n".join(map("\n".join, records)))
        return
    head, *lines = (line for row in (columns, *cells) for line in _lines(row, widths))
    click.echo("\n".join([head if "NO_COLOR" in os.environ else click.style(head, bold=True), *lines]))


def _widths(rows: Sequence[Sequence[str]], room: int | None) -> list[int] | None:
    """How wide each column may be; None where not even single words find room."""
    columns = list(zip(*rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    words = [max(len(word) for cell in column for word in cell.split() or [""]) for column in columns]
    left = (room or sum(widths) + len(_GAP) * len(widths)) - len(_GAP) * (len(widths) - 1)
    if sum(words) > left:
        return None
    while sum(widths) > left:
        widest = max(range(len(widths)), key=lambda number: widths[number] - words[number])
        widths[widest] -= 1
    return widths


def _lines(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    """A row of a table; more than one line where a cell is wider than its column."""
    cells = [
        textwrap.wrap(cell, width, break_long_words=False, break_on_hyphens=False)
        if len(cell) > width
        else [cell]
        for cell, width in zip(row, widths, strict=True)
    ]
    for line in itertools.zip_longest(*cells, fillvalue=""):
        yield _GAP.join(part.ljust(width) for part, width in zip(line, widths, strict=True)).rstrip()


def say(message: str) -> None:
    """A remark for people: on standard error, so that standard output stays clean."""
    click.echo(message, err=True)


def is_terminal(stream: IO[str] | None) -> bool:
    """Whether somebody looks at a stream; none where it is closed."""
    with contextlib.suppress(AttributeError, ValueError):
        return stream.isatty()  # type: ignore[union-attr]
    return False


def is_drawable() -> bool:
    """Whether standard error can show something that moves."""
    return is_terminal(sys.stderr) and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


def is_interactive() -> bool:
    """Whether somebody is there to answer a question."""
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)


def answers_there(done: int, total: int) -> None:
    """A counter that stays on its line, where somebody looks."""
    if is_drawable():
        click.echo(f"\r{done} of {total} answers", err=True, nl=done == total)


def is_interrupt(error: Exception) -> bool:
    """Whether an error is Ctrl-C in other clothes: what pydantic was building when it came ends in an error of pydantic's."""
    return type(error).__module__.startswith("pydantic") and "KeyboardInterrupt" in str(error)


def report(error: Exception, *, as_json: bool) -> int:
    """Say what went wrong; returns the exit status for it.

    As JSON it stands on one line, so that it may follow records that stand on one line each.
    """
    from vertex_tuning.errors import Fault, VertexTuningError

    if isinstance(error, VertexTuningError):
        return _tell(error.to_json(), str(error), as_json=as_json)
    if isinstance(error, click.ClickException):
        if not as_json:
            error.show()
            return error.exit_code
        help_of = getattr(getattr(error, "ctx", None), "command_path", "vertex-tuning")
        fault = Fault("VT198", error.format_message(), fix=f"{help_of} --help")
        _tell({"error": fault.to_json(), "faults": [fault.to_json()]}, "", as_json=True)
        return error.exit_code
    if os.environ.get(_TRACEBACK):
        raise error
    if isinstance(error, OSError) and (error.filename is not None or error.errno in _OF_THE_DISK):
        where = "" if error.filename is None else os.fsdecode(str(error.filename))
        fix = _OF_THE_DISK.get(
            error.errno or 0, "see that the path is right, and who may read and write there"
        )
        fault = Fault("VT197", f"{error.strerror}: this cannot be read or written", where, fix=fix)
        return _tell({"error": fault.to_json(), "faults": [fault.to_json()]}, str(fault), as_json=as_json)
    what = f"{type(error).__name__}: {error}"
    fault = Fault("VT199", what, fix=f"{_TRACEBACK}=1 shows where; please report it")
    return _tell({"error": fault.to_json(), "faults": [fault.to_json()]}, str(fault), as_json=as_json)


def _tell(body: dict[str, Any], words: str, *, as_json: bool) -> int:
    # Where nobody reads our output any more, or its disk is full, the exit status has to say it all.
    with contextlib.suppress(OSError):
        if as_json:
            print_json_line(body)
        else:
            say(words)
    return 1
