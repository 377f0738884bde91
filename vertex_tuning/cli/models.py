"""`vertex-tuning models`: what can be tuned, and what was."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from vertex_tuning.cli import _common
from vertex_tuning.cli._lazy import Group

if TYPE_CHECKING:
    from vertex_tuning import TunedModel, TuningClient


@click.group(cls=Group)
def models() -> None:
    """List, show and deploy models, and ask them.

    \b
    Example:
      vertex-tuning models list --base
    """


@models.command("list")
@click.option("--base", is_flag=True, help="Models that can be tuned, from the catalog; nobody is asked.")
@_common.limit_option
@_common.target_options
def list_models(base: bool, limit: int, where: dict[str, str], as_json: bool) -> None:
    """List tuned models, newest first; with --base, what can be tuned.

    `vertex-tuning catalog` says more of what can be tuned: where, since when, for how much, and who says so.

    \b
    Example:
      vertex-tuning models list --base
    """
    if base:
        _list_base(as_json)
        return
    with _common.open_client(where) as client:
        found = client.models.list(limit=limit)
        if as_json:
            _common.print_json([model.to_json() for model in found])
            return
        _common.print_table(
            ["model", "endpoint", "name"],
            ((model.name, model.endpoint, model.display_name) for model in found),
            empty="No tuned models.",
        )


def _list_base(as_json: bool) -> None:
    from vertex_tuning import catalog

    found = list(catalog.models().values())
    if as_json:
        _common.print_json([model.to_json() for model in found])
        return
    _common.print_table(
        ["model", "tuning", "adapter sizes", "stand-in here"],
        (
            (model.id, ", ".join(model.methods), " ".join(map(str, model.adapter_sizes)), model.stand_in)
            for model in found
        ),
        empty="The catalog is empty.",
    )


@models.command()
@click.argument("model")
@_common.target_options
def show(model: str, where: dict[str, str], as_json: bool) -> None:
    """Show MODEL: its endpoint, its checkpoints, and how to call it.

    An open model is named by its gs:// folder.

    \b
    Example:
      vertex-tuning models show projects/P/locations/us-central1/models/123@1
    """
    with _common.open_client(where) as client:
        found = client.models.get(model)
        if not found.name:
            _show_open(found, as_json)
            return
        checkpoints = found.checkpoints()
        if as_json:
            _common.print_json({**found.to_json(), "checkpoints": [item.to_json() for item in checkpoints]})
            return
        click.echo(f"Model:    {found.name}\nEndpoint: {found.endpoint}")
        _common.print_table(
            ["checkpoint", "epoch", "step", "default", "endpoint"],
            (
                (item.checkpoint_id, item.epoch, item.step, "yes" if item.default else "", item.served_as)
                for item in checkpoints
            ),
            empty="Only the last checkpoint was kept.",
        )
        click.echo(found.how_to_call())


def _show_open(model: TunedModel, as_json: bool) -> None:
    from vertex_tuning.errors import SpecError

    try:
        program = model.how_to_call()
    except SpecError as error:
        program = f"{error.fault.what}; {error.fault.fix}"
    if as_json:
        _common.print_json(model.to_json())
    else:
        click.echo(f"Weights:  {model.output_uri}\nEndpoint: {model.endpoint or 'none'}\n{program}")


@models.command()
@click.argument("model")
@click.argument("prompt")
@click.option("--system", help="System instruction.")
@click.option("--temperature", type=_common.Number(min=0), help="0: always the likeliest token.")
@click.option("--max-output-tokens", type=click.IntRange(1), help="Longest answer.")
@click.option("--label", "labels", multiple=True, help="Answer with one of these; give it once per label.")
@click.option("--stream", is_flag=True, help="Print the answer as it comes.")
@_common.target_options
def generate(
    model: str,
    prompt: str,
    labels: tuple[str, ...],
    stream: bool,
    where: dict[str, str],
    as_json: bool,
    **options: Any,
) -> None:
    """Ask MODEL, a tuned one or a base model.

    A deployed open model is named by its gs:// folder. PROMPT - is read from standard input. With --stream and --json, there is a
    line per piece of the answer.

    \b
    Example:
      vertex-tuning models generate gemini-2.5-flash \\
          "What is the capital of France?"
    """
    given = {key: value for key, value in options.items() if value is not None}
    if labels:
        given["labels"] = list(labels)
    if prompt == "-":
        prompt = sys.stdin.read()
    with _common.open_client(where) as client:
        asked = client.models.get(model) if _is_tuned(model) else client.models.base(model)
        if stream:
            for text in asked.stream(prompt, **given):
                if as_json:
                    _common.print_json_line({"text": text})
                else:
                    click.echo(text, nl=False)
            if not as_json:
                click.echo()
            return
        answer = asked.generate(prompt, **given)
        if as_json:
            _common.print_json(
                {
                    "text": answer.text,
                    "finish_reason": answer.finish_reason,
                    "prompt_tokens": answer.prompt_tokens,
                    "answer_tokens": answer.answer_tokens,
                }
            )
        else:
            click.echo(answer.text)


@models.command()
@click.argument("model")
@click.option("--machine-type", default="", help="Such as g2-standard-12. [default: Vertex AI chooses]")
@click.option("--accelerator-type", default="", help="Such as NVIDIA_L4; together with the machine's type.")
@click.option("--accelerator-count", type=click.IntRange(0), default=0, help="Accelerators per machine.")
@click.option(
    "--min-replicas", type=click.IntRange(1), default=1, show_default=True, help="Machines that always run."
)
@click.option(
    "--max-replicas",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Machines when there is much to do.",
)
@click.option("--yes", is_flag=True, help="Do not ask whether it may cost money.")
@_common.target_options
def deploy(model: str, yes: bool, where: dict[str, str], as_json: bool, **machines: Any) -> None:
    """Deploy MODEL, a tuned open model.

    On Vertex AI every machine costs money by the hour, asked or not, until `vertex-tuning models undeploy`. MODEL is the gs://
    folder that its job wrote, or the job (projects/.../tuningJobs/ID). Models tuned from Gemini are served without this.

    \b
    Example:
      vertex-tuning models deploy gs://bucket/out --yes
    """
    with _common.open_client(where) as client:
        found = _open_model(client, model)
        if not found.name:
            _agree(yes, machines["min_replicas"])
            _common.say(f"Deploying {found.output_uri}. On Vertex AI it takes ten to thirty minutes.")
        found.deploy(**machines)
        if as_json:
            _common.print_json(found.to_json())
            return
        click.echo(found.endpoint)
        end = _common.again(f"models undeploy {shlex.quote(found.output_uri)}", where)
        _common.say(f"It costs money on Vertex AI until: {end}")


@models.command()
@click.argument("model")
@_common.target_options
def undeploy(model: str, where: dict[str, str], as_json: bool) -> None:
    """Undeploy MODEL, a tuned open model.

    Its endpoint is deleted; its weights stay.

    \b
    Example:
      vertex-tuning models undeploy gs://bucket/out
    """
    with _common.open_client(where) as client:
        found = _open_model(client, model)
        was_deployed = found.undeploy()
        if as_json:
            _common.print_json({**found.to_json(), "was_deployed": was_deployed})
        elif was_deployed:
            click.echo(f"{found.output_uri} is not deployed any more.")
        else:
            click.echo(f"{found.output_uri} was not deployed; there was nothing to undeploy.")


def _open_model(client: TuningClient, name: str) -> TunedModel:
    """A tuned model by its folder, its name, or the job that made it."""
    return client.jobs.get(name).result() if "/tuningJobs/" in name else client.models.get(name)


def _agree(yes: bool, machines: int) -> None:
    """Money is spent only after somebody said so.

    Raises:
        SpecError: VT355, nobody did.
    """
    from vertex_tuning.errors import SpecError

    if yes:
        return
    several = "one machine" if machines == 1 else f"{machines} machines"
    costs = (
        f"On Vertex AI this runs {several} with accelerators, paid for by the hour, asked or not, until you undeploy. Prices: "
        "https://cloud.google.com/vertex-ai/pricing"
    )
    if _common.is_interactive():
        _common.say(costs)
        if click.confirm("Deploy?", default=False, err=True):
            return
    raise SpecError("VT355", "nothing was deployed: nobody agreed to what it costs", why=costs, fix="--yes")


def _is_tuned(model: str) -> bool:
    return model.startswith(("projects/", "gs://")) or model.partition("@")[0].isdigit()
