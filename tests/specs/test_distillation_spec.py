"""What a distillation may ask for, before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from vertex_tuning import Distillation, SpecError, SupervisedTuning

GEMINI: dict[str, Any] = {
    "base_model": "gemini-2.5-flash",
    "teacher": "gemini-3.1-pro",
    "training": "prompts.jsonl",
}
OPEN: dict[str, Any] = {
    "base_model": "qwen/qwen3@qwen3-4b",
    "teacher": "deepseek-ai/deepseek-r1-0528-maas",
    "training": "prompts.jsonl",
    "output_uri": "gs://b/out",
}
TUNED = "projects/p/locations/us-central1/models/7@1"


def test_it_becomes_googles_config():
    assert Distillation(**GEMINI, epochs=2, adapter_size=4).options() == {
        "method": "DISTILLATION",
        "base_teacher_model": "gemini-3.1-pro",
        "epoch_count": 2,
        "adapter_size": "ADAPTER_SIZE_FOUR",
    }
    assert Distillation(**OPEN, mode="full", batch_size=4, learning_rate=1e-4).options() == {
        "method": "DISTILLATION",
        "base_teacher_model": "deepseek-ai/deepseek-r1-0528-maas",
        "tuning_mode": "TUNING_MODE_FULL",
        "batch_size": 4,
        "learning_rate": 1e-4,
        "output_uri": "gs://b/out",
    }


class Made:
    """As a tuned model, or a checkpoint of one, is to a spec."""

    def __init__(self, **fields: str) -> None:
        self.fields = fields

    def as_base(self) -> dict[str, str]:
        return self.fields


def test_a_tuned_model_teaches_and_is_tuned_on_as_it_is():
    assert Distillation(**{**GEMINI, "teacher": Made(base_model=TUNED)}).teacher == TUNED
    on = SupervisedTuning(base_model=Made(base_model=TUNED, checkpoint_id="2"), training="t.jsonl")
    assert (on.base_model, on.checkpoint_id) == (TUNED, "2")
    folder = "gs://b/out/postprocess/node-0/checkpoints/final"
    weights = Made(base_model=OPEN["base_model"], custom_base_model=folder)
    further = SupervisedTuning(base_model=weights, training="t.jsonl", output_uri="gs://b/further")
    assert further.options()["custom_base_model"] == folder


def test_a_tuned_model_may_teach():
    assert Distillation(**{**GEMINI, "teacher": TUNED}).options()["tuned_teacher_model_source"] == TUNED


@pytest.mark.parametrize(
    ("fields", "rule", "where", "fix"),
    [
        ({**GEMINI, "teacher": "gemini-2.5-pro"}, "VT319", "teacher", "gemini-3.1-pro"),
        ({**GEMINI, "teacher": "gemini-3.1-por"}, "VT319", "teacher", "gemini-3.1-pro"),
        ({**GEMINI, "base_model": TUNED}, "VT319", "base_model", "base model"),
        ({**GEMINI, "base_model": "gemini-2.5-flash-lite"}, "VT302", "base_model", "gemini-2.5-flash"),
        ({**GEMINI, "batch_size": 4}, "VT312", "batch_size", ""),
        ({**GEMINI, "output_uri": "/tmp"}, "VT310", "output_uri", "gs://"),
        ({**GEMINI, "beta": 0.1}, "VT314", "beta", ""),
        ({**GEMINI, "custom_base_model": "gs://b/w"}, "VT312", "custom_base_model", "base_model"),
        ({**OPEN, "custom_base_model": "w"}, "VT310", "custom_base_model", "gs://"),
        ({**OPEN, "mode": "adapter"}, "VT303", "mode", "full"),
        ({**OPEN, "learning_rate": 1e-4, "learning_rate_multiplier": 2.0}, "VT307", "learning_rate", "one"),
    ],
)
def test_a_fault_says_where_and_what_to_do(fields: dict[str, Any], rule: str, where: str, fix: str):
    with pytest.raises(SpecError) as caught:
        Distillation(**fields)
    fault = caught.value.fault
    assert (fault.rule, fault.where) == (rule, where)
    assert fix in fault.fix
