"""What a job does between its creation and its end, seen by Google's clients and over plain HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import types

from vertex_tuning.emulator.wire import Wire

from .conftest import COLOURS, LOCATION, Bench, row

pytestmark = pytest.mark.filterwarnings("ignore:The SDK's tuning implementation is experimental")
SUB_STATES = ["PROCESSING_DATASET", "WAITING_FOR_CAPACITY", "TUNING", "POST_PROCESSING"]


def test_google_genai_tunes_a_model_to_its_end(bench: Bench) -> None:
    client = bench.genai()
    job = client.tunings.tune(
        base_model="gemini-2.5-flash",
        training_dataset=types.TuningDataset(gcs_uri=bench.upload(COLOURS)),
        config=types.CreateTuningJobConfig(
            tuned_model_display_name="colours",
            description="says colours",
            epoch_count=3,
            adapter_size="ADAPTER_SIZE_EIGHT",
            labels={"team": "red"},
        ),
    )
    assert job.state == types.JobState.JOB_STATE_PENDING
    assert job.name is not None
    bench.wait(job.name)
    done = client.tunings.get(name=job.name)
    assert done.has_succeeded
    assert done.tuned_model is not None
    assert done.tuned_model.model is not None
    assert done.tuned_model.model.endswith("@1")
    checkpoints = done.tuned_model.checkpoints
    assert checkpoints is not None
    assert [checkpoint.epoch for checkpoint in checkpoints] == [1, 2, 3]
    endpoints = [checkpoint.endpoint for checkpoint in checkpoints]
    assert len(set(endpoints)) == 3
    assert done.tuned_model.endpoint == endpoints[-1], "the last checkpoint is the default one"
    model = client.models.get(model=done.tuned_model.model)
    assert model.display_name == "colours"
    assert model.description == "says colours"
    assert model.default_checkpoint_id == "3"
    assert model.labels is not None
    assert model.labels["team"] == "red"
    listed = client.models.list(config={"query_base": False, "page_size": 50})
    assert done.tuned_model.model.partition("@")[0] in {found.name for found in listed}


def test_a_job_passes_through_the_true_states(bench: Bench, tuned: dict[str, Any]) -> None:
    kinds = [event["kind"] for event in bench.events(tuned["name"])]
    states = [kind for kind in kinds if kind.startswith("JOB_STATE")]
    assert states == ["JOB_STATE_PENDING", "JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED"]
    sub_states = [
        kind.removeprefix("TUNING_JOB_STATE_") for kind in kinds if kind.startswith("TUNING_JOB_STATE")
    ]
    assert sub_states == SUB_STATES[1:], "the first one is there from RUNNING on"
    assert tuned["createTime"] <= tuned["startTime"] <= tuned["endTime"] == tuned["updateTime"]
    assert "tuningJobState" not in tuned
    assert "error" not in tuned


def test_what_was_asked_is_echoed_and_what_was_measured_is_told(bench: Bench, tuned: dict[str, Any]) -> None:
    assert tuned["baseModel"] == "gemini-2.5-flash"
    assert tuned["supervisedTuningSpec"]["hyperParameters"] == {"epochCount": "2"}
    assert tuned["labels"] == {"team": "a"}
    stats = tuned["tuningDataStats"]["supervisedTuningDataStats"]
    assert stats["tuningDatasetExampleCount"] == str(len(COLOURS))
    steps = tuned["tuningJobMetadata"]["completedStepCount"]
    assert stats["tuningStepCount"] == steps
    assert tuned["tuningJobMetadata"]["completedEpochCount"] == "2"
    lines = [json.loads(line) for line in bench.download(tuned["gcsMetricsUri"]).splitlines()]
    assert [line["step"] for line in lines] == list(range(1, int(steps) + 1))
    assert lines[-1]["epoch"] == 2
    assert lines[-1]["loss"] < lines[0]["loss"]


def test_every_answer_is_what_google_would_send(bench: Bench, tuned: dict[str, Any]) -> None:
    wire = Wire()
    model, endpoint = tuned["tunedModel"]["model"], tuned["tunedModel"]["endpoint"]
    paths = {
        tuned["name"]: "TuningJob",
        f"{LOCATION}/tuningJobs": "ListTuningJobsResponse",
        model: "Model",
        f"{LOCATION}/models": "ListModelsResponse",
        f"{model.partition('@')[0]}:listVersions": "ListModelVersionsResponse",
        f"{model}:listCheckpoints": "ListModelVersionCheckpointsResponse",
        endpoint: "Endpoint",
        f"{LOCATION}/endpoints": "ListEndpointsResponse",
        "publishers/google/models": "ListPublisherModelsResponse",
        "publishers/google/models/gemini-2.5-flash": "PublisherModel",
        tuned["experiment"]: "Context",
    }
    for version in ("v1", "v1beta1"):
        for path, message in paths.items():
            answer = bench.call("GET", f"/{version}/{path}")
            assert wire.problems(message, answer, version) == [], (version, path)


def test_version_1_shows_what_version_1_has(bench: Bench, tuned: dict[str, Any]) -> None:
    shown = bench.call("GET", f"/v1/{tuned['name']}")
    assert shown["tunedModel"] == tuned["tunedModel"]
    assert "tuningJobMetadata" not in shown
    assert bench.post(bench.body(outputUri="gs://b/out"), version="v1")[0] == 400


def test_a_second_job_waits_for_the_first(bench: Bench) -> None:
    first = bench.create(epochs=60)
    bench.until(first, lambda job: job.get("tuningJobState") == "TUNING_JOB_STATE_TUNING")
    second, third = bench.create(), bench.create()
    for name in (second, third):
        job = bench.get(name)
        assert job["state"] == "JOB_STATE_PENDING"
        assert job["tuningJobState"] == "TUNING_JOB_STATE_WAITING_FOR_QUOTA"
        assert "startTime" not in job
    bench.call("POST", f"/v1beta1/{first}:cancel")
    ended = [bench.wait(name) for name in (first, second, third)]
    assert [job["state"] for job in ended] == [
        "JOB_STATE_CANCELLED",
        "JOB_STATE_SUCCEEDED",
        "JOB_STATE_SUCCEEDED",
    ]
    assert ended[0]["endTime"] <= ended[1]["startTime"]
    assert ended[1]["endTime"] <= ended[2]["startTime"]


def test_progress_and_loss_can_be_read_while_a_job_trains(bench: Bench) -> None:
    name = bench.create(epochs=100)
    job = bench.until(
        name, lambda job: int(job.get("tuningJobMetadata", {}).get("completedStepCount", 0)) > 3
    )
    bucket, _, path = job["gcsMetricsUri"].removeprefix("gs://").partition("/")
    bench.until(name, lambda _: path in bench.objects(f"gs://{bucket}/{path}"))
    lines = bench.download(job["gcsMetricsUri"]).splitlines()
    assert bench.get(name)["state"] == "JOB_STATE_RUNNING"
    assert all({"step", "loss", "epoch"} <= json.loads(line).keys() for line in lines)
    bench.call("POST", f"/v1beta1/{name}:cancel", {})
    bench.wait(name)


def test_a_validation_set_is_measured_each_epoch(bench: Bench) -> None:
    held_out = bench.upload([row("Say white.", "white")] * 4)
    job = bench.tune(epochs=2, spec={"validationDatasetUri": held_out})
    lines = [json.loads(line) for line in bench.download(job["gcsMetricsUri"]).splitlines()]
    assert [line["epoch"] for line in lines if "eval_loss" in line] == [1, 2]


def test_a_job_keeps_the_data_it_was_created_with(bench: Bench) -> None:
    uri = bench.upload(COLOURS, name="replaced.jsonl")
    first = bench.create(epochs=30)  # holds the second one back
    name = bench.create(uri)
    bench.upload(b"this is not JSON\n", name="replaced.jsonl")
    bench.call("POST", f"/v1beta1/{first}:cancel")
    assert bench.wait(name)["state"] == "JOB_STATE_SUCCEEDED"


def test_the_last_checkpoint_only_means_one_endpoint(bench: Bench) -> None:
    tuned = bench.tune(epochs=2, spec={"exportLastCheckpointOnly": True})["tunedModel"]
    assert "checkpoints" not in tuned
    model = bench.call("GET", f"/v1beta1/{tuned['model']}")
    assert [place["endpoint"] for place in model["deployedModels"]] == [tuned["endpoint"]]


def test_a_row_that_is_broken_fails_the_job_with_its_place(bench: Bench) -> None:
    data = b"".join(json.dumps(item).encode() + b"\n" for item in COLOURS[:4]) + b'{"contents": [}\n'
    job = bench.wait(bench.create(bench.upload(data)))
    assert job["state"] == "JOB_STATE_FAILED"
    assert job["error"]["code"] == 3
    assert "5" in job["error"]["message"]
    assert "tunedModel" not in job


def test_google_genai_reads_a_failed_job(bench: Bench) -> None:
    name = bench.create(bench.upload([{"contents": [{"role": "user", "parts": [{"text": "?"}]}]}]))
    bench.wait(name)
    client = bench.genai()  # kept: google-genai closes a client that nobody holds, in the middle of a call
    job = client.tunings.get(name=name)
    assert job.has_ended
    assert not job.has_succeeded
    assert job.error is not None
    assert job.error.code == 3


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_a_job_that_waits_or_trains_is_cancelled(bench: Bench, version: str) -> None:
    client = bench.genai(version)
    training, waiting = bench.create(epochs=100), bench.create()
    bench.until(training, lambda job: job.get("tuningJobState") == "TUNING_JOB_STATE_TUNING")
    for name in (waiting, training):
        client.tunings.cancel(name=name)
        job = bench.wait(name)
        assert job["state"] == "JOB_STATE_CANCELLED"
        assert job["error"]["code"] == 1
        assert "endTime" in job
        code, answer = bench.call("POST", f"/{version}/{name}:cancel")
        assert (code, answer["error"]["status"]) == (400, "FAILED_PRECONDITION")


def test_a_job_that_is_cancelled_before_it_could_begin_never_does(bench: Bench) -> None:
    names = [bench.create() for _ in range(3)]
    for name in reversed(names):  # the last one first: the others would make way for it
        bench.call("POST", f"/v1beta1/{name}:cancel")
    assert {bench.wait(name)["state"] for name in names} == {"JOB_STATE_CANCELLED"}
    kinds = [event["kind"] for event in bench.events(names[2])]
    assert kinds == ["JOB_STATE_PENDING", "JOB_STATE_CANCELLING", "JOB_STATE_CANCELLED"]


def test_the_multiplier_multiplies_the_learning_rate(bench: Bench) -> None:
    def peak(**parameters: Any) -> float:
        job = bench.tune(
            supervisedTuningSpec={
                "trainingDatasetUri": bench.upload(COLOURS),
                "hyperParameters": {"epochCount": "1", **parameters},
            }
        )
        lines = bench.download(job["gcsMetricsUri"]).splitlines()
        return max(json.loads(line).get("learning_rate", 0.0) for line in lines)

    assert peak(learningRateMultiplier=3) == pytest.approx(3 * peak())


def test_a_data_set_with_faults_fails_with_every_one_of_them_by_its_name(bench: Bench) -> None:
    uri = bench.upload(b'{"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}\nnot json\n[]\n')
    job = bench.wait(bench.create(uri))
    assert job["state"] == "JOB_STATE_FAILED"
    assert job["error"]["code"] == 3
    for words in (uri, "line 1, contents[0].role", "line 2", "line 3", "VT203", "VT204", "VT224"):
        assert words in job["error"]["message"]
