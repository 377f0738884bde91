"""The machines on which our container trains."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache
from typing import Any

from vertex_tuning.catalog.sourced import Source, cell_from, read
from vertex_tuning.errors import HostError


@dataclass(frozen=True, slots=True)
class Host:
    """A machine of Vertex AI's custom training."""

    machine_type: str
    """`g2-standard-12`."""
    chip: str
    """What sits in it: `l4`, `h100`, `tpu-v6e`..., or `cpu`."""
    title: str
    """That, as people call it."""
    kind: str
    """`cpu`, `gpu` or `tpu`: which image of ours runs on it."""
    accelerator_type: str
    """As `machineSpec` has it; empty for a CPU, and for a TPU, whose machine type says it."""
    chips: int
    """0 for a CPU."""
    memory_gb: int
    """Of one chip; of the machine where it has none."""
    topology: str
    """Of a TPU: `2x2`."""
    spot: bool
    """It is to be had as a Spot machine alone."""
    methods: tuple[str, ...]
    """What our code can do there; empty: everything."""
    note: str
    """What to know before it is paid for."""
    source: Source

    @property
    def name(self) -> str:
        """A short name: `l4`, `h100x8`."""
        return self.chip if self.chips <= 1 else f"{self.chip}x{self.chips}"

    def can(self, method: str) -> bool:
        """Whether our code trains by this method there."""
        return not self.methods or method in self.methods

    def machine_spec(self) -> dict[str, Any]:
        """As `workerPoolSpecs[].machineSpec` has it."""
        spec: dict[str, Any] = {"machine_type": self.machine_type}
        if self.accelerator_type:
            spec |= {"accelerator_type": self.accelerator_type, "accelerator_count": self.chips}
        if self.topology:
            spec["tpu_topology"] = self.topology
        return spec

    def to_json(self) -> dict[str, Any]:
        """JSON-ready, with the source."""
        return {
            "name": self.name,
            "machine_type": self.machine_type,
            "chip": self.title,
            "kind": self.kind,
            "accelerator_type": self.accelerator_type,
            "chips": self.chips,
            "memory_gb": self.memory_gb,
            "topology": self.topology,
            "spot": self.spot,
            "methods": list(self.methods),
            "note": self.note,
            "source": self.source.to_json(),
        }


@cache
def hosts() -> dict[str, Host]:
    """Every host, by machine type, smaller ones first.

    Raises:
        SpecError: VT371, a row has no source.
    """
    data = read("hosts.toml")
    found = {}
    for name, table in data["machines"].items():
        chip, kind = data["chips"][name], data["kinds"].get(data["chips"][name]["kind"], {})
        cell_from(chip.get("memory_gb"), chip.get("source"), f"hosts.chips.{name}")
        source = cell_from(name, table.get("source"), f"hosts.machines.{name}").source
        for row in table["hosts"]:
            found[row["machine"]] = Host(
                machine_type=row["machine"],
                chip=name,
                title=chip["title"],
                kind=chip["kind"],
                accelerator_type=chip.get("type", ""),
                chips=row.get("chips", 0),
                memory_gb=chip.get("memory_gb") or row["memory_gb"],
                topology=row.get("topology", ""),
                spot=row.get("spot", False),
                methods=tuple(kind.get("methods", ())),
                note=kind.get("note", ""),
                source=source,
            )
    return found


def host(name: str) -> Host:
    """A host by its machine type, or by its chips: `g2-standard-12`, `l4`, `h100x8`.

    Raises:
        HostError: VT790, with the nearest names.
    """
    named = {found.name: found for found in reversed(hosts().values())}
    # H200s come by eights alone: whoever says `h200` means that.
    for found in reversed(hosts().values()):
        named.setdefault(found.chip, found)
    known = {**named, **hosts()}
    wish = name.strip().lower()
    if wish not in known:
        near = difflib.get_close_matches(wish, known, n=3, cutoff=0.5)
        raise HostError(
            "VT790",
            f'"{name}" is not a host that this catalog knows',
            where="host",
            why=f"The catalog is of {read('hosts.toml')['checked']}.",
            fix=f"use {' or '.join(near)}" if near else f"one of: {', '.join(sorted(named))}",
        )
    return known[wish]
