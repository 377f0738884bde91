"""A job on the screen: how it does, how long it still takes, and what Ctrl-C means."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from vertex_tuning.batches import BatchProgress
from vertex_tuning.cli import _common

if TYPE_CHECKING:
    from datetime import datetime

    from vertex_tuning.following import FollowedJob
    from vertex_tuning.jobs import Progress

    AnyJob = FollowedJob[Any]
    AnyProgress = Progress | BatchProgress

INTERRUPTED = 130

_LINE_EVERY = 10.0
"""Seconds between lines where nobody watches, and..."""
_LINE_PER = 0.1
"""...part of the steps, whichever is rarer."""
_BAR = 24
_CANCEL_TIMEOUT = 60.0

Clock = Callable[[], float]


def follow(
    job: AnyJob, *, as_json: bool, timeout: float | None = None, where: Mapping[str, str] | None = None
) -> None:
    """Show how a job does until it has ended.

    As JSON: one line per change. For people: a live display on a terminal, and elsewhere, such as in a log, a line now and then.
    Ctrl-C asks whether to cancel the job or to leave it running; where nobody can be asked, it is left.

    Args:
        job: To be followed.
        as_json: For machines.
        timeout: Seconds to follow it. [default: to its end]
        where: Options that say where it is, for the command line by which it can be followed again.

    Raises:
        JobTimeoutError: VT603. The job goes on.
    """
    try:
        if as_json:
            for progress in job.follow(timeout=timeout):
                _common.print_json_line({"name": job.name, **progress.to_json()})
        elif _common.is_drawable():
            _draw(job, timeout)
        else:
            lines = Lines()
            for progress in job.follow(timeout=timeout):
                if line := lines.line(progress):
                    _common.say(line)
    except KeyboardInterrupt:
        _interrupted(job, ask=not as_json and _common.is_interactive(), where=where or {})
        raise SystemExit(INTERRUPTED) from None


class Pace:
    """How fast a job goes, as far as was seen from here; one that was resumed is seen anew."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[float, int] | None = None
        self._ends: float | None = None

    def see(self, progress: AnyProgress) -> None:
        """Take note of how it does."""
        (step, steps), now = _done(progress), self._clock()
        if not steps or progress.ended:
            self._first = self._ends = None
        elif self._first is None or step < self._first[1]:
            self._first, self._ends = (now, step), None
        elif step > self._first[1]:
            then, before = self._first
            self._ends = now + (steps - step) * (now - then) / (step - before)

    @property
    def left(self) -> float | None:
        """Seconds until the last step; None where that cannot be told yet."""
        return None if self._ends is None else max(0.0, self._ends - self._clock())


