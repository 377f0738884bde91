"""What a create request may ask for: every fault at once, by field, in Google's words, with a rule."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import errors, types

from .conftest import COLOURS, LOCATION, Bench

pytestmark = pytest.mark.filterwarnings("ignore:The SDK's tuning implementation is experimental")
SPEC = "tuning_job.supervised_tuning_spec"
PARAMETERS = f"{SPEC}.hyper_parameters"
EUROPE = LOCATION.replace("us-central1", "europe-west4")
GLOBAL = LOCATION.replace("us-central1", "global")
LLAMA = "meta/llama3_1@llama-3.1-8b-instruct"
FULL_ONLY = "qwen/qwen3@qwen3-4b"
KEY = "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"


@pytest.fixture(scope="module")
def uri(bench: Bench) -> str:
    return bench.upload(COLOURS)


def refused(answer: Any, status: str = "INVALID_ARGUMENT") -> dict[str, str]:
    """The violations of a refusal: field -> description; the rule of each must be there."""
    assert isinstance(answer, tuple), answer
    code, body = answer
    assert code == 400, body
    error = body["error"]
    assert error["status"] == status, error
    details = {detail["@type"].rpartition(".")[2]: detail for detail in error["details"]}
    found = {item["field"]: item["description"] for item in details["BadRequest"]["fieldViolations"]}
    assert details["ErrorInfo"]["metadata"].keys() == found.keys()
    return found


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"baseModel": "gemini-2.5-flush"}, "tuning_job.base_model", "gemini-2.5-flash"),
        ({"baseModel": None}, "tuning_job.source_model", "required"),
        ({"baseModel": "gemini-3.1-pro"}, "tuning_job.base_model", "supervised"),
        ({"spec": {"trainingDatasetUri": None}}, f"{SPEC}.training_dataset_uri", "required"),
        (
            {"spec": {"trainingDatasetUri": "train.jsonl"}},
            f"{SPEC}.training_dataset_uri",
            "training_dataset_uri should be a GCS object of type JSONL.",
        ),
        (
            {"spec": {"trainingDatasetUri": "gs://nowhere-at-all/x.jsonl"}},
            f"{SPEC}.training_dataset_uri",
            "bucket",
        ),
        ({"spec": {"trainingDatasetUri": "gs://BUCKET/gone.jsonl"}}, f"{SPEC}.training_dataset_uri", "exist"),
        (
            {"spec": {"validationDatasetUri": "gs://BUCKET/x.csv"}},
            f"{SPEC}.validation_dataset_uri",
            "validation_dataset_uri should be a GCS object of type JSONL.",
        ),
        (
            {"spec": {"trainingDatasetUri": "projects/1/locations/us-central1/datasets/5"}},
            f"{SPEC}.training_dataset_uri",
            "multimodal",
        ),
        (
            {"baseModel": "gemini-2.5-pro", "parameters": {"adapterSize": 4}},
            f"{PARAMETERS}.adapter_size",
            "1, 2, 4, 8",
        ),
        ({"parameters": {"epochCount": 101}}, f"{PARAMETERS}.epoch_count", "100"),
        ({"parameters": {"epochCount": -1}}, f"{PARAMETERS}.epoch_count", "100"),
        (
            {"parameters": {"learningRateMultiplier": -1}},
            f"{PARAMETERS}.learning_rate_multiplier",
            "positive",
        ),
        (
            {"parameters": {"learningRateMultiplier": "NaN"}},
            f"{PARAMETERS}.learning_rate_multiplier",
            "positive",
        ),
        ({"parameters": {"batchSize": 8}}, f"{PARAMETERS}.batch_size", "open models"),
        ({"parameters": {"learningRate": 0.1}}, f"{PARAMETERS}.learning_rate", "open models"),
        ({"spec": {"tuningMode": "TUNING_MODE_FULL"}}, f"{SPEC}.tuning_mode", "adapter"),
        ({"tunedModelDisplayName": "ü" * 65}, "tuning_job.tuned_model_display_name", "128"),
        ({"labels": {"Team": "a"}}, "tuning_job.labels", "lower-case"),
        ({"labels": {"team": "a b"}}, "tuning_job.labels", "lower-case"),
        ({"labels": {"": "a"}}, "tuning_job.labels", "empty"),
        ({"labels": {"x" * 65: ""}}, "tuning_job.labels", "64"),
        ({"labels": {f"k{n}": "" for n in range(65)}}, "tuning_job.labels", "65"),
        ({"outputUri": "gs://BUCKET/out"}, "tuning_job.output_uri", "open models"),
        ({"customBaseModel": "gs://BUCKET/out"}, "tuning_job.custom_base_model", "open models"),
        ({"encryptionSpec": {"kmsKeyName": "key"}}, "tuning_job.encryption_spec.kms_key_name", "cryptoKeys"),
        (
            {"encryptionSpec": {"kmsKeyName": KEY.replace("us-central1", "eu")}},
            "tuning_job.encryption_spec.kms_key_name",
            "region",
        ),
        (
            {"baseModel": "gemini-3.5-flash", "encryptionSpec": {"kmsKeyName": KEY}},
            "tuning_job.encryption_spec",
            "keys",
        ),
        ({"baseModel": LLAMA}, "tuning_job.output_uri", "required"),
        ({"baseModel": LLAMA, "outputUri": "/tmp/out"}, "tuning_job.output_uri", "gs://"),
        ({"baseModel": LLAMA, "outputUri": "gs://nowhere-at-all/out"}, "tuning_job.output_uri", "bucket"),
        (
            {
                "baseModel": LLAMA,
                "outputUri": "gs://BUCKET/out",
                "parameters": {"learningRate": 0.1, "learningRateMultiplier": 2},
            },
            f"{PARAMETERS}.learning_rate",
            "mutually exclusive",
        ),
        (
            {
                "baseModel": FULL_ONLY,
                "outputUri": "gs://BUCKET/out",
                "spec": {"tuningMode": "TUNING_MODE_PEFT_ADAPTER"},
            },
            f"{SPEC}.tuning_mode",
            "full",
        ),
        (
            {
                "baseModel": FULL_ONLY,
                "outputUri": "gs://BUCKET/out",
                "customBaseModel": "gs://BUCKET/nothing",
            },
            "tuning_job.custom_base_model",
            "neither",
        ),
        (
            {
                "baseModel": FULL_ONLY,
                "outputUri": "gs://BUCKET/out",
                "parameters": {"adapterSize": "ADAPTER_SIZE_FOUR"},
            },
            f"{SPEC}.hyper_parameters.adapter_size",
            "Full tuning",
        ),
        ({"serviceAccount": "me"}, "tuning_job.service_account", "gserviceaccount.com"),
        (
            {"baseModel": None, "preTunedModel": {"tunedModelName": "models/7"}},
            "tuning_job.pre_tuned_model.tuned_model_name",
            "projects/",
        ),
    ],
    ids=lambda value: value.rpartition(".")[2] if isinstance(value, str) and "." in value else "",
)
def test_a_fault_is_named_by_its_field(
    bench: Bench, uri: str, fields: dict[str, Any], field: str, words: str
) -> None:
    asked = bench.body(uri, **{key: value for key, value in fields.items() if key != "parameters"})
    asked["supervisedTuningSpec"]["hyperParameters"].update(fields.get("parameters", {}))
    answer = bench.post(json.loads(json.dumps(asked).replace("BUCKET", bench.bucket)))
    if words == "neither":  # found when the weights are taken in, after all else
        assert answer[0] == 400
        assert words in answer[1]["error"]["message"]
        return
    violations = refused(answer)
    assert violations.keys() == {field}
    assert words in violations[field]


def test_all_faults_are_told_at_once(bench: Bench) -> None:
    body = {
        "baseModel": "gemini-9",
        "supervisedTuningSpec": {"trainingDatasetUri": "x", "validationDatasetUri": "y"},
        "labels": {"A": "b"},
    }
    assert refused(bench.post(body)).keys() == {
        "tuning_job.base_model",
        f"{SPEC}.training_dataset_uri",
        f"{SPEC}.validation_dataset_uri",
        "tuning_job.labels",
    }


def test_the_message_is_googles(bench: Bench) -> None:
    """As seen in GoogleCloudPlatform/generative-ai#2081."""
    client = bench.genai()
    with pytest.raises(errors.ClientError) as caught:
        client.tunings.tune(
            base_model="gemini-2.5-flash",
            training_dataset=types.TuningDataset(gcs_uri="gs://b/t.csv"),
        )
    assert caught.value.code == 400
    assert caught.value.message == (
        "List of found errors:\t1.Field: tuning_job.supervised_tuning_spec.training_dataset_uri; "
        "Message: training_dataset_uri should be a GCS object of type JSONL.\t"
    )


