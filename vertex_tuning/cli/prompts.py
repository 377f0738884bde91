"""`vertex-tuning prompts`: prompts that the service keeps."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from vertex_tuning.cli import _common
from vertex_tuning.cli._lazy import Group

if TYPE_CHECKING:
    from vertex_tuning.prompts import SavedPrompt


@click.group(cls=Group)
def prompts() -> None:
    """Save prompts with the service, version them, and bring versions back.

    \b
    Example:
      vertex-tuning prompts list
    """


@prompts.command("list")
@click.option("--filter", default="", help='Which ones, as the service takes it: display_name="greeting".')
@_common.limit_option
@_common.target_options
def list_prompts(filter: str, limit: int, where: dict[str, str], as_json: bool) -> None:
    """List prompts.

    \b
    Example:
      vertex-tuning prompts list
    """
    with _common.open_client(where) as client:
        found = client.prompts.list(filter=filter, limit=limit)
        if as_json:
            _common.print_json([item.to_json() for item in found])
            return
        _common.print_table(
            ["id", "name", "model", "places", "changed"],
            ((item.id, item.name, item.model, ", ".join(item.places), item.updated) for item in found),
            empty="No prompts.",
        )


@prompts.command()
@click.argument("prompt")
@click.option("--version", help="This version of it. [default: as it is now]")
@_common.target_options
def show(prompt: str, version: str | None, where: dict[str, str], as_json: bool) -> None:
    """Show PROMPT, by its id.

    \b
    Example:
      vertex-tuning prompts show 1234567890 --version 2
    """
    with _common.open_client(where) as client:
        _tell(client.prompts.get(prompt, version), as_json=as_json)


@prompts.command()
@click.argument("file")
@click.option("--model", required=True, help="The model that it is written for: gemini-2.5-flash.")
@click.option("--name", default="", help="For people. [default: the beginning of the text]")
@click.option("--version-name", default="", help="For people: what is new in this version.")
@click.option("--prompt", help="Id of a prompt that gets this as its next version.")
@click.option("--system", default="", help="System instruction.")
@click.option("--temperature", type=_common.Number(min=0), help="0: always the likeliest token.")
@click.option("--max-output-tokens", type=click.IntRange(1), help="Longest answer.")
@_common.target_options
def save(
    file: str,
    model: str,
    name: str,
    version_name: str,
    prompt: str | None,
    system: str,
    where: dict[str, str],
    as_json: bool,
    **options: Any,
) -> None:
    """Save FILE as a prompt, or as the next version of one.

    {name} in the text is a place to be filled. FILE - is standard input.

    \b
    Example:
      vertex-tuning prompts save greeting.txt --model gemini-2.5-flash
    """
    text = _text(file)
    given = {key: value for key, value in options.items() if value is not None}
    with _common.open_client(where) as client:
        saved = client.prompts.save(
            text, model=model, name=name, version_name=version_name, prompt=prompt, system=system, **given
        )
        if as_json:
            _common.print_json(saved.to_json())
        else:
            click.echo(f"{saved.id} version {saved.version}")


@prompts.command()
@click.argument("prompt")
@_common.limit_option
@_common.target_options
def versions(prompt: str, limit: int, where: dict[str, str], as_json: bool) -> None:
    """List the versions of PROMPT.

    \b
    Example:
      vertex-tuning prompts versions 1234567890
    """
    with _common.open_client(where) as client:
        found = client.prompts.versions(prompt, limit=limit)
        if as_json:
            _common.print_json([item.to_json() for item in found])
            return
        _common.print_table(
            ["version", "name", "model", "made"],
            ((item.version, item.version_name, item.model, item.updated) for item in found),
            empty="No versions.",
        )


@prompts.command()
@click.argument("prompt")
@click.argument("version")
@_common.target_options
def restore(prompt: str, version: str, where: dict[str, str], as_json: bool) -> None:
    """Make VERSION what PROMPT is now; it becomes the newest version.

    \b
    Example:
      vertex-tuning prompts restore 1234567890 1
    """
    with _common.open_client(where) as client:
        restored = client.prompts.restore(prompt, version)
        if as_json:
            _common.print_json(restored.to_json())
        else:
            click.echo(f"{restored.id} version {restored.version}")


@prompts.command()
@click.argument("prompt")
@click.option("--version", help="This version alone. [default: the prompt with all its versions]")
@_common.target_options
def delete(prompt: str, version: str | None, where: dict[str, str], as_json: bool) -> None:
    """Delete PROMPT, or one version of it.

    \b
    Example:
      vertex-tuning prompts delete 1234567890 --version 1
    """
    with _common.open_client(where) as client:
        was_there = client.prompts.delete(prompt, version)
        called = f"{prompt}{f' version {version}' if version else ''}"
        if as_json:
            _common.print_json({"deleted": prompt, "version": version or "", "was_there": was_there})
        elif was_there:
            click.echo(f"{called} is deleted")
        else:
            click.echo(f"there is no prompt {called}; nothing was deleted")


def _text(file: str) -> str:
    if file == "-":
        return sys.stdin.read()
    try:
        with click.open_file(file, encoding="utf-8-sig") as stream:
            return str(stream.read())
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise click.UsageError(f"{file} cannot be read: {words}") from error


def _tell(prompt: SavedPrompt, *, as_json: bool) -> None:
    if as_json:
        _common.print_json(prompt.to_json())
        return
    options = ", ".join(f"{key}={value}" for key, value in prompt.options.items())
    version = f"{prompt.version} {prompt.version_name}".strip()
    for key, value in (
        ("Prompt", prompt.id),
        ("Name", prompt.name),
        ("Version", version),
        ("Model", prompt.model),
        ("Options", options),
        ("System", prompt.system),
        ("Places", ", ".join(prompt.places)),
    ):
        if value:
            click.echo(f"{key + ':':<10}{value}")
    click.echo(f"\n{prompt.text}")
