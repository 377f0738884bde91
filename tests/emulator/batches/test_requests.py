"""What a batch may not ask for is refused by field, all of it at once, before anything is done."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import LOCATION, Batches, line


def fields(answer: Any) -> dict[str, str]:
    """Field to rule id, of a refusal."""
    code, body = answer
    assert code == 400, answer
    violations, info = body["error"]["details"]
    found = {violation["field"] for violation in violations["fieldViolations"]}
    assert set(info["metadata"]) == found
    return {field.removeprefix("batch_prediction_job."): rule for field, rule in info["metadata"].items()}


SOURCE = "input_config.gcs_source.uris"
PREFIX = "output_config.gcs_destination.output_uri_prefix"


def test_all_that_is_missing_is_said_at_once(batches: Batches) -> None:
    assert fields(batches.post({})) == {
        "model": "VT651",
        "input_config.instances_format": "VT650",
        SOURCE: "VT652",
        "output_config.predictions_format": "VT650",
        PREFIX: "VT653",
        "display_name": "VT650",
    }


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"model": "gemini-2.5-flash"}, {"model": "VT651"}),
        ({"model": "projects/1/locations/us-central1/endpoints/1"}, {"model": "VT651"}),
        ({"endpoint": "projects/1/locations/us-central1/endpoints/1"}, {"endpoint": "VT651"}),
        ({"model": None, "endpoint": "nowhere"}, {"endpoint": "VT651"}),
        ({"displayName": "x" * 129}, {"display_name": "VT640"}),
        ({"labels": {"Team": "a"}}, {"labels": "VT640"}),
        ({"instanceConfig": {"keyField": "id"}}, {"instance_config": "VT654"}),
        ({"modelParameters": {"temperature": 1}}, {"model_parameters": "VT654"}),
        ({"generateExplanation": True}, {"generate_explanation": "VT654"}),
    ],
)
def test_a_field_that_cannot_be(batches: Batches, change: dict[str, Any], wanted: dict[str, str]) -> None:
    uri = batches.bench.upload([line("x")])
    source = {"instancesFormat": "jsonl", "gcsSource": {"uris": [uri]}}
    assert fields(batches.post(batches.body(inputConfig=source, **change))) == wanted


def test_bigquery_and_datasets_are_refused_by_name(batches: Batches) -> None:
    body = batches.body(
        inputConfig={"instancesFormat": "bigquery", "bigquerySource": {"inputUri": "bq://p.d.t"}},
        outputConfig={"predictionsFormat": "bigquery", "bigqueryDestination": {"outputUri": "bq://p.d.o"}},
    )
    answer = batches.post(body)
    assert fields(answer) == {
        "input_config.bigquery_source": "VT654",
        "output_config.bigquery_destination": "VT654",
    }
    assert "BigQuery" in answer[1]["error"]["message"]
    body = batches.body(
        inputConfig={
            "instancesFormat": "vertex-dataset",
            "vertexMultimodalDatasetSource": {"datasetName": "projects/1/locations/us-central1/datasets/1"},
        }
    )
    assert fields(batches.post(body)) == {"input_config.vertex_multimodal_dataset_source": "VT654"}
    uri = batches.bench.upload([line("x")])
    body = batches.body(inputConfig={"instancesFormat": "csv", "gcsSource": {"uris": [uri]}})
    assert fields(batches.post(body)) == {"input_config.instances_format": "VT654"}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, "does not exist"),
        (b"", "is empty"),
        (b"\n \n", "nothing but blank lines"),
        (b"a,b\n1,2\n", "is not JSONL"),
        (b'[{"request": {}}]', "is not JSONL"),
        (b'{\n"request": {}\n}\n', "is not JSONL"),
    ],
)
def test_an_input_in_which_there_is_no_request(batches: Batches, data: bytes | None, words: str) -> None:
    uri = f"gs://{batches.bench.bucket}/nothing.jsonl" if data is None else batches.bench.upload(data)
    code, body = batches.post(
        batches.body(inputConfig={"instancesFormat": "jsonl", "gcsSource": {"uris": [uri]}})
    )
    assert code == 400
    assert words in body["error"]["message"]
    assert body["error"]["details"][-1]["reason"] == "VT652"


def test_one_object_is_read_and_it_is_named_in_full(batches: Batches) -> None:
    uri = batches.bench.upload([line("x")])
    for uris in (
        [],
        [uri, uri],
        ["in.jsonl"],
        [f"gs://{batches.bench.bucket}/*.jsonl"],
        ["gs://no-such-bucket/x"],
    ):
        body = batches.body(inputConfig={"instancesFormat": "jsonl", "gcsSource": {"uris": uris}})
        assert fields(batches.post(body)) == {SOURCE: "VT652"}, uris


def test_buckets_lie_where_the_job_runs(batches: Batches) -> None:
    far = batches.bench.new_bucket("europe-west4")
    uri = batches.bench.upload([line("x")], far)
    body = batches.body(
        inputConfig={"instancesFormat": "jsonl", "gcsSource": {"uris": [uri]}},
        outputConfig={"predictionsFormat": "jsonl", "gcsDestination": {"outputUriPrefix": f"gs://{far}/out"}},
    )
    assert fields(batches.post(body)) == {SOURCE: "VT635", PREFIX: "VT635"}
    there = "projects/vertex-tuning-local/locations/europe-west4"
    assert "name" in batches.post(body, there)
    assert "name" in batches.post(body, "projects/vertex-tuning-local/locations/global")


def test_a_model_that_is_not_there_is_not_found(batches: Batches) -> None:
    uri = batches.bench.upload([line("x")])
    source = {"instancesFormat": "jsonl", "gcsSource": {"uris": [uri]}}
    for model in ("publishers/google/models/nothing", "projects/1/locations/us-central1/models/1"):
        code, body = batches.post(batches.body(model=model, inputConfig=source))
        assert (code, body["error"]["status"]) == (404, "NOT_FOUND")
        # Where there is more that is wrong, that is said first: with fields.
        assert SOURCE in fields(batches.post(batches.body(model=model)))


def test_a_tuned_model_answers_in_its_own_location_alone(batches: Batches, tuned: dict[str, Any]) -> None:
    uri = batches.bench.upload([line("x")])
    body = batches.body(
        model=tuned["tunedModel"]["model"],
        inputConfig={"instancesFormat": "jsonl", "gcsSource": {"uris": [uri]}},
    )
    for location in ("us-east1", "global"):
        answer = batches.post(body, LOCATION.replace("us-central1", location))
        assert fields(answer) == {"model": "VT651"}
        assert "us-central1" in answer[1]["error"]["message"]


def test_a_job_that_is_not_there(batches: Batches) -> None:
    for method, path in (("GET", ""), ("POST", ":cancel"), ("DELETE", "")):
        code, body = batches.bench.call(method, f"/v1/{LOCATION}/batchPredictionJobs/1{path}")
        assert (code, body["error"]["status"]) == (404, "NOT_FOUND")
        assert "BatchPredictionJob" in body["error"]["message"]
