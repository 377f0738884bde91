"""What the serving child tells, as Google's responses."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from vertex_tuning.emulator.serving.protocol import Message
from vertex_tuning.emulator.state import now

_TRAFFIC = "ON_DEMAND"


class Answer:
    """One answer in the making; its name, time and id are the same in every chunk of a stream."""

    def __init__(self, model_version: str) -> None:
        self._head = {"modelVersion": model_version, "createTime": now(), "responseId": uuid.uuid4().hex[:22]}
        self._prompt_tokens = 0
        self._tokens = 0

    def begun(self, event: Message) -> None:
        """The prompt was read."""
        self._prompt_tokens = event["prompt_tokens"]

    def chunk(self, event: Message) -> dict[str, Any]:
        """A piece of text, as a chunk of a stream."""
        candidate = {"content": _content(event["text"]), **_index(event)}
        return {"candidates": [candidate], "usageMetadata": {"trafficType": _TRAFFIC}, **self._head}

    def last(self, event: Message, *, usage: bool) -> dict[str, Any]:
        """The last chunk of a candidate; the last of all has the usage."""
        candidate = self.candidate(event)
        # Unlike a whole answer: programs print the text of every chunk.
        candidate["content"] = _content(event["text"], empty=True)
        body = {"candidates": [candidate], **self._head}
        return {**body, "usageMetadata": self.usage() if usage else {"trafficType": _TRAFFIC}}

    def whole(self, ends: Iterable[Message]) -> dict[str, Any]:
        """The answer, from the end of every candidate."""
        candidates = [self.candidate(end) for end in sorted(ends, key=lambda end: end["candidate"])]
        return {"candidates": candidates, "usageMetadata": self.usage(), **self._head}

    def candidate(self, end: Message) -> dict[str, Any]:
        """A candidate with what was left of its text."""
        self._tokens += end["tokens"]
        body: dict[str, Any] = {
            "content": _content(end["text"]),
            "finishReason": end["finish"],
            **_index(end),
        }
        if end["tokens"]:
            body["avgLogprobs"] = end["logprob"] / end["tokens"]
        if end.get("logprobs") is not None:
            body["logprobsResult"] = end["logprobs"]
        return body

    def usage(self) -> dict[str, Any]:
        """Real tokens of the stand-in, the chat template's included."""
        usage: dict[str, Any] = {
            "promptTokenCount": self._prompt_tokens,
            "totalTokenCount": self._prompt_tokens + self._tokens,
            "trafficType": _TRAFFIC,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": self._prompt_tokens}],
        }
        if self._tokens:
            usage["candidatesTokenCount"] = self._tokens
            usage["candidatesTokensDetails"] = [{"modality": "TEXT", "tokenCount": self._tokens}]
        return usage


def _content(text: str, *, empty: bool = False) -> dict[str, Any]:
    # Google leaves `parts` out where nothing was said.
    return {"role": "model", "parts": [{"text": text}]} if text or empty else {"role": "model"}


def _index(event: Message) -> dict[str, Any]:
    return {"index": event["candidate"]} if event["candidate"] else {}
