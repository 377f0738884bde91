"""A pipeline on the screen: how its steps do, what they say, and what Ctrl-C means."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vertex_tuning.cli import _common
from vertex_tuning.cli._follow import INTERRUPTED, duration

if TYPE_CHECKING:
    from vertex_tuning.pipelines.compiled import Compiled
    from vertex_tuning.pipelines.running import LocalRun, Task
    from vertex_tuning.pipelines.submitting import PipelineRun

_MARKS = {"RUNNING": "…", "SUCCEEDED": "✓", "CACHED": "=", "FAILED": "✗", "SKIPPED": "-", "CANCELLED": "✗"}
_REPORTS = ("system.HTML", "system.Markdown")


def follow_local(run: LocalRun, pipeline: Compiled, *, as_json: bool, logs: bool) -> None:
    """Show a run on this machine to its end; Ctrl-C ends it.

    Raises:
        JobFailedError: VT601, it failed.
    """
    try:
        with run:
            if as_json:
                for event in run:
                    _common.print_json_line(event)
            else:
                _common.say(run.name)
                with _screen(lambda: run.tasks.values(), pipeline) as shown:
                    for event in run:
                        if event["event"] != "log":
                            shown.see()
                        elif logs:
                            shown.log(f"{event.get('task', '')}: {event['text']}")
    except KeyboardInterrupt:
        _common.say(f"\n{run.name} is stopped; nothing of it runs any more.")
        raise SystemExit(INTERRUPTED) from None
    _end(run.name, run.state, run.error, list(run.tasks.values()), as_json, {"root": str(run.root)})


def follow(
    run: PipelineRun,
    pipeline: Compiled | None = None,
    *,
    as_json: bool,
    where: Mapping[str, str],
    timeout: float | None = None,
) -> None:
    """Show a submitted run to its end; after Ctrl-C it goes on.

    Raises:
        JobFailedError: VT601, it failed.
        JobCancelledError: VT602, it was cancelled.
        JobTimeoutError: VT603. It goes on.
    """
    try:
        if as_json:
            for now in run.follow(timeout=timeout):
                steps = {task.name: task.state for task in now.tasks}
                _common.print_json_line({"name": now.name, "state": now.state, "steps": steps})
        else:
            _common.say(run.name)
            with _screen(lambda: run.tasks, pipeline or _pipeline_of(run)) as shown:
                for _ in run.follow(timeout=timeout):
                    shown.see()
    except KeyboardInterrupt:
        _common.say(f"\n{run.name} goes on.")
        if "/pipelineJobs/" in run.name:  # else it is Kubeflow's
            _common.say(
                f"To follow it again: {_common.again(f'pipeline watch {run.name}', where)}\n"
                f"To cancel it:       {_common.again(f'pipeline cancel {run.name}', where)}"
            )
        raise SystemExit(INTERRUPTED) from None
    _end(run.name, run.state, run.error, run.tasks, as_json, {})


def _pipeline_of(run: PipelineRun) -> Compiled | None:
    """The pipeline of a run that was taken up by its name, where the service tells it."""
    from vertex_tuning.pipelines.compiled import Compiled

    spec = run.to_json().get("pipelineSpec")
    return Compiled(spec, run.name) if spec and "components" in spec else None


class _Lines:
    """A line whenever a step begins to run or has ended: for logs, and where nobody watches."""

    def __init__(self, tasks: Callable[[], Iterable[Task]], pipeline: Compiled | None) -> None:
        self._tasks = tasks
        self._titles = pipeline.titles if pipeline else {}
        self._groups = pipeline.groups if pipeline else frozenset()
        self._told: dict[int, str] = {}

    def see(self) -> None:
        """Tell what changed."""
        for task in self._tasks():
            if self._told.get(task.id) != task.state:
                self._told[task.id] = task.state
                if task.name not in self._groups or task.state == "SKIPPED":
                    self.tell(task)

    def tell(self, task: Task) -> None:
        _common.say(self.line(task))

    def line(self, task: Task) -> str:
        """How a step does."""
        return _line(task, self._titles.get(task.name, task.name))

    def log(self, text: str) -> None:
        _common.say(text)


class _Live(_Lines):
    """The steps that run stay at the foot of the screen, with their time; those that have ended pass above."""

    def __init__(self, tasks: Callable[[], Iterable[Task]], pipeline: Compiled | None, console: Any) -> None:
        super().__init__(tasks, pipeline)
        self._console = console

    def tell(self, task: Task) -> None:
        if task.state != "RUNNING":
            self._console.print(self.line(task), style=_style(task.state), highlight=False, markup=False)

    def log(self, text: str) -> None:
        self._console.print(text, style="dim", highlight=False, markup=False)

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.spinner import Spinner

        running = [task for task in self._tasks() if task.state == "RUNNING"]
        parents = {task.parent for task in running}
        lines = (
            self.line(task).removeprefix(_MARKS["RUNNING"]) for task in running if task.id not in parents
        )
        return Group(*(Spinner("dots", line.strip()) for line in lines))


@contextlib.contextmanager
def _screen(tasks: Callable[[], Iterable[Task]], pipeline: Compiled | None) -> Iterator[_Lines]:
    if not _common.is_drawable():
        yield _Lines(tasks, pipeline)
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    shown = _Live(tasks, pipeline, console)
    with Live(shown, console=console, transient=True, refresh_per_second=8):
        yield shown


def _line(task: Task, title: str) -> str:
    words = "taken from the cache" if task.state == "CACHED" else task.state.lower()
    again = f", try {task.attempt}" if task.attempt > 1 else ""
    took = f", {duration(seconds)}" if (seconds := _took(task)) >= 1 else ""
    why = f": {task.error['message']}" if task.error and task.error.get("message") else ""
    return f"{_MARKS.get(task.state, ' ')} {title:<24} {words}{again}{took}{why}"


def _took(task: Task) -> float:
    if not task.started:
        return 0.0
    ended = datetime.fromisoformat(task.ended) if task.ended else datetime.now(UTC)
    return (ended - datetime.fromisoformat(task.started)).total_seconds()


def _style(state: str) -> str:
    return {"SUCCEEDED": "green", "CACHED": "green", "FAILED": "red", "CANCELLED": "red"}.get(state, "dim")


def _end(
    name: str,
    state: str,
    error: Mapping[str, Any] | None,
    tasks: list[Task],
    as_json: bool,
    more: Mapping[str, Any],
) -> None:
    """What it led to: the reports, or why it failed."""
    from vertex_tuning.errors import JobCancelledError, JobFailedError

    if as_json:
        steps = [
            {"name": task.name, "state": task.state, "parameters": task.parameters, "outputs": task.outputs}
            for task in tasks
        ]
        _common.print_json_line(
            {"run": {"name": name, "state": state, "error": error, **more, "tasks": steps}}
        )
    else:
        for title, uri in _reports(tasks):
            click.echo(f"{title:<32} {uri}")
    if state == "CANCELLED":
        raise JobCancelledError("VT602", "the run was cancelled", where=name, job=name)
    if state != "SUCCEEDED":
        words, code = (
            (error or {}).get("message") or "no reason was given",
            int((error or {}).get("code") or 0),
        )
        raise JobFailedError("VT601", f"the run ended in {state}: {words}", where=name, job=name, code=code)
    if not as_json:
        for words in _decisions(tasks):
            _common.say(words)
        _common.say(f"{name} succeeded.")


def _decisions(tasks: Iterable[Task]) -> Iterator[str]:
    """What gates decided, and why, as far as it lies on this machine: a run that succeeded may have passed nothing on."""
    for task in tasks:
        for artifact in task.outputs.get("decision", ()):
            with contextlib.suppress(OSError):
                title, *reasons = Path(str(artifact["uri"])).read_text(encoding="utf-8").splitlines()
                lines = (reason.replace("- ", "  ", 1) for reason in reasons if reason)
                yield "\n".join([f"{title.removeprefix('# ')}.", *lines])


def _reports(tasks: Iterable[Task]) -> Iterator[tuple[str, str]]:
    for task in tasks:
        for key, artifacts in task.outputs.items():
            for artifact in artifacts:
                if artifact.get("schemaTitle") in _REPORTS:
                    yield f"{task.name}, {key}", str(artifact["uri"])
