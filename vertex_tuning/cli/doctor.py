"""`vertex-tuning doctor`: is the project ready, and what mends it."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from vertex_tuning.cli import _common

if TYPE_CHECKING:
    from vertex_tuning.doctor import Diagnosis, Finding

_MARKS = {"ok": "ok", "warning": "warn", "fault": "FAULT", "not seen": "?", "not configured": "-"}
_COLOURS = {"ok": "green", "warning": "yellow", "fault": "red", "not seen": "cyan"}
_MARK = max(map(len, _MARKS.values()))
_SHORT = ("ok", "not configured")
_LEAST = 40
"""Columns of prose below which nothing is broken into lines."""


@click.command()
@click.option(
    "--strict", is_flag=True, help="Exit status 1 for warnings too, and for what could not be seen."
)
@click.option("-v", "--verbose", is_flag=True, help="A line for each thing that is well, not for each check.")
@click.option("--fix-script", is_flag=True, help="Print the commands that mend it, and nothing else.")
@click.option(
    "--terraform",
    is_flag=True,
    help="Print the inputs of terraform/ that mend it; what they do not is a remark.",
)
@_common.target_options
def doctor(
    strict: bool, verbose: bool, fix_script: bool, terraform: bool, where: dict[str, str], as_json: bool
) -> int:
    """Look whether the project is ready to tune, and say what mends it.

    Looks at everything that the settings name: services, buckets, accounts and their roles, Google's own agents, key, registries,
    reward, endpoint, network, quotas. Nothing is changed. What you may not look at is "not seen", and no fault. Exit status 1
    where something is broken.

    \b
    Example:
      vertex-tuning doctor --target vertex --project my-project
    """
    with _common.open_client(where) as client:
        found = client.doctor(progress=_progress)
    if as_json:
        _common.print_json(found.to_json())
    elif fix_script:
        _print_script(found)
    elif terraform:
        _print_inputs(found)
    else:
        _print(found, verbose=verbose)
    ill = not found.ok or (strict and (found.warnings or found.unseen))
    return 1 if ill else 0


def _progress(done: int, total: int) -> None:
    """A counter on one line, where somebody looks; wiped at the end, for the findings say it all."""
    if not _common.is_drawable():
        return
    words = f"\r{done} of {total} checks"
    click.echo(words if done < total else "\r" + " " * len(words) + "\r", err=True, nl=False)


def _print(found: Diagnosis, *, verbose: bool) -> None:
    click.echo(_bold(f"{found.project}, {found.location}"))
    width = max((len(finding.check) for finding in found.findings), default=0)
    for check in dict.fromkeys(finding.check for finding in found.findings):
        name = check
        for status, lines in _told([one for one in found.findings if one.check == check], verbose=verbose):
            mark = _coloured(f"{_MARKS[status]:<{_MARK}}", _COLOURS.get(status, ""))
            for number, line in enumerate(_fitted(lines, width + _MARK + 4)):
                click.echo(
                    f"{name if number == 0 else '':<{width}}  {mark if number == 0 else ' ' * _MARK}  {line}"
                )
            name = ""
    click.echo()
    looks = list(dict.fromkeys(line for finding in found.unseen for line in finding.cure.commands))
    if looks:
        click.echo("To see what could not be seen:")
        for line in looks:
            click.echo(f"  {line}")
    click.echo(_bold(found.summary()))


def _fitted(lines: list[str], indent: int) -> list[str]:
    """On a terminal, what is wrong and why are broken at its edge; commands stay whole, to be copied."""
    room = shutil.get_terminal_size().columns - indent
    if room < _LEAST or not _common.is_terminal(sys.stdout):
        return lines
    prose, rest = lines[:2], lines[2:]
    broken: list[str] = []
    for line in prose:
        margin = " " * 7 if line.startswith(("VT", " ")) else ""
        first = line[:7] if margin else ""
        broken += textwrap.wrap(
            line[len(first) :],
            room,
            initial_indent=first,
            subsequent_indent=margin,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return [*broken, *rest]


def _told(findings: list[Finding], *, verbose: bool) -> Iterator[tuple[str, list[str]]]:
    """What is told of a check: of what is well, and of what nobody asked for, in one line each."""
    for finding in findings:
        if verbose or str(finding.status) not in _SHORT:
            yield str(finding.status), list(finding.lines())
    for status in () if verbose else _SHORT:
        alike = [finding for finding in findings if str(finding.status) == status]
        if len(alike) == 1:
            yield status, list(alike[0].lines())
        elif alike:
            names = ", ".join(_short(finding) for finding in alike)
            yield status, [f"not configured: {names}" if status == "not configured" else names]


def _short(finding: Finding) -> str:
    """The part of a name that tells it from its neighbours."""
    name = finding.where or finding.what.partition(": ")[2]
    local, _, domain = name.partition("@")
    if domain:
        return domain.partition(".")[0] if local.startswith(("service-", "bq-")) else local
    return name.partition(",")[0].partition(";")[0].rstrip("/").rpartition("/")[2]


def _print_script(found: Diagnosis) -> None:
    """As a shell reads it: what each line mends stands above it."""
    told = set()
    for finding in (*found.faults, *found.warnings):
        lines = [line for line in finding.cure.commands if line not in told]
        told.update(lines)
        if lines or finding.cure.words:
            click.echo(f"# {finding.rule} {finding.where}: {finding.what}")
            if finding.cure.words:
                click.echo(f"# {finding.cure.words}")
            click.echo("".join(f"{line}\n" for line in lines), nl=False)


def _print_inputs(found: Diagnosis) -> None:
    """As a file of inputs has it; what no input mends is a remark, so that nothing looks mended that is not."""
    ill = [finding for finding in (*found.faults, *found.warnings) if not finding.cure.terraform]
    for line in found.inputs():
        click.echo(line)
    for words, some in (
        ("An apply without changes mends", [finding for finding in ill if finding.cure.apply]),
        ("terraform/ does not mend", [finding for finding in ill if not finding.cure.apply]),
    ):
        for number, finding in enumerate(some):
            click.echo(f"# {words}:\n" if number == 0 else "", nl=False)
            click.echo(f"#   {finding.rule} {finding.where}: {finding.what}")
    if not found.inputs() and not ill:
        click.echo("# nothing")


def _is_plain() -> bool:
    return "NO_COLOR" in os.environ or not _common.is_terminal(sys.stdout)


def _bold(text: str) -> str:
    return text if _is_plain() else click.style(text, bold=True)


def _coloured(text: str, colour: str) -> str:
    return text if _is_plain() or not colour else click.style(text, fg=colour)
