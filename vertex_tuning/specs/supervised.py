"""Supervised tuning: learn by example."""

from __future__ import annotations

from typing import Any

from pydantic import field_validator

from vertex_tuning import catalog
from vertex_tuning.errors import Fault, SpecError
from vertex_tuning.specs._open import OpenModelSpec
from vertex_tuning.specs.evaluation import EvaluationConfig


class SupervisedTuning(OpenModelSpec):
    """Teach a model by example: an adapter, or every weight of an open model."""

    method = "supervised"
    title = "supervised tuning"

    training: Any
    """JSONL in GenerateContent form: a path, a `gs://` URI, or rows."""

    evaluation: EvaluationConfig | None = None
    """What the service measures of every checkpoint, on the validation set: an `EvaluationConfig`, or its metrics alone:
    `["exact_match", "rougeL"]`. `TuningJob.evaluations` has what it found."""

    @field_validator("evaluation", mode="before")
    @classmethod
    def _metrics_alone(cls, given: Any) -> Any:
        return {"metrics": list(given)} if isinstance(given, list | tuple) else given

    def check_location(self, location: str) -> None:
        """Hold the base model, and the evaluation, against the job's region.

        Raises:
            SpecError: VT305, it cannot be tuned, or not measured, there.
        """
        super().check_location(location)
        regions = catalog.limits(self.method)["evaluation_regions"]
        if self.evaluation is not None and location not in regions:
            raise SpecError(
                "VT305",
                f"the service does not measure checkpoints in {location}",
                where="evaluation",
                fix=f"location={' or '.join(regions)}, or measure the model yourself: client.evaluate",
            )

    def _faults(self, wrong: set[Any]) -> list[Fault]:
        faults = super()._faults(wrong)
        if self.evaluation is not None and self.validation is None and "evaluation" not in wrong:
            what = "checkpoints are measured on the validation set, and there is none"
            faults.append(Fault("VT315", what, "evaluation", fix="validation=..."))
        return faults
