"""`vertex-tuning lineage`: what a model was made from."""

from __future__ import annotations

import click

from vertex_tuning.cli import _common
from vertex_tuning.cli._lazy import Group


@click.group(cls=Group)
def lineage() -> None:
    """See what a model was made from.

    \b
    Example:
      vertex-tuning lineage show projects/P/locations/us-central1/models/123@1
    """


@lineage.command()
@click.argument("model")
@_common.target_options
def show(model: str, where: dict[str, str], as_json: bool) -> None:
    """Show what MODEL was made from, and what that was made from.

    Of each model: its job, the data by their hashes, the settings, the versions of what asked for it, and what was noted later.
    MODEL is a tuned model's name or id, or the gs:// folder of weights.

    \b
    Example:
      vertex-tuning lineage show projects/P/locations/us-central1/models/123@1
    """
    with _common.open_client(where) as client:
        found = client.lineage.of(model)
    if as_json:
        _common.print_json(found.to_json())
    else:
        click.echo(str(found))
