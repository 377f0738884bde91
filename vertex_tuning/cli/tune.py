"""`vertex-tuning tune`: start a job."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vertex_tuning.cli import _common
from vertex_tuning.cli._lazy import Group

if TYPE_CHECKING:
    from vertex_tuning.client import TuningClient
    from vertex_tuning.cost import Estimate
    from vertex_tuning.jobs import TuningJob
    from vertex_tuning.specs import Spec

_Command = Callable[..., None]
_Option = Callable[[_Command], _Command]

# What every way of tuning takes: before the options of its own, and after them.
_FIRST = (
    click.argument("training"),
    click.option(
        "--base-model",
        required=True,
        help="gemini-2.5-flash..., or a tuned model to tune on: projects/.../models/ID@V.",
    ),
    click.option("--validation", help="Held-out rows: a file or a gs:// URI."),
    click.option(
        "--epochs", type=click.IntRange(1), help="Passes over the data. [default: the service's choice]"
    ),
    click.option(
        "--adapter-size",
        type=click.Choice(["1", "2", "4", "8", "16", "32"]),
        help="Rank of the adapter. [default: the service's choice]",
    ),
    click.option(
        "--learning-rate-multiplier",
        type=_common.Number(min=0, min_open=True),
        help="Factor on the recommended learning rate. [default: 1]",
    ),
)
_LAST = (
    click.option("--checkpoint", "checkpoint_id", help="Checkpoint of a tuned model to tune on from."),
    click.option(
        "--last-checkpoint-only", is_flag=True, help="Keep the result alone, not one checkpoint per epoch."
    ),
    click.option("--name", "display_name", help="Name of the tuned model."),
    click.option("--description", help="What it is for."),
    click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Label; may be given again."),
    click.option("--kms-key", help='Customer-managed encryption key. [default: as configured; "": none]'),
    click.option("--service-account", help="Account that the job runs as."),
    click.option("--wait/--no-wait", default=True, show_default=True, help="Follow the job to its end."),
    click.option("--again", is_flag=True, help="Start another job even where an identical one runs."),
    click.option(
        "--estimate", "only_estimate", is_flag=True, help="Say what it would cost, and start nothing."
    ),
    click.option(
        "--at-most",
        type=_common.Number(min=0, min_open=True),
        metavar="USD",
        help="Start nothing that may cost more, or whose price nobody knows.",
    ),
    _common.target_options,
)


_OPEN = (
    click.option(
        "--mode", type=click.Choice(["adapter", "full"]), help="An adapter, or every weight (open models)."
    ),
    click.option(
        "--learning-rate",
        type=_common.Number(min=0, min_open=True),
        help="Learning rate itself (open models).",
    ),
    click.option("--batch-size", type=click.IntRange(1), help="Examples per step (open models)."),
    click.option(
        "--custom-base-model",
        help="gs:// folder of weights to start from (open models): of an earlier job, say.",
    ),
)


def _way(*own: _Option) -> _Option:
    """A way of tuning, with options of its own among those of all."""
    options: list[_Option] = [*_FIRST, *own, *_LAST]

    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@click.group(cls=Group)
def tune() -> None:
    """Tune a model.

    \b
    Example:
      vertex-tuning tune supervised train.jsonl --base-model gemini-2.5-flash
    """


@tune.command()
@_way(
    *_OPEN,
    click.option(
        "--output-uri",
        help="gs:// folder for the checkpoints (open models). [default: in the bucket for artifacts]",
    ),
    click.option(
        "--evaluate",
        "metrics",
        multiple=True,
        metavar="METRIC",
        help="Measure each checkpoint on the validation set: exact_match, bleu, rougeL... May be given again.",
    ),
)
def supervised(metrics: tuple[str, ...], **fields: Any) -> None:
    """Teach a model by the examples in TRAINING.

    TRAINING is a JSONL file or a gs:// URI. A file is checked and uploaded first; nothing is sent where it has a fault.
    How the job does is said on standard error, the tuned model on standard output; with --json, a line per change, and at the
    end one with the model.

    \b
    Example:
      vertex-tuning tune supervised train.jsonl \\
          --base-model gemini-2.5-flash --epochs 3
    """
    from vertex_tuning.specs import SupervisedTuning

    _tune(SupervisedTuning, evaluation=list(metrics) or None, **fields)


@tune.command()
@_way(
    click.option(
        "--beta",
        type=_common.Number(min=0, min_open=True),
        help="What it costs to move away from the base: 0.01 to 0.5. [default: the service's choice]",
    )
)
def preference(**fields: Any) -> None:
    """Teach a model which of two answers is preferred.

    TRAINING is a JSONL file of pairs or a gs:// URI. Each row has contents that end with the user's turn, and two completions,
    the preferred one with score 1 and the other with score 0. All else is as with `tune supervised`.

    \b
    Example:
      vertex-tuning tune preference pairs.jsonl \\
          --base-model gemini-2.5-flash --beta 0.1
    """
    from vertex_tuning.specs import PreferenceTuning

    _tune(PreferenceTuning, **fields)


@tune.command()
@_way(
    click.option(
        "--reward",
        "reward_file",
        required=True,
        type=click.Path(path_type=Path),
        help="JSON file with the reward; see `reward test`.",
    ),
    click.option("--batch-size", type=click.IntRange(1), help="Prompts in a step. [default: 32]"),
    click.option("--samples-per-prompt", type=click.IntRange(1), help="Answers to each. [default: 16]"),
    click.option(
        "--max-output-tokens",
        type=click.IntRange(1),
        help="Of an answer, thoughts included. [default: the service's choice]",
    ),
    click.option("--evaluate-interval", type=click.IntRange(1), help="Steps. [default: an epoch]"),
    click.option("--checkpoint-interval", type=click.IntRange(1), help="Steps. [default: an epoch]"),
    click.option(
        "--thinking-level", type=click.Choice(["MINIMAL", "HIGH"]), help="How much it thinks. [default: HIGH]"
    ),
)
def reinforcement(reward_file: Path, **fields: Any) -> None:
    """Let a model try, and learn from what it earns.

    TRAINING is a JSONL file of prompts or a gs:// URI. Each row has contents that end with the user's turn, and references, texts
    by name, for the reward. All else is as with `tune supervised`.

    \b
    Example:
      vertex-tuning tune reinforcement prompts.jsonl \\
          --base-model gemini-3.5-flash --reward reward.json
    """
    from vertex_tuning.cli.reward import read_reward
    from vertex_tuning.specs import ReinforcementTuning

    _tune(ReinforcementTuning, reward=read_reward(reward_file), **fields)


@tune.command()
@_way(
    click.option(
        "--teacher", required=True, help="A model that teaches this student, or a tuned model of yours."
    ),
    click.option(
        "--output-uri", help="gs:// folder for what the teacher says (and for checkpoints of open models)."
    ),
    *_OPEN,
)
def distillation(**fields: Any) -> None:
    """Teach a small model what a large one answers.

    TRAINING is a JSONL file of prompts or a gs:// URI: each row has contents that end with the user's turn. The teacher answers
    them, and the base model, the student, learns from its answers. All else is as with `tune supervised`.

    \b
    Example:
      vertex-tuning tune distillation prompts.jsonl \\
          --base-model gemini-2.5-flash --teacher gemini-3.1-pro
    """
    from vertex_tuning.specs import Distillation

    _tune(Distillation, **fields)


def _tune(
    kind: type[Spec],
    *,
    labels: tuple[str, ...],
    adapter_size: str | None,
    wait: bool,
    again: bool,
    only_estimate: bool,
    at_most: float | None,
    where: dict[str, str],
    as_json: bool,
    **fields: Any,
) -> None:
    from vertex_tuning.cli import _follow
    from vertex_tuning.config import load

    spec = kind(
        labels=dict(_pair(label) for label in labels),
        adapter_size=int(adapter_size) if adapter_size else None,
        **fields,
    )
    if not only_estimate and (location := load(**where).location):
        spec.check_location(location)  # before an emulator is started for it
    with _common.open_client(where) as client:
        if only_estimate:
            estimate = client.estimate(spec)
            _print_estimate(estimate, as_json=as_json)
            _hold_to(at_most, estimate)
            return
        cost = _told_cost(client, spec, at_most, as_json=as_json)
        with _follow.upload_progress() as progress:
            job = client.tune(spec, again=again, progress=progress)
        if not wait:
            if as_json:
                _common.print_json({**job.to_json(), **cost})
            else:
                click.echo(job.name)
                _common.say(f"Follow it: {_common.again(f'jobs watch {job.name}', where)}")
            return
        if not as_json:
            _common.say(job.name)
        _follow.follow(job, as_json=as_json, where=where)
        model = job.result()
        if not as_json:
            _print_evaluations(job)
        if as_json:
            _common.print_json_line({"model": model.to_json(), **cost, **_evaluations(job)})
        elif model.endpoint:
            click.echo(f"Tuned model: {model.name}\nEndpoint:    {model.endpoint}")
            ask = _common.again(f'models generate {model.name} "..."', where)
            _common.say(f"Ask it: {ask}\n\n{model.how_to_call()}")
        else:
            click.echo(f"Checkpoints: {model.output_uri}")
            deploy = _common.again(f"models deploy {shlex.quote(model.output_uri)}", where)
            _common.say(f"To have it answer: {deploy}")


def _evaluations(job: TuningJob) -> dict[str, Any]:
    found = job.evaluations()
    return {"evaluations": [one.to_json() for one in found]} if found else {}


def _print_evaluations(job: TuningJob) -> None:
    for one in job.evaluations():
        scores = ", ".join(f"{name} {score:.3f}" for name, score in one.scores.items())
        _common.say(f"Checkpoint {one.checkpoint_id or 'at the end'}: {scores or one.error}")


def _told_cost(client: TuningClient, spec: Spec, at_most: float | None, *, as_json: bool) -> dict[str, Any]:
    """Say what a job will cost, before it starts. Without a limit it starts all the same, whether that is known or not."""
    from vertex_tuning.data import in_cloud_storage
    from vertex_tuning.errors import UnknownPriceError

    if at_most is None and in_cloud_storage(spec.training):
        return {}
    try:
        estimate = client.estimate(spec)
    except UnknownPriceError as error:
        if at_most is not None:
            raise
        if (estimate := error.estimate) is None:
            return {}
    _hold_to(at_most, estimate)
    if not as_json:
        _common.say(str(estimate))
    return {"estimate": estimate.to_json()}


def _hold_to(at_most: float | None, estimate: Estimate) -> None:
    """Refuse what may cost more than it may."""
    from vertex_tuning.cost import dollars
    from vertex_tuning.errors import ConfigurationError

    if at_most is None or estimate.usd is None or estimate.usd[1] <= at_most:
        return
    raise ConfigurationError(
        "VT180",
        f"the job may cost {dollars(estimate.usd)}, and no more than US${at_most:,g} is allowed",
        where="--at-most",
        why="It is held to the most that it may cost.",
        fix=f"fewer epochs or rows, or --at-most {math.ceil(estimate.usd[1])}",
    )


def _print_estimate(estimate: Estimate, *, as_json: bool) -> None:
    from vertex_tuning.cost import between, dollars

    if as_json:
        _common.print_json(estimate.to_json())
        return
    _common.print_table(
        ["what is paid for", "tokens", "USD per million", "in all", "by whom"],
        (
            (
                item.name,
                between(item.tokens),
                "unknown" if item.usd_per_million is None else f"{item.usd_per_million:.2f}",
                "unknown" if item.usd is None else dollars(item.usd),
                item.source,
            )
            for item in estimate.items
        ),
        empty="Nothing.",
    )
    click.echo(f"\n{estimate}")
    _common.say(f"Paid for: {estimate.counted}.")
    _common.say(f"Tokenizer: {estimate.tokenizer}.")
    for note in estimate.notes:
        _common.say(note)


def _pair(label: str) -> tuple[str, str]:
    key, separator, value = label.partition("=")
    if not separator:
        raise click.BadParameter(f"{label!r} is not KEY=VALUE", param_hint="--label")
    return key, value
