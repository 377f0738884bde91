"""What the processor can do at best: the fastest of large matrix products, in GFLOP/s; and what a model has to multiply."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from vertex_tuning.training import adapters

SIZES = (1024, 2048, 4096)


def fastest(dtype: torch.dtype, seconds: float) -> float:
    """GFLOP/s of the best product of square matrices."""
    best = 0.0
    for size in SIZES:
        left, right = torch.randn(size, size).to(dtype), torch.randn(size, size).to(dtype)
        product = torch.mm(left, right)
        until = time.perf_counter() + seconds
        while (started := time.perf_counter()) < until:
            torch.mm(left, right, out=product)
            best = max(best, 2 * size**3 / (time.perf_counter() - started) / 1e9)
    return best


def weights(folder: Path, rank: int) -> dict[str, int]:
    """Numbers of weights: of the linear layers below the head, of the head, of the adapter."""
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
        head = model.get_output_embeddings()
        linear = [part for part in model.modules() if isinstance(part, torch.nn.Linear) and part is not head]
        frozen = sum(part.weight.numel() for part in linear)
        adapted = adapters.add(model, rank)
    trained = sum(parameter.numel() for parameter in adapted.parameters() if parameter.requires_grad)
    return {"linear": frozen, "head": head.weight.numel(), "adapter": trained}


given = json.loads(sys.argv[1])
torch.set_num_threads(given["threads"])
print(
    json.dumps(
        {
            "fp32_gflops": fastest(torch.float32, given["seconds"]),
            "bf16_gflops": fastest(torch.bfloat16, given["seconds"]),
            "weights": weights(Path(given["model"]), given["adapter_size"]),
        }
    )
)
