"""What the server and its serving child say to each other, besides JSON lines themselves.

Server to child:

    {"op": "generate", "id": ID, ...Order}                 {"op": "cancel", "id": ID}
    {"op": "count", "id": ID, "model": FOLDER, "contents": [...], "system": {...} | null}
    {"op": "tokens", "id": ID, "model": FOLDER, "contents": [...]}
    {"op": "threads", "threads": N}

Child to server, each with the `id` it answers:

    {"event": "begun", "prompt_tokens": N}                 the prompt was read
    {"event": "text", "candidate": I, "text": ...}         in streams only
    {"event": "end", "candidate": I, "text": rest, "finish": "STOP" | "MAX_TOKENS", "tokens": N,
     "logprob": sum, "logprobs": LogprobsResult | null}
    {"event": "counted", "tokens": N, "characters": N}
    {"event": "tokens", "infos": [TokensInfo, ...]}
    {"event": "failed", "code": "INVALID_ARGUMENT", "message": ..., "rule": ...}
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

Message = dict[str, Any]

DEFAULT_TEMPERATURE = 1.0
DEFAULT_TOP_P = 0.95
DEFAULT_TOP_K = 64
"""Google's defaults for Gemini 2.5 (model cards, 2026-09)."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How one token is chosen after another."""

    temperature: float = DEFAULT_TEMPERATURE
    """0: always the likeliest token."""
    top_p: float = DEFAULT_TOP_P
    top_k: int = DEFAULT_TOP_K
    """0: no limit."""
    seed: int | None = None
    presence_penalty: float = 0.0
    """Taken off the logit of each token that the answer has already."""
    frequency_penalty: float = 0.0
    """Taken off once per time that the answer has the token already."""

    @property
    def has_penalties(self) -> bool:
        """Whether what was said before changes what is said next."""
        return bool(self.presence_penalty or self.frequency_penalty)


@dataclass(frozen=True, slots=True)
class Order:
    """One request to generate, as the child gets it: checked, with the defaults of the wire filled in."""

    id: str
    model: str
    """Folder of the weights."""
    adapter: str | None
    """Folder of a PEFT adapter."""
    context: int
    """Tokens that prompt and answer may have together."""
    contents: list[Message]
    system: Message | None = None
    text: str | None = None
    """A text to go on with as it is, instead of contents: no chat template is put round it."""
    sampling: Sampling = Sampling()
    candidates: int = 1
    max_tokens: int | None = None
    """None: as many as the context has room for."""
    stops: tuple[str, ...] = ()
    logprobs: int | None = None
    """How many of the likeliest tokens to list at each step; None: no log-probabilities at all."""
    json_schema: Any = None
    """JSON Schema that the answer must follow."""
    labels: tuple[str, ...] = ()
    """The answer is one of these, word for word."""
    stream: bool = False

    def seed_of(self, candidate: int) -> str | None:
        """A candidate's own seed; None: by chance."""
        seed = self.sampling.seed
        return None if seed is None else f"{seed}/{candidate}"

    def to_json(self) -> Message:
        """As a message."""
        return {"op": "generate", **asdict(self)}

    @classmethod
    def from_json(cls, message: Message) -> Order:
        """From a message."""
        fields = {key: value for key, value in message.items() if key != "op"}
        fields["sampling"] = Sampling(**fields["sampling"])
        fields["stops"] = tuple(fields["stops"])
        fields["labels"] = tuple(fields["labels"])
        return cls(**fields)
