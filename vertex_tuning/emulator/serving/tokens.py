"""Tokenizers of model folders, kept: text, bytes and chats. No torch."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from llguidance import LLTokenizer

from vertex_tuning.training.chat import ChatTokenizer

_KEPT = 8


@lru_cache(_KEPT)
def chat(folder: str) -> ChatTokenizer:
    """The tokenizer and chat template of a model folder."""
    return ChatTokenizer(Path(folder))


@lru_cache(_KEPT)
def byte_tokenizer(folder: str) -> LLTokenizer:
    """The same vocabulary as bytes, which constrained decoding needs; a large one takes 0.3 s to build."""
    config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    text = (Path(folder) / "tokenizer.json").read_text(encoding="utf-8")
    return LLTokenizer(text, n_vocab=config["vocab_size"], eos_token=sorted(chat(folder).end_ids))
