"""Pairs of answers, one of them preferred: what preference tuning and reward models learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vertex_tuning.training import examples, rows
from vertex_tuning.training.chat import ChatTokenizer, Encoded, Message
from vertex_tuning.training.config import TrainingConfig
from vertex_tuning.training.loop import Objective
from vertex_tuning.training.stats import PreferenceTally


@dataclass(slots=True)
class Pair:
    """Two answers to one prompt."""

    preferred: Encoded
    other: Encoded
    reference: float = 0.0
    """How much likelier the preferred answer was to the model that the run began with: a difference of logarithms."""

    @property
    def tokens(self) -> int:
        """Of both answers, each with its prompt."""
        return len(self.preferred.ids) + len(self.other.ids)


class Pairs(Objective):
    """The pairs of a run, read and counted."""

    def __init__(self, config: TrainingConfig) -> None:
        examples.check(config)
        self._config = config
        self._tokenizer = ChatTokenizer(Path(config.model))
        self._tally = PreferenceTally()
        self._pairs = self._load(config.training, config.training_name, self._tally)
        self._held_out = (
            self._load(config.validation, config.validation_name, PreferenceTally())
            if config.validation
            else []
        )

    def _load(self, path: str, name: str | None, tally: PreferenceTally) -> list[Pair]:
        found: list[Pair] = []

        def encode(row: dict[str, Any]) -> None:
            prompt, answers = rows.preference(row)
            preferred, other = (encoded(self._tokenizer, prompt, answer) for answer in answers)
            pair = Pair(preferred, other)
            longest = max(len(pair.preferred.ids), len(pair.other.ids))
            if longest > self._config.max_tokens:
                raise examples.TooLongError(longest)
            tally.add(
                row,
                input_tokens=len(pair.preferred.ids) - pair.preferred.output_tokens,
                output_tokens=pair.preferred.output_tokens + pair.other.output_tokens,
            )
            found.append(pair)

        examples.read(path, name, encode, config=self._config, dropped=tally.dropped)
        return found

    @property
    def lengths(self) -> Sequence[int]:
        """Tokens of each training pair."""
        return [pair.tokens for pair in self._pairs]

    def stats(self, *, steps: int, epochs: int) -> dict[str, Any]:
        """The job's `tuningDataStats`."""
        return {"preferenceOptimizationDataStats": self._tally.to_json(steps=steps, epochs=epochs)}


def encoded(tokenizer: ChatTokenizer, prompt: list[Message], answer: str) -> Encoded:
    """The whole chat as tokens. Of what the model says in it, the answer alone is learnt."""
    asked = len(tokenizer.prompt(prompt))
    whole = tokenizer.chat([*prompt, {"role": "assistant", "content": answer}])
    return Encoded(whole.ids, [index >= asked for index in range(len(whole.ids))])