class Lines:
    """Lines for a log: where the state changes, where it ends, and in between so rarely that they flood nothing."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._pace = Pace(clock)
        self._stage = ""
        self._time = 0.0
        self._step = 0

    def line(self, progress: AnyProgress) -> str:
        """What to say; empty: nothing."""
        self._pace.see(progress)
        now, (step, steps), stage = self._clock(), _done(progress), _stage(progress)
        if stage == self._stage and (now - self._time < _LINE_EVERY or step - self._step < _LINE_PER * steps):
            return ""
        self._stage, self._time, self._step = stage, now, step
        return describe(progress, left=self._pace.left)


def _draw(job: AnyJob, timeout: float | None) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, ProgressColumn, TimeElapsedColumn
    from rich.progress import Progress as Screen
    from rich.progress import Task as Row
    from rich.table import Column
    from rich.text import Text

    console = Console(stderr=True)
    pace = Pace()

    class Details(ProgressColumn):
        """As many of them as there is room for."""

        def render(self, task: Row) -> Text:
            found: AnyProgress = task.fields["progress"]
            room = console.width - len(_stage(found)) - _bar_width(console.width) - len(" 0:00:00") - 3
            parts = _details(found, pace.left)
            while len(parts) > 1 and len(", ".join(parts)) > room:
                parts.pop()
            return Text(", ".join(parts))

    class Stage(ProgressColumn):
        def render(self, task: Row) -> Text:
            return Text(_stage(task.fields["progress"]))

    columns = (
        Stage(Column(no_wrap=True)),
        BarColumn(bar_width=_bar_width(console.width)),
        Details(Column(no_wrap=True)),
        TimeElapsedColumn(),
    )
    with Screen(*columns, console=console, transient=True) as screen:
        row = screen.add_task("", total=None, progress=job.progress())
        for progress in job.follow(timeout=timeout):
            pace.see(progress)
            done, total = _done(progress)
            screen.update(row, total=total or None, completed=done, progress=progress)
    _common.say(describe(job.progress()))


def _bar_width(width: int) -> int:
    return min(_BAR, width // 5)


@contextlib.contextmanager
def upload_progress() -> Iterator[Callable[[int, int], None] | None]:
    """On a terminal, show what happens until the job is there; gives what is to be told of the upload."""
    try:
        with _uploading() as told:
            yield told
    except KeyboardInterrupt:
        _common.say(
            "\nStopped. If the job had been asked for already, it goes on, and the same command takes it up."
        )
        raise


@contextlib.contextmanager
def _uploading() -> Iterator[Callable[[int, int], None] | None]:
    if not _common.is_drawable():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, Task, TextColumn
    from rich.text import Text

    class Sent(DownloadColumn):
        def render(self, task: Task) -> Text:
            return super().render(task) if task.total else Text("")

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=_bar_width(console.width)), Sent())
    with Progress(*columns, console=console, transient=True) as screen:
        row = screen.add_task("checking the data", total=None)

        def told(done: int, size: int) -> None:
            nonlocal row
            screen.update(row, description="uploading", completed=done, total=size)
            if done == size:
                screen.refresh()  # a small file, too, is seen to travel
                screen.remove_task(row)  # a row that has had a total keeps it
                row = screen.add_task("starting the job", total=None)

        yield told


def describe(progress: AnyProgress, *, left: float | None = None) -> str:
    """How a job does, in a line; `left`: seconds."""
    return ", ".join([_stage(progress), *_details(progress, left)])


def _done(progress: AnyProgress) -> tuple[int, int]:
    """Steps or rows that are done, and all of them; 0 where that is not known."""
    if isinstance(progress, BatchProgress):
        return progress.answered + progress.refused, progress.total or 0
    return progress.step or 0, progress.steps or 0


def _details(progress: AnyProgress, left: float | None) -> list[str]:
    """What there is to tell, the most wanted first."""
    parts = []
    done, total = _done(progress)
    if total:
        parts.append(f"{'row' if isinstance(progress, BatchProgress) else 'step'} {done}/{total}")
    if left is not None:
        parts.append(f"{duration(left)} left")
    if isinstance(progress, BatchProgress):
        if progress.refused:
            parts.append(f"{progress.refused} refused")
    else:
        if progress.loss is not None:
            parts.append(f"loss {progress.loss:.3f}")
        if progress.tokens_per_second is not None:
            parts.append(f"{progress.tokens_per_second:,.0f} tokens/s")
    if progress.elapsed is not None:
        parts.append(f"took {duration(progress.elapsed)}")
    return parts


def duration(seconds: float) -> str:
    """`12 s`, `3 min 20 s`, `1 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def _stage(progress: AnyProgress) -> str:
    return words(getattr(progress, "sub_state", "") or progress.state)


def words(state: str) -> str:
    """`JOB_STATE_RUNNING` as people say it."""
    short = state.removeprefix("TUNING_JOB_STATE_").removeprefix("JOB_STATE_")
    return short.replace("_", " ").lower() or "unknown"


def moment(time: datetime | None) -> str:
    """A time as tables have it."""
    return f"{time:%Y-%m-%d %H:%M:%S}" if time else ""


def cancel(job: AnyJob, *, wait: bool, as_json: bool) -> None:
    """Cancel a job, and say what became of it."""
    job.cancel()
    if wait:
        job.wait()
    else:
        job.refresh()
    if as_json:
        _common.print_json(job.to_json())
    else:
        click.echo(f"{job.name} is {words(job.state)}")


def _interrupted(job: AnyJob, *, ask: bool, where: Mapping[str, str]) -> None:
    try:
        if ask and click.confirm(f"\nCancel {job.id}? (No: it goes on without you)", default=False, err=True):
            _cancel(job)
            return
    except (click.Abort, KeyboardInterrupt):  # Ctrl-C once more: whoever presses it wants to be out
        _common.say("")
    group = job.group
    _common.say(
        f"{job.name} goes on.\n"
        f"To follow it again: {_common.again(f'{group} watch {job.name}', where)}\n"
        f"To cancel it:       {_common.again(f'{group} cancel {job.name}', where)}"
    )


def _cancel(job: AnyJob) -> None:
    from vertex_tuning.errors import JobTimeoutError, ServiceError

    try:
        job.cancel()
        job.wait(timeout=_CANCEL_TIMEOUT)
    except ServiceError:
        if not job.refresh().ended:  # one that ended meanwhile cannot be cancelled, nor need it be
            raise
    except JobTimeoutError:
        _common.say(f"{job.name} will be cancelled; it is {words(job.state)} yet.")
        return
    _common.say(f"{job.name} is {words(job.state)}.")
