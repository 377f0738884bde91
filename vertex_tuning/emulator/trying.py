"""Whether an open model can stand in: `python -m vertex_tuning.emulator.trying FOLDER`, a process of its own.

Our trainer and our serving compute a model in their own ways: the head on answer tokens alone, rows of any length in one
batch, adapters by hooks. Here they are held against `transformers` and PEFT on a short chat, before anybody relies on them. What
is found goes to standard output, as JSON: `parameters`, `max_tokens` and `architecture`; or `why` it cannot.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from peft import PeftModel
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

from vertex_tuning.emulator.serving.packed import PackedModel, Segment
from vertex_tuning.training import adapters, attention, fused
from vertex_tuning.training.chat import ChatTokenizer
from vertex_tuning.training.loop import Learner

_ANSWER = "Yes, it is green."
_CHAT = [
    {"role": "user", "content": "Is grass green?"},
    {"role": "assistant", "content": "Often."},
    {"role": "user", "content": "And in spring?"},
    {"role": "assistant", "content": _ANSWER},
]
_APART = 0.02
"""Of the largest logit: how far two ways of computing the same may be apart."""


class _NotFitError(Exception):
    """The model cannot stand in; the message says why."""


def main() -> int:
    """Try the folder that is named; exit status 1 where it cannot."""
    logging.disable_progress_bar()
    folder = Path(sys.argv[1])
    with contextlib.redirect_stdout(sys.stderr):  # libraries print too
        try:
            found = _try(folder)
        except _NotFitError as error:
            found = {"why": str(error)}
        except Exception as error:  # whatever a library says of a model that it cannot take
            words = str(error).strip().splitlines() or [type(error).__name__]
            found = {"why": f"{type(error).__name__}: {words[0][:500]}"}
    print(json.dumps(found))
    return int("why" in found)


def _try(folder: Path) -> dict[str, Any]:
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    ids = _speak(folder, config)
    wanted = _logits(folder, ids)
    model = _load(folder, attention.register())
    learner = Learner(Accelerator(cpu=True, mixed_precision="no"), model)
    tokens = torch.tensor([ids])
    _compare(
        "our trainer", learner.logits(tokens, torch.ones_like(tokens, dtype=torch.bool)).detach(), wanted
    )
    parameters = sum(one.numel() for one in model.parameters())
    with tempfile.TemporaryDirectory() as scratch:
        tuned = _tuned(model, tokens, Path(scratch))
        del model, learner
        served = PackedModel(folder)
        _compare("our serving", _served(served, ids, None), wanted)
        by_peft = _logits(folder, ids, adapter=scratch)
        if float((by_peft - wanted).abs().max()) == 0.0 or not tuned:
            raise _NotFitError("an adapter on its linear layers changes nothing")
        _compare("our serving, with an adapter,", _served(served, ids, Path(scratch)), by_peft)
    text = config.get_text_config()
    return {
        "parameters": parameters,
        "max_tokens": int(getattr(text, "max_position_embeddings", 0) or 0),
        "architecture": (config.architectures or [type(config).__name__])[0],
    }


def _speak(folder: Path, config: Any) -> list[int]:
    """The chat as tokens, with what is learnt of it."""
    tokenizer = ChatTokenizer(folder)
    size = config.get_text_config().vocab_size
    most = max(*tokenizer.end_ids, tokenizer.tokenizer.get_vocab_size(with_added_tokens=True) - 1, 0)
    if most >= size:
        raise _NotFitError(f"its tokenizer has more tokens than the model: {most + 1} for {size}")
    try:
        encoded = tokenizer.chat(_CHAT)
    except KeyError as error:
        raise _NotFitError("it has no chat template: is it a base model, not tuned for chats?") from error
    # The last turn: of those before, some templates leave out what the model thought.
    first = len(encoded.learn) - encoded.learn[::-1].index(False)
    learnt = encoded.ids[first:]
    if not learnt or tokenizer.decode(learnt).strip() != _ANSWER:
        raise _NotFitError(
            f'by its chat template a model turn is "{tokenizer.decode(learnt)}", where "{_ANSWER}" was said'
        )
    if learnt[-1] not in tokenizer.end_ids:
        raise _NotFitError("its chat template does not end a model turn with a token that ends an answer")
    return encoded.ids


def _load(folder: Path, how: str) -> Any:
    return AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=torch.float32,
        attn_implementation=how,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
    ).eval()


@torch.no_grad()
def _logits(folder: Path, ids: list[int], adapter: str = "") -> torch.Tensor:
    """As `transformers` has them, and PEFT: (tokens, vocabulary)."""
    model = _load(folder, "sdpa")
    if adapter:
        model = PeftModel.from_pretrained(model, adapter)
    found: torch.Tensor = model(input_ids=torch.tensor([ids])).logits[0].float()
    return found


def _tuned(model: Any, ids: torch.Tensor, folder: Path) -> bool:
    """Leave an adapter that was trained on a chat by one large step; whether all of its gradients are there."""
    made = adapters.add(model.train(), 4)
    for name, parameter in made.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.02)
    fused.apply(made)
    learner = Learner(Accelerator(cpu=True, mixed_precision="no"), made)
    where = torch.ones_like(ids, dtype=torch.bool)
    where[:, -1] = False
    each, _ = learner.likelihoods(ids, where, ids[0, 1:])
    torch.autograd.backward(each.mean())
    made.save_pretrained(folder)
    trained = [one for one in made.parameters() if one.requires_grad]
    return all(one.grad is not None and bool(torch.isfinite(one.grad).all()) for one in trained)


@torch.inference_mode()
def _served(model: PackedModel, ids: list[int], adapter: Path | None) -> torch.Tensor:
    loaded = None if adapter is None else model.adapters.load(adapter)
    _, logits = model.forward([Segment(0, 0, ids, adapter=loaded, wanted=list(range(len(ids))))])
    return logits


def _compare(who: str, found: torch.Tensor, wanted: torch.Tensor) -> None:
    apart = float((found.float() - wanted).abs().max())
    if not apart <= _APART * float(wanted.abs().max()):
        raise _NotFitError(
            f"{who} computes other logits than transformers ({apart:.3g} apart): the model does something that we do not"
        )


if __name__ == "__main__":
    sys.exit(main())