@pytest.mark.parametrize(
    "spec", ["partnerModelTuningSpec", "fullFineTuningSpec", "veoTuningSpec", "veoLoraTuningSpec"]
)
def test_a_method_that_is_not_served_is_refused_by_name(bench: Bench, spec: str) -> None:
    code, answer = bench.post({"baseModel": "gemini-2.5-flash", spec: {}})
    assert (code, answer["error"]["status"]) == (400, "FAILED_PRECONDITION")
    assert spec in answer["error"]["message"]


@pytest.mark.parametrize("verb", ["processData"])
def test_a_verb_that_is_not_served_is_refused_by_name(bench: Bench, verb: str) -> None:
    code, answer = bench.call("POST", f"/v1beta1/{LOCATION}/tuningJobs:{verb}", {})
    assert (code, answer["error"]["status"]) == (400, "FAILED_PRECONDITION")
    assert verb in answer["error"]["message"]


def test_two_specs_are_one_too_many(bench: Bench, uri: str) -> None:
    """google-genai sends a second one when a field of another method is set."""
    body = bench.body(uri, reinforcementTuningSpec={"trainingDatasetUri": uri})
    code, answer = bench.post(body)
    assert code == 400
    assert (
        "oneof field 'tuning_spec' is already set. Cannot set 'reinforcementTuningSpec'"
        in (answer["error"]["message"])
    )


