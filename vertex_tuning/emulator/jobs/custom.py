"""Weights in Cloud Storage: those that an open-model job starts from, and those that it leaves.

The layout of what is left is Google's: `OUTPUT/postprocess/node-0/checkpoints/checkpoint-N/` and
`.../final/`. Each is a folder that plain `transformers` loads (`model-00001-of-00001.safetensors`), or an
adapter that PEFT loads. The next job tunes on by naming one as its `customBaseModel`. Nothing but safetensors
and JSON is taken in.
"""

from __future__ import annotations

import json
import mimetypes
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vertex_tuning.emulator.jobs import files
from vertex_tuning.emulator.jobs.files import JobFolder
from vertex_tuning.emulator.status import ApiError, invalid
from vertex_tuning.emulator.storage.listing import Query, page

if TYPE_CHECKING:
    from vertex_tuning.emulator.storage import Storage

_SUFFIXES = (".json", ".safetensors", ".txt", ".jinja", ".model")
_SHAPE = (
    "model_type",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "vocab_size",
)
_MAX_FILES = 200
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
    bucket, _, prefix = uri.removeprefix("gs://").rstrip("/").partition("/")
    found = page(storage.db, bucket, Query(prefix=f"{prefix}/", delimiter="/", limit=_MAX_FILES)).items
    names = {version.name.rsplit("/", 1)[1]: version for version in found}
    adapter = "adapter_config.json" in names and "adapter_model.safetensors" in names
    whole = "config.json" in names and any(name.endswith(".safetensors") for name in names)
    if not adapter and not whole:
        raise _refused(f"{uri} holds neither a model (config.json, *.safetensors) nor an adapter.")
    target = folder.initial if adapter else folder.base
    target.mkdir(parents=True)
    for name, version in names.items():
        if name.endswith(_SUFFIXES):
            files.take(storage.blobs.path(version.blob), target / name)
    if whole and not adapter:
        _check_shape(target / "config.json", stand_in / "config.json")
        for path in stand_in.iterdir():
            # A tokenizer may be missing; the stand-in's is the same.
            if path.suffix != ".safetensors" and path.is_file() and not (target / path.name).exists():
                files.take(path, target / path.name)


def _check_shape(given: Path, expected: Path) -> None:
    try:
        config = json.loads(given.read_bytes())
        assert isinstance(config, dict)
    except (ValueError, AssertionError) as error:
        raise _refused("config.json is not a JSON object.") from error
    reference = json.loads(expected.read_bytes())
    different = [key for key in _SHAPE if config.get(key) != reference.get(key)]
    if different:
        raise _refused(
            "the weights are of another model than the one that the emulator trains here: "
            f"{', '.join(different)} differ. Give the output of an earlier job on the same base model."
        )


def _refused(why: str) -> ApiError:
    return invalid(("tuning_job.custom_base_model", why), rule="VT636")


def leave(
    storage: Storage, uri: str, checkpoints: list[Path], mode: str, stopped: Callable[[], bool]
) -> list[str]:
    """Write checkpoints to an output folder, in training order; the last one is `final` too.

    It may be done again, when it was interrupted.

    Returns:
        What was written, as URIs.
    """
    root = f"{uri.rstrip('/')}/postprocess/node-0/checkpoints"
    targets = [*((f"{root}/checkpoint-{number}", path) for number, path in enumerate(checkpoints, 1))]
    targets.append((f"{root}/final", checkpoints[-1]))
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
