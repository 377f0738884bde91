"""Reward models: of two answers, say which one is preferred, by a number for each.

A trunk that reads the chat, and one number at its last token. For pairs of a preferred answer `c` and another `r` to `x`:

    loss = mean(-log sigmoid(R(x, c) - R(x, r)))  +  center * mean((R(x, c) + R(x, r))^2)

The first term is the model of Bradley and Terry: the probability that `c` is preferred is `sigmoid(R(x, c) - R(x, r))`. It says
nothing of where zero is; the second keeps the numbers around it.

A checkpoint is an ordinary model of transformers (`AutoModelForSequenceClassification`), with its tokenizer, whose padding is a
token that never ends a chat: such a model reads the last token that is no padding. Beside it lies `reward.json`: the mean reward,
and how often the model is right, and how sure, on pairs that it has not learnt from.

Sources: Ouyang et al., Training language models to follow instructions with human feedback (arXiv 2203.02155), equation 1;
Eisenstein et al., Helping or Herding? (arXiv 2312.09244), section 2, for the second term. Both as in TRL's `RewardTrainer`.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from vertex_tuning import metrics
from vertex_tuning.training import adapters, attention, examples, fused, loop
from vertex_tuning.training.chat import Encoded
from vertex_tuning.training.config import RewardConfig, TrainingConfig
from vertex_tuning.training.loop import Learner, Report
from vertex_tuning.training.pairs import Pair, Pairs

CARD = "reward.json"
_AT_ONCE = 16
_LOOKED_AT = 500
"""Training pairs that stand in for held-out ones where there are none."""


def run(config: RewardConfig, report: Report) -> None:
    """Train; see `loop.run`."""
    loop.run(config, lambda: _Reward(config), report)


class _Reward(Pairs):
    """Pairs, and the loss on them."""

    _config: RewardConfig
    _learner: Learner

    def begin(self, learner: Learner) -> None:
        """Nothing is to be known of the weights before."""
        self._learner = learner

    def loss(
        self, learner: Learner, numbers: Sequence[int], _step: int
    ) -> tuple[torch.Tensor, dict[str, float]]:
        preferred, other = _rewards(learner, [self._pairs[number] for number in numbers])
        margins = preferred - other
        loss = -torch.nn.functional.logsigmoid(margins).mean()
        loss = loss + self._config.center * ((preferred + other) ** 2).mean()
        margins = margins.detach()
        return loss, {
            "accuracy": float((margins > 0).float().mean()),
            "reward_margin": float(margins.mean()),
            "mean_reward": float((preferred + other).detach().mean()) / 2,
        }

    def evaluate(self, learner: Learner, batch_size: int) -> dict[str, float]:
        """Loss without the second term, accuracy and calibration on the held-out pairs."""
        del batch_size
        if not self._held_out:
            return {}
        card = _card(learner, self._held_out)
        return {f"eval_{name}": card[name] for name in ("loss", "accuracy", "calibration_error")}

    # Weights

    def load(self, config: TrainingConfig, output: Path) -> Any:
        """The model, with a fresh head."""
        del output
        model = _fresh(config, self._padding)
        model.config.use_cache = False
        model.train()
        if config.mode == "full":
            return model.requires_grad_(True)
        model = adapters.add(model, config.adapter_size, scores=True)
        fused.apply(model)
        return loop.lean(model)

    def write(self, model: Any, config: TrainingConfig, folder: Path) -> None:
        """Whole weights, an adapter put into them, with the tokenizer and the card."""
        if config.mode != "full":
            from peft import PeftModel

            scratch = folder / "adapter"
            model.save_pretrained(scratch, safe_serialization=True)
            # The weights that learn beside an adapter may lie in lower precision: it is put into the original ones.
            fresh = _fresh(config, self._padding)
            merged = PeftModel.from_pretrained(fresh, str(scratch)).merge_and_unload()
            merged.save_pretrained(folder, safe_serialization=True)
            shutil.rmtree(scratch)
        else:
            model.save_pretrained(folder, safe_serialization=True)
        _write_tokenizer(Path(config.model), folder, self._padding)
        learning = model.training
        model.eval()
        with torch.no_grad():
            pairs = self._held_out or self._pairs[:_LOOKED_AT]
            card = {**_card(self._learner, pairs), "held_out": bool(self._held_out)}
        model.train(learning)
        (folder / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")

    @property
    def _padding(self) -> int:
        """The first token that never ends a chat: the model reads the last one that is no padding."""
        return next(token for token in range(len(self._tokenizer.end_ids) + 1) if not self._ends(token))

    def _ends(self, token: int) -> bool:
        return token in self._tokenizer.end_ids


def last_rewards(learner: Learner, batch: Sequence[Encoded]) -> torch.Tensor:
    """The rewards of whole chats, read at their last tokens: (chats,) float32."""
    ids, _, _ = examples.tensors(batch, learner.accelerator.device)
    last = torch.zeros_like(ids, dtype=torch.bool)
    for row, example in enumerate(batch):
        last[row, len(example.ids) - 1] = True
    return learner.logits(ids, last).squeeze(-1)


def _rewards(learner: Learner, batch: Sequence[Pair]) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the preferred answers and of the others: (pairs,) each."""
    found = last_rewards(learner, [*(pair.preferred for pair in batch), *(pair.other for pair in batch)])
    return found[: len(batch)], found[len(batch) :]


