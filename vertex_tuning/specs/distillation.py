"""Distillation: a small model learns what a large one answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from vertex_tuning import catalog
from vertex_tuning.errors import Fault, SpecError
from vertex_tuning.specs._spec import MODEL_NAME, Spec
from vertex_tuning.specs.supervised import FOLDER, MODES, OPEN_ONLY


class Distillation(Spec):
    """Teach a small model to answer as a large one does: at the small one's price, and speed. Nobody writes answers."""

    method = "distillation"
    title = "distillation"

    base_model: str
    """The student: a model of the catalog."""

    training: Any
    """JSONL of prompts: a path, a `gs://` URI, or rows. Each row has `contents` that end with the user's turn. Open models take
    their own forms too, and what answers are in them is left out."""

    teacher: str
    """A model of the catalog that may teach this student, or the name of a tuned model (`projects/.../models/7@1`)."""

    output_uri: str | None = None
    """`gs://` folder for what the teacher said, and for an open model's checkpoints; needed for open models."""

    mode: Literal["adapter", "full"] | None = None
    """Adapter, or every weight (open models only). Left out, what the model offers, the adapter first."""

    batch_size: Annotated[int, Field(ge=1)] | None = None
    """Examples per step; open models only."""

    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Learning rate itself, instead of a multiplier; open models only."""

    def options(self) -> dict[str, Any]:
        """As google-genai's `CreateTuningJobConfig` has it."""
        tuned = MODEL_NAME.fullmatch(self.teacher) is not None
        given = {
            "tuned_teacher_model_source" if tuned else "base_teacher_model": self.teacher,
            "tuning_mode": MODES[self.mode] if self.mode else None,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "output_uri": self.output_uri,
        }
        known = {name: value for name, value in given.items() if value is not None}
        return {"method": "DISTILLATION", **super().options(), **known}

    def _faults(self, wrong: set[Any]) -> list[Fault]:
        faults = super()._faults(wrong)
        if self.continues:
            what = "a tuned model cannot be a student"
            faults.append(Fault("VT319", what, "base_model", fix="take a base model"))
        if self.learning_rate and self.learning_rate_multiplier:
            what = "learning_rate and learning_rate_multiplier exclude each other"
            faults.append(Fault("VT307", what, "learning_rate", fix="give one of them"))
        if self.output_uri and not FOLDER.fullmatch(self.output_uri):
            what = f'"{self.output_uri}" is not in Cloud Storage'
            faults.append(Fault("VT310", what, "output_uri", fix="gs://bucket/folder"))
        return faults

    def _model_faults(self, base: catalog.BaseModel) -> list[Fault]:
        faults = super()._model_faults(base)
        if self.method not in base.methods:
            return faults
        faults += self._teacher_faults(base)
        if not base.open:
            faults += [
                Fault("VT312", f"only open models take it, not {base.id}", name, fix=fix)
                for name, fix in OPEN_ONLY.items()
                if name != "output_uri" and getattr(self, name) is not None
            ]
        elif not self.output_uri:
            what = f"{base.id} is an open model: its checkpoints go to a folder of yours"
            faults.append(Fault("VT313", what, "output_uri", fix="gs://bucket/folder"))
        return faults

    def _teacher_faults(self, student: catalog.BaseModel) -> list[Fault]:
        if not self.teacher or MODEL_NAME.fullmatch(self.teacher):
            return []
        fix = f"one of: {', '.join(student.teachers)}; or a tuned model, projects/.../models/ID@VERSION"
        try:
            teacher = catalog.base_model(self.teacher)
        except SpecError as error:
            return [Fault("VT319", error.fault.what, "teacher", error.fault.why, fix)]
        if teacher.id in student.teachers:
            return []
        return [Fault("VT319", f"{teacher.id} does not teach {student.id}", "teacher", fix=fix)]
