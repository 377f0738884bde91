"""Where an interrupted run goes on: trainable weights and optimiser state, to the bit."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

_FILE = "resume.safetensors"
_MOMENTS = ("exp_avg", "exp_avg_sq")


def save(folder: Path, optimizer: torch.optim.Optimizer, progress: dict[str, Any]) -> None:
    """Write everything that the next step depends on; whole or not at all.

    Args:
        folder: Output folder of the run.
        optimizer: AdamW over the trainable parameters, in one group.
        progress: JSON-ready: how far the run is.
    """
    tensors: dict[str, torch.Tensor] = {}
    for index, parameter in enumerate(optimizer.param_groups[0]["params"]):
        tensors[f"{index}.weight"] = parameter.detach()
        state = optimizer.state.get(parameter, {})
        tensors.update({f"{index}.{name}": state[name] for name in (*_MOMENTS, "step") if name in state})
    temporary = folder / f"{_FILE}.{os.getpid()}"
    save_file(tensors, temporary, metadata={"progress": json.dumps(progress)})
    temporary.replace(folder / _FILE)


def load(folder: Path, optimizer: torch.optim.Optimizer) -> dict[str, Any] | None:
    """Put back what `save` wrote; its progress, or None where there is nothing."""
    path = folder / _FILE
    if not path.exists():
        return None
    with safe_open(path, framework="pt") as file:
        names = set(file.keys())
        for index, parameter in enumerate(optimizer.param_groups[0]["params"]):
            with torch.no_grad():
                parameter.copy_(file.get_tensor(f"{index}.weight"))
            state = {
                name: file.get_tensor(f"{index}.{name}").to(parameter.device)
                for name in (*_MOMENTS, "step")
                if f"{index}.{name}" in names
            }
            if state:
                optimizer.state[parameter] = state
        progress: dict[str, Any] = json.loads(file.metadata()["progress"])
    return progress


def clear(folder: Path) -> None:
    """Remove it: the run is done."""
    (folder / _FILE).unlink(missing_ok=True)
