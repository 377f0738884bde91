"""`vertex-tuning pipeline runs` and what is done with runs: watched, cancelled, removed from the disk."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from vertex_tuning.cli import _common

if TYPE_CHECKING:
    from vertex_tuning.errors import Fault
    from vertex_tuning.pipelines.stored import Pruning, StoredRun


_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Age(click.ParamType[timedelta]):
    """A length of time: `36h`, `7d`, `2w`."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """As a `timedelta`."""
        match = re.fullmatch(r"([0-9]{1,6})([mhdw])", str(value).strip().lower())
        if match is None:
            self.fail(
                f"{value!r} is no length of time: a whole number and m, h, d or w, such as 36h or 7d.",
                param,
                ctx,
            )
        return timedelta(**{_UNITS[match[2]]: int(match[1])})


# Which there are


@click.command()
@_common.list_options
@click.option("--here", is_flag=True, help="Those of `pipeline run`, and what each takes on the disk.")
@_common.target_options
def runs(expression: str, limit: int, here: bool, where: dict[str, str], as_json: bool) -> None:
    """List submitted runs, or those --here, newest first.

    \b
    Example:
      vertex-tuning pipeline runs --filter 'state="PIPELINE_STATE_RUNNING"'
      vertex-tuning pipeline runs --here
    """
    if here:
        if expression:
            raise click.UsageError("--filter is for the service, which knows nothing of the runs --here")
        _runs_here(limit, as_json)
        return
    import itertools

    with _common.open_client(where) as client:
        found = list(itertools.islice(client.pipelines.runs(filter=expression), limit))
        if as_json:
            _common.print_json([one.to_json() for one in found])
            return
        _common.print_table(
            ["run", "state", "name", "created (UTC)"],
            (
                (
                    one.id,
                    one.state.lower(),
                    one.display_name,
                    f"{one.resource.create_time:%Y-%m-%d %H:%M:%S}",
                )
                for one in found
            ),
            empty="No runs were submitted.",
        )
        if stored := client.pipelines.stored_runs():
            size = _size(sum(run.bytes for run in stored))
            _common.say(
                f"Beside these, {_count(stored)} of `pipeline run`, {size}: vertex-tuning pipeline runs --here"
            )


def _runs_here(limit: int, as_json: bool) -> None:
    from vertex_tuning.pipelines import stored

    found = stored.stored_runs()
    if as_json:
        _common.print_json([run.to_json() for run in found[:limit]])
        return
    _table(found[:limit], empty="No runs on this machine.")
    if found:
        _common.say(
            f"{_count(found)} in all, {_size(sum(run.bytes for run in found))}. To remove some: vertex-tuning pipeline prune"
        )


def _table(found: list[StoredRun], *, empty: str) -> None:
    _common.print_table(
        ["run", "state", "pipeline", "started (UTC)", "on disk"],
        (
            (
                run.name,
                run.state.lower() or "not known",
                run.pipeline,
                run.started[:19].replace("T", " "),
                _size(run.bytes),
            )
            for run in found
        ),
        empty=empty,
    )


@click.command()
@click.argument("run")
@click.option("--timeout", type=_common.Number(min=0), help="Seconds to watch. [default: to the end]")
@_common.target_options
def watch(run: str, timeout: float | None, where: dict[str, str], as_json: bool) -> None:
    """Follow a submitted RUN to its end.

    Exit status 1 where that is not a good one.

    \b
    Example:
      vertex-tuning pipeline watch supervised-20261126001122
    """
    from vertex_tuning.cli import _steps

    with _common.open_client(where) as client:
        _steps.follow(client.pipelines.get(run), as_json=as_json, where=where, timeout=timeout)


@click.command()
@click.argument("run")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until it has ended.")
@_common.target_options
def cancel(run: str, wait: bool, where: dict[str, str], as_json: bool) -> None:
    """Cancel a submitted RUN.

    \b
    Example:
      vertex-tuning pipeline cancel supervised-20261126001122
    """
    from vertex_tuning.cli import _follow

    with _common.open_client(where) as client:
        _follow.cancel(client.pipelines.get(run), wait=wait, as_json=as_json)


# What is removed


@click.command()
@click.argument("names", nargs=-1, metavar="[RUN]...")
@click.option("--older-than", type=Age(), help="Only runs that ended longer ago: 36h, 7d, 2w.")
@click.option(
    "--keep", type=click.IntRange(0), default=0, metavar="N", help="Keep the newest N of each pipeline."
)
@click.option("--failed", is_flag=True, help="Only runs that failed, were cancelled, or were interrupted.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_common.json_option
def prune(
    names: tuple[str, ...],
    older_than: timedelta | None,
    keep: int,
    failed: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove what runs of `pipeline run` have left on this machine.

    Each RUN that is named; without one, all that the options let through. What goes, and how much that frees, is said first. A
    run that goes on stays, and so does one of which another that stays has outputs from the cache. Models, jobs and objects
    that a run made are not touched, nor are runs that were submitted.

    \b
    Example:
      vertex-tuning pipeline prune --older-than 7d --keep 3
      vertex-tuning pipeline prune supervised-20261126103000-1f2a --dry-run
    """
    from vertex_tuning.pipelines import stored

    planned = stored.plan(names, older_than=older_than, keep=keep, failed=failed)
    nothing = not planned.removed and not planned.leftover
    if not as_json:
        _show(planned)
    if not dry_run and not nothing:
        _agree(planned, yes)
        known, planned = planned.kept, _carried_out(planned)
        _say_what_stays(
            [one for one in planned.kept if one not in known]
        )  # that is needed since it was asked
    if as_json:
        _common.print_json(planned.to_json() | {"dry_run": dry_run})
    elif not dry_run and not nothing:
        what = f"Removed {_count(planned.removed)}: " if planned.removed else ""
        click.echo(f"{what}{_size(planned.bytes)} are free again.")


