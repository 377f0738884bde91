"""What ways of tuning by example take for open models beyond what all have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field

from vertex_tuning import catalog
from vertex_tuning.errors import Fault
from vertex_tuning.specs._spec import Spec

_FOLDER = re.compile(r"gs://[^/]+(/.*)?")
_MODES = {"adapter": "TUNING_MODE_PEFT_ADAPTER", "full": "TUNING_MODE_FULL"}


class OpenModelSpec(Spec):
    """A way of tuning that open models take too, with fields of their own."""

    open_only: ClassVar[dict[str, str]] = {
        "batch_size": "leave it out",
        "learning_rate": "learning_rate_multiplier",
        "custom_base_model": "base_model, the name of a tuned model",
        "output_uri": "leave it out: checkpoints of Gemini stay with the service",
    }
    """Fields for open models alone, and what to do instead."""

    mode: Literal["adapter", "full"] | None = None
    """Adapter, or every weight (open models only). Left out, what the model offers, the adapter first."""

    batch_size: Annotated[int, Field(ge=1)] | None = None
    """Examples per step; open models only."""

    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Learning rate itself, instead of a multiplier; open models only."""

    custom_base_model: str | None = None
    """`gs://` folder of weights to start from, of the same base model: of an earlier job, say. Open models only."""

    output_uri: str | None = None
    """`gs://` folder for the checkpoints; open models only. Left out: one in the bucket for artifacts."""

    def options(self) -> dict[str, Any]:
        """As google-genai's `CreateTuningJobConfig` has it."""
        given = {
            "tuning_mode": _MODES[self.mode] if self.mode else None,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "custom_base_model": self.custom_base_model,
            "output_uri": self.output_uri,
        }
        return {**super().options(), **{name: value for name, value in given.items() if value is not None}}

    def put_into(self, folder: str) -> Self:
        """As `Spec.put_into`: the checkpoints of open models are the customer's."""
        if self.output_uri or self.continues or not catalog.base_model(self.base_model).open:
            return self
        return self.model_copy(update={"output_uri": folder})

    def _faults(self, wrong: set[Any]) -> list[Fault]:
        faults = super()._faults(wrong)
        if self.learning_rate and self.learning_rate_multiplier:
            what = "learning_rate and learning_rate_multiplier exclude each other"
            faults.append(Fault("VT307", what, "learning_rate", fix="give one of them"))
        for name in ("output_uri", "custom_base_model"):
            folder = getattr(self, name)
            if folder and not _FOLDER.fullmatch(folder):
                what = f'"{folder}" is not in Cloud Storage'
                faults.append(Fault("VT310", what, name, fix="gs://bucket/folder"))
        return faults

    def _model_faults(self, base: catalog.BaseModel) -> list[Fault]:
        faults = super()._model_faults(base)
        if self.method not in base.methods:
            return faults
        if not base.open:
            faults += [
                Fault("VT312", f"only open models take it, not {base.id}", name, fix=fix)
                for name, fix in self.open_only.items()
                if getattr(self, name) is not None
            ]
        return faults

    def _adapter_faults(self, sizes: Sequence[int]) -> list[Fault]:
        if self.adapter_size is None or self.mode != "full":
            return super()._adapter_faults(sizes)
        why = "The service would refuse the job, or answer 404."
        fix = 'leave it out, or mode="adapter"'
        return [Fault("VT304", "full tuning makes no adapter", "adapter_size", why, fix)]
