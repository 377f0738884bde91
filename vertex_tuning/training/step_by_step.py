"""Distillation step by step: learn a teacher's labels and its rationales, as two tasks.

Each row is asked twice, with a prefix that says what is wanted: `[label]` and `[rationale]`. With `L` and `R` the mean
cross-entropies over the tokens of a batch's labels and of its rationales, ends of turns included, the loss is one of

    L + lambda * R                   the paper's (`rationale_weight`)
    alpha * L + (1 - alpha) * R      that of the code that was released with it (`alpha`)

lambda = 1 is twice alpha = 1/2; in general lambda = (1 - alpha) / alpha, and the paper's loss is the code's over alpha. Each task
has a mean of its own: one over the tokens of both would let rationales of hundreds of tokens drown labels of a few.

Held-out rows are asked for their label before the first step and at each evaluation (`held_out.py`). What the model would say
stands in `held_out.json` of the output folder, row by row: `before`, for the model that the run began with, and `after`.

A step takes so many rows, and both tasks of each, so that both see the same inputs equally often. Where `rationale_weight` is 0
the rationales cost nothing: that is the control, labels alone on the same rows.

Source: Hsieh et al., Distilling Step-by-Step! (Findings of ACL 2023, arXiv 2305.02301), section 3.2, equations 1 to 4.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vertex_tuning.data import rationales
from vertex_tuning.training import examples, loop, rows
from vertex_tuning.training.chat import ChatTokenizer, Encoded
from vertex_tuning.training.config import StepByStepConfig
from vertex_tuning.training.held_out import HeldOut
from vertex_tuning.training.loop import Learner, Report
from vertex_tuning.training.stats import Tally

HELD_OUT = "held_out.json"


def run(config: StepByStepConfig, report: Report) -> None:
    """Train; see `loop.run`."""
    loop.run(config, lambda: _StepByStep(config), report)


@dataclass(slots=True)
class _Pair:
    """The two tasks of one row."""

    label: Encoded
    rationale: Encoded | None


class _StepByStep(loop.Objective):
    """Rows, and the loss on both tasks."""

    def __init__(self, config: StepByStepConfig) -> None:
        _check_weights(config)
        examples.check(config)
        self._config = config
        self._of_label, self._of_rationale = config.weights
        self._tokenizer = ChatTokenizer(Path(config.model))
        self._tallies = (Tally(), Tally())
        self._said: dict[str, Any] = {}
        self._pairs = self._load(config.training, config.training_name, self._tallies, config.dropped)
        self._held_out: list[_Pair] = []
        self._questions: HeldOut | None = None
        if config.validation:
            before = config.dropped_validation
            self._held_out = self._load(config.validation, config.validation_name, (Tally(), Tally()), before)
            asked = [
                (rows.messages(rationales.asked(row, rationales.LABEL)), row["label"])
                for _, row in rows.read(Path(config.validation))
            ]
            self._questions = HeldOut(self._tokenizer, asked)

    def _load(
        self,
        path: str,
        name: str | None,
        tallies: tuple[Tally, Tally],
        before: Sequence[tuple[int, str]],
    ) -> list[_Pair]:
        found: list[_Pair] = []

        def encode(row: dict[str, Any]) -> None:
            label = self._encode(row, rationales.LABEL)
            rationale = self._encode(row, rationales.RATIONALE) if self._of_rationale else None
            assert label is not None  # the check has seen to it
            longest = max(len(label.ids), len(rationale.ids) if rationale else 0)
            if longest > self._config.max_tokens:
                raise examples.TooLongError(longest)
            for tally, encoded, said in zip(
                tallies, (label, rationale), (row["label"], row.get("rationale")), strict=True
            ):
                if encoded is not None:
                    tally.add(
                        input_tokens=len(encoded.ids) - encoded.output_tokens,
                        output_tokens=encoded.output_tokens,
                        turns=len(row["contents"]) + 1,
                        characters=len(said) + sum(map(len, _texts(row))),
                        contents=row["contents"],
                    )
            found.append(_Pair(label, rationale))

        examples.read(path, name, encode, config=self._config, dropped=tallies[0].dropped, before=before)
        return found

    def _encode(self, row: dict[str, Any], prefix: str) -> Encoded | None:
        """One of the tasks as tokens; its answer alone is learnt. None: the row has no rationale."""
        answered = rationales.answered(row, prefix)
        if answered is None:
            return None
        chat = rows.messages(answered)
        asked = len(self._tokenizer.prompt(chat[:-1]))
        ids = self._tokenizer.chat(chat).ids
        return Encoded(ids, [index >= asked for index in range(len(ids))])

    @property
    def lengths(self) -> Sequence[int]:
        """Tokens of each row, both tasks."""
        return [
            len(pair.label.ids) + (len(pair.rationale.ids) if pair.rationale else 0) for pair in self._pairs
        ]

    def stats(self, *, steps: int, epochs: int) -> dict[str, Any]:
        """What there is of each task, as `SupervisedTuningDataStats`."""
        label, rationale = (tally.to_json(steps=steps, epochs=epochs) for tally in self._tallies)
        return {"stepByStepDataStats": {"label": label, "rationale": rationale}}

    def begin(self, learner: Learner) -> None:
        """What the model that the run began with says to the held-out rows."""
        if self._questions is None:
            return
        learner.model.eval()
        with torch.no_grad():
            self._said["before"] = self._questions.ask(learner, self._config.batch_size or 8).to_json()
        learner.model.train()
        self._write(learner)

    def _write(self, learner: Learner) -> None:
        if learner.accelerator.is_main_process:
            path = Path(self._config.output) / HELD_OUT
            path.write_text(json.dumps(self._said) + "\n", encoding="utf-8")

    def loss(
        self, learner: Learner, numbers: Sequence[int], _step: int
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Of the rows with these numbers; and both parts of it, and the share of label tokens that were the likeliest."""
        found = self._forward(learner, [self._pairs[number] for number in numbers])
        loss = self._of_label * found.label
        measured = {"label_loss": float(found.label.detach()), "accuracy": found.hits / found.label_tokens}
        if found.rationale is not None:
            loss = loss + self._of_rationale * found.rationale
            measured["rationale_loss"] = float(found.rationale.detach())
        return loss, measured

    def evaluate(self, learner: Learner, batch_size: int) -> dict[str, float]:
        """Of the held-out rows: the loss of each task per token, weighed as in training; the share of label tokens that were
        right, of labels that are said word for word, and of labels that are right when they are chosen among all.
        """
        if self._questions is None:
            return {}
        said = self._questions.ask(learner, batch_size)
        self._said["after"] = said.to_json()
        self._write(learner)
        order = sorted(self._held_out, key=lambda pair: len(pair.label.ids))
        label = rationale = hits = label_tokens = rationale_tokens = 0.0
        for start in range(0, len(order), batch_size):
            found = self._forward(learner, order[start : start + batch_size])
            label += float(found.label) * found.label_tokens
            label_tokens += found.label_tokens
            hits += found.hits
            if found.rationale is not None:
                rationale += float(found.rationale) * found.rationale_tokens
                rationale_tokens += found.rationale_tokens
        means = {
            "eval_label_loss": label / label_tokens,
            "eval_accuracy": hits / label_tokens,
            "eval_word_for_word": said.word_for_word,
            **({} if said.choice is None else {"eval_choice": said.choice}),
        }
        total = self._of_label * means["eval_label_loss"]
        if rationale_tokens:
            means["eval_rationale_loss"] = rationale / rationale_tokens
            total += self._of_rationale * means["eval_rationale_loss"]
        return {"eval_loss": total, **means}

    def _forward(self, learner: Learner, batch: Sequence[_Pair]) -> _Found:
        """Both tasks of some rows in one pass."""
        asked = [*(pair.label for pair in batch), *(pair.rationale for pair in batch if pair.rationale)]
        ids, before, answers = examples.tensors(asked, learner.accelerator.device)
        each, likeliest = learner.likelihoods(ids, before, answers)
        # Row by row: the tokens of the labels stand before those of the rationales.
        split = sum(pair.label.output_tokens for pair in batch)
        label, hits = -each[:split].mean(), int(likeliest[:split].sum())
        rationale = -each[split:].mean() if len(answers) > split else None
        return _Found(label, rationale, hits, split, len(answers) - split)


