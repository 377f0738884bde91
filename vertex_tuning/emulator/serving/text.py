"""Tokens to text, as they come."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream


class TextStream:
    """The text of an answer, cut before the first stop sequence.

    What may still become a stop sequence is held back, and so is half a character.
    """

    def __init__(self, tokenizer: Tokenizer, stops: Sequence[str] = ()) -> None:
        self._tokenizer = tokenizer
        self._decoder = DecodeStream(skip_special_tokens=True)
        self._stops = tuple(stops)
        self._held = ""
        self.stopped = False
        """A stop sequence was met: nothing comes any more."""

    def push(self, token: int) -> str:
        """Take a token; returns the text that is certain now."""
        if self.stopped:
            return ""
        self._held += self._decoder.step(self._tokenizer, token) or ""
        found = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            text, self._held = self._held[: min(found)], ""
            return text
        kept = max((_overlap(self._held, stop) for stop in self._stops), default=0)
        text, self._held = self._held[: len(self._held) - kept], self._held[len(self._held) - kept :]
        return text

    def rest(self) -> str:
        """What was held back, when no token comes any more."""
        text, self._held = self._held, ""
        return text


def _overlap(text: str, stop: str) -> int:
    """How much of the end of a text may be the beginning of a stop sequence."""
    for size in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:size]):
            return size
    return 0
