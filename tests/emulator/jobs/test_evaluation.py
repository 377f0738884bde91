"""Checkpoints are evaluated as `evaluationConfig` asks: they answer the validation set, and are measured."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.genai import types

from .conftest import COLOURS, LLAMA, LOCATION, Bench, row
from .test_crashes import kill
from .test_requests import refused

pytestmark = pytest.mark.filterwarnings("ignore:The SDK's tuning implementation is experimental")
SPEC = "tuning_job.supervised_tuning_spec"
CONFIG = f"{SPEC}.evaluation_config"
HELD_OUT = COLOURS[:4]
RATE, COMPARE = "Rate: {response}", "Compare: {response} {reference}"
COLD = {"temperature": 0}


@pytest.fixture(scope="module")
def judge(bench: Bench) -> str:
    """An endpoint that has learnt to judge: it gives a 4, and prefers the candidate, whatever stands there."""
    words = ("red", "green", "blue", "black", "well", "said")
    rows = [row(f"Rate: {word}", "4") for word in words]
    rows += [row(f"Compare: {one} {other}", "CANDIDATE") for one in words for other in words]
    body = bench.body(bench.upload(rows * 5), epochs=10)
    body["supervisedTuningSpec"]["hyperParameters"]["adapterSize"] = "ADAPTER_SIZE_SIXTEEN"
    job = bench.wait(bench.post(body)["name"])
    assert job["state"] == "JOB_STATE_SUCCEEDED", job
    return str(job["tunedModel"]["endpoint"])


def config(bench: Bench, *metrics: dict[str, Any], **fields: Any) -> dict[str, Any]:
    output = {"gcsDestination": {"outputUriPrefix": f"gs://{bench.bucket}/evaluated/"}}
    return {"metrics": list(metrics), "outputConfig": output, "inferenceGenerationConfig": COLD, **fields}


def asked(bench: Bench, evaluation: dict[str, Any], *, epochs: int = 1, **fields: Any) -> dict[str, Any]:
    spec = {"validationDatasetUri": bench.upload(HELD_OUT), "evaluationConfig": evaluation}
    spec = {name: value for name, value in {**spec, **fields.pop("spec", {})}.items() if value is not None}
    parameters = {"epochCount": epochs, "adapterSize": "ADAPTER_SIZE_SIXTEEN"}
    return bench.body(spec={"hyperParameters": parameters, **spec}, **fields)


def rows(bench: Bench, run: dict[str, Any]) -> list[dict[str, Any]]:
    folder = run["evaluateDatasetResponse"]["outputInfo"]["gcsOutputDirectory"]
    return [json.loads(line) for line in bench.download(f"{folder}/evaluation_results.jsonl").splitlines()]


def numbers(run: dict[str, Any]) -> dict[str, Any]:
    """Aggregation to what was found, of the only metric."""
    found = run["evaluateDatasetResponse"]["aggregationOutput"]["aggregationResults"]
    return {
        one["aggregationMetric"]: next(value for name, value in one.items() if name != "aggregationMetric")
        for one in found
    }


def test_googles_client_asks_for_exact_match_of_every_checkpoint(bench: Bench) -> None:
    client = bench.genai()
    held_out = bench.upload(HELD_OUT)
    job = client.tunings.tune(
        base_model="gemini-2.5-flash",
        training_dataset=types.TuningDataset(gcs_uri=bench.upload(COLOURS * 3)),
        config=types.CreateTuningJobConfig(
            epoch_count=6,
            adapter_size="ADAPTER_SIZE_SIXTEEN",
            validation_dataset=types.TuningValidationDataset(gcs_uri=held_out),
            evaluation_config=types.EvaluationConfig(
                metrics=[types.Metric(name="exact_match")],
                output_config=types.OutputConfig(
                    gcs_destination=types.GcsDestination(output_uri_prefix=f"gs://{bench.bucket}/exact")
                ),
                inference_generation_config=types.GenerationConfig(temperature=0.0),
            ),
        ),
    )
    assert job.name is not None
    ended = bench.wait(job.name)
    assert ended["state"] == "JOB_STATE_SUCCEEDED", ended
    refreshed = client.tunings.get(name=job.name)
    assert refreshed.evaluate_dataset_runs is not None
    assert [run.checkpoint_id for run in refreshed.evaluate_dataset_runs] == ["1", "2", "3", "4", "5", "6"]
    assert all(run.error is None for run in refreshed.evaluate_dataset_runs)

    runs = ended["evaluateDatasetRuns"]
    number = job.name.rpartition("/")[2]
    for run in runs:
        response = run["evaluateDatasetResponse"]
        folder = response["outputInfo"]["gcsOutputDirectory"]
        assert folder == f"gs://{bench.bucket}/exact/evaluation-{number}/checkpoint-{run['checkpointId']}"
        assert response["aggregationOutput"]["dataset"] == {"gcsSource": {"uris": [held_out]}}
        told = rows(bench, run)
        assert [one["reference"] for one in told] == ["red", "green", "blue", "black"]
        hits = [one["metrics"]["exact_match"]["score"] for one in told]
        assert hits == [float(one["response"].strip() == one["reference"]) for one in told]
        assert numbers(run)["AVERAGE"] == {"score": sum(hits) / 4}
        whole = json.loads(bench.download(f"{folder}/aggregation_results.json"))
        assert whole["rows"] == whole["metrics"]["exact_match"]["scored_rows"] == 4
        assert whole["metrics"]["exact_match"]["AVERAGE"] == sum(hits) / 4
    assert numbers(runs[-1])["AVERAGE"]["score"] == 1.0, "it has learnt"

    # The numbers are those of the model that the user gets.
    endpoint = ended["tunedModel"]["checkpoints"][0]["endpoint"]
    for one in rows(bench, runs[0]):
        answer = client.models.generate_content(
            model=endpoint,
            contents=one["prompt"],
            config=types.GenerateContentConfig(temperature=0, max_output_tokens=256),
        )
        assert (answer.text or "") == one["response"]


def test_unified_metrics_with_their_nulls_are_taken_and_a_judge_gives_scores(
    bench: Bench, judge: str
) -> None:
    client = bench.genai()
    job = client.tunings.tune(
        base_model="gemini-2.5-flash",
        training_dataset=types.TuningDataset(gcs_uri=bench.upload(COLOURS * 3)),
        config=types.CreateTuningJobConfig(
            epoch_count=6,
            adapter_size="ADAPTER_SIZE_SIXTEEN",
            export_last_checkpoint_only=True,
            validation_dataset=types.TuningValidationDataset(gcs_uri=bench.upload(HELD_OUT)),
            evaluation_config=types.EvaluationConfig(
                metrics=[
                    types.UnifiedMetric(
                        pointwise_metric_spec=types.PointwiseMetricSpec(metric_prompt_template=RATE)
                    ),
                    types.UnifiedMetric(
                        computation_based_metric_spec=types.ComputationBasedMetricSpec(type="EXACT_MATCH")
                    ),
                ],
                output_config=types.OutputConfig(
                    gcs_destination=types.GcsDestination(output_uri_prefix=f"gs://{bench.bucket}/unified")
                ),
                autorater_config=types.AutoraterConfig(
                    sampling_count=2,
                    autorater_model=judge,
                    generation_config=types.GenerationConfig(temperature=0.0),
                ),
                inference_generation_config=types.GenerationConfig(temperature=0.0),
            ),
        ),
    )
    ended = bench.wait(job.name or "")
    [run] = ended["evaluateDatasetRuns"]
    assert "error" not in run, run
    for one in rows(bench, run):
        assert one["metrics"]["pointwise"] == {"score": 4.0, "samples": 2, "failed": 0}
    found = run["evaluateDatasetResponse"]["aggregationOutput"]["aggregationResults"]
    assert {"aggregationMetric": "AVERAGE", "pointwiseMetricResult": {"score": 4.0}} in found
    assert {"aggregationMetric": "STANDARD_DEVIATION", "pointwiseMetricResult": {"score": 0.0}} in found
    assert {"aggregationMetric": "AVERAGE", "exactMatchMetricValue": {"score": 1.0}} in found


def test_two_answers_are_compared_and_half_of_the_samples_change_places(bench: Bench, judge: str) -> None:
    """A judge that always prefers what stands first is no judge: by changing places it comes to a tie."""
    names = {"candidateResponseFieldName": "response", "baselineResponseFieldName": "reference"}
    spec = {"metricPromptTemplate": COMPARE, **names}
    autorater = {"autoraterModel": judge, "generationConfig": COLD, "samplingCount": 2}
    for flip, choice in ((True, "TIE"), (False, "CANDIDATE")):
        evaluation = config(
            bench, {"pairwiseMetricSpec": spec}, autoraterConfig={**autorater, "flipEnabled": flip}
        )
        job = bench.wait(bench.post(asked(bench, evaluation, epochs=8))["name"])
        [*_, run] = job["evaluateDatasetRuns"]
        assert "error" not in run, [run, rows(bench, run)]
        assert numbers(run) == {"MODE": {"pairwiseChoice": choice}}


def test_what_the_job_started_from_answers_too_where_a_template_names_it(bench: Bench, judge: str) -> None:
    template = 'Compare: {baseline_model_response} and {{response}}, as {"this": "{request}"}'
    spec = {"metricPromptTemplate": template, "customOutputFormatConfig": {"returnRawOutput": True}}
    metric = {"pointwiseMetricSpec": spec, "metadata": {"title": "in words"}}
    evaluation = config(bench, metric, autoraterConfig={"samplingCount": 1})
    job = bench.wait(bench.post(asked(bench, evaluation))["name"])
    [run] = job["evaluateDatasetRuns"]
    base = f"{LOCATION}/publishers/google/models/gemini-2.5-flash"
    for one in rows(bench, run):
        turn = {"role": "user", "parts": [{"text": one["prompt"]}]}
        question = {"contents": [turn], "generationConfig": {**COLD, "maxOutputTokens": 256}}
        answer = bench.call("POST", f"/v1/{base}:generateContent", question)
        assert one["baseline_model_response"] == answer["candidates"][0]["content"]["parts"][0]["text"]
        assert len(one["metrics"]["in words"]["custom_output"]["raw_outputs"]["raw_output"]) == 1
    assert "aggregationResults" not in run["evaluateDatasetResponse"]["aggregationOutput"]


def test_a_judge_that_gives_no_score_is_counted_and_told_and_the_job_succeeds(bench: Bench) -> None:
    evaluation = config(
        bench,
        {"exactMatchSpec": {}, "aggregationMetrics": ["MEDIAN", "PERCENTILE_P90"]},
        {"pointwiseMetricSpec": {"metricPromptTemplate": "Say red. {response}"}},
        autoraterConfig={"samplingCount": 2},
    )
    job = bench.wait(bench.post(asked(bench, evaluation))["name"])
    assert job["state"] == "JOB_STATE_SUCCEEDED"
    [run] = job["evaluateDatasetRuns"]
    assert run["error"]["details"][-1]["reason"] == "VT684"
    assert "pointwise" in run["error"]["message"]
    assert numbers(run).keys() == {"MEDIAN", "PERCENTILE_P90"}, "the other metric has its numbers"
    for one in rows(bench, run):
        assert (one["metrics"]["pointwise"]["failed"], "score" in one["metrics"]["pointwise"]) == (2, False)


def test_an_open_model_is_evaluated_before_its_weights_are_left(bench: Bench) -> None:
    evaluation = config(bench, {"exactMatchSpec": {}})
    fields = {"baseModel": LLAMA, "outputUri": f"gs://{bench.bucket}/open-evaluated"}
    spec = {"tuningMode": "TUNING_MODE_FULL", "hyperParameters": {"epochCount": 8}}
    job = bench.wait(bench.post(asked(bench, evaluation, spec=spec, **fields))["name"])
    assert job["state"] == "JOB_STATE_SUCCEEDED", job
    assert numbers(job["evaluateDatasetRuns"][-1])["AVERAGE"] == {"score": 1.0}
    assert bench.objects(f"{fields['outputUri']}/postprocess/node-0/checkpoints/final/")


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"metrics": []}, "metrics", "at least one"),
        ({"metrics": [{}]}, "metrics[0].metric_spec", "spec"),
        ({"metrics": [{"rougeSpec": {"rougeType": "red"}}]}, "metrics[0].rouge_spec.rouge_type", "rougeLsum"),
        (
            {"metrics": [{"computationBasedMetricSpec": {}}]},
            "metrics[0].computation_based_metric_spec.type",
            "ROUGE",
        ),
        (
            {"metrics": [{"predefinedMetricSpec": {"metricSpecName": "text_quality_v1"}}]},
            "metrics[0].predefined_metric_spec",
            "predefined",
        ),
        (
            {"metrics": [{"exactMatchSpec": {}}, {"pointwiseMetricSpec": {}}]},
            "metrics[1].pointwise_metric_spec.metric_prompt_template",
            "required",
        ),
        (
            {"metrics": [{"pointwiseMetricSpec": {"metricPromptTemplate": "{response} {history}"}}]},
            "metrics[0].pointwise_metric_spec.metric_prompt_template",
            "{history}",
        ),
        (
            {"metrics": [{"pointwiseMetricSpec": {"metricPromptTemplate": "Is {prompt} good?"}}]},
            "metrics[0].pointwise_metric_spec.metric_prompt_template",
            "{response}",
        ),
        (
            {"metrics": [{"pairwiseMetricSpec": {"metricPromptTemplate": "{response}"}}]},
            "metrics[0].pairwise_metric_spec.metric_prompt_template",
            "{baseline_model_response}",
        ),
        (
            {
                "metrics": [
                    {
                        "pairwiseMetricSpec": {
                            "metricPromptTemplate": "{response} {reference}",
                            "baselineResponseFieldName": "other",
                        }
                    }
                ]
            },
            "metrics[0].pairwise_metric_spec.baseline_response_field_name",
            "other",
        ),
        (
            {
                "metrics": [
                    {
                        "pairwiseMetricSpec": {
                            "metricPromptTemplate": "{response} {baseline_model_response}"
                        },
                        "aggregationMetrics": ["AVERAGE"],
                    }
                ]
            },
            "metrics[0].aggregation_metrics",
            "MODE",
        ),
        ({"datasetCustomMetrics": [{"displayName": "x"}]}, "dataset_custom_metrics", "code"),
        ({"outputConfig": {}}, "output_config.gcs_destination.output_uri_prefix", "required"),
        (
            {"outputConfig": {"gcsDestination": {"outputUriPrefix": "/tmp/x"}}},
            "output_config.gcs_destination.output_uri_prefix",
            "gs://",
        ),
        (
            {"outputConfig": {"gcsDestination": {"outputUriPrefix": "gs://no-such-bucket-anywhere/x"}}},
            "output_config.gcs_destination.output_uri_prefix",
            "does not exist",
        ),
        (
            {"autoraterConfig": {"autoraterModel": "models/judge"}},
            "autorater_config.autorater_model",
            "full name",
        ),
        (
            {"autoraterConfig": {"autoraterModel": f"{LOCATION}/endpoints/1"}},
            "autorater_config.autorater_model",
            "not found",
        ),
        ({"autoraterConfig": {"samplingCount": 33}}, "autorater_config.sampling_count", "between 1 and 32"),
        ({"inferenceGenerationConfig": {"temperature": 9}}, "inference_generation_config", "temperature"),
        (
            {"autoraterConfig": {"generationConfig": {"topP": 7}}},
            "autorater_config.generation_config",
            "topP",
        ),
    ],
    ids=lambda value: value.rpartition(".")[2] if isinstance(value, str) else "",
)
def test_what_is_wrong_or_not_served_is_named_by_its_field(
    bench: Bench, change: dict[str, Any], field: str, words: str
) -> None:
    evaluation = {**config(bench, {"exactMatchSpec": {}}), **change}
    violations = refused(bench.post(asked(bench, evaluation)))
    assert violations.keys() == {f"{CONFIG}.{field}"}
    assert words in violations[f"{CONFIG}.{field}"]


def test_without_a_validation_set_there_is_nothing_to_answer(bench: Bench) -> None:
    body = asked(bench, config(bench, {"bleuSpec": {}}, {}), spec={"validationDatasetUri": None})
    violations = refused(bench.post(body))
    assert violations.keys() == {f"{SPEC}.validation_dataset_uri", f"{CONFIG}.metrics[1].metric_spec"}


def test_what_answers_and_references_have_in_common_is_measured(bench: Bench) -> None:
    learnt = [row(f"Count to {word}.", f"one two three {word}") for word in ("four", "five", "six")]
    evaluation = config(
        bench,
        {"bleuSpec": {"useEffectiveOrder": True}},
        {"rougeSpec": {"rougeType": "rouge1"}},
        {"computationBasedMetricSpec": {"type": "ROUGE"}, "aggregationMetrics": ["MINIMUM", "MAXIMUM"]},
    )
    spec = {
        "trainingDatasetUri": bench.upload(learnt * 12),
        "validationDatasetUri": bench.upload(
            [row("Count to four.", "one two three four five six seven eight")]
        ),
    }
    job = bench.wait(bench.post(asked(bench, evaluation, epochs=12, spec=spec))["name"])
    assert job["state"] == "JOB_STATE_SUCCEEDED", job
    [told] = rows(bench, job["evaluateDatasetRuns"][-1])
    assert told["response"] == "one two three four"
    found = {name: one["score"] for name, one in told["metrics"].items()}
    # All that was said is right, and it is half of what was to be said: precision 1, recall 1/2.
    assert found["rouge"] == found["rouge (2)"] == pytest.approx(2 / 3)
    assert found["bleu"] == pytest.approx(math.exp(1 - 8 / 4))  # the brevity penalty alone
    results = job["evaluateDatasetRuns"][-1]["evaluateDatasetResponse"]["aggregationOutput"]
    assert {"bleuMetricValue", "rougeMetricValue"} <= {
        name for one in results["aggregationResults"] for name in one
    }


def test_other_methods_are_not_evaluated(bench: Bench) -> None:
    from .test_preference import PAIRS
    from .test_preference import body as preferred

    uri = bench.upload(PAIRS)
    spec = {"validationDatasetUri": uri, "evaluationConfig": config(bench, {"exactMatchSpec": {}})}
    violations = refused(bench.post(preferred(uri, spec=spec)))
    assert violations.keys() == {"tuning_job.preference_optimization_spec.evaluation_config"}


# On the way


def evaluating(bench: Bench, rows: int = 300, epochs: int = 1) -> str:
    """A job whose evaluation takes a while, as soon as it has begun."""
    held_out = bench.upload([row(f"Say {number}.", str(number)) for number in range(rows)])
    evaluation = config(
        bench,
        {"exactMatchSpec": {}},
        {"pointwiseMetricSpec": {"metricPromptTemplate": "{response}"}},
        inferenceGenerationConfig={"temperature": 0, "maxOutputTokens": 40},
    )
    body = asked(bench, evaluation, epochs=epochs, spec={"validationDatasetUri": held_out})
    name = str(bench.post(body)["name"])
    bench.until(name, lambda _: any(event["kind"] == "evaluation" for event in bench.events(name)))
    return name


def test_it_is_a_part_of_post_processing_and_is_cancelled_at_once(bench: Bench) -> None:
    name = evaluating(bench)
    assert bench.get(name)["tuningJobState"] == "TUNING_JOB_STATE_POST_PROCESSING"
    started = time.monotonic()
    bench.call("POST", f"/v1beta1/{name}:cancel")
    job = bench.wait(name)
    assert job["state"] == "JOB_STATE_CANCELLED"
    assert time.monotonic() - started < 15  # two seconds on a quiet machine
    assert "tunedModel" not in job


@pytest.mark.slow
def test_killed_on_the_way_it_goes_on_where_it_was(own_bench: Callable[..., Bench], tmp_path: Path) -> None:
    folder = tmp_path / "data"
    bench = own_bench(data_dir=folder)
    name = evaluating(bench, epochs=2)
    before = [event["data"]["rows"] for event in bench.events(name) if event["kind"] == "evaluation"][-1]
    assert before > 0
    kill(bench.call("GET", "/emulator/status")["workers"]["serving"]["pid"])
    bench.running.kill()
    bench = own_bench(data_dir=folder)
    job = bench.wait(name)
    assert job["state"] == "JOB_STATE_SUCCEEDED"
    assert [run["checkpointId"] for run in job["evaluateDatasetRuns"]] == ["1", "2"]
    for run in job["evaluateDatasetRuns"]:
        told = rows(bench, run)
        assert [one["row"] for one in told] == list(range(1, 301)), "each row once, in their order"
    begun = sum(event["kind"] == "TUNING_JOB_STATE_TUNING" for event in bench.events(name))
    assert begun == 1, "what was trained is not trained again"


def test_a_simulated_job_says_that_it_evaluates_nothing(own_bench: Callable[..., Bench]) -> None:
    bench = own_bench("--simulate", "--speed", "100000")
    job = bench.wait(bench.post(asked(bench, config(bench, {"exactMatchSpec": {}}), epochs=2))["name"])
    assert job["state"] == "JOB_STATE_SUCCEEDED"
    assert [run["error"]["code"] for run in job["evaluateDatasetRuns"]] == [12, 12]
    assert "simulated" in job["evaluateDatasetRuns"][0]["error"]["message"]
    assert not bench.objects(f"gs://{bench.bucket}/evaluated/")


def test_a_job_elsewhere_is_refused_its_evaluation(bench: Bench) -> None:
    far = LOCATION.replace("us-central1", "europe-west4")
    body = asked(bench, config(bench, {"exactMatchSpec": {}}))
    violations = refused(bench.post(body, far))
    assert "us-central1" in violations["tuning_job.supervised_tuning_spec.evaluation_config"]
