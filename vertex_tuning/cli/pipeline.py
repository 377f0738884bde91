"""`vertex-tuning pipeline`: what a team runs every week, rehearsed here, submitted there."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vertex_tuning.cli import _common, pipeline_runs
from vertex_tuning.cli._lazy import Group

if TYPE_CHECKING:
    from vertex_tuning import TuningClient
    from vertex_tuning.pipelines.compiled import Compiled
    from vertex_tuning.pipelines.templates import Template

_Command = Callable[..., None]

_for = click.option(
    "--for",
    "compiled_for",
    type=click.Choice(["vertex", "kubeflow"]),
    default="vertex",
    show_default=True,
    help="What it is compiled for.",
)
_image = click.option(
    "--image", default="", help="Where you keep our image: us-docker.pkg.dev/.../vertex-tuning@sha256:..."
)


def _parameters(command: _Command) -> _Command:
    """`--parameter` and `--parameters`, which `_values` puts together."""
    command = click.option(
        "--parameters", "file", type=click.Path(path_type=Path), help="JSON or YAML file with parameters."
    )(command)
    return click.option(
        "-p",
        "--parameter",
        "pairs",
        multiple=True,
        metavar="NAME=VALUE",
        help="A parameter; may be given again.",
    )(command)


def _caching(command: _Command) -> _Command:
    return click.option(
        "--cache/--no-cache",
        "caching",
        default=None,
        help="Whether steps that ran before are taken from the cache. [default: as the pipeline says]",
    )(command)


@click.group(cls=Group)
def pipeline() -> None:
    """Check, tune, evaluate and pass on what got better, without a person: pipelines.

    A PIPELINE is one of ours by its name, or a compiled YAML by its path. What is run, submitted, scheduled or pushed may also
    be named by its address in a registry: https://us-central1-kfp.pkg.dev/my-project/vt-pipelines/supervised/v1.

    \b
    Example:
      vertex-tuning pipeline run supervised -p training_data=train.jsonl
    """


@pipeline.command("list")
@_common.json_option
def list_pipelines(as_json: bool) -> None:
    """List the pipelines that come with this package.

    \b
    Example:
      vertex-tuning pipeline list
    """
    from vertex_tuning.pipelines import compiled

    found = [compiled.load(name) for name in compiled.names()]
    if as_json:
        _common.print_json([one.to_json() for one in found])
        return
    _common.print_table(
        ["pipeline", "steps", "must be given", "what it does"],
        (
            (
                one.name,
                len(one.steps),
                ", ".join(name for name, about in one.parameters.items() if about.required),
                one.description,
            )
            for one in found
        ),
        empty="No pipelines.",
    )


@pipeline.command()
@click.argument("pipeline")
@_for
@_common.json_option
def show(pipeline: str, compiled_for: str, as_json: bool) -> None:
    """Show what PIPELINE takes, and its steps.

    \b
    Example:
      vertex-tuning pipeline show supervised
    """
    from vertex_tuning.pipelines import compiled

    found = compiled.load(pipeline, target=compiled_for)
    if as_json:
        _common.print_json(found.to_json())
        return
    click.echo(f"{found.name}: {found.description}\n")
    _common.print_table(
        ["parameter", "kind", "default", "what it is"],
        (
            (
                one.name,
                _KINDS.get(one.kind, one.kind),
                "(must be given)" if one.required else json.dumps(one.default),
                one.description,
            )
            for one in found.parameters.values()
        ),
        empty="It takes no parameters.",
    )
    click.echo(f"\nSteps: {', '.join(found.steps)}")


_KINDS = {
    "STRING": "text",
    "NUMBER_INTEGER": "whole number",
    "NUMBER_DOUBLE": "number",
    "BOOLEAN": "true or false",
    "LIST": "list",
    "STRUCT": "object",
}


@pipeline.command("compile")
@click.argument("source")
@click.option("--output", type=_common.OutputFile(), help="Written over. [default: NAME.yaml]")
@click.option("--function", default="", help="Which of the pipelines in FILE.py.")
@click.option(
    "--lint/--no-lint", "linted", default=True, show_default=True, help="Refuse what is not portable."
)
@_image
@_for
@_common.target_options
def compile_pipeline(
    source: str,
    output: Path | None,
    function: str,
    linted: bool,
    image: str,
    compiled_for: str,
    where: dict[str, str],
    as_json: bool,
) -> None:
    """Write the YAML of SOURCE.

    SOURCE is a Python file with a kfp pipeline, or one of ours.

    In one of ours, your image, project, location and bucket are put in, so that any client can submit it.

    \b
    Example:
      vertex-tuning pipeline compile supervised \\
          --image us-docker.pkg.dev/p/r/vertex-tuning:1 --project p --bucket b
      vertex-tuning pipeline compile my_pipeline.py
    """
    from vertex_tuning.cli._compiling import from_python, written
    from vertex_tuning.pipelines import compiled, lint

    _common.keep_apart(output, source)
    found = (
        from_python(Path(source), function)
        if source.endswith(".py")
        else compiled.load(source, target=compiled_for)
    )
    if linted:
        lint.check(found, target=compiled_for)
    place = {f"VERTEX_TUNING_{name.upper()}": value for name, value in where.items() if name != "target"}
    path = output or Path(f"{found.name}.yaml")
    written(found, path, image=image, environment=place)
    if as_json:
        _common.print_json({"name": found.name, "file": str(path)})
    else:
        click.echo(str(path))


@pipeline.command("lint")
@click.argument("pipelines", nargs=-1, required=True, metavar="PIPELINE...")
@_for
@_common.json_option
def lint_pipelines(pipelines: tuple[str, ...], compiled_for: str, as_json: bool) -> None:
    """Say what would keep PIPELINE from running everywhere.

    On Vertex AI, on open-source Kubeflow, and here by kfp.local. Exit status 1 where there is something.

    \b
    Example:
      vertex-tuning pipeline lint my.yaml
    """
    from vertex_tuning.pipelines import compiled, lint

    found = {
        name: lint.lint(compiled.load(name, target=compiled_for), target=compiled_for) for name in pipelines
    }
    if as_json:
        _common.print_json({name: [fault.to_json() for fault in faults] for name, faults in found.items()})
    else:
        for name, faults in found.items():
            for fault in faults:
                click.echo(str(fault))
            click.echo(f"{name}: {f'{len(faults)} faults' if faults else 'runs everywhere'}")
    if any(found.values()):
        raise SystemExit(1)


@pipeline.command()
@click.argument("pipeline")
@_parameters
@click.option("--name", default="", help="Of the run. [default: the pipeline's name and the time]")
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for what the steps leave. [default: below VERTEX_TUNING_HOME]",
)
@_caching
@click.option("--fail-fast", is_flag=True, help="After a failure begin nothing more.")
@click.option("--logs", is_flag=True, help="Show what the steps say.")
@_common.target_options
def run(
    pipeline: str,
    pairs: tuple[str, ...],
    file: Path | None,
    name: str,
    output_dir: Path | None,
    caching: bool | None,
    fail_fast: bool,
    logs: bool,
    where: dict[str, str],
    as_json: bool,
) -> None:
    """Run PIPELINE on this machine.

    What its steps ask for is done at the target.

    How its steps do is said on standard error; where the reports are, on standard output. With --json, a line per event, and at
    the end one with the run. Ctrl-C ends the run, with all that it started.

    \b
    Example:
      vertex-tuning pipeline run supervised \\
          -p training_data=train.jsonl -p epochs=4
    """
    from vertex_tuning.cli import _steps

    values = _values(pairs, file)
    with _opened(pipeline, where, values) as (client, found):
        started = client.pipelines.run(
            found, values, name=name, root=output_dir, caching=caching, fail_fast=fail_fast
        )
        _steps.follow_local(started, found, as_json=as_json, logs=logs)


@pipeline.command()
@click.argument("pipeline")
@_parameters
@click.option("--name", default="", help="Of the run. [default: the pipeline's name and the time]")
@_image
@click.option("--root", default="", help="gs:// folder for what the steps leave. [default: in the bucket]")
@click.option("--service-account", default="", help="Account that the steps run as.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Label; may be given again.")
@_caching
@click.option("--fail-fast", is_flag=True, help="After a failure begin nothing more.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Follow the run to its end.")
@click.option(
    "--kubeflow", default="", metavar="HOST", help="A Kubeflow endpoint, in place of Vertex AI Pipelines."
)
@click.option("--experiment", default="", help="Of the run (Kubeflow).")
@_common.target_options
def submit(
    pipeline: str,
    pairs: tuple[str, ...],
    file: Path | None,
    image: str,
    labels: tuple[str, ...],
    wait: bool,
    kubeflow: str,
    experiment: str,
    where: dict[str, str],
    as_json: bool,
    **job: Any,
) -> None:
    """Hand PIPELINE to Vertex AI, or to Kubeflow.

    Parameters are checked first; a file that is given where a data set is wanted is uploaded.

    \b
    Example:
      vertex-tuning pipeline submit supervised -p training_data=train.jsonl
    """
    from vertex_tuning.cli import _steps

    values = _values(pairs, file)
    with _opened(pipeline, where, values, None if kubeflow else image) as (client, found):
        if kubeflow:
            both = ("root", "name", "caching")
            job = {key: value for key, value in job.items() if key in both}
            job |= {"kubeflow": kubeflow, "experiment": experiment}
        else:
            job["labels"] = dict(_pair(label, "--label") for label in labels)
        started = client.pipelines.submit(
            found if _is_address(pipeline) else pipeline, values, image=image, **job
        )
        if wait:
            _steps.follow(started, found, as_json=as_json, where=where)
        elif as_json:
            _common.print_json(started.to_json())
        else:
            click.echo(started.name)
            if not kubeflow:
                _common.say(f"Follow it: {_common.again(f'pipeline watch {started.name}', where)}")


@pipeline.command()
@click.argument("pipeline")
@_parameters
@click.option("--cron", required=True, help='"0 3 * * 1", in UTC; "TZ=Europe/Berlin 0 3 * * 1".')
@click.option("--name", "display_name", default="", help="Of the schedule. [default: the pipeline's name]")
@click.option("--max-runs", type=click.IntRange(1), help="In all. [default: no end]")
@click.option(
    "--max-concurrent", type=click.IntRange(1), default=1, show_default=True, help="Runs at a time."
)
@_image
@click.option("--service-account", default="", help="Account that the steps run as.")
@_common.target_options
def schedule(
    pipeline: str,
    pairs: tuple[str, ...],
    file: Path | None,
    image: str,
    where: dict[str, str],
    as_json: bool,
    **options: Any,
) -> None:
    """Have the service start PIPELINE again and again.

    \b
    Example:
      vertex-tuning pipeline schedule supervised \\
          -p training_data=gs://b/train.jsonl --cron "0 3 * * 1"
    """
    values = _values(pairs, file)
    with _opened(pipeline, where, values, image) as (client, found):
        made = client.pipelines.schedule(found, values, image=image, **options)
        if as_json:
            _common.print_json(made.to_json())
        else:
            click.echo(f"{made.name} is {made.state.lower()}; next run: {made.next_run or 'none'}")


@pipeline.command()
@click.argument("pipeline")
@click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="TAG",
    help="Name for this version; may be given again. One that is there is moved.",
)
@_image
@click.option(
    "--registry",
    default="",
    metavar="URL",
    help="https://LOCATION-kfp.pkg.dev/PROJECT/REPOSITORY. [default: `templates` of the settings]",
)
@_common.target_options
def push(
    pipeline: str, tags: tuple[str, ...], image: str, registry: str, where: dict[str, str], as_json: bool
) -> None:
    """Put PIPELINE into a registry, ready for this place.

    Whatever starts it there, such as Cloud Scheduler, needs its address and its parameters alone. Its addresses are printed: by
    each tag, and by version. The same pipeline is the same version, however often it is pushed.

    \b
    Example:
      vertex-tuning pipeline push supervised --tag v1
    """
    with _opened(pipeline, where, image=image) as (client, found):
        template = client.pipelines.push(found, tags=tags, image=image, registry=registry)
        if as_json:
            _common.print_json(template.to_json())
            return
        for address in template.addresses:
            click.echo(address)
        _common.say(f"For Terraform (terraform/, input `schedules`):\n{_terraform(template, found)}")


def _terraform(template: Template, found: Compiled) -> str:
    """What starts it by the clock."""
    needed = [name for name, about in found.parameters.items() if about.required]
    lines = [
        "schedules = {",
        f"  {template.package} = {{",
        '    cron         = "0 3 * * 1"',
        f'    template_uri = "{template.uri}"',
        *(["    parameters   = {", *(f'      {name} = "..."' for name in needed), "    }"] if needed else []),
        "  }",
        "}",
    ]
    return "\n".join(lines)


for command in (pipeline_runs.runs, pipeline_runs.watch, pipeline_runs.cancel, pipeline_runs.prune):
    pipeline.add_command(command)


def _values(pairs: tuple[str, ...], file: Path | None) -> dict[str, Any]:
    """Parameters of a file, and those of the command line over them."""
    found: dict[str, Any] = {}
    if file is not None:
        import yaml

        try:
            loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            words = getattr(error, "strerror", None) or error
            raise click.BadParameter(f"{file} cannot be read: {words}", param_hint="--parameters") from error
        if not isinstance(loaded, Mapping):
            raise click.BadParameter(f"{file} has no names and values", param_hint="--parameters")
        found.update(loaded)
    found.update(_pair(pair, "--parameter") for pair in pairs)
    return found


def _pair(text: str, option: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint=option)
    return key, value


def _is_address(pipeline: str) -> bool:
    from vertex_tuning.pipelines import templates

    return templates.is_address(pipeline)


@contextlib.contextmanager
def _opened(
    pipeline: str,
    where: dict[str, str],
    values: Mapping[str, Any] | None = None,
    image: str | None = None,
) -> Iterator[tuple[TuningClient, Compiled]]:
    """A client, and a pipeline for it. What is wrong with one of this machine is said before anything is started.

    Args:
        pipeline: By name, file or address.
        where: The target.
        values: Parameters to check.
        image: What the steps run in; None: they run in none.
    """
    from vertex_tuning.pipelines import compiled

    def checked(found: Compiled) -> Compiled:
        if values is not None:
            found.check(values)
        if image is not None:
            _check_image(found, image, where)
        return found

    here = None if _is_address(pipeline) else checked(compiled.load(pipeline))
    with _common.open_client(where) as client:
        yield client, here or checked(client.pipelines.load(pipeline))


def _check_image(found: Compiled, image: str, where: dict[str, str]) -> None:
    """In the cloud, the steps run in an image that somebody has to keep there; the emulator runs them as processes."""
    from vertex_tuning.config import load

    config = load(**where)
    if found.needs_image and not (image or config.images) and config.target == "vertex":
        raise click.UsageError(
            "the steps of this pipeline run in our image, which Vertex AI has to find in a registry of yours: "
            "--image us-docker.pkg.dev/.../vertex-tuning@sha256:..., or `images` in the settings"
        )
