"""LoRA adapters in PEFT's format: made, resized, written.

Source: Hu et al., LoRA: Low-Rank Adaptation of Large Language Models (arXiv 2106.09685), equation 3:
`h = W x + (alpha / r) B A x`. Alpha is twice the rank everywhere here, so that rank alone changes between adapters.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

_WEIGHTS = "adapter_model.safetensors"


def add(model: Any, rank: int, *, scores: bool = False) -> Any:
    """A fresh adapter of this rank on every linear layer but the head; it changes nothing until it is trained.

    Args:
        model: The base model.
        rank: Of the adapter.
        scores: The model gives a score, and its head learns with the adapter.
    """
    config = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="SEQ_CLS" if scores else "CAUSAL_LM",
        modules_to_save=["score"] if scores else None,
    )
    return get_peft_model(model, config)


def load(model: Any, folder: Path, rank: int, scratch: Path) -> Any:
    """A trained adapter, to be trained on at a rank that may differ.

    Args:
        model: The base model.
        folder: The adapter, in PEFT's format.
        rank: Rank to go on with.
        scratch: Folder for a resized copy; made and removed.
    """
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    if config["r"] == rank:
        return PeftModel.from_pretrained(model, str(folder), is_trainable=True)
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    save_file(resize(load_file(folder / _WEIGHTS), rank), scratch / _WEIGHTS)
    config.update(r=rank, lora_alpha=2 * rank)
    (scratch / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    resized = PeftModel.from_pretrained(model, str(scratch), is_trainable=True)
    shutil.rmtree(scratch)
    return resized


def resize(weights: dict[str, torch.Tensor], rank: int) -> dict[str, torch.Tensor]:
    """The adapter at another rank: exact where the rank grows, the best approximation where it shrinks.

    Args:
        weights: `...lora_A.weight`: (r, in) and `...lora_B.weight`: (out, r), float.
        rank: The rank of the result.

    A larger rank keeps A and B and adds rows of noise to A against zero columns in B. A smaller one keeps the largest
    singular values of `B A` (Eckart and Young, 1936).
    """
    resized: dict[str, torch.Tensor] = {}
    for name in sorted(weights):
        if ".lora_A." not in name:
            continue
        a, b = weights[name].float(), weights[other := name.replace(".lora_A.", ".lora_B.")].float()
        old = a.shape[0]
        if rank > old:
            generator = torch.Generator().manual_seed(len(resized))
            noise = torch.randn(rank - old, a.shape[1], generator=generator) / a.shape[1] ** 0.5
            a, b = torch.cat([a, noise]), torch.cat([b, torch.zeros(b.shape[0], rank - old)], dim=1)
        elif rank < old:
            # B A = (Qb Rb) (Ra' Qa') with small factors, so that the large product is never formed.
            qb, rb = torch.linalg.qr(b)
            qa, ra = torch.linalg.qr(a.T)
            u, s, vh = torch.linalg.svd(rb @ ra.T)
            root = s[:rank].sqrt()
            b, a = qb @ (u[:, :rank] * root), (root[:, None] * vh[:rank]) @ qa.T
        resized[name], resized[other] = a.contiguous(), b.contiguous()
    return resized
