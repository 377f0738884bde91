"""The `vertex-tuning` command. Nothing is imported before it is needed: `--help` answers at once.

Exit status: 0 fine, 1 a fault, 2 a command line that cannot be read, 130 after Ctrl-C; 3 where the gate of
`evaluate` stays closed. `emulator exec` has the status of the command that it runs.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from vertex_tuning import __version__
from vertex_tuning.cli._lazy import LazyGroup

INTERRUPTED = 130
"""Exit status after Ctrl-C, as a shell has it."""

_COMMANDS = {
    "demo": (
        "vertex_tuning.cli.demo:demo",
        "Tune a small open model on a hundred film reviews, and see whether it got better.",
    ),
    "emulator": (
        "vertex_tuning.cli.emulator:emulator",
        "A Vertex AI on this machine: start it, use it, stop it.",
    ),
    "init": ("vertex_tuning.cli.init:init", "Write the settings of a project, once for all commands."),
    "doctor": (
        "vertex_tuning.cli.doctor:doctor",
        "Look whether the project is ready, and at what mends it.",
    ),
    "catalog": (
        "vertex_tuning.cli.catalog:catalog",
        "What Vertex AI offers: models, ways of tuning, regions, sizes, prices.",
    ),
    "data": ("vertex_tuning.cli.data:data", "Look at data sets before they cost anything."),
    "reward": ("vertex_tuning.cli.reward:reward", "Try rewards for reinforcement tuning."),
    "tune": ("vertex_tuning.cli.tune:tune", "Tune a model."),
    "cost": ("vertex_tuning.cli.cost:cost", "What answers cost, and a project in which nobody works."),
    "train": (
        "vertex_tuning.cli.train:train",
        "Train in a container of ours, on machines that you choose.",
    ),
    "jobs": ("vertex_tuning.cli.jobs:jobs", "List, show, watch and cancel tuning jobs."),
    "batch": ("vertex_tuning.cli.batch:batch", "Ask a model many things in one job."),
    "distill": (
        "vertex_tuning.cli.distill:distill",
        "Teach a small model step by step: a teacher's labels, and why.",
    ),
    "models": ("vertex_tuning.cli.models:models", "List and show models, and ask them."),
    "evaluate": (
        "vertex_tuning.cli.evaluate:evaluate",
        "Hold a tuned model against another: is it better, and how sure is that?",
    ),
    "lineage": ("vertex_tuning.cli.lineage:lineage", "See what a model was made from."),
    "prompts": ("vertex_tuning.cli.prompts:prompts", "Save prompts with the service, and version them."),
    "pipeline": (
        "vertex_tuning.cli.pipeline:pipeline",
        "Check, tune, evaluate and pass on what got better, without a person.",
    ),
}


@click.group(cls=LazyGroup, lazy=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(version)s")
def root() -> None:
    """Tune language models on Vertex AI, and rehearse every step on this machine.

    \b
    Example:
      vertex-tuning demo

    \b
    Completion of words with Tab, for bash (or zsh_source, fish_source):
      eval "$(_VERTEX_TUNING_COMPLETE=bash_source vertex-tuning)"
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command, and end the process with its exit status; an error is said in its own words."""
    try:
        status = _run(list(sys.argv[1:] if arguments is None else arguments))
    except (click.Abort, KeyboardInterrupt):
        status = INTERRUPTED
    sys.exit(_flushed(status))


def _run(arguments: list[str]) -> int:
    _never_stumble_over_a_letter()
    try:
        status = root.main(arguments, prog_name="vertex-tuning", standalone_mode=False)
    except click.Abort:
        raise
    except Exception as error:
        from vertex_tuning.cli._common import is_interrupt, report

        if is_interrupt(error):
            raise KeyboardInterrupt from error
        return report(error, as_json=_wants_json(arguments))
    return status if isinstance(status, int) else 0


def _flushed(status: int) -> int:
    """The exit status, once the output has arrived; Python's own last flush mutters, and ends with 120, where it cannot."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # where what is left goes at exit
        if status == 0 and not isinstance(error, BrokenPipeError):
            from vertex_tuning.cli._common import report

            report(error, as_json=False)
        return status or 1
    return status


def _wants_json(arguments: list[str]) -> bool:
    ours = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in ours


def _never_stumble_over_a_letter() -> None:
    """A terminal or a locale that lacks a letter is shown its code instead."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
