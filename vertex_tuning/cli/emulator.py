"""`vertex-tuning emulator`: a Vertex AI on this machine."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vertex_tuning.cli import _common
from vertex_tuning.cli._lazy import Group

if TYPE_CHECKING:
    from vertex_tuning.emulator.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

# As a shell has them.
_NOT_RUNNABLE = 126
_NO_SUCH_COMMAND = 127

_data_dir = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Folder of the emulator's state. [default: ~/.local/share/vertex-tuning/emulator]",
)


def _server_options(command: F) -> F:
    for option in (
        click.option(
            "--local-image",
            metavar="PATTERN",
            multiple=True,
            help="Run custom jobs with such an image as a process. [default: */vertex-tuning*]",
        ),
        click.option(
            "--no-local-code",
            is_flag=True,
            help="Run no code of a user's (code rewards, custom jobs, pipelines).",
        ),
        _common.map_option,
        click.option(
            "--speed",
            type=_common.Number(min=1),
            help="Of the clock of a simulation. [default: 3600, three hours in three seconds]",
        ),
        click.option(
            "--drop-media",
            is_flag=True,
            help="Leave rows with pictures, sounds or films out, instead of failing their job.",
        ),
        click.option("--simulate", is_flag=True, help="Go through the states of jobs, and train nothing."),
        click.option(
            "--stand-in",
            metavar="NAME",
            help="Serve every base model by this one, see `models list`; or by size: small=NAME,large=NAME.",
        ),
        click.option(
            "--seed",
            metavar="FILE",
            type=click.Path(path_type=Path),
            multiple=True,
            help="What differs from the settings; or what `terraform show -json` prints. May be given several times.",
        ),
        click.option(
            "--config",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="Be the project of a settings file, or of Terraform's output.",
        ),
        click.option(
            "--location",
            help="Region that programs find in their environment. [default: that of --config, else us-central1]",
        ),
        click.option("--project", help="Project that programs find in their environment."),
        click.option(
            "--weights-dir",
            type=click.Path(path_type=Path),
            help="Folder of stand-in weights. [default: ~/.local/share/vertex-tuning/weights]",
        ),
    ):
        command = option(command)
    return command


@click.group(cls=Group)
def emulator() -> None:
    """A Vertex AI on this machine: start it, use it, stop it.

    \b
    Example:
      vertex-tuning emulator start --detach
    """


@emulator.command()
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Beyond loopback every call needs a token."
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8085, show_default=True, help="0: any free port."
)
@_data_dir
@_server_options
@click.option("--no-forward", is_flag=True, help="The front door lets no host through that is not served.")
@click.option("--detach", is_flag=True, help="Return when it is ready, and leave it running.")
@_common.json_option
def start(
    host: str,
    port: int,
    data_dir: Path | None,
    no_forward: bool,
    detach: bool,
    as_json: bool,
    **rest: Any,
) -> None:
    """Start an emulator, and serve until Ctrl-C.

    With --simulate, jobs go through their states without training, on a clock that runs faster: to try out what waits for jobs.

    \b
    Example:
      vertex-tuning emulator start --detach
      eval "$(vertex-tuning emulator env)"
      python any_google_program.py
    """
    _check_speed(**rest)
    from vertex_tuning.rewards import maps

    # Before anything is started.
    mapped = maps.read(rest["map"], own_port=port)
    settings = _settings(rest, host=host, port=port, forward=not no_forward)
    if not as_json:
        _tell_of_missing_weights(
            rest["stand_in"], rest["weights_dir"] or settings.weights_dir, simulate=rest["simulate"]
        )
    if detach:
        from vertex_tuning.emulator import control

        options = _arguments(data_dir=data_dir, no_forward=no_forward, **rest)
        arguments = ["--host", host, "--port", str(port), *options]
        record = control.start_detached(arguments)
        if as_json:
            _common.print_json(dict(record))
        else:
            click.echo(_ready(record))
        return
    from vertex_tuning.emulator import server
    from vertex_tuning.emulator.settings import DEFAULT_SPEED

    speed = rest.pop("speed") or DEFAULT_SPEED
    rest["simulate"] = speed if rest.pop("simulate") else None
    for name in ("config", "seed", "project", "location"):
        del rest[name]
    given = {name: value for name, value in {"data_dir": data_dir, **rest}.items() if value is not None}
    given["maps"] = mapped
    given["local_code"] = not given.pop("no_local_code")
    if images := given.pop("local_image"):
        given["local_images"] = images
    for name in ("data_dir", "weights_dir"):
        if name in given:
            given[name] = given[name].absolute()
    del given["map"]
    server.main(dataclasses.replace(settings, **given), ready_json=as_json)


@emulator.command()
@_data_dir
@_common.json_option
def stop(data_dir: Path | None, as_json: bool) -> None:
    """Stop the running emulator; its data stays.

    A job that trains goes on when the emulator is started again.

    \b
    Example:
      vertex-tuning emulator stop
    """
    from vertex_tuning.emulator import control
    from vertex_tuning.errors import EmulatorError

    try:
        record = _running(data_dir)
        control.stop(record)
    except EmulatorError as error:
        if error.rule != "VT405":
            raise
        fix = "nothing, unless one works on another folder: vertex-tuning emulator stop --data-dir DIR"
        what = "no emulator is running, and there is nothing to stop"
        raise EmulatorError("VT405", what, where=error.fault.where, fix=fix) from error
    if as_json:
        _common.print_json({"stopped": True, "pid": record["pid"], "data_dir": record["data_dir"]})
    else:
        click.echo(f"The emulator (pid {record['pid']}) has ended; its data stays in {record['data_dir']}")


@emulator.command()
@_data_dir
@_common.json_option
def status(data_dir: Path | None, as_json: bool) -> None:
    """Show the running emulator: its address, jobs and processes.

    \b
    Example:
      vertex-tuning emulator status --json
    """
    from vertex_tuning.emulator import control

    found = control.ask(_running(data_dir), "GET", "/emulator/status")
    if as_json:
        _common.print_json(found)
        return
    jobs = ", ".join(
        f"{count} {state.removeprefix('JOB_STATE_').lower()}" for state, count in found["jobs"].items()
    )
    processes = {
        "server": {"pid": found["pid"], "resident_bytes": found["resident_bytes"]},
        **found["workers"],
    }
    click.echo(f"The emulator answers at {found['address']}")
    click.echo(f"  data       {found['data_dir']}")
    click.echo(f"  project    {found['project']}, {found['location']}")
    if found["simulate"] is not None:
        click.echo(f"  simulates  {found['simulate']:,g} times as fast as the clock")
    for host, target in found["maps"].items():
        click.echo(f"  map        {host} -> {target}")
    click.echo(f"  jobs       {jobs or 'none'}")
    for name, process in processes.items():
        click.echo(f"  {name:<10} pid {process['pid']}, {process['resident_bytes'] / 2**20:.0f} MiB")


@emulator.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["shell", "json", "dotenv"]),
    default="shell",
    show_default=True,
    help="For `eval`, for programs, or for tools that read .env files.",
)
@_data_dir
@_common.json_option
def env(form: str, data_dir: Path | None, as_json: bool) -> None:
    """Print the variables that lead Google programs to the emulator.

    \b
    Example:
      eval "$(vertex-tuning emulator env)"
    """
    from vertex_tuning.emulator import control, environment

    record = _running(data_dir, or_else_the_users_own=True)
    found = control.ask(record, "GET", "/emulator/environment")["set"]
    gone = environment.cleared(found, os.environ)
    click.echo(environment.render(found, gone, "json" if as_json else form))


@emulator.command("exec", context_settings={"allow_interspersed_args": False})
@_server_options
@click.option("--share-network", is_flag=True, help="Leave the command on this machine's network.")
@click.option(
    "--json", "as_json", is_flag=True, help="Say errors of ours as JSON; the output is COMMAND's own."
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def exec_(
    ctx: click.Context, /, command: tuple[str, ...], share_network: bool, as_json: bool, **rest: Any
) -> None:
    """Run COMMAND with an emulator of its own, and leave nothing behind.

    Its exit status is ours. COMMAND finds the emulator where it thought Google was, and no other host at all. Where the kernel
    allows it (Linux), its network is loopback alone; what needs services of this machine needs --share-network. What COMMAND
    leaves running is ended with it.

    \b
    Example:
      vertex-tuning emulator exec -- pytest tests/
    """
    from vertex_tuning.emulator import execute
    from vertex_tuning.errors import ConfigurationError, EmulatorError, RewardError
    from vertex_tuning.rewards import maps

    _check_speed(**rest)
    try:
        maps.read(rest["map"])
        _settings(rest)
        status = execute.run(command, _arguments(**rest), share_network=share_network)
    except (ConfigurationError, EmulatorError, RewardError) as error:
        # Said here, where it is known whether JSON was asked of us or of the command.
        status = _common.report(error, as_json=as_json)
        if error.rule == "VT411":
            status = _NOT_RUNNABLE if error.__cause__ else _NO_SUCH_COMMAND
    ctx.exit(status)


@emulator.command()
@_data_dir
@_common.json_option
def reset(data_dir: Path | None, as_json: bool) -> None:
    """Delete every job, model, endpoint, bucket and object.

    The buckets of sample data are as new.

    \b
    Example:
      vertex-tuning emulator reset
    """
    from vertex_tuning.emulator import control

    record = _running(data_dir)
    control.ask(record, "POST", "/emulator/reset")
    if as_json:
        _common.print_json({"reset": True, "address": record["address"]})
    else:
        click.echo(f"The emulator at {record['address']} is as new.")


@emulator.group(cls=Group)
def models() -> None:
    """List, fetch and add the open models that stand in for Vertex AI's.

    \b
    Example:
      vertex-tuning emulator models list
    """


@models.command("list")
@_common.json_option
def list_models(as_json: bool) -> None:
    """List the stand-ins, their licences, and which are there.

    \b
    Example:
      vertex-tuning emulator models list
    """
    from vertex_tuning import catalog
    from vertex_tuning.emulator.settings import Settings
    from vertex_tuning.emulator.weights import WeightsStore

    store = WeightsStore(Settings().weights_dir)
    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "title": found.title,
            "parameters": found.parameters,
            "licence": found.licence,
            "licence_url": found.licence_url,
            "accept_terms": found.accept_terms,
            "ready": store.path(name) is not None,
            "folder": found.folder,
        }
        for name, found in catalog.stand_ins().items()
    ]
    if as_json:
        _common.print_json(rows)
        return
    _common.print_table(
        ["Name", "Parameters", "Licence", "Ready"],
        [
            (
                row["name"],
                f"{row['parameters'] / 1e6:,.1f} M",
                row["licence"] or "your own to know",
                "yes" if row["ready"] else "its folder is gone" if row["folder"] else "to be pulled",
            )
            for row in rows
        ],
        empty="none",
    )


@models.command()
@click.argument("name")
@click.option(
    "--accept-terms", is_flag=True, help="You accept the terms of its licence, where it asks for that."
)
@_common.json_option
def pull(name: str, accept_terms: bool, as_json: bool) -> None:
    """Fetch the weights of stand-in NAME, unless they are there.

    \b
    Example:
      vertex-tuning emulator models pull smollm2-135m-instruct
    """
    from vertex_tuning.emulator.settings import Settings
    from vertex_tuning.emulator.weights import WeightsStore

    progress = (lambda _: None) if as_json else _common.say
    folder = WeightsStore(Settings().weights_dir).pull(name, accept_terms=accept_terms, progress=progress)
    if as_json:
        _common.print_json({"name": name, "path": str(folder)})
    else:
        click.echo(f"{name} is ready in {folder}")


@models.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", default="", help="What it is called. [default: as its folder]")
@click.option(
    "--max-tokens",
    type=click.IntRange(min=64),
    help="Tokens of a row, and of a question with its answer. [default: what it reads, up to 2048]",
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    help="Where a multiplier of 1 is, for an adapter; other ways follow it. [default: by its size]",
)
@_common.json_option
def add(folder: Path, name: str, max_tokens: int | None, learning_rate: float | None, as_json: bool) -> None:
    """Let the open model in FOLDER stand in: tried first, never copied.

    FOLDER is what `save_pretrained` leaves, or a download from a hub: config.json, safetensors, a tokenizer with a chat template.

    \b
    Example:
      vertex-tuning emulator models add ~/models/Qwen2.5-0.5B-Instruct --name qwen
      vertex-tuning emulator start --stand-in qwen
    """
    from vertex_tuning.emulator.settings import Settings
    from vertex_tuning.emulator.weights import WeightsStore

    progress = (lambda _: None) if as_json else _common.say
    made = WeightsStore(Settings().weights_dir).add(
        folder, name, max_tokens=max_tokens, learning_rate=learning_rate, progress=progress
    )
    if as_json:
        _common.print_json(
            {
                "name": made.name,
                "folder": made.folder,
                "parameters": made.parameters,
                "max_tokens": made.max_tokens,
                "learning_rate": made.learning_rate_adapter,
            }
        )
    else:
        click.echo(
            f"{made.name}: {made.title}, {made.parameters / 1e6:,.1f} M parameters, {made.max_tokens:,} tokens.\n"
            f"vertex-tuning emulator start --stand-in {made.name}"
        )


@models.command()
@click.argument("name")
@_common.json_option
def remove(name: str, as_json: bool) -> None:
    """Forget stand-in NAME of your own; its folder stays.

    \b
    Example:
      vertex-tuning emulator models remove qwen
    """
    from vertex_tuning.emulator.settings import Settings
    from vertex_tuning.emulator.weights import WeightsStore

    WeightsStore(Settings().weights_dir).remove(name)
    if as_json:
        _common.print_json({"name": name, "removed": True})
    else:
        click.echo(f"{name} is forgotten. Its folder stays.")


def _settings(given: Mapping[str, Any], **rest: Any) -> Settings:
    """Settings with the project that was asked for.

    Raises:
        ConfigurationError: The settings file cannot be taken.
        EmulatorError: A seed cannot.
    """
    from vertex_tuning.emulator.project import reading
    from vertex_tuning.emulator.settings import Settings

    asked = {name: given[name] for name in ("project", "location")}
    return reading.configured(Settings(**rest), given["config"], given["seed"], **asked)


def _tell_of_missing_weights(wish: str | None, weights_dir: Path, *, simulate: bool) -> None:
    """A model whose weights are not here answers nobody; all else can be tried without them."""
    from vertex_tuning import catalog
    from vertex_tuning.emulator.weights import WeightsStore
    from vertex_tuning.errors import WeightsError

    store = WeightsStore(weights_dir)
    with contextlib.suppress(WeightsError):  # a stand-in that there is none of, of which the server will tell
        needed = {catalog.stand_in_for(base, wish).name for base in catalog.models().values()}
        for name in sorted(needed):
            stand_in = catalog.stand_in(name)
            if store.path(name) is None and stand_in.kind != "own":
                terms = " --accept-terms" if stand_in.accept_terms else ""
                _common.say(
                    f"The weights of {stand_in.title} are not on this machine: models that it stands in for cannot be "
                    f"{'asked' if simulate else 'tuned or asked'}. "
                    f"To fetch them: vertex-tuning emulator models pull {name}{terms}"
                )


def _check_speed(*, simulate: bool, speed: float | None, **_: Any) -> None:
    if speed is not None and not simulate:
        raise click.UsageError("--speed is of the clock of a simulation: give --simulate too.")


def _arguments(**given: Any) -> list[str]:
    """Options as the server's own command line has them."""
    found = []
    for name, value in given.items():
        for one in value if isinstance(value, tuple) else () if value in (None, False) else (value,):
            flag = f"--{name.replace('_', '-')}"
            found += [flag] if one is True else [flag, str(one)]
    return found


def _running(data_dir: Path | None, *, or_else_the_users_own: bool = False) -> Mapping[str, Any]:
    """The emulator of the folder that was given, else that of the environment, else the user's own."""
    from vertex_tuning.emulator import control
    from vertex_tuning.emulator.settings import Settings
    from vertex_tuning.errors import EmulatorError

    if data_dir is not None:
        return control.running(data_dir.absolute())
    try:
        pointed_at = control.pointed_at()
    except EmulatorError:
        # A shell that was pointed at an emulator that has ended since, and asks where the next one is.
        if not or_else_the_users_own:
            raise
        pointed_at = None
    return pointed_at or control.running(Settings().data_dir)


def _ready(record: Mapping[str, Any]) -> str:
    line = f"The emulator is ready at {record['address']} (data in {record['data_dir']}, pid {record['pid']})"
    return f"{line}\nEvery call needs this token: {record['token']}" if record["token"] else line
