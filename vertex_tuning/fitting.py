"""Whether a training run fits a host, and the nearest one that it fits.

Our loop keeps a whole model on each device, in fp32, and computes in bf16: more devices make it faster, not larger.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass

from vertex_tuning import catalog
from vertex_tuning.errors import HostError

_GB = 1e9
_SPARE = 0.9
"""Share of a device's memory that a run may count on: the rest is the driver's, and what lies between two tensors."""
_USUAL_BATCH = 8
_LAYER = 100
"""Bytes of activations per token, hidden unit and layer. Measured: 73 with an adapter, 105 with every weight (SmolLM2 135M, on a
CPU, 2026-11-26)."""
_ADAPTED = 22
"""Numbers of an adapter per unit of rank, hidden unit and layer: seven matrices, four wide at most."""
_KINDS = {
    "F64": 8,
    "I64": 8,
    "F32": 4,
    "I32": 4,
    "F16": 2,
    "BF16": 2,
    "I16": 2,
    "F8_E4M3": 1,
    "I8": 1,
    "U8": 1,
}

_Read = Callable[[str, int, int], bytes]
"""Reads of a file so many bytes from a place."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a model is."""

    parameters: int
    hidden: int
    layers: int
    vocabulary: int


def shape(names: list[str], read: _Read) -> Shape | None:
    """The shape of a model in a folder; None where it is no folder of such weights.

    Args:
        names: Of its files.
        read: Reads bytes: (file, from, how many; 0: all of them).
    """
    if "config.json" not in names:
        return None
    try:
        config = json.loads(read("config.json", 0, 0))
        config = config.get("text_config", config)
        parameters = sum(_parameters(name, read) for name in names if name.endswith(".safetensors"))
        found = Shape(parameters, config["hidden_size"], config["num_hidden_layers"], config["vocab_size"])
    except (ValueError, KeyError, TypeError, struct.error):
        return None
    return found if parameters else None


def _parameters(name: str, read: _Read) -> int:
    (length,) = struct.unpack("<Q", read(name, 0, 8))
    header = json.loads(read(name, 8, length))
    return sum(
        (tensor["data_offsets"][1] - tensor["data_offsets"][0]) // _KINDS.get(tensor["dtype"], 2)
        for key, tensor in header.items()
        if key != "__metadata__"
    )


def memory(
    of: Shape, *, method: str, mode: str, adapter_size: int, batch_size: int | None, max_tokens: int
) -> int:
    """Bytes that a run needs on each device, when its longest rows come together.

    Weights in fp32. For every number that is trained: its gradient, AdamW's two moments, and the copy that is kept in case
    training diverges, in fp32 each; where all are trained, a bf16 copy too, which autocast keeps. Activations per layer:
    100 bytes for each token and hidden unit, as measured. (Korthikanti et al. 2022, "Reducing Activation Recomputation in Large
    Transformer Models", equation 2 without the maps of attention, has 34 where all of it is in 16 bits; under autocast, what runs
    along the layers is not, and adapters keep their inputs.) Logits of every token, in fp32, with their
    gradient: more than is needed, where prompts are long.

    Args:
        of: The model.
        method: A pair of preferences is two sequences.
        mode: `adapter` or `full`.
        adapter_size: Rank.
        batch_size: Sequences per step and device; None: as many as usual, 8.
        max_tokens: Of a sequence.
    """
    trained = of.parameters if mode == "full" else _ADAPTED * adapter_size * of.hidden * of.layers
    weights = 4 * of.parameters + 16 * trained + (2 * of.parameters if mode == "full" else 0)
    sequences = (batch_size or _USUAL_BATCH) * (
        2 if method in ("preference", "reward", "step_by_step") else 1
    )
    token = _LAYER * of.hidden * of.layers + 8 * of.vocabulary
    return weights + sequences * max_tokens * token


def check(host: catalog.Host, needed: int | None, *, method: str, smaller: str = "") -> None:
    """Hold a run against a host.

    Args:
        host: Where it is to run.
        needed: Bytes per device; None where that is not known.
        method: The way of training.
        smaller: What would make it need less, for the advice.

    Raises:
        HostError: VT792 our code cannot do this there, VT793 it does not fit; with the nearest host that will do.
    """
    if not host.can(method):
        nearest = next((other for other in _others(host) if other.can(method) and _fits(other, needed)), None)
        raise HostError(
            "VT792",
            f"{method} cannot be trained on {host.machine_type} ({host.title})",
            where="host",
            why=f"On a {host.kind.upper()}, our code does {', '.join(host.methods)}.",
            fix=f'host="{nearest.name}" ({nearest.machine_type})' if nearest else "a smaller model",
        )
    if needed is not None and not _fits(host, needed):
        nearest = next((other for other in _others(host) if other.can(method) and _fits(other, needed)), None)
        ways = [f'host="{nearest.name}" ({nearest.machine_type})'] if nearest else []
        raise HostError(
            "VT793",
            f"it needs about {needed / _GB:.0f} GB on each device, and {host.title} has {host.memory_gb} GB",
            where="host",
            why="Each device holds the whole model, in fp32, so that more of them do not help.",
            fix=", or ".join([*ways, *([smaller] if smaller else [])]) or "a smaller model",
        )


def _fits(host: catalog.Host, needed: int | None) -> bool:
    return needed is None or needed <= _SPARE * _GB * host.memory_gb


def _others(host: catalog.Host) -> list[catalog.Host]:
    """Hosts to take instead, the likest first: as many chips, then as little memory as will do, of the same kind first."""
    return sorted(
        catalog.hosts().values(),
        key=lambda other: (
            other.kind == "cpu",
            other.kind != host.kind,
            abs(other.chips - host.chips),
            other.memory_gb,
        ),
    )
