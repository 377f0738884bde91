"""Tune language models on Vertex AI, and rehearse every step on a local emulator that really trains.

    from vertex_tuning import SupervisedTuning, connect

    with connect("local") as client:
        job = client.tune(SupervisedTuning(base_model="gemini-3.5-flash", training="train.jsonl"))
        print(job.result().generate("...").text)

Importing it loads next to nothing; a name is loaded when it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vertex_tuning.aio import (
        AsyncBatchJob,
        AsyncCheckpoint,
        AsyncModel,
        AsyncTunedModel,
        AsyncTuningClient,
        AsyncTuningJob,
        aconnect,
    )
    from vertex_tuning.asking import Answer
    from vertex_tuning.batches import BatchJob, BatchProgress, BatchResult
    from vertex_tuning.client import TuningClient, connect
    from vertex_tuning.data import DataReport
    from vertex_tuning.doctor import Diagnosis, Finding
    from vertex_tuning.errors import (
        ConfigurationError,
        DatasetError,
        EmulatorError,
        EvaluationError,
        Fault,
        HostError,
        JobCancelledError,
        JobError,
        JobFailedError,
        JobTimeoutError,
        LineageError,
        PipelineError,
        RewardError,
        ServiceError,
        SpecError,
        UnknownPriceError,
        VertexTuningError,
        WeightsError,
    )
    from vertex_tuning.jobs import CheckpointEvaluation, Progress, TuningJob
    from vertex_tuning.models import Checkpoint, Model, TunedModel
    from vertex_tuning.prompts import FilledPrompt, SavedPrompt
    from vertex_tuning.specs import (
        Distillation,
        EvaluationConfig,
        Judged,
        PreferenceTuning,
        ReinforcementTuning,
        SupervisedTuning,
    )

__version__ = "0.1.0"

_HOMES = {
    "aio": (
        "AsyncBatchJob",
        "AsyncCheckpoint",
        "AsyncModel",
        "AsyncTunedModel",
        "AsyncTuningClient",
        "AsyncTuningJob",
        "aconnect",
    ),
    "asking": ("Answer",),
    "batches": ("BatchJob", "BatchProgress", "BatchResult"),
    "client": ("TuningClient", "connect"),
    "data": ("DataReport",),
    "doctor": ("Diagnosis", "Finding"),
    "errors": (
        "ConfigurationError",
        "DatasetError",
        "EmulatorError",
        "EvaluationError",
        "Fault",
        "HostError",
        "JobCancelledError",
        "JobError",
        "JobFailedError",
        "JobTimeoutError",
        "LineageError",
        "PipelineError",
        "RewardError",
        "ServiceError",
        "SpecError",
        "UnknownPriceError",
        "VertexTuningError",
        "WeightsError",
    ),
    "jobs": ("CheckpointEvaluation", "Progress", "TuningJob"),
    "models": ("Checkpoint", "Model", "TunedModel"),
    "prompts": ("FilledPrompt", "SavedPrompt"),
    "specs": (
        "Distillation",
        "EvaluationConfig",
        "Judged",
        "PreferenceTuning",
        "ReinforcementTuning",
        "SupervisedTuning",
    ),
}
_WHERE = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Answer",
    "AsyncBatchJob",
    "AsyncCheckpoint",
    "AsyncModel",
    "AsyncTunedModel",
    "AsyncTuningClient",
    "AsyncTuningJob",
    "BatchJob",
    "BatchProgress",
    "BatchResult",
    "Checkpoint",
    "CheckpointEvaluation",
    "ConfigurationError",
    "DataReport",
    "DatasetError",
    "Diagnosis",
    "Distillation",
    "EmulatorError",
    "EvaluationConfig",
    "EvaluationError",
    "Fault",
    "FilledPrompt",
    "Finding",
    "HostError",
    "JobCancelledError",
    "JobError",
    "JobFailedError",
    "JobTimeoutError",
    "Judged",
    "LineageError",
    "Model",
    "PipelineError",
    "PreferenceTuning",
    "Progress",
    "ReinforcementTuning",
    "RewardError",
    "SavedPrompt",
    "ServiceError",
    "SpecError",
    "SupervisedTuning",
    "TunedModel",
    "TuningClient",
    "TuningJob",
    "UnknownPriceError",
    "VertexTuningError",
    "WeightsError",
    "aconnect",
    "connect",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
