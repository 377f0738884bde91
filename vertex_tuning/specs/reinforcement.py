"""Reinforcement tuning: try answers, and learn from what they earn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from vertex_tuning import catalog
from vertex_tuning.errors import Fault
from vertex_tuning.specs._spec import Spec

Whole = Annotated[int, Field(ge=1)]


class ReinforcementTuning(Spec):
    """Let a model try, and learn from what its answers earn: where an answer is easier to check than to write."""

    method = "reinforcement"
    title = "reinforcement tuning"

    training: Any
    """JSONL: a path, a `gs://` URI, or rows. Each row has `contents` that end with the user's turn, and `references`, texts by
    name, for the reward."""

    validation: Any = None
    """Held-out rows, in the same form. Left out, the service holds some of the training rows out."""

    reward: Any
    """What an answer is worth: of `vertex_tuning.rewards`."""

    batch_size: Whole | None = None
    """Prompts in a step. Left out: 32."""

    samples_per_prompt: Whole | None = None
    """Answers to each of them. Left out: 16."""

    max_output_tokens: Whole | None = None
    """Of an answer, thoughts included."""

    evaluate_interval: Whole | None = None
    """Steps between two looks at the validation set. Left out: an epoch."""

    checkpoint_interval: Whole | None = None
    """Steps between two checkpoints. Left out: an epoch."""

    thinking_level: Literal["MINIMAL", "HIGH"] | None = None
    """How much the model thinks. Left out: HIGH."""

    @property
    def needed(self) -> Sequence[str]:
        """References that every row is to have: those that the reward names."""
        names: Sequence[str] = getattr(
            self.reward, "references", ()
        )  # of code and services nobody knows them
        return names

    def options(self) -> dict[str, Any]:
        """As google-genai's `CreateTuningJobConfig` has it."""
        reward = self.reward.request()
        given = {
            "reward_config": reward.get("singleRewardConfig"),
            "composite_reward_config": reward.get("compositeRewardConfig"),
            **{name: getattr(self, name) for name in _NUMBERS},
            "thinking_level": self.thinking_level,
        }
        known = {name: value for name, value in given.items() if value is not None}
        return {"method": "REINFORCEMENT_TUNING", **super().options(), **known}

    def _faults(self, wrong: set[Any]) -> list[Fault]:
        faults = super()._faults(wrong)
        limits = catalog.limits(self.method)
        if "reward" not in wrong and not callable(getattr(self.reward, "request", None)):
            fix = 'rewards.exact_match("{{references.answer}}"), or rewards.from_json({...})'
            what = f"{type(self.reward).__name__} is not a reward"
            faults.append(Fault("VT315", what, "reward", fix=fix))
        low, high = limits["min_learning_rate_multiplier"], limits["max_learning_rate_multiplier"]
        if self.learning_rate_multiplier and not low <= self.learning_rate_multiplier <= high:
            what = f"{self.learning_rate_multiplier:g} is beyond what the service takes"
            faults.append(Fault("VT315", what, "learning_rate_multiplier", fix=f"{low} to {high}"))
        most = limits["max_max_output_tokens"]
        if self.max_output_tokens and self.max_output_tokens > most:
            faults.append(
                Fault("VT315", f"more than {most:,} tokens", "max_output_tokens", fix=f"1 to {most:,}")
            )
        batch = self.batch_size or limits["batch_size"]
        several = self.samples_per_prompt or limits["samples_per_prompt"]
        multiple, most = limits["samples_multiple"], limits["max_samples"]
        if batch * several % multiple or batch * several > most:
            what = f"{batch} prompts x {several} answers"
            why = f"The service takes multiples of {multiple}, up to {most:,} answers a step."
            faults.append(
                Fault("VT315", what, "batch_size", why, "such as batch_size=8, samples_per_prompt=8")
            )
        return faults


_NUMBERS = (
    "batch_size",
    "samples_per_prompt",
    "max_output_tokens",
    "evaluate_interval",
    "checkpoint_interval",
)