def _card(learner: Learner, pairs: Sequence[Pair]) -> dict[str, Any]:
    """What can be said of the model by these pairs."""
    order = sorted(pairs, key=lambda pair: pair.tokens)
    preferred: list[float] = []
    other: list[float] = []
    for start in range(0, len(order), _AT_ONCE):
        batch = _rewards(learner, order[start : start + _AT_ONCE])
        preferred += batch[0].tolist()
        other += batch[1].tolist()
    margins = [first - second for first, second in zip(preferred, other, strict=True)]
    right = [margin > 0 for margin in margins]
    sure = metrics.calibration([1 / (1 + math.exp(-min(abs(margin), 50.0))) for margin in margins], right)
    accuracy = metrics.paired_difference(right, [0.0] * len(right), resamples=2_000)
    rewards = torch.tensor([*preferred, *other])
    return {
        "pairs": len(pairs),
        "accuracy": accuracy.estimate,
        "accuracy_interval": [accuracy.low, accuracy.high],
        "loss": -float(torch.nn.functional.logsigmoid(torch.tensor(margins)).mean()),
        "mean_reward": float(rewards.mean()),
        "spread": float(rewards.std()),
        "calibration_error": sure.expected_error,
        "brier": sure.brier,
        "calibration": [asdict(one) for one in sure.bins],
    }


def _fresh(config: TrainingConfig, padding: int) -> Any:
    """The model that the run begins with: the trunk as it is, or with an adapter in it, and a head of noise."""
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    torch.manual_seed(config.seed)
    how = {"dtype": torch.float32, "attn_implementation": attention.register(), "local_files_only": True}
    model = AutoModelForSequenceClassification.from_pretrained(config.model, num_labels=1, **how)
    model.config.pad_token_id = padding
    if config.initial:
        from peft import PeftModel

        whole: Any = AutoModelForCausalLM.from_pretrained(config.model, **how)
        tuned = PeftModel.from_pretrained(whole, config.initial).merge_and_unload()
        model.get_decoder().load_state_dict(tuned.get_decoder().state_dict())
    return model


def _write_tokenizer(source: Path, folder: Path, padding: int) -> None:
    for name in ("tokenizer.json", "chat_template.jinja", "generation_config.json"):
        if (source / name).exists():
            shutil.copyfile(source / name, folder / name)
    words = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    known = {one["id"]: one["content"] for one in words["added_tokens"]}
    known |= {number: word for word, number in words["model"]["vocab"].items()}
    settings = json.loads((source / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings["pad_token"] = known[padding]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
