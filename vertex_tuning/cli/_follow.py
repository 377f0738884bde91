"""A job on the screen: a live line, and what Ctrl-C means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vertex_tuning.cli import _common

if TYPE_CHECKING:
    from vertex_tuning.jobs import Progress, TuningJob

INTERRUPTED = 130


def follow(job: TuningJob, *, as_json: bool, timeout: float | None = None) -> None:
    """Show how a job does until it has ended.

    As JSON: one line per change. For people: a bar on a terminal, a line per change elsewhere. Ctrl-C asks whether to cancel the
    job or to leave it running; where nobody can be asked, it is left.
    """
    try:
        if as_json:
            for progress in job.follow(timeout=timeout):
                _common.print_json_line({"name": job.name, **progress.to_json()})
        elif _common.is_interactive():
            _live(job, timeout)
        else:
            last = ""
            for progress in job.follow(timeout=timeout):
                line = describe(progress)
                if line != last:
                    _common.say(line)
                last = line
    except KeyboardInterrupt:
        _interrupted(job)


def _live(job: TuningJob, timeout: float | None) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[detail]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as screen:
        task = screen.add_task(_words(job.state), total=None, detail="")
        for progress in job.follow(timeout=timeout):
            screen.update(
                task,
                description=_words(progress.sub_state or progress.state),
                total=progress.steps,
                completed=progress.step or 0,
                detail=_detail(progress),
            )
    _common.say(describe(job.progress()))


def describe(progress: Progress) -> str:
    """How a job does, in a line."""
    return " ".join(
        part for part in (_words(progress.sub_state or progress.state), _detail(progress)) if part
    )


def _detail(progress: Progress) -> str:
    parts = []
    if progress.steps:
        parts.append(f"step {progress.step or 0}/{progress.steps}")
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.3f}")
    if progress.elapsed is not None:
        parts.append(f"{progress.elapsed:.0f} s")
    return ", ".join(parts)


def _words(state: str) -> str:
    short = state.removeprefix("TUNING_JOB_STATE_").removeprefix("JOB_STATE_")
    return short.replace("_", " ").lower() or "unknown"


def _interrupted(job: TuningJob) -> None:
    if _common.is_interactive() and click.confirm(
        f"\nCancel {job.id}? (No: it goes on)", default=False, err=True
    ):
        job.cancel()
        job.wait(timeout=60)
        _common.say(f"{job.name} is {_words(job.state)}.")
    else:
        _common.say(f"\n{job.name} goes on. Follow it: vertex-tuning jobs watch {job.name}")
    raise SystemExit(INTERRUPTED)
