"""What a spec says about the measuring of checkpoints, and what google-genai makes of it."""

from __future__ import annotations

import pytest

from vertex_tuning import EvaluationConfig, Judged, SpecError, SupervisedTuning

PARENT = "projects/p/locations/us-central1"
ROWS = [{"contents": []}]


def spec(evaluation, **fields):
    given = {"base_model": "gemini-2.5-flash", "training": ROWS, "validation": ROWS, "evaluation": evaluation}
    return SupervisedTuning(**given | fields)


def test_it_becomes_googles_own_config():
    found = EvaluationConfig(
        metrics=[
            "exact_match",
            "bleu",
            "rougeLsum",
            Judged(template="Rate: {response}", system="Be strict."),
        ],
        judge="gemini-2.5-pro",
        judge_samples=2,
        temperature=0,
        max_output_tokens=20,
    )
    made = found.config(parent=PARENT, folder="gs://b/here").model_dump(exclude_none=True, mode="json")
    assert made == {
        "metrics": [
            {"computation_based_metric_spec": {"type": "EXACT_MATCH"}},
            {"bleu_spec": {}},
            {"rouge_spec": {"rouge_type": "rougeLsum"}},
            {
                "pointwise_metric_spec": {
                    "metric_prompt_template": "Rate: {response}",
                    "system_instruction": "Be strict.",
                }
            },
        ],
        "output_config": {"gcs_destination": {"output_uri_prefix": "gs://b/here"}},
        "autorater_config": {
            "sampling_count": 2,
            "autorater_model": f"{PARENT}/publishers/google/models/gemini-2.5-pro",
        },
        "inference_generation_config": {"temperature": 0.0, "max_output_tokens": 20},
    }


def test_metrics_alone_will_do_and_a_folder_of_ones_own_comes_first():
    assert spec(["exact_match"]).evaluation == EvaluationConfig(metrics=["exact_match"])
    made = EvaluationConfig(metrics=["bleu"], output_uri="gs://mine").config(parent=PARENT, folder="gs://b/x")
    assert made.output_config.gcs_destination.output_uri_prefix == "gs://mine"
    assert made.autorater_config is None
    assert made.inference_generation_config is None


@pytest.mark.parametrize(
    ("evaluation", "words"),
    [
        (["rouge"], '"rouge" is not a metric: exact_match, bleu, rouge1 to rouge9'),
        ([], "at least 1"),
        ([{"template": "Rate it."}], "lacks {response}"),
        ({"metrics": ["bleu"], "output_uri": "/tmp/x"}, "not in Cloud Storage"),
        ({"metrics": ["bleu"], "judge_samples": 33}, "up to 32 times"),
        ({"metrics": ["bleu"], "judges": 3}, "judges"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_the_reason(evaluation, words):
    with pytest.raises(SpecError) as caught:
        spec(evaluation)
    assert words in str(caught.value)


def test_without_held_out_rows_there_is_nothing_to_measure_on():
    with pytest.raises(SpecError) as caught:
        spec(["exact_match"], validation=None)
    assert (caught.value.rule, caught.value.fault.where) == ("VT315", "evaluation")
    assert caught.value.fault.fix == "validation=..."


def test_it_is_measured_where_the_service_measures():
    spec = SupervisedTuning(
        base_model="gemini-2.5-flash", training="t.jsonl", validation="v.jsonl", evaluation=["exact_match"]
    )
    spec.check_location("us-central1")
    with pytest.raises(SpecError) as caught:
        spec.check_location("europe-west4")
    assert (caught.value.rule, caught.value.fault.where) == ("VT305", "evaluation")
    assert "us-central1" in caught.value.fault.fix
