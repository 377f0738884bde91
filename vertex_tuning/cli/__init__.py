"""The `vertex-tuning` command. Nothing is imported before it is needed: `--help` answers at once."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from vertex_tuning import __version__
from vertex_tuning.cli._lazy import LazyGroup

INTERRUPTED = 130
"""Exit status after Ctrl-C, as a shell has it."""

_TRACEBACK = "VERTEX_TUNING_TRACEBACK"

_COMMANDS = {
    "demo": (
        "vertex_tuning.cli.demo:demo",
        "Tune a small open model on a hundred film reviews, and see whether it got better.",
    ),
    "emulator": (
        "vertex_tuning.cli.emulator:emulator",
        "A Vertex AI on this machine: start it, use it, stop it.",
    ),
    "data": ("vertex_tuning.cli.data:data", "Look at data sets before they cost anything."),
    "tune": ("vertex_tuning.cli.tune:tune", "Tune a model."),
    "jobs": ("vertex_tuning.cli.jobs:jobs", "List, show, watch and cancel tuning jobs."),
    "models": ("vertex_tuning.cli.models:models", "List and show models, and ask them."),
}


@click.group(cls=LazyGroup, lazy=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(version)s")
def root() -> None:
    r"""Tune language models on Vertex AI, and rehearse every step on this machine.

    \b
    Try it:
        vertex-tuning demo
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command, and end the process with its exit status; an error is said in its own words."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = root.main(given, prog_name="vertex-tuning", standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has had enough; nothing is left to be flushed to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except Exception as error:
        sys.exit(_report(error, as_json=_wants_json(given)))
    sys.exit(status if isinstance(status, int) else 0)


def _wants_json(arguments: list[str]) -> bool:
    ours = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in ours


def _report(error: Exception, *, as_json: bool) -> int:
    """Say what went wrong; the exit status for it."""
    from vertex_tuning.errors import Fault, VertexTuningError

    status = 1
    body: dict[str, Any]
    if isinstance(error, VertexTuningError):
        words, body = str(error), error.to_json()
    elif isinstance(error, click.ClickException):
        status = error.exit_code
        if not as_json:
            error.show()
            return status
        words, body = "", {"error": Fault("usage", error.format_message()).to_json(), "faults": []}
    else:
        if os.environ.get(_TRACEBACK):
            raise error
        fault = Fault(
            "VT199", f"{type(error).__name__}: {error}", fix=f"{_TRACEBACK}=1 shows where; please report it"
        )
        words, body = str(fault), {"error": fault.to_json(), "faults": [fault.to_json()]}
    if as_json:
        click.echo(json.dumps(body, indent=2, ensure_ascii=False))
    else:
        click.echo(words, err=True)
    return status
