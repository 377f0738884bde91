"""Weights in Cloud Storage: those that an open-model job starts from, and those that it leaves.

The layout of what is left is Google's: `OUTPUT/postprocess/node-0/checkpoints/checkpoint-N/` and
`.../final/`. Each is a folder that plain `transformers` loads (`model-00001-of-00001.safetensors`), or an
adapter that PEFT loads. The next job tunes on by naming one as its `customBaseModel`; what is taken in is
checked in `given.py`.
"""

from __future__ import annotations

import json
import mimetypes
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vertex_tuning.emulator.jobs import given
from vertex_tuning.emulator.jobs.files import JobFolder

if TYPE_CHECKING:
    from vertex_tuning.emulator.storage import Storage

_MAX_HEADER = 16 * 1024 * 1024
_MODEL, _SHARD, _INDEX = (
    "model.safetensors",
    "model-00001-of-00001.safetensors",
    "model.safetensors.index.json",
)


def take_in(storage: Storage, uri: str, stand_in: Path, folder: JobFolder) -> None:
    """Put the user's weights into the job's folder: a whole model into `base/`, an adapter into `initial/`.

    Raises:
        ApiError: 400, it is neither, or it is not of the stand-in's shape.
    """
    found = given.look(storage, uri, "tuning_job.custom_base_model")
    target = folder.initial if found.mode == "adapter" else folder.base
    found.take(storage, target)
    given.fit(found, target, [stand_in])


def place(uri: str, number: int | None = None) -> str:
    """Where in an output folder a checkpoint lies, counted from 1; the final one where none is given."""
    root = f"{uri.rstrip('/')}/postprocess/node-0/checkpoints"
    return f"{root}/final" if number is None else f"{root}/checkpoint-{number}"


def leave(
    storage: Storage,
    uri: str,
    checkpoints: list[Path],
    mode: str,
    stopped: Callable[[], bool],
    *,
    final: bool = True,
) -> list[str]:
    """Write checkpoints to an output folder, in training order; the last one is `final` too.

    It may be done again, when it was interrupted.

    Args:
        storage: Where to.
        uri: The output folder.
        checkpoints: Their folders.
        mode: `adapter` or `full`.
        stopped: Whether to leave off.
        final: Of a job that failed nothing is final.

    Returns:
        What was written, as URIs.
    """
    targets = [(place(uri, number), path) for number, path in enumerate(checkpoints, 1)]
    if final:
        targets.append((place(uri), checkpoints[-1]))
    written: list[str] = []
    for target, folder in targets:
        for path in sorted(path for path in folder.iterdir() if path.is_file()):
            if stopped():
                return written
            shard = mode == "full" and path.name == _MODEL
            kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            written.append(storage.write(f"{target}/{_SHARD if shard else path.name}", path, kind).uri)
            if shard:
                storage.write(f"{target}/{_INDEX}", _index(path), "application/json")
    return written


def _index(path: Path) -> bytes:
    """What tells `transformers` which tensor lies in which shard."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header: dict[str, Any] = json.loads(file.read(min(length, _MAX_HEADER)))
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    total = sum(entry["data_offsets"][1] - entry["data_offsets"][0] for entry in tensors.values())
    weight_map = dict.fromkeys(tensors, _SHARD)
    return json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}).encode()
