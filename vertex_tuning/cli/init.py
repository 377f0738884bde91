"""`vertex-tuning init`: the settings of a project, written once for all commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vertex_tuning.cli import _common

if TYPE_CHECKING:
    from vertex_tuning.config import Config


@click.command()
@click.option(
    "--from-terraform",
    "terraform",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FOLDER",
    help="Where terraform/ was applied; or a file with what `terraform output -json` printed; or - for standard input.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file. [default: vertex-tuning.toml, in the working folder]",
)
@click.option("--service-account", help="Account that pipelines and custom jobs run as.")
@click.option("--force", is_flag=True, help="Write over a file that says something else.")
@click.option(
    "--make-agents", is_flag=True, help="Have Google make its agents for tuning, by jobs that are cancelled."
)
@click.option("--yes", is_flag=True, help="Do not ask whether --make-agents may cost money.")
@_common.target_options
def init(
    terraform: Path | None,
    output: Path | None,
    service_account: str | None,
    force: bool,
    make_agents: bool,
    yes: bool,
    where: dict[str, str],
    as_json: bool,
) -> None:
    """Write the settings of a project into vertex-tuning.toml, where all commands find them.

    They are what is given here, then what Terraform made, or else the environment's. Asks for what is missing where somebody is
    there to answer. A file that says the same is left as it is; one that does not is kept, unless with --force.

    With --make-agents nothing is written: the smallest tuning job of each kind is started and cancelled at once, after which
    Google's own accounts for it exist, and can be given access. It says first what that may cost.

    \b
    Example:
      vertex-tuning init --from-terraform terraform/
    """
    if make_agents:
        from vertex_tuning.cli import _agents

        _agents.make(where, yes=yes, as_json=as_json)
        return
    from vertex_tuning import config

    given = {**where, **({"service_account": service_account} if service_account else {})}
    found = config.gathered(terraform, **given)
    if terraform is None:
        found = config.gathered(terraform, **{**given, **_asked(found)})
    _write(found, output or Path(config.FILE), force=force, as_json=as_json)


def _asked(found: Config) -> dict[str, str]:
    """What is missing, from whoever is there."""
    from vertex_tuning.connection import DEFAULT_LOCATION

    if not _common.is_interactive() or found.project:
        return {}
    words = "Where does work go: the local emulator, or Vertex AI?"
    target = click.prompt(words, default=found.target, type=click.Choice(["local", "vertex"]), err=True)
    answers = {"target": target}
    if project := _optional("Project id", _default_project(target)):
        answers["project"] = project
    answers["location"] = found.location or click.prompt("Location", default=DEFAULT_LOCATION, err=True)
    if not found.bucket and (bucket := _optional("Bucket for data sets")):
        answers["bucket"] = bucket
    return answers


def _optional(words: str, default: str = "") -> str:
    """What somebody answers, who may also answer nothing."""
    return str(click.prompt(words, default=default, show_default=bool(default), err=True))


def _default_project(target: str) -> str:
    """The project of gcloud, or of the credentials."""
    if target != "vertex":
        return ""
    import google.auth
    import google.auth.exceptions

    try:
        return google.auth.default()[1] or ""
    except google.auth.exceptions.GoogleAuthError:
        return ""


def _write(found: Config, path: Path, *, force: bool, as_json: bool) -> None:
    from vertex_tuning.config import FILE, find_file

    above = find_file()
    changed = found.write(path, force=force)
    if as_json:
        _common.print_json({"file": str(path), "written": changed, "settings": found.given()})
        return
    number = len(found.given())
    wrote = f"Wrote {number} setting{'' if number == 1 else 's'}."
    _common.say(wrote if changed else "The file says that already.")
    click.echo(path)
    if above and above.parent != path.absolute().parent and path.name == above.name:
        _common.say(f"From here, it counts instead of {above}.")
    if found.target == "local":
        _common.say("Commands work in the local emulator; with --target vertex, in the cloud.")
    if path.name == FILE:
        _common.say("Is the project ready? vertex-tuning doctor")
    else:
        _common.say(
            f"Commands find it once its name is {FILE}; an emulator takes it as it is: --config {path}"
        )