def _carried_out(planned: Pruning) -> Pruning:
    from vertex_tuning.cli._follow import INTERRUPTED
    from vertex_tuning.pipelines import stored

    try:
        return stored.carry_out(planned)
    except KeyboardInterrupt:
        _common.say(
            "\nCut off. What is left of these runs goes with the next one: vertex-tuning pipeline prune"
        )
        raise SystemExit(INTERRUPTED) from None


def _show(planned: Pruning) -> None:
    _table(planned.removed, empty="There is no run to remove.")
    _say_what_stays(planned.kept)
    if planned.leftover:
        left = _size(planned.leftover)
        _common.say(
            f"An earlier prune was cut off: {left} of what it was removing are there yet, and go too."
        )
    if planned.removed:
        _common.say(f"To remove: {_what(planned)}.")


def _say_what_stays(kept: list[Fault]) -> None:
    for one in kept:
        _common.say(f"{one.where} stays: {one.what}")


def _what(planned: Pruning) -> str:
    cached = planned.cached_steps
    words = f"{_count(planned.removed)}, {_size(planned.bytes)}"
    if not cached:
        return words
    steps = "one step" if cached == 1 else f"{cached} steps"
    return f"{words}, and with them {steps} in the cache, which the next run does again"


def _agree(planned: Pruning, yes: bool) -> None:
    """What is removed is gone, so somebody has to say so.

    Raises:
        PipelineError: VT729, nobody did.
    """
    from vertex_tuning.errors import PipelineError

    if yes or (_common.is_interactive() and click.confirm("Remove it?", default=False, err=True)):
        return
    raise PipelineError(
        "VT729",
        "nothing was removed: nobody agreed",
        where=_what(planned),
        fix="--yes, or answer on a terminal",
    )


def _count(found: Any) -> str:
    return "one run" if len(found) == 1 else f"{len(found)} runs"


def _size(count: float) -> str:
    """`512 B`, `3.4 MB`, as other tools count disks."""
    units = ["B", "kB", "MB", "GB", "TB"]
    while count >= 1000 and len(units) > 1:
        count /= 1000
        del units[0]
    unit = units[0]
    return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
