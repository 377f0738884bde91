"""`vertex-tuning batch`: many requests in one job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vertex_tuning.cli import _common
from vertex_tuning.cli._lazy import Group

if TYPE_CHECKING:
    from vertex_tuning.batches import BatchJob


_output = click.option(
    "--output", type=_common.OutputFile(), help="File for the answers; written over. [default: print them]"
)


@click.group(cls=Group)
def batch() -> None:
    """Ask a model many things in one job.

    \b
    Example:
      vertex-tuning batch run prompts.jsonl --model gemini-2.5-flash
    """


@batch.command()
@click.argument("file")
@click.option(
    "--model", required=True, help="gemini-2.5-flash..., or a tuned model: projects/.../models/ID@V."
)
@_output
@click.option("--system", help="System instruction, for rows that have none.")
@click.option("--temperature", type=_common.Number(min=0), help="0: always the likeliest token.")
@click.option("--max-output-tokens", type=click.IntRange(1), help="Longest answer.")
@click.option("--seed", type=int, help="The same answers again, as far as the model can.")
@click.option("--label", "labels", multiple=True, help="Answer with one of these; give it once per label.")
@click.option("--name", "display_name", help="Name of the job.")
@click.option(
    "--output-uri", help="gs:// folder where the service writes. [default: in the bucket for data sets]"
)
@click.option("--wait/--no-wait", default=True, show_default=True, help="Follow the job to its end.")
@click.option("--again", is_flag=True, help="Start another job even where an identical one runs.")
@_common.target_options
def run(
    file: str,
    model: str,
    output: Path | None,
    labels: tuple[str, ...],
    display_name: str | None,
    output_uri: str | None,
    wait: bool,
    again: bool,
    where: dict[str, str],
    as_json: bool,
    **options: Any,
) -> None:
    """Ask MODEL what is in FILE, a JSONL file or a gs:// URI.

    A row is a text, {"prompt": "..."}, or a GenerateContent request; an "id", and other keys, come back with its answer. A file
    is checked and uploaded first; nothing is sent where it has a fault.

    Answers are printed as JSON, one per line, in the order of the rows; how the job does is said on standard error. With --json,
    there is a line per change before them, and at the end one with the job.

    \b
    Example:
      vertex-tuning batch run prompts.jsonl --model gemini-2.5-flash \\
          --output answers.jsonl
    """
    from vertex_tuning.cli import _follow

    _common.keep_apart(output, file)
    given = {key: value for key, value in options.items() if value is not None}
    if labels:
        given["labels"] = list(labels)
    with _common.open_client(where) as client:
        with _follow.upload_progress() as progress:
            job = client.batch_predict(
                file,
                model=model,
                display_name=display_name,
                output_uri=output_uri,
                again=again,
                progress=progress,
                **given,
            )
        if not wait:
            if as_json:
                _common.print_json(job.to_json())
            else:
                click.echo(job.name)
                _common.say(f"Follow it: {_common.again(f'batch watch {job.name}', where)}")
            return
        if not as_json:
            _common.say(job.name)
        _follow.follow(job, as_json=as_json, where=where)
        _tell(job, output, as_json=as_json, partial=False)


@batch.command("list")
@_common.list_options
@_common.target_options
def list_jobs(expression: str, limit: int, where: dict[str, str], as_json: bool) -> None:
    """List jobs, newest first.

    \b
    Example:
      vertex-tuning batch list --filter 'state="JOB_STATE_RUNNING"'
    """
    from vertex_tuning.cli import _follow

    with _common.open_client(where) as client:
        found = client.batches.list(filter=expression, limit=limit)
        if as_json:
            _common.print_json([job.to_json() for job in found])
            return
        _common.print_table(
            ["job", "state", "model", "name", "created (UTC)"],
            (
                (
                    job.id,
                    _follow.words(job.state),
                    job.model.rpartition("/models/")[2],
                    job.display_name,
                    _follow.moment(job.resource.create_time),
                )
                for job in found
            ),
            empty="No batch prediction jobs.",
        )


@batch.command()
@click.argument("job")
@_output
@click.option("--partial", is_flag=True, help="What there is, of a job that has not ended well.")
@_common.target_options
def get(job: str, output: Path | None, partial: bool, where: dict[str, str], as_json: bool) -> None:
    """Print the answers of JOB, by name or id, in the order of its rows.

    Of a job that still runs, and of one that failed or was cancelled, there are answers with --partial; without it, how a running
    job does is said.

    \b
    Example:
      vertex-tuning batch get 1234567890 --output answers.jsonl
    """
    from vertex_tuning.cli import _follow

    with _common.open_client(where) as client:
        found = client.batches.get(job)
        if found.ended or partial:
            _tell(found, output, as_json=as_json, partial=partial)
        elif as_json:
            _common.print_json(found.to_json())
        else:
            click.echo(f"{found.name} is {_follow.describe(found.progress())}")


@batch.command()
@click.argument("job")
@click.option("--timeout", type=_common.Number(min=0), help="Seconds to watch. [default: to the end]")
@_common.target_options
def watch(job: str, timeout: float | None, where: dict[str, str], as_json: bool) -> None:
    """Follow JOB to its end; exit status 1 where that is not a good one.

    With --json, a line per change, and at the end one with the job.

    \b
    Example:
      vertex-tuning batch watch 1234567890
    """
    from vertex_tuning.cli import _follow

    with _common.open_client(where) as client:
        found = client.batches.get(job)
        _follow.follow(found, as_json=as_json, timeout=timeout, where=where)
        found.succeed()
        if as_json:
            _common.print_json_line({"job": found.to_json()})
        else:
            click.echo(found.output_uri)


@batch.command()
@click.argument("job")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until it has ended.")
@_common.target_options
def cancel(job: str, wait: bool, where: dict[str, str], as_json: bool) -> None:
    """Cancel JOB. What was answered is kept.

    \b
    Example:
      vertex-tuning batch cancel 1234567890
    """
    from vertex_tuning.cli import _follow

    with _common.open_client(where) as client:
        found = client.batches.get(job)
        _follow.cancel(found, wait=wait, as_json=as_json)
        if not as_json and found.ended and found.output_uri:
            _common.say(f"What was answered: {_common.again(f'batch get {found.name} --partial', where)}")


def _tell(job: BatchJob, output: Path | None, *, as_json: bool, partial: bool) -> None:
    """The answers, one per line, to a file or to standard output; and how many there are."""
    results = job.results(partial=partial)
    refused = sum(result.answer is None for result in results)
    if output is not None:
        lines = (json.dumps(result.to_json(), ensure_ascii=False) + "\n" for result in results)
        try:
            output.write_text("".join(lines), encoding="utf-8")
        except OSError as error:
            raise click.FileError(str(output), error.strerror or str(error)) from error
    else:
        for result in results:
            _common.print_json_line(result.to_json())
    if as_json:
        figures = {"answered": len(results) - refused, "without_answer": refused}
        _common.print_json_line({"job": job.to_json(), **figures})
        return
    place = f" in {output}" if output is not None else ""
    without = f", {_counted(refused, 'row')} without one" if refused else ""
    _common.say(f"{_counted(len(results) - refused, 'answer')}{place}{without}")


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"
