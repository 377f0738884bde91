"""A request as what the trainer is told."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vertex_tuning import catalog
from vertex_tuning.emulator.jobs.request import ADAPTER_SIZES, Source, mode_of
from vertex_tuning.emulator.status import ApiError, Code

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator

_SEED = 42


def stand_in_of(emulator: Emulator, base: catalog.BaseModel) -> catalog.StandIn:
    """The open model that stands in for a base model here."""
    return catalog.stand_in(emulator.settings.stand_in or base.stand_in)


def weights_of(emulator: Emulator, base: catalog.BaseModel) -> Path:
    """The folder of its weights.

    Raises:
        ApiError: 400, they were not fetched; with the command that does.
    """
    stand_in = stand_in_of(emulator, base)
    path = emulator.weights.path(stand_in.name)
    if path is None:
        raise ApiError(
            Code.FAILED_PRECONDITION,
            f"{base.id} is served here by {stand_in.title}, whose weights were not fetched yet. "
            f"Run: vertex-tuning emulator models pull {stand_in.name}",
            rule="VT702",
        )
    return path


def adapter_size(base: catalog.BaseModel, parameters: dict[str, Any]) -> int:
    """The rank asked for, or the service's choice: 4, or the nearest that the model takes."""
    given = ADAPTER_SIZES.get(parameters.get("adapterSize", ""))
    if given:
        return given
    return 4 if 4 in base.adapter_sizes or not base.adapter_sizes else base.adapter_sizes[-1]


def training_config(emulator: Emulator, folder: Path, job: dict[str, Any], source: Source) -> dict[str, Any]:
    """What the trainer is told, as JSON.

    Raises:
        ApiError: 400, the weights were not fetched.
    """
    spec = job["supervisedTuningSpec"]
    parameters = spec.get("hyperParameters", {})
    stand_in = stand_in_of(emulator, source.base)
    mode = mode_of(job)
    weights = weights_of(emulator, source.base)
    initial: str | None = None
    if source.version is not None:
        made = source.version.private
        checkpoint = made["checkpoints"][source.checkpoint_id]
        if made["mode"] == "full":
            weights = Path(checkpoint["path"])
        else:
            weights = Path(made["model_dir"])
            initial = checkpoint["path"]
    rate = stand_in.learning_rate_full if mode == "full" else stand_in.learning_rate_adapter
    multiplier = float(parameters.get("learningRateMultiplier") or 1.0)
    return {
        "model": str(weights),
        "training": str(folder / "training.jsonl"),
        "validation": str(folder / "validation.jsonl") if "validationDatasetUri" in spec else None,
        "output": str(folder / "output"),
        "mode": mode,
        "adapter_size": adapter_size(source.base, parameters),
        "epochs": int(parameters.get("epochCount") or 0) or None,
        "batch_size": int(parameters.get("batchSize") or 0) or None,
        "learning_rate": float(parameters["learningRate"]) if "learningRate" in parameters else rate * multiplier,
        "seed": _SEED,
        "max_tokens": stand_in.max_tokens,
        "last_checkpoint_only": bool(spec.get("exportLastCheckpointOnly")),
        "initial": initial,
        "threads": os.cpu_count() or 1,
        "open_model": source.base.open,
        "stand_in": stand_in.title,
    }


def take_data(emulator: Emulator, folder: Path, job: dict[str, Any]) -> None:
    """Put the data sets aside as they are now: what happens to the objects later does not change the job."""
    spec = job["supervisedTuningSpec"]
    folder.mkdir(parents=True)
    for field, name in (("trainingDatasetUri", "training.jsonl"), ("validationDatasetUri", "validation.jsonl")):
        if field in spec:
            path = emulator.storage.open_path(spec[field])
            try:
                os.link(path, folder / name)
            except OSError:
                shutil.copyfile(path, folder / name)
