"""Supervised tuning: learn by example."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from vertex_tuning import catalog
from vertex_tuning.errors import Fault
from vertex_tuning.specs._spec import Spec

FOLDER = re.compile(r"gs://[^/]+(/.*)?")
MODES = {"adapter": "TUNING_MODE_PEFT_ADAPTER", "full": "TUNING_MODE_FULL"}
OPEN_ONLY = {
    "batch_size": "leave it out",
    "learning_rate": "learning_rate_multiplier",
    "output_uri": "leave it out: checkpoints of Gemini stay with the service",
}


class SupervisedTuning(Spec):
    """Teach a model by example: an adapter, or every weight of an open model."""

    method = "supervised"
    title = "supervised tuning"

    training: Any
    """JSONL in GenerateContent form: a path, a `gs://` URI, or rows."""

    mode: Literal["adapter", "full"] | None = None
    """Adapter, or every weight (open models only). Left out, what the model offers, the adapter first."""

    batch_size: Annotated[int, Field(ge=1)] | None = None
    """Examples per step; open models only."""

    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Learning rate itself, instead of a multiplier; open models only."""

    output_uri: str | None = None
    """`gs://` folder for the checkpoints; needed for open models, and only there."""

    def options(self) -> dict[str, Any]:
        """As google-genai's `CreateTuningJobConfig` has it."""
        given = {
            "tuning_mode": MODES[self.mode] if self.mode else None,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "output_uri": self.output_uri,
        }
        return {**super().options(), **{name: value for name, value in given.items() if value is not None}}

    def _faults(self, wrong: set[Any]) -> list[Fault]:
        faults = super()._faults(wrong)
        if self.learning_rate and self.learning_rate_multiplier:
            what = "learning_rate and learning_rate_multiplier exclude each other"
            faults.append(Fault("VT307", what, "learning_rate", fix="give one of them"))
        if self.output_uri and not FOLDER.fullmatch(self.output_uri):
            what = f'"{self.output_uri}" is not in Cloud Storage'
            faults.append(Fault("VT310", what, "output_uri", fix="gs://bucket/folder"))
        return faults

    def _model_faults(self, base: catalog.BaseModel) -> list[Fault]:
        faults = super()._model_faults(base)
        if not base.open:
            faults += [
                Fault("VT312", f"only open models take it, not {base.id}", name, fix=fix)
                for name, fix in OPEN_ONLY.items()
                if getattr(self, name) is not None
            ]
        elif not self.output_uri:
            what = f"{base.id} is an open model: its checkpoints go to a folder of yours"
            faults.append(Fault("VT313", what, "output_uri", fix="gs://bucket/folder"))
        return faults

    def _adapter_faults(self, sizes: Sequence[int]) -> list[Fault]:
        if self.adapter_size is None or self.mode != "full":
            return super()._adapter_faults(sizes)
        why = "The service would refuse the job, or answer 404."
        fix = 'leave it out, or mode="adapter"'
        return [Fault("VT304", "full tuning makes no adapter", "adapter_size", why, fix)]
