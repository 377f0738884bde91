"""Groups that list their commands in the order in which one needs them, and import one when it is run."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import Any

import click


class Group(click.Group):
    """A group whose `--help` keeps the order of the source, and which knows what a slip of the keys meant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they were added."""
        del ctx
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is named first; where there is none, say which was meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            words, close = error.format_message(), difflib.get_close_matches(args[0], self.list_commands(ctx))
            if not close or "Did you mean" in words:
                raise
            raise click.UsageError(f"{words} Did you mean '{close[0]}'?", ctx=error.ctx) from error


class LazyGroup(Group):
    """A group that knows of its commands where they are and what they are for.

    Args:
        lazy: Name to (`module:attribute`, the line that `--help` shows).
    """

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]], **options: Any) -> None:
        super().__init__(*args, **options)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table, which tells a story; then what was added in the ordinary way."""
        return [*self.lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command."""
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self.lazy[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `--help`, without importing anything."""
        rows = [(name, line) for name, (_, line) in self.lazy.items()]
        for name in super().list_commands(ctx):
            command = super().get_command(ctx, name)
            if command is not None and not command.hidden:
                rows.append((name, command.get_short_help_str(formatter.width)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)
