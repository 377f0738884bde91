"""`init --make-agents`: Google makes its accounts for tuning with the first job of their kind; the smallest will do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from vertex_tuning.cli import _common

if TYPE_CHECKING:
    from vertex_tuning.catalog.requirements import Agent
    from vertex_tuning.client import TuningClient
    from vertex_tuning.specs import SupervisedTuning

_NAME = "makes an agent exist"
_ROWS = 100
"""Fewer, and the service advises more."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """A job that makes an agent."""

    agent: Agent
    costs: str
    """What it costs at the most, in words."""
    start: Callable[[], tuple[str, Callable[[], None]]]
    """Starts it: its name, and what cancels it."""


def make(where: dict[str, str], *, yes: bool, as_json: bool) -> None:
    """Make the agents that the settings ask something for, and that do not exist.

    Raises:
        ConfigurationError: VT118, nobody agreed to what it may cost.
        ServiceError: A job was refused.
    """
    from vertex_tuning.doctor import missing_agents

    with _common.open_client(where) as client:
        plans = [_plan(client, agent) for agent in missing_agents(client.connection)]
        if plans:
            _agree(plans, yes)
        made = [_make(plan) for plan in plans]
    if as_json:
        _common.print_json({"made": made})
    elif not made:
        click.echo("Every agent that the settings ask something for exists.")
    else:
        _common.say(
            "Google makes them within a minute or two. Then give them their roles: vertex-tuning doctor"
        )


def _agree(plans: list[_Plan], yes: bool) -> None:
    from vertex_tuning.errors import ConfigurationError

    words = "\n".join(f"  {plan.agent.title}: {plan.costs}" for plan in plans)
    costs = f"A job for each is started, and cancelled at once. Where the service is quicker, it costs at most:\n{words}"
    _common.say(costs)
    if yes or (_common.is_interactive() and click.confirm("Start them?", default=False, err=True)):
        return
    raise ConfigurationError(
        "VT118",
        "nothing was started: nobody agreed to what it may cost",
        fix="--yes, or answer on a terminal",
    )


def _make(plan: _Plan) -> dict[str, str]:
    name, cancel = plan.start()
    try:
        cancel()
    except BaseException:
        _common.say(f"It could not be cancelled, and runs on: {name}")
        raise
    _common.say(f"{plan.agent.title}: {name}, cancelled")
    return {"agent": plan.agent.name, "title": plan.agent.title, "job": name, "costs": plan.costs}


def _plan(client: TuningClient, agent: Agent) -> _Plan:
    if agent.name == "custom_code":
        return _custom_job(client, agent)
    spec = _spec(client, is_open=agent.name == "open_tuning")

    def start() -> tuple[str, Callable[[], None]]:
        job = client.tune(spec)
        return job.name, job.cancel

    return _Plan(agent, _costs(client, spec), start)


def _spec(client: TuningClient, *, is_open: bool) -> SupervisedTuning:
    """The least that the cheapest model of a kind can be tuned on, in the location."""
    from vertex_tuning import SupervisedTuning, catalog

    here = client.connection.location
    able = [
        model
        for model in catalog.models().values()
        if model.open == is_open
        and "supervised" in model.methods
        and not model.retired
        and here in model.regions_for("supervised")
    ]
    if not able:
        raise click.UsageError(
            f"No {'open' if is_open else 'Gemini'} model of the catalog is tuned in {here}."
        )
    cheapest = min(able, key=lambda model: catalog.price(model.id, "supervised").value or float("inf"))
    rows = [
        {
            "contents": [
                {"role": "user", "parts": [{"text": f"Say {number}."}]},
                {"role": "model", "parts": [{"text": str(number)}]},
            ]
        }
        for number in range(_ROWS)
    ]
    # The agent may not use the project's key before it exists.
    return SupervisedTuning(base_model=cheapest.id, training=rows, epochs=1, display_name=_NAME, kms_key="")


def _costs(client: TuningClient, spec: SupervisedTuning) -> str:
    from vertex_tuning.errors import UnknownPriceError

    try:
        return f"{spec.base_model}, {client.estimate(spec)}"
    except UnknownPriceError as error:
        return f"{spec.base_model}, {error.fault.what}"


def _custom_job(client: TuningClient, agent: Agent) -> _Plan:
    """A custom job on the smallest machine, that does nothing."""
    from vertex_tuning import catalog, custom

    connection = client.connection
    host = next(host for host in catalog.hosts().values() if host.kind == "cpu")
    container = {"image_uri": custom.image_for(connection, host), "command": ["true"]}
    pool: dict[str, Any] = {
        "machine_spec": host.machine_spec(),
        "replica_count": 1,
        "container_spec": container,
    }
    asked = {"display_name": _NAME, "job_spec": {"worker_pool_specs": [pool]}}

    def start() -> tuple[str, Callable[[], None]]:
        jobs = connection.service_in("JobService", connection.location)
        parent = f"projects/{connection.project}/locations/{connection.location}"
        job = jobs.create_custom_job(parent=parent, custom_job=asked, retry=None)
        return job.name, lambda: jobs.cancel_custom_job(name=job.name)

    return _Plan(agent, f"{host.machine_type} for the minute or two that it takes to end", start)
