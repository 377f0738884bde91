"""Distillation: a small model learns what a large one answers."""

from __future__ import annotations

from typing import Any, ClassVar

from vertex_tuning import catalog
from vertex_tuning.errors import Fault, SpecError
from vertex_tuning.specs._open import OpenModelSpec
from vertex_tuning.specs._spec import MODEL_NAME


class Distillation(OpenModelSpec):
    """Teach a small model to answer as a large one does: at the small one's price, and speed. Nobody writes answers."""

    method = "distillation"
    title = "distillation"
    # What a teacher says is written to a folder, whatever the student.
    open_only: ClassVar[dict[str, str]] = {
        name: fix for name, fix in OpenModelSpec.open_only.items() if name != "output_uri"
    }

    base_model: str
    """The student: a model of the catalog."""

    training: Any
    """JSONL of prompts: a path, a `gs://` URI, or rows. Each row has `contents` that end with the user's turn. Open models take
    their own forms too, and what answers are in them is left out."""

    teacher: str
    """A model of the catalog that may teach this student, or a tuned model: its name (`projects/.../models/7@1`), or itself."""

    output_uri: str | None = None
    """`gs://` folder for what the teacher said, and for an open model's checkpoints. Left out: an open model's go into the
    bucket for artifacts."""

    def __init__(self, **fields: Any) -> None:
        teacher: Any = fields.get("teacher")
        if callable(getattr(teacher, "as_base", None)):
            fields["teacher"] = teacher.as_base()["base_model"]
        super().__init__(**fields)

    def options(self) -> dict[str, Any]:
        """As google-genai's `CreateTuningJobConfig` has it."""
        tuned = MODEL_NAME.fullmatch(self.teacher) is not None
        teacher = {"tuned_teacher_model_source" if tuned else "base_teacher_model": self.teacher}
        return {"method": "DISTILLATION", **super().options(), **teacher}

    def _faults(self, wrong: set[Any]) -> list[Fault]:
        faults = super()._faults(wrong)
        if self.continues:
            what = "a tuned model cannot be a student"
            faults.append(Fault("VT319", what, "base_model", fix="take a base model"))
        return faults

    def _model_faults(self, base: catalog.BaseModel) -> list[Fault]:
        faults = super()._model_faults(base)
        return faults + self._teacher_faults(base) if self.method in base.methods else faults

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
