"""No training: let a model answer prompts, and say what the answers are worth to a reward model and to a measure.

The prompts are the `training` set. Answers are written to `answers.jsonl` in the output folder, `samples_per_prompt` to each row,
in their order:

    {"row": 1, "answers": [{"text": ..., "reward": ..., "measure": ..., "length": ..., "repetition": ...}, ...]}

`reward` and `measure` are there where a reward model and a measure were named. Several answers are sampled at temperature 1; a
single one is made of the likeliest tokens.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from vertex_tuning import metrics
from vertex_tuning.training import examples, groups, loop, rows
from vertex_tuning.training.chat import ChatTokenizer
from vertex_tuning.training.config import AnsweringConfig
from vertex_tuning.training.judging import Answered, RewardModel
from vertex_tuning.training.looking import measure_of
from vertex_tuning.training.loop import Learner, Report

FILE = "answers.jsonl"
_AT_ONCE = 32


def run(config: AnsweringConfig, report: Report) -> None:
    """Answer; reports `step` as it goes on, and last `done` or `failed`, as `loop.run` does."""
    with loop.failures_told(report):
        _run(config, report)


def _run(config: AnsweringConfig, report: Report) -> None:
    loop.prepare(config)
    tokenizer = ChatTokenizer(Path(config.model))
    measure = None if config.measure is None else measure_of(config.measure)
    asked = [row for _, row in rows.read(Path(config.training))]
    chats = [rows.messages(row) for row in asked]
    accelerator = loop.accelerated()
    model = loop.load(config, Path(config.output))
    learner = Learner(accelerator, model.to(accelerator.device).eval())
    judge = None
    if config.reward_model is not None:
        judge = RewardModel(Path(config.reward_model), accelerator)
    if measure is not None:
        examples.check_references(asked, config.measured_against)
    several = config.samples_per_prompt
    told: list[dict[str, Any]] = []
    prompts = [tokenizer.prompt(chat) for chat in chats]
    longest = max(map(len, prompts), default=0) + config.max_output_tokens
    at_once = groups.prompts_at_once(learner, several=several, tokens=longest, answers=_AT_ONCE)
    for start in range(0, len(asked), at_once):
        part = range(start, min(start + at_once, len(asked)))
        made = groups.sample(
            learner,
            [prompts[number] for number in part],
            several,
            ends=torch.tensor(sorted(tokenizer.end_ids)),
            most=config.max_output_tokens,
            likeliest=several == 1,
        )
        texts = [tokenizer.decode(answer) for answer in made]
        owners = [number for number in part for _ in range(several)]
        worth = (
            [None] * len(texts)
            if judge is None
            else judge.rewards(
                [Answered(chats[number], text) for number, text in zip(owners, texts, strict=True)]
            )
        )
        for index, number in enumerate(part):
            answers = []
            for text, reward in list(zip(texts, worth, strict=True))[index * several : (index + 1) * several]:
                one: dict[str, Any] = {
                    "text": text,
                    "length": len(text.split()),
                    "repetition": metrics.repetition(text),
                }
                if reward is not None:
                    one["reward"] = reward
                if measure is not None:
                    one["measure"] = measure(text, asked[number]["references"][config.measured_against])
                answers.append(one)
            told.append({"row": number + 1, "answers": answers})
        report({"event": "step", "step": len(told), "steps": len(asked)})
    text = "".join(json.dumps(one) + "\n" for one in told)
    (Path(config.output) / FILE).write_text(text, encoding="utf-8")
    report({"event": "done", "steps": len(asked), "epochs": 0, "checkpoints": []})
