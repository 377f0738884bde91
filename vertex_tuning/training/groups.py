"""Several answers to one prompt: what they have in common is computed once.

Reinforcement tuning answers each prompt many times, and most of the tokens are the prompt's. When answers are sampled, the prompt
is read once and its keys and values are copied. When they are learnt from, the prompt and its answers lie in one sequence:

    prompt  answer 1  answer 2  ...         each answer sees the prompt and itself, and has the positions that follow the prompt

The numbers are those of each answer behind a prompt of its own; a test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vertex_tuning.training.loop import Learner

_PACKED = 512
"""Answer tokens behind one prompt: attention looks at all pairs, so that beyond these a second copy of the prompt is cheaper."""

_ROOM = 4e9
"""Bytes of a GPU's memory for the keys, values and logits of answers that are sampled together."""

_SAMPLED = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}


@dataclass(frozen=True, slots=True)
class Group:
    """A prompt and answers to it."""

    prompt: Sequence[int]
    answers: Sequence[Sequence[int]]
    numbers: Sequence[int]
    """Which answers they are, counted over all groups."""

    @property
    def length(self) -> int:
        """Tokens, the prompt's once."""
        return len(self.prompt) + sum(map(len, self.answers))


def grouped(prompt: Sequence[int], answers: Sequence[Sequence[int]], first: int) -> list[Group]:
    """A prompt's answers, numbered from `first`, in as few groups as are quick."""
    found: list[Group] = []
    begin, tokens = 0, 0
    for index, answer in enumerate(answers):
        if index > begin and tokens + len(answer) > _PACKED:
            found.append(Group(prompt, answers[begin:index], range(first + begin, first + index)))
            begin, tokens = index, 0
        tokens += len(answer)
    found.append(Group(prompt, answers[begin:], range(first + begin, first + len(answers))))
    return found


def log_likelihoods(learner: Learner, groups: Sequence[Group]) -> tuple[Tensor, Tensor]:
    """What the model gives each token of the answers.

    Returns:
        The logarithms, (tokens,) float32, and the number of the answer that each belongs to, (tokens,) int64.
    """
    device = learner.accelerator.device
    length = max(group.length for group in groups)
    ids = torch.zeros((len(groups), length), dtype=torch.long)
    positions = torch.zeros_like(ids)
    # Padding sees itself: a row of attention that sees nothing would be no number.
    sees = torch.eye(length, dtype=torch.bool).repeat(len(groups), 1, 1)
    places: list[int] = []
    tokens: list[int] = []
    owners: list[int] = []
    for row, group in enumerate(groups):
        asked = len(group.prompt)
        ids[row, :asked] = torch.tensor(group.prompt)
        positions[row, :asked] = torch.arange(asked)
        sees[row, :asked, :asked] = torch.ones(asked, asked).tril().bool()
        begin = asked
        for number, answer in zip(group.numbers, group.answers, strict=True):
            end = begin + len(answer)
            ids[row, begin:end] = torch.tensor(answer)
            positions[row, begin:end] = torch.arange(asked, asked + len(answer))
            sees[row, begin:end, :asked] = True
            sees[row, begin:end, begin:end] = torch.ones(len(answer), len(answer)).tril().bool()
            # The first token follows the prompt's last one, each other one the one before.
            places += [row * length + place for place in (asked - 1, *range(begin, end - 1))]
            tokens += answer
            owners += [number] * len(answer)
            begin = end
    each, _ = learner.likelihoods_at(
        ids.to(device),
        torch.tensor(places, device=device),
        torch.tensor(tokens, device=device),
        positions=positions.to(device),
        sees=sees.unsqueeze(1).to(device),
    )
    return each, torch.tensor(owners, device=device)


def prompts_at_once(learner: Learner, *, several: int, tokens: int, answers: int) -> int:
    """How many prompts are answered together.

    A GPU takes about as long for a thousand answers as for ten: there, as many as there is room for.

    Args:
        learner: Whose model answers.
        several: Answers to each.
        tokens: Of the longest prompt and its answer.
        answers: So many at once elsewhere.
    """
    if learner.accelerator.device.type == "cuda":
        of = learner.accelerator.unwrap_model(learner.model).config.get_text_config()
        groups = getattr(of, "num_key_value_heads", None) or of.num_attention_heads
        size = getattr(of, "head_dim", None) or of.hidden_size // of.num_attention_heads
        # Keys in fp32 (they come out of the rotation), values in bf16; of the logits, a few copies are made to draw from them.
        each = 6 * of.num_hidden_layers * groups * size * tokens + 16 * of.vocab_size
        answers = max(answers, int(_ROOM // each))
    return max(1, answers // several)


def sample(
    learner: Learner,
    prompts: Sequence[Sequence[int]],
    several: int,
    *,
    ends: Tensor,
    most: int,
    likeliest: bool = False,
) -> list[list[int]]:
    """Answers as the model gives them at temperature 1, the end of the turn included where they came to one.

    Args:
        learner: Whose model answers.
        prompts: Tokens.
        several: Answers to each.
        ends: Tokens that end an answer.
        most: Tokens of an answer.
        likeliest: Take the likeliest token each time instead.

    Returns:
        Tokens; all answers to the first prompt, then all to the second...
    """
    device = learner.accelerator.device
    length = max(map(len, prompts))
    ids = torch.zeros((len(prompts), length), dtype=torch.long, device=device)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(
        prompts
    ):  # what is generated follows to the right: padding stands to the left
        ids[row, length - len(prompt) :] = torch.tensor(prompt)
        mask[row, length - len(prompt) :] = 1
    model: Any = learner.accelerator.unwrap_model(learner.model)
    learning = learner.model.training
    learner.model.eval()
    with torch.no_grad(), learner.accelerator.autocast():
        read = model(
            input_ids=ids[:, :-1],
            attention_mask=mask[:, :-1],
            position_ids=(mask.cumsum(-1) - 1).clamp(min=0)[:, :-1],
            use_cache=True,
            logits_to_keep=1,
        ).cache
        read.batch_repeat_interleave(several)
        made = model.generate(
            input_ids=ids.repeat_interleave(several, dim=0),
            attention_mask=mask.repeat_interleave(several, dim=0),
            cache=read,
            use_cache=True,
            **({"do_sample": False} if likeliest else _SAMPLED),
            max_new_tokens=most,
            eos_token_id=ends.tolist(),
            pad_token_id=int(ends[0]),
        )[:, length:].cpu()
    learner.model.train(learning)
    answers = []
    for tokens in made:
        ended = torch.isin(tokens, ends).nonzero()
        answers.append(tokens[: int(ended[0]) + 1 if len(ended) else len(tokens)].tolist())
    return answers
