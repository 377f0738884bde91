"""The models that Vertex AI tunes: by which methods, in which modes and sizes, and where."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import cache
from typing import Any

from vertex_tuning.catalog.sourced import Cell, cell_from, read
from vertex_tuning.errors import SpecError

METHODS = ("supervised", "preference", "distillation", "reinforcement")
"""Ways of tuning, as the catalog calls them."""
MODES = ("adapter", "full")


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A model that Vertex AI can tune, or that teaches one in distillation."""

    id: str
    """As `baseModel` has it: `gemini-2.5-flash`, `meta/llama3_1@llama-3.1-8b-instruct`."""
    title: str
    group: str
    """`gemini-3`, `gemini-2-5`, `gemini-retired`, `open`...: models of which the same is said."""
    methods: tuple[str, ...]
    """Of `supervised`, `preference`, `distillation` (as a student), `reinforcement`; empty for one that only teaches."""
    teachers: tuple[str, ...]
    """Ids of the base models that may teach this one; empty where it cannot be a student."""
    adapter_sizes: tuple[int, ...]
    """LoRA ranks on offer; empty where only full tuning is."""
    modes: tuple[str, ...]
    """Of `adapter`, `full`."""
    regions: tuple[str, ...]
    """Locations in which a job may run; some methods are offered in fewer: `regions_for`."""
    size: str
    """Size class that picks the stand-in: `small`, `medium`, `large`."""
    stand_in: str
    """Name of the stand-in that the emulator uses unless told otherwise."""
    max_tokens: int
    """Tokens per example, input and output together."""
    cmek: bool
    """Whether customer-managed encryption keys work."""
    serving: str
    """Where a tuned model answers: `region` of its job, `multi-region` round it, or `none` (it is yours to deploy)."""
    thinking: str
    """How much it thinks is told as a `level`, as a `budget`, or not at all: `none`."""
    retired: bool
    """No longer offered by Google; known because samples and tests still name it."""
    retires: date | None = None
    """The day from which Google offers it no more; None: none is told. Google may put such a day off."""
    family: str = ""
    """Models that follow each other have the same; empty: it has no successor."""
    method_regions: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """Locations by method, where a method is offered in fewer."""

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {**asdict(self), "retires": self.retires and self.retires.isoformat()}

    @property
    def open(self) -> bool:
        """Open weights: another publisher path, its own hyperparameters, no endpoint."""
        return "/" in self.id

    @property
    def publisher(self) -> str:
        """`google`, or the publisher of an open model."""
        return self.id.split("/", 1)[0] if self.open else "google"

    @property
    def teaches(self) -> tuple[str, ...]:
        """Ids of the base models that this one may teach."""
        return tuple(model.id for model in models().values() if self.id in model.teachers)

    def regions_for(self, method: str) -> tuple[str, ...]:
        """Locations in which a job of this method may run."""
        return self.method_regions.get(method, self.regions)

    def serving_location(self, location: str) -> str:
        """Where a model tuned in `location` is served: 3.x models live in the multi-region `us` or `eu`."""
        if self.serving != "multi-region":
            return location
        return "eu" if location.startswith("europe-") else "us"


@cache
def _rows() -> dict[str, dict[str, Any]]:
    """Every row of models.toml, with what it takes from its group."""
    data = read("models.toml")
    found = {}
    for name, row in data["models"].items():
        group = data["groups"][row["group"]]
        found[name] = {
            **group,
            **row,
            "sources": {**group["sources"], **row.get("sources", {})},
            "notes": {**group.get("notes", {}), **row.get("notes", {})},
        }
    return found


