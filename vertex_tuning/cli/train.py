"""`vertex-tuning train`: our own training code, in a container on a machine of one's choice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from vertex_tuning.cli import _common
from vertex_tuning.cli._lazy import Group


@click.group(cls=Group)
def train() -> None:
    """Train in a container of ours, on machines that you choose.

    For what the tuning service does not do: reward models, two-part losses, open models with settings of your own.

    \b
    Example:
      vertex-tuning train run supervised config.json --host l4
    """


@train.command()
@click.argument("method")
@click.argument("config", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--host", default="l4", show_default=True, help="Machine type, or chips; see `train hosts`.")
@click.option("--image", help="Container image. [default: this version's, in the project's own registry]")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for what comes of it. [default: it stays in the bucket]",
)
@click.option("--name", "display_name", help="Name of the job.")
@click.option("--spot", is_flag=True, help="A Spot machine: cheaper, and it may be taken away.")
@click.option("--max-hours", type=_common.Number(min=0, min_open=True), help="End it after these.")
@click.option("--service-account", help="Account that the job runs as.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Follow the job to its end.")
@click.option("--again", is_flag=True, help="Start another job even where an identical one runs.")
@_common.target_options
def run(
    method: str,
    config: Path,
    output: Path | None,
    max_hours: float | None,
    wait: bool,
    where: dict[str, str],
    as_json: bool,
    **options: Any,
) -> None:
    """Train by METHOD, as the JSON file CONFIG says.

    CONFIG has the fields of the method's training config. Files and folders in it (model, training, validation...) are local
    paths, which are uploaded once, or gs:// URIs.

    \b
    Example:
      vertex-tuning train run supervised config.json --host l4 --output trained/
    """
    from vertex_tuning import custom
    from vertex_tuning.cli import _follow

    fields = _read(config)
    with _common.open_client(where) as client:
        max_seconds = max_hours * 3600 if max_hours else None
        job = custom.start_training(client, method, fields, max_seconds=max_seconds, **options)
        if not wait:
            _made(job, where, as_json=as_json)
            return
        if not as_json:
            _common.say(job.name)
        _follow.follow(job, as_json=as_json, where=where)
        _show(job, output, as_json=as_json)


@train.command()
@click.argument("job")
@click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False), help="Folder for what comes of it."
)
@click.option("--timeout", type=_common.Number(min=0), help="Seconds to watch. [default: to the end]")
@_common.target_options
def watch(job: str, output: Path | None, timeout: float | None, where: dict[str, str], as_json: bool) -> None:
    """Follow JOB to its end; exit status 1 where that is not a good one.

    \b
    Example:
      vertex-tuning train watch 1234567890
    """
    from vertex_tuning import custom
    from vertex_tuning.cli import _follow

    with _common.open_client(where) as client:
        found = custom.get(client.connection, job)
        _follow.follow(found, as_json=as_json, timeout=timeout, where=where)
        _show(found, output, as_json=as_json)


@train.command()
@click.argument("job")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until it has ended.")
@_common.target_options
def cancel(job: str, wait: bool, where: dict[str, str], as_json: bool) -> None:
    """Cancel JOB.

    \b
    Example:
      vertex-tuning train cancel 1234567890
    """
    from vertex_tuning import custom
    from vertex_tuning.cli import _follow

    with _common.open_client(where) as client:
        _follow.cancel(custom.get(client.connection, job), wait=wait, as_json=as_json)


@train.command()
@_common.json_option
def hosts(as_json: bool) -> None:
    """List machines, and what can be trained on them.

    Nobody is asked: it is dated data that comes with this package. With --json, every row has its source.

    \b
    Example:
      vertex-tuning train hosts
    """
    from vertex_tuning import catalog

    found = list(catalog.hosts().values())
    if as_json:
        _common.print_json([host.to_json() for host in found])
        return
    _common.print_table(
        ["host", "machine type", "chips", "memory", "Spot alone", "what is trained there"],
        (
            (
                host.name,
                host.machine_type,
                f"{host.chips} x {host.title}" if host.chips else "",
                f"{host.memory_gb} GB" + (" each" if host.chips > 1 else ""),
                "yes" if host.spot else "",
                ", ".join(host.methods) + " (unproved)" if host.methods else "everything",
            )
            for host in found
        ),
        empty="No hosts.",
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise click.BadParameter(f"{path} is not JSON: {error}", param_hint="CONFIG") from error
    if not isinstance(found, dict):
        raise click.BadParameter(f"{path} is not a JSON object", param_hint="CONFIG")
    return found


def _made(job: Any, where: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        _common.print_json(job.to_json())
        return
    click.echo(job.name)
    _common.say(f"Follow it: {_common.again(f'train watch {job.name}', where)}")


def _show(job: Any, output: Path | None, *, as_json: bool) -> None:
    trained = job.result()
    if output:
        trained.download(output)
    if as_json:
        _common.print_json_line({"trained": trained.to_json()})
        return
    click.echo(output or trained.output_uri)
    for checkpoint in trained.checkpoints:
        _common.say(
            f"checkpoint {checkpoint['checkpoint_id']}, step {checkpoint['step']}: {checkpoint['uri']}"
        )