def test_no_spec_is_too_few(bench: Bench) -> None:
    assert "tuning_job.tuning_spec" in refused(bench.post({"baseModel": "gemini-2.5-flash"}))


@pytest.mark.parametrize(
    ("base", "location", "told"),
    [
        ("gemini-2.5-flash", GLOBAL, "us-central1"),
        ("gemini-3.5-flash", EUROPE.replace("europe-west4", "asia-east1"), "europe-west4"),
    ],
)
def test_a_model_is_tuned_where_it_can_be(bench: Bench, base: str, location: str, told: str) -> None:
    violations = refused(bench.post({"baseModel": base}, location))
    assert told in violations["tuning_job.base_model"]


@pytest.mark.parametrize(
    ("bucket_location", "location", "fits"),
    [
        ("US", LOCATION, True),
        ("US-CENTRAL1", LOCATION, True),
        ("NAM4", LOCATION, True),
        ("EU", LOCATION, False),
        ("US-EAST1", LOCATION, False),
        ("EU", EUROPE, True),
        ("US", EUROPE, False),
    ],
)
def test_the_bucket_must_be_near(bench: Bench, bucket_location: str, location: str, fits: bool) -> None:
    far = bench.upload(COLOURS, bucket=bench.new_bucket(bucket_location))
    # A fault of its own keeps the job from being made.
    violations = refused(bench.post(bench.body(far, labels={"X": ""}), location))
    assert (f"{SPEC}.training_dataset_uri" not in violations) is fits
    if not fits:
        assert bucket_location in violations[f"{SPEC}.training_dataset_uri"]


def test_a_refused_request_leaves_nothing_behind(bench: Bench, uri: str) -> None:
    before = bench.call("GET", f"/v1beta1/{LOCATION}/tuningJobs?pageSize=1")
    folders = sorted((bench.running.data_dir / "jobs").iterdir()) if before else []
    bench.post(bench.body(uri, labels={"X": ""}))
    missing = {
        "baseModel": LLAMA,
        "customBaseModel": f"gs://{bench.bucket}/none",
        "outputUri": f"gs://{bench.bucket}/o",
    }
    assert bench.post(bench.body(uri, **missing))[0] == 400
    assert bench.call("GET", f"/v1beta1/{LOCATION}/tuningJobs?pageSize=1") == before
    if before:
        assert sorted((bench.running.data_dir / "jobs").iterdir()) == folders


def test_what_the_service_keeps_to_itself_is_passed_over(bench: Bench, uri: str) -> None:
    body = bench.body(uri, state="JOB_STATE_SUCCEEDED", name="projects/1/locations/x/tuningJobs/1")
    made = bench.post(body)
    assert made["state"] == "JOB_STATE_PENDING"
    assert made["name"].startswith("projects/123456789012/locations/us-central1/tuningJobs/")
    bench.call("POST", f"/v1beta1/{made['name']}:cancel")


def test_keys_and_accounts_are_echoed(bench: Bench, uri: str) -> None:
    fields = {
        "encryptionSpec": {"kmsKeyName": KEY},
        "serviceAccount": "tuner@p.iam.gserviceaccount.com",
        "description": "why",
    }
    made = bench.post(bench.body(uri, **fields))
    assert {field: made[field] for field in fields} == fields
    bench.call("POST", f"/v1beta1/{made['name']}:cancel")


def test_weights_that_were_not_fetched_are_named_with_the_command(own_bench: Any) -> None:
    bench = own_bench("--stand-in", "smollm2-135m-instruct", "--weights-dir", "/nonexistent")
    code, answer = bench.post(bench.body())
    assert (code, answer["error"]["status"]) == (400, "FAILED_PRECONDITION")
    assert "vertex-tuning emulator models pull smollm2-135m-instruct" in answer["error"]["message"]


@pytest.mark.parametrize(("training", "held_out", "said"), [(10, 5001, "5,001"), (4000, 1201, "30%")])
def test_too_large_a_validation_set_fails_the_job(
    bench: Bench, training: int, held_out: int, said: str
) -> None:
    rows, more = bench.upload(COLOURS[:1] * training), bench.upload(COLOURS[:1] * held_out)
    job = bench.wait(bench.create(rows, spec={"validationDatasetUri": more}))
    assert (job["state"], job["error"]["code"]) == ("JOB_STATE_FAILED", 3)
    assert said in job["error"]["message"]