@cache
def models() -> dict[str, BaseModel]:
    """Every model in the catalog, by id."""
    named, sizes = read("models.toml")["regions"], read("stand_ins.toml")["sizes"]
    most = max(row.get("max_tokens", 0) for row in _rows().values())
    found = {}
    for name, row in _rows().items():
        fewer = {method: row.get(f"{method}_regions") for method in METHODS}
        found[name] = BaseModel(
            id=name,
            title=row["title"],
            group=row["group"],
            methods=tuple(row["methods"]),
            teachers=tuple(row.get("teachers", ())),
            adapter_sizes=tuple(row.get("adapter_sizes", ())),
            modes=tuple(row.get("modes", ["adapter"])),
            regions=tuple(named[row["regions"]]),
            size=row["size"],
            stand_in=sizes[row["size"]],
            max_tokens=row.get("max_tokens", most),
            cmek=row.get("cmek", True),
            serving=row["serving"],
            thinking=row.get("thinking", "none"),
            retired=row.get("retired", False),
            retires=row.get("retires"),
            family=row.get("family", ""),
            method_regions={method: tuple(named[key]) for method, key in fewer.items() if key},
        )
    return found


def base_model(name: str, method: str = "") -> BaseModel:
    """The model of this id; `publishers/P/models/M` and `models/M` are understood too.

    Args:
        name: Of a model, retired or not.
        method: The way of tuning that it is wanted for: where there is no such model, those that take it are named.

    Raises:
        SpecError: VT301, with the nearest names.
    """
    short = name.removeprefix("publishers/").replace("/models/", "/", 1).removeprefix("models/")
    found = models().get(short) or models().get(short.removeprefix("google/"))
    if found is None:
        able = [
            model.id
            for model in models().values()
            if not model.retired and (not method or method in model.methods)
        ]
        near = difflib.get_close_matches(short, able, n=3, cutoff=0.5)
        raise SpecError(
            "VT301",
            f'"{name}" is not a model that Vertex AI tunes, as far as this catalog knows',
            where="base_model",
            why=f"The catalog is of {read('models.toml')['checked']}.",
            fix=f"use {' or '.join(near)}" if near else "vertex-tuning catalog",
        )
    return found


def newest(base: BaseModel, method: str, location: str) -> BaseModel:
    """The newest model of a family that offers a method in a location; the model itself where none is newer."""
    same = [model for model in models().values() if base.family and model.family == base.family]
    newer = same[: same.index(base)] if base in same else []  # the newest stands first
    return next(
        (model for model in newer if method in model.methods and location in model.regions_for(method)), base
    )


def cells(model: str) -> dict[str, Cell]:
    """Everything that the catalog says of a model, by field, each with its date and source.

    A method is a field too: True where it is offered. `METHOD_regions` stands where a method is offered in fewer regions. A model
    that only teaches has no fields that are about being tuned.

    Raises:
        SpecError: VT301, not in the catalog; VT371, a cell has no source.
    """
    return dict(_cells(base_model(model)))


@cache
def _cells(base: BaseModel) -> dict[str, Cell]:
    said, notes = dict(_rows()[base.id]["sources"]), dict(_rows()[base.id]["notes"])
    if not base.adapter_sizes:
        # That there are none follows from the modes.
        said["adapter_sizes"] = said.get("modes")
        notes.pop("adapter_sizes", None)
    values: dict[str, Any] = {method: method in base.methods for method in METHODS}
    if base.retired:
        values["retired"] = True
    if base.retires:
        values["retires"] = base.retires.isoformat()
    if base.methods:
        values |= {"teachers": base.teachers} if base.teachers else {}
        values |= {"adapter_sizes": base.adapter_sizes, "modes": base.modes, "regions": base.regions}
        values |= {f"{method}_regions": regions for method, regions in base.method_regions.items()}
        values |= {"serving": base.serving, "max_tokens": base.max_tokens}
        values |= {"cmek": base.cmek, "thinking": base.thinking}
    else:
        values["teaches"] = base.teaches
    values["size"] = base.size
    return {
        name: cell_from(value, said.get(name), f"models.{base.id}.{name}", notes.get(name, ""))
        for name, value in values.items()
    }


def cell(model: str, name: str) -> Cell:
    """One field of a model: `cell("gemini-2.5-flash", "adapter_sizes").value`.

    Raises:
        SpecError: VT301, the model is not in the catalog.
        KeyError: Nothing of this name is said of the model; `cells` has what is.
    """
    return _cells(base_model(model))[name]
