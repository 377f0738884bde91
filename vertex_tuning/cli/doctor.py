"""`vertex-tuning doctor`: is the project ready, and what mends it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from vertex_tuning.cli import _common

if TYPE_CHECKING:
    from vertex_tuning.doctor import Diagnosis, Finding

_MARKS = {"ok": "ok", "warning": "warn", "fault": "FAULT", "not seen": "?", "not configured": "-"}
_COLOURS = {"ok": "green", "warning": "yellow", "fault": "red", "not seen": "cyan"}
_WIDTH = max(map(len, _MARKS.values()))


@click.command()
@click.option(
    "--strict", is_flag=True, help="Exit status 1 for warnings too, and for what could not be seen."
)
@click.option("--fix-script", is_flag=True, help="Print the commands that mend it, and nothing else.")
@click.option(
    "--terraform", is_flag=True, help="Print the inputs of terraform/ that mend it, and nothing else."
)
@_common.target_options
def doctor(strict: bool, fix_script: bool, terraform: bool, where: dict[str, str], as_json: bool) -> int:
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
        click.echo("\n".join(found.inputs()) or "# nothing", nl=True)
    else:
        _print(found)
    ill = not found.ok or (strict and (found.warnings or found.unseen))
    return 1 if ill else 0


def _progress(done: int, total: int) -> None:
    """A counter on one line, where somebody looks; wiped at the end, for the findings say it all."""
    if not _common.is_drawable():
        return
    words = f"\r{done} of {total} checks"
    click.echo(words if done < total else "\r" + " " * len(words) + "\r", err=True, nl=False)


def _print(found: Diagnosis) -> None:
    click.echo(_bold(f"{found.project}, {found.location}"))
    check = ""
    width = max((len(finding.check) for finding in found.findings), default=0)
    for finding in found.findings:
        name = finding.check if finding.check != check else ""
        check = finding.check
        _print_finding(finding, f"{name:<{width}}")
    click.echo()
    looks = list(dict.fromkeys(line for finding in found.unseen for line in finding.cure.commands))
    if looks:
        click.echo("To see what could not be seen:")
        for line in looks:
            click.echo(f"  {line}")
    click.echo(_bold(found.summary()))


def _print_finding(finding: Finding, name: str) -> None:
    status = str(finding.status)
    mark = _coloured(f"{_MARKS[status]:<{_WIDTH}}", _COLOURS.get(status, ""))
    first, *others = finding.lines()
    click.echo(f"{name}  {mark}  {first}")
    for line in others:
        click.echo(f"{' ' * len(name)}  {' ' * _WIDTH}  {line}")


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


def _is_plain() -> bool:
    return "NO_COLOR" in os.environ or not _common.is_terminal(sys.stdout)


def _bold(text: str) -> str:
    return text if _is_plain() else click.style(text, bold=True)


def _coloured(text: str, colour: str) -> str:
    return text if _is_plain() or not colour else click.style(text, fg=colour)
