"""`python -m vertex_tuning.training.convert GGUF FOLDER NAME`: dequantise a GGUF file into a folder of safetensors.

Done once, in a process of its own: it needs twice the memory of the weights, and torch.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

# Gemma 3 270M is a base model and has no template; this is the one of its instruction-tuned sisters, in short.
# Its tokenizer puts <bos> in front of a text only when special tokens are asked for, and we never ask.
_GEMMA_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}"
    "<start_of_turn>{{ 'model' if m['role'] == 'assistant' else 'user' }}\n{{ m['content'] }}"
    "{{ eos_token if m['role'] == 'assistant' else '<end_of_turn>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


def convert(source: Path, target: Path, name: str) -> None:
    """Write `target`: config, tokenizer, `model.safetensors` in fp32, which a job maps as it is."""
    folder, file = str(source.parent), source.name
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        gguf_file=file,
        dtype=torch.float32,
        # Without this the weights stay packed, and cannot be saved or trained.
        quantization_config=GgufConfig(dequantize=True),
    )
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(target, safe_serialization=True, max_shard_size="100GB")
    if not tokenizer.chat_template:
        if not name.startswith("gemma"):
            raise ValueError(f"{name} has no chat template")
        tokenizer.chat_template = _GEMMA_TEMPLATE
    tokenizer.save_pretrained(target)
    config = json.loads((target / "config.json").read_text(encoding="utf-8"))
    config.pop("quantization_config", None)
    (target / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
