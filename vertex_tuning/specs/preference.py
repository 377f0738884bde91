"""Preference tuning: learn which of two answers is preferred."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from vertex_tuning.specs._spec import Spec


class PreferenceTuning(Spec):
    """Teach a model which of two answers people prefer, where it is easier to choose than to write the right one."""

    method = "preference"
    title = "preference tuning"

    training: Any
    """JSONL: a path, a `gs://` URI, or rows. Each row has `contents` that end with the user's turn, and two `completions`: the
    preferred one with score 1, the other with score 0."""

    beta: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """How much it costs to move away from the model that is tuned: 0.01 to 0.5 is recommended; the smaller, the further it may
    go. Left out, the service decides."""

    def options(self) -> dict[str, Any]:
        """As google-genai's `CreateTuningJobConfig` has it."""
        beta = {} if self.beta is None else {"beta": self.beta}
        return {"method": "PREFERENCE_TUNING", **super().options(), **beta}
