"""Model x method x region x mode x adapter size: what of it is not on offer, and the nearest that is."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from vertex_tuning.catalog.offers import METHODS, BaseModel, base_model, cell, models
from vertex_tuning.catalog.sourced import Cell
from vertex_tuning.errors import Fault, SpecError

_SIZES = {"small": 0, "medium": 1, "large": 2}


@dataclass(frozen=True, slots=True)
class Combination:
    """What a job would be; None: left out."""

    model: str
    method: str
    region: str | None = None
    mode: str | None = None
    adapter_size: int | None = None

    def __str__(self) -> str:
        parts = [self.model, tuning(self.method)]
        parts += [f"in {self.region}"] if self.region else []
        parts += [f"mode {self.mode}"] if self.mode else []
        parts += [f"adapter size {self.adapter_size}"] if self.adapter_size is not None else []
        return ", ".join(parts)

    def to_json(self) -> dict[str, str | int | None]:
        """Its parts, JSON-ready."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a combination is on offer."""

    asked: Combination
    faults: tuple[Fault, ...]
    """What is wrong, each with its rule and a way out; empty where nothing is."""
    nearest: Combination
    """The nearest combination that is on offer; what was asked for, where that is."""

    @property
    def ok(self) -> bool:
        """Whether what was asked for is on offer."""
        return not self.faults


def tuning(method: str) -> str:
    """For people: `supervised tuning`."""
    return method if method == "distillation" else f"{method} tuning"


def fit(
    model: str,
    method: str,
    *,
    region: str | None = None,
    mode: str | None = None,
    adapter_size: int | None = None,
) -> Fit:
    """Hold a combination against the catalog.

    The method stays as it was asked for. The model stays too, if it takes the method; region, mode and adapter size give way to
    it.

    Raises:
        SpecError: VT301, the model is not in the catalog; VT370, there is no such way of tuning.
    """
    base = base_model(model, method if method in METHODS else "")
    if method not in METHODS:
        near = difflib.get_close_matches(method, METHODS, n=1, cutoff=0.0)[0]
        what = f'there is no way of tuning called "{method}"'
        raise SpecError("VT370", what, where="method", fix=f"{near}; one of: {', '.join(METHODS)}")
    asked = Combination(base.id, method, region, mode, adapter_size)
    if method not in base.methods:
        able = _able(base, asked)
        nearest = _mended(able[0], asked)[1]
        return Fit(asked, (_method_fault(base, method, able),), nearest)
    faults, nearest = _mended(base, asked)
    return Fit(asked, tuple(faults), nearest)


def _able(base: BaseModel, asked: Combination) -> list[BaseModel]:
    """The models that take the method, the nearest first."""

    def distance(other: BaseModel) -> tuple[object, ...]:
        return (
            other.open != base.open,
            other.retired,
            len(_mended(other, asked)[0]),
            abs(_SIZES[other.size] - _SIZES[base.size]),
            -difflib.SequenceMatcher(None, base.id, other.id).ratio(),
        )

    return sorted((other for other in models().values() if asked.method in other.methods), key=distance)


def _method_fault(base: BaseModel, method: str, able: Sequence[BaseModel]) -> Fault:
    takes = f"takes {_listed([tuning(name) for name in base.methods])}"
    if not base.methods:
        takes = f"teaches {_listed(base.teaches)}, and is not tuned"
    why = f"It {takes}. {_said(cell(base.id, method))}"
    named = [other.id for other in able if other.open == base.open][:3] or [other.id for other in able[:3]]
    what = f"{base.id} does not take {tuning(method)}"
    return Fault("VT302", what, "base_model", why, f"use {' or '.join(named)}")


def _mended(base: BaseModel, asked: Combination) -> tuple[list[Fault], Combination]:
    """What this model does not offer of it, and the combination with that put right."""
    faults, near = [], replace(asked, model=base.id)
    if asked.region is not None and asked.region not in (there := base.regions_for(asked.method)):
        near = replace(near, region=_nearest_region(asked.region, there))
        what = f"{base.id} cannot be tuned in {asked.region}"
        if asked.method in base.method_regions:
            what = f"{base.id} does not take {tuning(asked.method)} in {asked.region}"
        name = f"{asked.method}_regions" if asked.method in base.method_regions else "regions"
        fix = f"location={near.region}" + (f"; one of: {', '.join(there)}" if len(there) > 1 else "")
        faults.append(Fault("VT305", what, "location", _said(cell(base.id, name)), fix))
    if asked.mode is not None and asked.mode not in base.modes:
        near = replace(near, mode=base.modes[0])
        what = f"{base.id} takes {' and '.join(base.modes)} tuning, not {asked.mode}"
        faults.append(Fault("VT303", what, "mode", _said(cell(base.id, "modes")), f'mode="{near.mode}"'))
    wanted = asked.adapter_size
    if wanted is None:
        return faults, near
    if near.mode == "full" or not base.adapter_sizes:
        near = replace(near, adapter_size=None)
        fix = 'leave it out, or mode="adapter"' if base.adapter_sizes else "leave it out"
        why = "The service would refuse the job, or answer 404."
        faults.append(Fault("VT304", "full tuning makes no adapter", "adapter_size", why, fix))
    elif wanted not in base.adapter_sizes:
        size = min(base.adapter_sizes, key=lambda size: abs(size - wanted))
        near = replace(near, adapter_size=size)
        what = f"there is no adapter of size {wanted} for {base.id}"
        fix = f"adapter_size={size}; one of: {', '.join(map(str, base.adapter_sizes))}"
        why = f"The service would refuse the job, or answer 404. {_said(cell(base.id, 'adapter_sizes'))}"
        faults.append(Fault("VT304", what, "adapter_size", why, fix))
    return faults, near


def _nearest_region(asked: str, there: Sequence[str]) -> str:
    """One on the same continent where there is one, the likest by name; else the first of the list."""
    continent = asked.partition("-")[0]
    same = [region for region in there if continent and region.startswith(continent)]
    return max(
        same, key=lambda region: difflib.SequenceMatcher(None, asked, region).ratio(), default=there[0]
    )


def _said(found: Cell) -> str:
    said = f"{found.source}."
    return f"{said[0].upper()}{said[1:]} {found.note}".rstrip()


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
