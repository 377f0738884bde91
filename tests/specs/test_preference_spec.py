"""What is particular about the spec of preference tuning; the rest it has in common with supervised tuning."""

from __future__ import annotations

import pytest

from vertex_tuning import PreferenceTuning, SpecError, SupervisedTuning, catalog

RIGHT = {"base_model": "gemini-2.5-flash", "training": "pairs.jsonl"}


@pytest.mark.parametrize(
    ("rule", "where", "words", "fields"),
    [
        ("VT302", "base_model", "does not take preference tuning", {"base_model": "gemini-2.5-pro"}),
        ("VT304", "adapter_size", "no adapter of size 32", {"adapter_size": 32}),
        ("VT314", "mode", "preference tuning has no such field", {"mode": "adapter"}),
        ("VT314", "batch_size", "preference tuning has no such field", {"batch_size": 4}),
        ("VT314", "output_uri", "preference tuning has no such field", {"output_uri": "gs://b/o"}),
        ("VT315", "beta", "greater than 0", {"beta": 0}),
        ("VT315", "beta", "finite number", {"beta": float("nan")}),
        ("VT318", "training", "is not a JSONL object", {"training": "gs://b/pairs.csv"}),
    ],
)
def test_a_fault_is_named_with_its_place(rule, where, words, fields):
    with pytest.raises(SpecError) as caught:
        PreferenceTuning(**{**RIGHT, **fields})
    assert (caught.value.rule, caught.value.fault.where) == (rule, where)
    assert words in str(caught.value)


def test_the_nearest_models_that_take_it_are_named():
    with pytest.raises(SpecError) as caught:
        PreferenceTuning(**{**RIGHT, "base_model": "gemini-2.5-pro"})
    fix = caught.value.fault.fix
    named = [name for name in catalog.models() if name in fix]
    assert "gemini-2.5-flash" in named
    assert all("preference" in catalog.base_model(name).methods for name in named)


def test_only_its_own_fields_are_sent():
    """google-genai writes a second spec where a field of another method is set."""
    spec = PreferenceTuning(**RIGHT, beta=0.2, epochs=2, adapter_size=8)
    assert spec.options() == {
        "method": "PREFERENCE_TUNING",
        "epoch_count": 2,
        "adapter_size": "ADAPTER_SIZE_EIGHT",
        "beta": 0.2,
    }
    assert "beta" not in SupervisedTuning.model_fields
