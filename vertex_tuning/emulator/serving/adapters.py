"""LoRA adapters, several in one batch.

Weights in PEFT's format, applied by hooks on the base model's linear layers, each adapter to its own tokens.
Source: Hu et al., LoRA: Low-Rank Adaptation of Large Language Models (arXiv 2106.09685), equation 3:
`h = W x + (alpha / r) B A x`.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

_MAX_LOADED = 16
_KEY = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")
# Kinds of adapter that equation 3 does not describe.
_UNKNOWN = ("use_dora", "modules_to_save", "layer_replication", "trainable_token_indices")

Span = tuple["Adapter", int, int]


class Adapter:
    """One adapter: (A transposed, B transposed and scaled) by module name."""

    def __init__(self, folder: Path) -> None:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        odd = [name for name in _UNKNOWN if config.get(name)]
        if config.get("peft_type", "LORA") != "LORA" or config.get("bias", "none") != "none" or odd:
            raise ValueError(
                f"{folder} is not a plain LoRA adapter: {', '.join(odd) or config.get('peft_type')}"
            )
        sides: dict[str, dict[str, Tensor]] = {"A": {}, "B": {}}
        for name, weight in load_file(folder / "adapter_model.safetensors").items():
            match = _KEY.fullmatch(name)
            if match is None:
                raise ValueError(f"{folder} holds {name}, which no plain LoRA adapter has")
            sides[match["side"]][match["module"]] = weight.float()
        self.weights: dict[str, tuple[Tensor, Tensor]] = {}
        for module, a in sides["A"].items():
            scale = _setting(config, "alpha_pattern", module, config["lora_alpha"])
            rank = a.shape[0]
            scale = scale / rank**0.5 if config.get("use_rslora") else scale / rank
            self.weights[module] = (a.T.contiguous(), (sides["B"][module].T * scale).contiguous())


def _setting(config: dict[str, Any], field: str, module: str, usual: float) -> float:
    for pattern, value in (config.get(field) or {}).items():
        if re.fullmatch(rf"(.*\.)?({pattern})", module):
            return float(value)
    return usual


class Adapters:
    """The adapters of one base model; those least used are forgotten."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._loaded: OrderedDict[Path, Adapter] = OrderedDict()
        self._hooked: set[str] = set()
        self._spans: list[Span] = []

    def load(self, folder: Path) -> Adapter:
        """The adapter of a folder, read where it is not held.

        Raises:
            ValueError: It is not an adapter of this model.
        """
        adapter = self._loaded.get(folder)
        if adapter is None:
            adapter = Adapter(folder)
            for name, (a, b) in adapter.weights.items():
                self._hook(name, a.shape[0], b.shape[1])
            self._loaded[folder] = adapter
            while len(self._loaded) > _MAX_LOADED:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(folder)
        return adapter

    def _hook(self, name: str, inputs: int, outputs: int) -> None:
        module = self._model.get_submodule(name)
        if tuple(module.weight.shape) != (outputs, inputs):
            raise ValueError(
                f"the adapter's {name} is {outputs}x{inputs}, the model's {tuple(module.weight.shape)}"
            )
        if name not in self._hooked:
            module.register_forward_hook(self._hook_of(name))
            self._hooked.add(name)

    def _hook_of(self, name: str) -> Callable[..., None]:
        def add(_: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            for adapter, begin, end in self._spans:
                weights = adapter.weights.get(name)
                if weights is not None:
                    # output: (1, tokens, out)
                    output[0, begin:end].addmm_(inputs[0][0, begin:end] @ weights[0], weights[1])

        return add

    @contextlib.contextmanager
    def on(self, spans: list[Span]) -> Iterator[None]:
        """Apply adapters to spans of the packed sequence: (adapter, begin, end)."""
        self._spans = spans
        try:
            yield
        finally:
            self._spans = []
