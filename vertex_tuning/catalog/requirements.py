"""What a project needs before anybody can tune in it: `project.toml`, read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from vertex_tuning.catalog.sourced import read

PROJECT = "project"
"""A grant's `on` that is no setting."""


@dataclass(frozen=True, slots=True)
class Service:
    """An API that has to be on."""

    name: str
    """`aiplatform.googleapis.com`."""
    title: str
    """As people call it."""
    why: str
    when: str = ""
    """The setting that asks for it; empty: always."""
    for_looking: bool = False
    """Nothing works by it; `doctor` looks by it."""


@dataclass(frozen=True, slots=True)
class Agent:
    """An account by which one of Google's services works in a project."""

    name: str
    """`tuning`, as grants name it."""
    title: str
    email: str
    """With `{number}` for the project's."""
    needs: str
    """The service it belongs to."""
    role: str = ""
    """What Google gives it on the project when it is made; empty: nothing that shows."""
    late: str = ""
    """What makes it; empty: it is there as soon as its service is on."""
    input: str = ""
    """Its name in `tuning_agents` of terraform/, where it is late."""

    def member(self, number: str) -> str:
        """`serviceAccount:...`, in a project of this number."""
        return f"serviceAccount:{self.email.format(number=number)}"


@dataclass(frozen=True, slots=True)
class Grant:
    """Somebody needs a role on something."""

    to: str
    """A setting that names an account, or an agent's name."""
    role: str
    on: str
    """`project`, or the setting that names the resource."""
    why: str
    input: str = ""
    """Of terraform/, that gives it; empty: it always does."""
    when: str = ""
    """A setting without which nobody needs it."""


@dataclass(frozen=True, slots=True)
class Quota:
    """How much of something has to be allowed, in the region of the work."""

    metric: str
    title: str
    regional: bool
    """Counted by region; else over all of them."""
    least: int
    """0: it depends on what is asked for."""
    emulated: int
    """What an emulator tells that was told nothing else."""
    why: str


@cache
def _table() -> dict[str, Any]:
    return read("project.toml")


@cache
def every_service() -> dict[str, Service]:
    """Every service that some project needs, by name."""
    return {row["name"]: Service(**row) for row in _table()["services"]}


def services(configured: Mapping[str, object]) -> list[Service]:
    """The services that a project of these settings needs.

    Args:
        configured: Name of a setting to its value; what is not set is None or empty.
    """
    found = every_service().values()
    return [service for service in found if not service.when or configured.get(service.when)]


@cache
def agents() -> dict[str, Agent]:
    """Every agent, by name."""
    return {name: Agent(name, **row) for name, row in _table()["agents"].items()}


def grants(configured: Mapping[str, object]) -> list[Grant]:
    """The roles that a project of these settings needs: those whose holder and whose resource are both configured."""
    return [grant for grant in _grants() if _applies(grant, configured)]


def _grants() -> Iterator[Grant]:
    return (Grant(**row) for row in _table()["grants"])


def _applies(grant: Grant, configured: Mapping[str, object]) -> bool:
    needed = [name for name in (grant.to, grant.on, grant.when) if name and name != PROJECT]
    return all(name in agents() or configured.get(name) for name in needed)


def satisfies(held: str, wanted: str) -> bool:
    """Whether a role contains what another gives, as far as this catalog knows."""
    contained = _table()["wider"].get(held, ())
    if held == wanted or "*" in contained:
        return True
    return any(satisfies(inner, wanted) for inner in contained)


@cache
def permissions(role: str) -> frozenset[str]:
    """What a role allows, as far as this catalog knows; `*` in them stands for any word."""
    table = _table()["permissions"]
    return frozenset(one for held, allowed in table.items() if satisfies(role, held) for one in allowed)


def quotas() -> list[Quota]:
    """What is looked at, whatever is configured."""
    return [Quota(**row) for row in _table()["quotas"]]


@cache
def chip_quotas() -> dict[str, Quota]:
    """How many chips custom jobs may use at once, by the chip's name in `hosts.toml`, where the quota's name is known."""
    told = _table()["chips"]
    return {
        name: Quota(
            metric=f"aiplatform.googleapis.com/{chip['quota']}",
            title=f"Custom model training {chip['title']}",
            regional=True,
            least=0,
            emulated=told["emulated"],
            why=told["why"],
        )
        for name, chip in read("hosts.toml")["chips"].items()
        if "quota" in chip
    }


def needed(setting: str) -> list[str]:
    """What whoever runs jobs must be allowed to do on `project`, or on what a setting names."""
    return list(_table()["caller"].get(setting, ()))


def looking(service: str) -> str:
    """The role by which one may look at what a service has; of `policies`: at who has which role."""
    return all_looking()[service]


def all_looking() -> dict[str, str]:
    """Those roles, by service, and that for `policies`."""
    return dict(_table()["looking"])


def holds(place: str, location: str) -> bool:
    """Whether a bucket in a place lies where jobs of a location may read it: in that region, or in one that holds it.

    Jobs of `global` run wherever it is.
    """
    if location in (place, "global"):
        return True
    table = _table()
    within, outside = (table[name].get(place, ()) for name in ("holding", "outside"))
    return location.startswith(tuple(within)) and location not in outside
