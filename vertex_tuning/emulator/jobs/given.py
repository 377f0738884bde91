"""Weights that a user gives: a folder in Cloud Storage, held against the open model that it is a version of.

A job's `customBaseModel` and an uploaded model's `artifactUri` come through here. Nothing but safetensors,
JSON and text is taken in, and nothing is loaded that does not have the shapes of a stand-in: what passes here
can be served.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vertex_tuning.emulator import weights
from vertex_tuning.emulator.jobs import files, simulated, tokenizer
from vertex_tuning.emulator.status import ApiError, invalid
from vertex_tuning.emulator.storage.listing import Query, page
from vertex_tuning.errors import WeightsError

if TYPE_CHECKING:
    from vertex_tuning.emulator.storage import Storage
    from vertex_tuning.emulator.storage.objects import Version

_TAKEN = (".json", ".safetensors", ".txt", ".jinja")
_SENTENCE_PIECES = "tokenizer.model"
"""A vocabulary, which is data; nothing here reads it."""
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
_CONFIG, _ADAPTER_CONFIG, _ADAPTER = "config.json", "adapter_config.json", "adapter_model.safetensors"
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja")
_INDEX, _MODEL = "model.safetensors.index.json", "model.safetensors"
_HEAD, _EMBEDDINGS = "lm_head.weight", "model.embed_tokens.weight"
_LORA = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")
# Kinds of adapter that are more than two matrices per layer.
_NOT_PLAIN = ("use_dora", "modules_to_save", "layer_replication", "trainable_token_indices", "rank_pattern")


@dataclass(frozen=True, slots=True)
class Given:
    """A folder with weights, of which the names are right."""

    uri: str
    mode: str
    """`adapter` or `full`, as the catalog calls it."""
    objects: dict[str, Version]
    """By file name."""
    field: str
    """What the request calls it, for errors."""

    def take(self, storage: Storage, target: Path) -> None:
        """Link the files into a folder; FileNotFoundError where an object was replaced just now."""
        target.mkdir(parents=True)
        for name, version in self.objects.items():
            files.take(storage.blobs.path(version.blob), target / name)

    def refused(self, why: str) -> ApiError:
        """400: these weights are of no model that is served here."""
        return invalid((self.field, why), rule="VT662")


def look(storage: Storage, uri: str, field: str) -> Given:
    """What a folder in Cloud Storage holds, by the names of its files.

    Raises:
        ApiError: 400, it is no folder of weights, or holds a file that is not taken in.
    """
    bucket, _, prefix = uri.removeprefix("gs://").rstrip("/").partition("/")
    under = f"{prefix}/" if prefix else ""
    found = page(storage.db, bucket, Query(prefix=under, delimiter="/", limit=_MAX_FILES + 1)).items
    names = {name: version for version in found if (name := version.name.rpartition("/")[2])}
    if simulated.NOTE in names:
        raise invalid(
            (
                field,
                f"{uri} is of a simulated job: it holds a note, and no weights. Run the job on an emulator without --simulate.",
            ),
            rule="VT660",
        )
    odd = sorted(name for name in names if not (name.endswith(_TAKEN) or name == _SENTENCE_PIECES))
    if odd:
        raise invalid(
            (
                field,
                f"{uri} holds {', '.join(odd)}: only safetensors, JSON, .txt and .jinja files are taken in. A "
                "pickle (.bin, .pt, .pth, .pkl) can run code when it is loaded: save the weights as "
                "safetensors. Remove what is not needed to load the model.",
            ),
            rule="VT661",
        )
    if len(names) > _MAX_FILES:
        raise invalid((field, f"{uri} holds more than {_MAX_FILES} files."), rule="VT660")
    adapter = _ADAPTER_CONFIG in names and _ADAPTER in names
    if not adapter and not (_CONFIG in names and any(name.endswith(".safetensors") for name in names)):
        raise invalid(
            (field, f"{uri} holds neither a model (config.json, *.safetensors) nor an adapter."), rule="VT660"
        )
    return Given(uri, "adapter" if adapter else "full", names, field)


def fit(given: Given, folder: Path, stand_ins: Sequence[Path]) -> int:
    """Which stand-in a folder that was taken in is a version of, by index; the folder is completed from it.

    Raises:
        ApiError: 400, none of them, or the files are not what they are called.
    """
    try:
        reasons = []
        for index, stand_in in enumerate(stand_ins):
            different = (_adapter if given.mode == "adapter" else _whole)(given, folder, stand_in)
            if not different:
                if given.mode == "full":
                    _complete(given, folder, stand_in)
                return index
            reasons.append(different)
    except WeightsError as error:
        name = Path(error.fault.where).name
        raise given.refused(f"{given.uri}/{name}: {error.fault.what}.") from error
    raise given.refused(
        "the weights are of another model than the one that the emulator trains here: "
        f"{reasons[0]}. Give the output of a job on an open model."
    )


def _whole(given: Given, folder: Path, stand_in: Path) -> str:
    """How a model differs from a stand-in; empty where it does not."""
    config, reference = _object(given, folder / _CONFIG), _object(given, stand_in / _CONFIG)
    different = [key for key in _SHAPE if config.get(key) != reference.get(key)]
    if different:
        return f"{', '.join(different)} differ"
    expected = weights.tensors_of(stand_in)
    found = weights.tensors_of(folder)
    # A head that is tied to the embeddings may be written out all the same.
    if _HEAD in found and found[_HEAD] == expected.get(_EMBEDDINGS):
        expected.setdefault(_HEAD, found[_HEAD])
    return _listed({name for name in {*found, *expected} if found.get(name) != expected.get(name)})


def _complete(given: Given, folder: Path, stand_in: Path) -> None:
    """Take from the stand-in what is missing, and its config: of the same weights it is the same."""
    _index(folder)
    (folder / _CONFIG).unlink()
    has_template = (folder / "chat_template.jinja").exists() or (
        (folder / "tokenizer_config.json").exists()
        and "chat_template" in _object(given, folder / "tokenizer_config.json")
    )
    for path in stand_in.iterdir():
        if path.suffix == ".safetensors" or not path.is_file() or (folder / path.name).exists():
            continue
        if path.name != "chat_template.jinja" or not has_template:
            files.take(path, folder / path.name)
    if why := tokenizer.fault(folder):
        names = ", ".join(name for name in _TOKENIZER if name in given.objects)
        raise given.refused(f"the tokenizer of {given.uri} ({names}) cannot be used: {why}")


def _index(folder: Path) -> None:
    """Which tensor lies in which file, by the files themselves."""
    (folder / _INDEX).unlink(missing_ok=True)
    shards = sorted(folder.glob("*.safetensors"))
    if len(shards) == 1:
        shards[0].rename(folder / _MODEL)
        return
    weight_map = {name: path.name for path in shards for name in weights.tensors(path)}
    total = sum(path.stat().st_size for path in shards)
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / _INDEX).write_text(json.dumps(index), encoding="utf-8")


def _adapter(given: Given, folder: Path, stand_in: Path) -> str:
    """How an adapter differs from one of a stand-in's; empty where it does not."""
    config = _object(given, folder / _ADAPTER_CONFIG)
    odd = [name for name in _NOT_PLAIN if config.get(name)]
    plain = config.get("peft_type", "LORA") == "LORA" and config.get("bias", "none") == "none" and not odd
    alpha, pattern = config.get("lora_alpha"), config.get("alpha_pattern") or {}
    numbers = [alpha, *(pattern.values() if isinstance(pattern, dict) else [None])]
    if not plain or not all(isinstance(number, int | float) for number in numbers):
        named = f" ({', '.join(odd)})" if odd else ""
        raise given.refused(f"{given.uri} is not a plain LoRA adapter{named}, as a tuning job leaves it.")
    expected = weights.tensors_of(stand_in)
    pairs: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, shape in weights.tensors(folder / _ADAPTER).items():
        match = _LORA.fullmatch(name)
        if match is None or len(shape) != 2:
            raise given.refused(f"{given.uri} holds {name}, which no plain LoRA adapter has.")
        pairs.setdefault(match["module"], {})[match["side"]] = shape
    different = set()
    for module, sides in pairs.items():
        a, b = sides.get("A", (0, 0)), sides.get("B", (0, 0))
        if not a[0] or a[0] != b[1] or (b[0], a[1]) != expected.get(f"{module}.weight"):
            different.add(module)
    return _listed(different) if pairs else "it has no weights"


def _listed(names: set[str]) -> str:
    if not names:
        return ""
    several = ", ".join(sorted(names)[:3])
    return f"{several}{f' and {len(names) - 3} more' if len(names) > 3 else ''} differ"


def _object(given: Given, path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise given.refused(f"{path.name} of {given.uri} is not a JSON object.")
    return found
