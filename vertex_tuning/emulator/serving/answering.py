"""One answer in the making."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from vertex_tuning.emulator.serving.choosing import Choice, Label
from vertex_tuning.emulator.serving.formats import Follower
from vertex_tuning.emulator.serving.protocol import Message, Order
from vertex_tuning.emulator.serving.sampling import penalised, pick
from vertex_tuning.emulator.serving.text import TextStream
from vertex_tuning.training.chat import ChatTokenizer

Likely = list[tuple[int, float]]
"""Tokens and their log-probabilities, the likeliest first."""


@dataclass(frozen=True, slots=True)
class Work:
    """An order, with its prompt as tokens."""

    order: Order
    prompt: list[int]
    chat: ChatTokenizer
    send: Callable[[Message], None]

    @property
    def room(self) -> int:
        """How many tokens the answer may have."""
        room = self.order.context - len(self.prompt)
        return room if self.order.max_tokens is None else min(room, self.order.max_tokens)

    @property
    def ends_with_the_context(self) -> bool:
        """Whether the context cuts the answer, and not the caller's wish."""
        return self.order.max_tokens is None or self.order.max_tokens > self.room


class Row:
    """One candidate of an order in the batch."""

    def __init__(self, work: Work, index: int, adapter: Any) -> None:
        self.work = work
        self.index = index
        self.adapter = adapter
        self.slot = -1
        self.done = 0
        """How many of its tokens are in the cache."""
        self.unread = work.prompt
        """Tokens of the prompt that are not."""
        self.last = -1
        """The token said last, which the cache gets in the next step."""
        self.follower: Follower | None = None
        self.closing = 0
        """With so many tokens left, an answer by a schema comes to its end."""
        self.choice: Choice | None = None
        self.ended = False
        order = work.order
        self._chance = random.Random(order.seed_of(index))
        self._text = TextStream(work.chat.tokenizer, order.stops)
        self._said: Counter[int] = Counter()
        self._count = 0
        self._pieces: list[str] = []
        self._logprob = 0.0
        self._chosen: list[Message] = []
        self._likeliest: list[Message] = []

    def pick(self, logits: Tensor) -> int:
        """The next token, of logits (vocabulary,)."""
        sampling = self.work.order.sampling
        logits = penalised(logits, sampling, self._said)
        if self.follower is not None:
            late = self.work.room - self._count <= self.closing
            allowed = self.follower.closing() if late else self.follower.allowed()
            logits = logits.masked_fill(~allowed, float("-inf"))
        return pick(logits, sampling, self._chance.random())

    def take(self, token: int, logprob: float, likeliest: Likely) -> None:
        """A token was chosen; `logprob` is the model's own, before penalties, temperature and schema."""
        if token in self.work.chat.end_ids:
            self._end("STOP")
            return
        if self.follower is not None:
            self.follower.take(token)
        self.last = token
        self._said[token] += 1
        self._note(token, logprob, likeliest)
        self._say(self._text.push(token))
        if self._text.stopped or (self.follower is not None and self.follower.whole):
            self._end("STOP")
        elif self._count == self.work.room:
            self._end("MAX_TOKENS")

    def decide(self) -> None:
        """Every label was scored: answer with one."""
        assert self.choice is not None
        labels = self.choice.labels
        order = self.work.order
        label = labels[pick(Tensor([label.score for label in labels]), order.sampling, self._chance.random())]
        self._answer_with(label, label.tokens[: self.work.room])

    def _answer_with(self, label: Label, tokens: list[int]) -> None:
        for index, token in enumerate(tokens):
            self._note(token, label.logprobs[index], label.likeliest[index] if label.likeliest else [])
        whole = len(tokens) == len(label.tokens)
        self._say(label.text if whole else self.work.chat.decode(tokens))
        self._end("STOP" if whole else "MAX_TOKENS")

    def _note(self, token: int, logprob: float, likeliest: Likely) -> None:
        self._count += 1
        self._logprob += logprob
        if self.work.order.logprobs is not None:
            self._chosen.append(self._candidate(token, logprob))
            self._likeliest.append({"candidates": [self._candidate(*likely) for likely in likeliest]})

    def _candidate(self, token: int, logprob: float) -> Message:
        text = self.work.chat.tokenizer.decode([token], skip_special_tokens=False)
        return {"token": text, "tokenId": token, "logProbability": logprob}

    def _say(self, text: str) -> None:
        if not text:
            return
        if self.work.order.stream and self._pieces:
            # One piece behind: the last chunk of a stream of Google's has text, and its end, in one.
            self._send({"event": "text", "text": self._pieces.pop()})
        self._pieces.append(text)

    def _end(self, why: str) -> None:
        self.ended = True
        end: Message = {
            "event": "end",
            "text": "".join(self._pieces) + self._text.rest(),
            "finish": why,
            "tokens": self._count,
            "logprob": self._logprob,
        }
        if self.work.order.logprobs is not None:
            end["logprobs"] = {"chosenCandidates": self._chosen}
            if self.work.order.logprobs:
                end["logprobs"]["topCandidates"] = self._likeliest
        self._send(end)

    def _send(self, message: Message) -> None:
        self.work.send({"id": self.work.order.id, "candidate": self.index, **message})