@dataclass(slots=True)
class _Found:
    """What a pass over some rows gave."""

    label: torch.Tensor
    """Mean over the label tokens, scalar float32."""
    rationale: torch.Tensor | None
    """Mean over the rationale tokens, scalar float32; None where there are none."""
    hits: int
    """Label tokens that were the likeliest."""
    label_tokens: int
    rationale_tokens: int


def _check_weights(config: StepByStepConfig) -> None:
    wrong = ""
    if config.alpha is not None and config.rationale_weight is not None:
        wrong = "rationale_weight and alpha are two ways to say the same"
    elif config.alpha is not None and not 0.0 < config.alpha <= 1.0:
        wrong = f"alpha is {config.alpha:g}, not above 0 and up to 1"
    elif config.rationale_weight is not None and not 0.0 <= config.rationale_weight < math.inf:
        wrong = f"rationale_weight is {config.rationale_weight:g}, not 0 or more"
    if wrong:
        fix = "give rationale_weight (the paper's lambda, 1 without it) or alpha (the released code's, 0.5 there)"
        raise examples.DataFaultError(f"VT252  {wrong}\n       Fix: {fix}")


def _texts(row: dict[str, Any]) -> list[str]:
    return [part.get("text", "") for content in row["contents"] for part in content["parts"]]
