"""`vertex-tuning jobs`: see how jobs do."""

from __future__ import annotations

import click

from vertex_tuning.cli import _common
from vertex_tuning.cli._lazy import Group


@click.group(cls=Group)
def jobs() -> None:
    """List, show, watch and cancel tuning jobs.

    \b
    Example:
      vertex-tuning jobs list
    """


@jobs.command("list")
@_common.list_options
@_common.target_options
def list_jobs(expression: str, limit: int, where: dict[str, str], as_json: bool) -> None:
    """List jobs, newest first.

    \b
    Example:
      vertex-tuning jobs list --filter 'state="JOB_STATE_FAILED"'
    """
    from vertex_tuning.cli import _follow

    with _common.open_client(where) as client:
        found = client.jobs.list(filter=expression, limit=limit)
        if as_json:
            _common.print_json([job.to_json() for job in found])
            return
        _common.print_table(
            ["job", "state", "base model", "name", "created (UTC)"],
            (
                (
                    job.id,
                    _follow.words(job.state),
                    job.base_model,
                    job.display_name,
                    _follow.moment(job.resource.create_time),
                )
                for job in found
            ),
            empty="No tuning jobs.",
        )


@jobs.command()
@click.argument("job")
@_common.target_options
def show(job: str, where: dict[str, str], as_json: bool) -> None:
    """Show JOB, by name or id.

    \b
    Example:
      vertex-tuning jobs show 1234567890
    """
    from vertex_tuning.cli import _follow
    from vertex_tuning.journal import LABEL

    with _common.open_client(where) as client:
        found = client.jobs.get(job)
        if as_json:
            _common.print_json(found.to_json())
            return
        labels = {key: value for key, value in found.labels.items() if key != LABEL}
        lines = {
            "Job": found.name,
            "State": _follow.describe(found.progress()),
            "Base model": found.base_model,
            "Name": found.display_name,
            "Labels": ", ".join(f"{key}={value}" for key, value in labels.items()),
        }
        error = found.resource.error
        if error is not None and error.message:
            lines["Error"] = f"{error.message} (code {error.code})"
        made = found.resource.tuned_model
        if made is not None and made.model:
            lines["Model"] = made.model
            lines["Endpoint"] = made.endpoint or ""
        for key, value in lines.items():
            if value:
                click.echo(f"{key + ':':<12}{value}")
        for event in found.events():
            click.echo(f"{event['time']}  {event['event']}")


@jobs.command()
@click.argument("job")
@click.option("--timeout", type=_common.Number(min=0), help="Seconds to watch. [default: to the end]")
@_common.target_options
def watch(job: str, timeout: float | None, where: dict[str, str], as_json: bool) -> None:
    """Follow JOB to its end; exit status 1 where that is not a good one.

    With --json, a line per change, and at the end one with the model.

    \b
    Example:
      vertex-tuning jobs watch 1234567890
    """
    from vertex_tuning.cli import _follow

    with _common.open_client(where) as client:
        found = client.jobs.get(job)
        _follow.follow(found, as_json=as_json, timeout=timeout, where=where)
        model = found.result()
        if as_json:
            _common.print_json_line({"model": model.to_json()})
        else:
            click.echo(model.name or model.output_uri)


@jobs.command()
@click.argument("job")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until it has ended.")
@_common.target_options
def cancel(job: str, wait: bool, where: dict[str, str], as_json: bool) -> None:
    """Cancel JOB.

    \b
    Example:
      vertex-tuning jobs cancel 1234567890
    """
    from vertex_tuning.cli import _follow

    with _common.open_client(where) as client:
        found = client.jobs.get(job)
        _follow.cancel(found, wait=wait, as_json=as_json)
