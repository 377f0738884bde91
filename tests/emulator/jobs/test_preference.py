"""Preference tuning as Google's clients see it: the request, the job, its metrics, the model."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import types

from .conftest import Bench
from .test_requests import refused

pytestmark = pytest.mark.filterwarnings("ignore:The SDK's tuning implementation is experimental")
SPEC = "tuning_job.preference_optimization_spec"
PARAMETERS = f"{SPEC}.hyper_parameters"


def pair(question: str, good: str, bad: str) -> dict[str, Any]:
    def told(score: int, text: str) -> dict[str, Any]:
        return {"score": score, "completion": {"role": "model", "parts": [{"text": text}]}}

    return {
        "contents": [{"role": "user", "parts": [{"text": question}]}],
        "completions": [told(1, good), told(0, bad)],
    }


PAIRS = [pair(f"Say {name}.", name, f"well, {name}?") for name in ("red", "green", "blue", "black")] * 10


@pytest.fixture(scope="module")
def uri(bench: Bench) -> str:
    return bench.upload(PAIRS)


def body(uri: str, **fields: Any) -> dict[str, Any]:
    parameters = {"epochCount": 1, **fields.pop("parameters", {})}
    spec = {"trainingDatasetUri": uri, "hyperParameters": parameters, **fields.pop("spec", {})}
    return {"baseModel": "gemini-2.5-flash", "preferenceOptimizationSpec": spec, **fields}


def test_googles_client_tunes_by_preference_and_asks_the_model(bench: Bench, uri: str) -> None:
    client = bench.genai()
    job = client.tunings.tune(
        base_model="gemini-2.5-flash",
        training_dataset=types.TuningDataset(gcs_uri=uri),
        config=types.CreateTuningJobConfig(
            method="PREFERENCE_TUNING",
            validation_dataset=types.TuningValidationDataset(gcs_uri=uri),
            epoch_count=2,
            beta=0.2,
            adapter_size="ADAPTER_SIZE_EIGHT",
            tuned_model_display_name="liked",
        ),
    )
    assert job.name is not None
    ended = bench.wait(job.name)
    assert ended["state"] == "JOB_STATE_SUCCEEDED", ended
    job = client.tunings.get(name=job.name)
    assert job.preference_optimization_spec is not None
    assert job.preference_optimization_spec.hyper_parameters is not None
    assert job.preference_optimization_spec.hyper_parameters.beta == 0.2
    assert job.tuning_data_stats is not None
    stats = job.tuning_data_stats.preference_optimization_data_stats
    assert stats is not None
    assert stats.tuning_dataset_example_count == 40
    assert stats.scores_distribution is not None
    assert stats.scores_distribution.mean == 0.5
    lines = [json.loads(line) for line in bench.download(ended["gcsMetricsUri"]).splitlines()]
    assert {"/preference_optimization_train_loss", "preference_accuracy"} <= lines[0].keys()
    assert {"/eval_total_loss", "eval_preference_accuracy"} <= lines[-1].keys()
    assert job.tuned_model is not None
    assert job.tuned_model.endpoint is not None
    assert len(job.tuned_model.checkpoints or []) == 2
    assert client.models.generate_content(model=job.tuned_model.endpoint, contents="Say red.").text


def test_a_tuned_model_is_tuned_on_by_preference(bench: Bench, uri: str, tuned: dict[str, Any]) -> None:
    asked = body(uri, preTunedModel={"tunedModelName": tuned["tunedModel"]["model"]})
    del asked["baseModel"]
    answer = bench.post(asked)
    assert isinstance(answer, dict), answer
    job = bench.wait(answer["name"])
    assert job["state"] == "JOB_STATE_SUCCEEDED", job
    assert job["preTunedModel"]["baseModel"] == "gemini-2.5-flash"
    on = {"baseModel": None, "preTunedModel": {"tunedModelName": job["tunedModel"]["model"]}}
    for again in (bench.body(**on), {**asked, **on}):
        violations = refused(bench.post({key: value for key, value in again.items() if value is not None}))
        assert "not of preference tuning" in violations["tuning_job.pre_tuned_model.tuned_model_name"]


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"baseModel": "gemini-2.5-pro"}, "tuning_job.base_model", "preference tuning"),
        ({"parameters": {"beta": -0.1}}, f"{PARAMETERS}.beta", "positive"),
        ({"parameters": {"epochCount": 101}}, f"{PARAMETERS}.epoch_count", "between"),
        (
            {"parameters": {"adapterSize": "ADAPTER_SIZE_THIRTY_TWO"}},
            f"{PARAMETERS}.adapter_size",
            "not supported",
        ),
        (
            {"spec": {"trainingDatasetUri": "gs://b/pairs.csv"}},
            f"{SPEC}.training_dataset_uri",
            "GCS object of type JSONL",
        ),
        ({"spec": {"validationDatasetUri": "x"}}, f"{SPEC}.validation_dataset_uri", "JSONL"),
    ],
)
def test_a_fault_is_named_by_its_field(
    bench: Bench, uri: str, fields: dict[str, Any], field: str, words: str
) -> None:
    violations = refused(bench.post(body(uri, **fields)))
    assert violations.keys() == {field}
    assert words in violations[field]


def test_the_stable_version_takes_it_too(bench: Bench, uri: str) -> None:
    answer = bench.post(body(uri), version="v1")
    assert isinstance(answer, dict), answer
    assert bench.wait(answer["name"])["state"] == "JOB_STATE_SUCCEEDED"


def test_rows_that_are_no_pairs_fail_the_job_with_every_fault(bench: Bench) -> None:
    rows = [
        *PAIRS,
        {"contents": PAIRS[0]["contents"]},
        {**PAIRS[0], "completions": PAIRS[0]["completions"][:1]},
    ]
    answer = bench.post(body(bench.upload(rows)))
    job = bench.wait(answer["name"])
    assert job["state"] == "JOB_STATE_FAILED"
    assert job["error"]["code"] == 3
    assert all(word in job["error"]["message"] for word in ("line 41", "line 42", "VT227"))


def test_a_tuned_model_remembers_how_it_was_tuned(bench: Bench, uri: str) -> None:
    answer = bench.post(body(uri, labels={"team": "a"}))
    job = bench.wait(answer["name"])
    model = bench.call("GET", f"/v1/{job['tunedModel']['model']}")
    assert model["labels"]["tune-type"] == "dpo"
    assert model["labels"]["team"] == "a"
