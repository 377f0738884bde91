"""Supervised tuning: learn by example."""

from __future__ import annotations

from typing import Any

from vertex_tuning.specs._open import OpenModelSpec


class SupervisedTuning(OpenModelSpec):
    """Teach a model by example: an adapter, or every weight of an open model."""

    method = "supervised"
    title = "supervised tuning"

    training: Any
    """JSONL in GenerateContent form: a path, a `gs://` URI, or rows."""
