"""Whether a training run fits a host, and the nearest one that it fits.

Our loop keeps a whole model on each device: more devices make it faster, not larger. It computes in bf16; what learns is kept in
fp32, and what does not learn in bf16 on a GPU, in fp32 elsewhere.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from vertex_tuning import catalog
from vertex_tuning.errors import HostError
from vertex_tuning.training.config import LOGITS_AT_ONCE

_GB = 1e9
_SPARE = 0.9
"""Share of a device's memory that a run may count on: the rest is the driver's, and what lies between two tensors."""
_USUAL_BATCH = 8
_LAYER = {"gpu": 48, "cpu": 100, "tpu": 100}
"""Bytes of activations per token, hidden unit and layer, by the kind of host. Measured on 2026-11-26: on an H100 44 with an
adapter and 21 with every weight (`benchmarks/gpu.py`), on a CPU 73 and 105 (SmolLM2 135M). On a TPU nobody has measured."""
_INPUT = 4
"""The same of what gradient checkpointing keeps: the input of each layer, in fp32."""
_LOGIT = 15
"""Bytes for each logit that is held: in bf16 and fp32, its logarithm and their gradients. Measured on an H100 (2026-11-26): 12 to
15."""
_ADAPTED = 22
"""Numbers of an adapter per unit of rank, hidden unit and layer: seven matrices, four wide at most."""
_LEARNS = 16
"""Bytes beside a weight that learns, all in fp32: its gradient, AdamW's two moments, and the copy that is kept in case training
diverges."""
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


def shape_in(folder: Path) -> Shape | None:
    """The same of a folder on this machine."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []

    def read(name: str, start: int, count: int) -> bytes:
        with (folder / name).open("rb") as file:
            file.seek(start)
            return file.read(count or -1)

    return shape(names, read)


def _parameters(name: str, read: _Read) -> int:
    (length,) = struct.unpack("<Q", read(name, 0, 8))
    header = json.loads(read(name, 8, length))
    return sum(
        (tensor["data_offsets"][1] - tensor["data_offsets"][0]) // _KINDS.get(tensor["dtype"], 2)
        for key, tensor in header.items()
        if key != "__metadata__"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What decides how much memory a run needs."""

    shape: Shape
    method: str
    mode: str = "adapter"
    """`adapter` or `full`."""
    adapter_size: int = 8
    batch_size: int | None = None
    """Sequences per step and device; None: as many as usual, 8."""
    max_tokens: int = 2048
    """Of a sequence."""
    gradient_checkpointing: bool = False

    def memory(self, kind: str) -> int:
        """Bytes on each device, when the longest rows come together.

        Weights that learn take 4 bytes and 16 beside, and 2 more of the copy in bf16 that autocast keeps. Those that do not take
        4; on a GPU 2, but for the embedding, which is read in fp32, and which autocast copies where it is the head too.
        Activations take `_LAYER` bytes for each token, hidden unit and layer. (Korthikanti et al. 2022, "Reducing Activation
        Recomputation in Large Transformer Models", equation 2 without the maps of attention, has 34 where all of it is in 16
        bits; under autocast, what runs along the layers is not.) With gradient checkpointing one layer has them at a time, and
        `_INPUT` are left of each other one. Logits are counted as if every token were an answer's, up to as many as are held at
        a time.

        Args:
            kind: Of the host: `cpu`, `gpu`, `tpu`.
        """
        of = self.shape
        embedding = of.vocabulary * of.hidden
        if self.mode == "full":
            weights = (4 + _LEARNS + 2) * of.parameters
        else:
            frozen = 2 * of.parameters + 4 * embedding if kind == "gpu" else 4 * of.parameters
            weights = frozen + (4 + _LEARNS) * _ADAPTED * self.adapter_size * of.hidden * of.layers
        # A pair, and a row with a reason, are two sequences.
        several = 2 if self.method in ("preference", "reward", "step_by_step") else 1
        each = _LAYER[kind]
        layers = each + _INPUT * of.layers if self.gradient_checkpointing else each * of.layers
        tokens = (self.batch_size or _USUAL_BATCH) * several * self.max_tokens
        logits = min(tokens * of.vocabulary, max(LOGITS_AT_ONCE, of.vocabulary))
        return weights + tokens * layers * of.hidden + _LOGIT * logits

    def fits(self, host: catalog.Host) -> bool:
        """Whether the host has so much."""
        return self.memory(host.kind) <= _SPARE * _GB * host.memory_gb


def check(host: catalog.Host, run: Run | None, *, method: str) -> None:
    """Hold a run against a host.

    Args:
        host: Where it is to run.
        run: What it needs; None where that is not known.
        method: The way of training.

    Raises:
        HostError: VT792 our code cannot do this there, VT793 it does not fit; with the nearest host that will do.
    """
    nearest = next((one for one in _others(host) if one.can(method) and (run is None or run.fits(one))), None)
    instead = [f'host="{nearest.name}" ({nearest.machine_type})'] if nearest else []
    if not host.can(method):
        raise HostError(
            "VT792",
            f"{method} cannot be trained on {host.machine_type} ({host.title})",
            where="host",
            why=f"On a {host.kind.upper()}, our code does {', '.join(host.methods)}.",
            fix=instead[0] if instead else "a smaller model",
        )
    if run is not None and not run.fits(host):
        needed = run.memory(host.kind) / _GB
        raise HostError(
            "VT793",
            f"it needs about {needed:.0f} GB on each device, and {host.title} has {host.memory_gb} GB",
            where="host",
            why="Each device holds the whole model, so that more of them do not help.",
            fix=", or ".join([*_leaner(run, host), *instead, "a smaller batch_size, or max_tokens"]),
        )


def _leaner(run: Run, host: catalog.Host) -> list[str]:
    """What makes it fit there."""
    less = [
        ("gradient_checkpointing=True (about 40 % slower)", replace(run, gradient_checkpointing=True)),
        ('mode="adapter"', replace(run, mode="adapter")),
    ]
    return [words for words, one in less if one != run and one.fits(host)]


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
