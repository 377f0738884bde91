"""Distillation as Google's clients see it: the teacher answers, the student learns, and what was said is the user's to read."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.genai import types

from tests.running import RunningEmulator

from .conftest import Bench, row
from .test_requests import refused

pytestmark = pytest.mark.filterwarnings("ignore:The SDK's tuning implementation is experimental")
SPEC = "tuning_job.distillation_spec"
COLOURS = ("red", "green", "blue", "black", "white")
QWEN, DEEPSEEK = "qwen/qwen3@qwen3-4b", "deepseek-ai/deepseek-r1-0528-maas"


def prompt(question: str) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": question}]}]}


PROMPTS = [prompt(f"Say {colour}.") for colour in COLOURS] * 8


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """An emulator whose teachers are larger than their students."""
    running = RunningEmulator(tmp_path_factory.mktemp("family"), "--stand-in", "tiny")
    yield Bench(running)
    running.stop()


@pytest.fixture(scope="module")
def teacher(family: Bench) -> dict[str, Any]:
    """A large model that knows what to say."""
    rows = [row(f"Say {colour}.", f"{colour} it is") for colour in COLOURS] * 8
    body = family.body(family.upload(rows), epochs=20, baseModel="gemini-2.5-pro")
    answer = family.post(body)
    job = family.wait(answer["name"])
    assert job["state"] == "JOB_STATE_SUCCEEDED", job
    return job


def body(uri: str, **fields: Any) -> dict[str, Any]:
    spec = {
        "promptDatasetUri": uri,
        "baseTeacherModel": "gemini-3.1-pro",
        "hyperParameters": {"epochCount": 1},
        **fields.pop("spec", {}),
    }
    body = {"baseModel": "gemini-2.5-flash", "distillationSpec": spec, **fields}
    body["distillationSpec"] = {name: value for name, value in spec.items() if value is not None}
    return {name: value for name, value in body.items() if value is not None}


def test_googles_client_distils_a_tuned_teacher_into_a_smaller_student(
    family: Bench, teacher: dict[str, Any]
) -> None:
    client = family.genai()
    uri, held_out = family.upload(PROMPTS), family.upload(PROMPTS[:5])
    out = f"gs://{family.bucket}/taught"
    job = client.tunings.tune(
        base_model="gemini-2.5-flash",
        training_dataset=types.TuningDataset(gcs_uri=uri),
        config=types.CreateTuningJobConfig(
            method="DISTILLATION",
            tuned_teacher_model_source=teacher["tunedModel"]["model"],
            validation_dataset=types.TuningValidationDataset(gcs_uri=held_out),
            epoch_count=12,
            output_uri=out,
            tuned_model_display_name="taught",
        ),
    )
    assert job.name is not None
    ended = family.wait(job.name)
    assert ended["state"] == "JOB_STATE_SUCCEEDED", ended

    # What the teacher said is there to read, and has the form of examples.
    said = [
        json.loads(line)
        for line in family.download(f"{out}/distillation_labelled_dataset.jsonl").splitlines()
    ]
    assert [one["contents"][0] for one in said] == [one["contents"][0] for one in PROMPTS]
    answers = {one["contents"][1]["parts"][0]["text"] for one in said}
    assert answers == {f"{colour} it is" for colour in COLOURS}

    # The student says it too, with another stand-in than the teacher's.
    refreshed = client.tunings.get(name=job.name)
    assert refreshed.tuned_model is not None
    assert refreshed.tuned_model.endpoint is not None
    config = types.GenerateContentConfig(temperature=0)
    for colour in COLOURS:
        answer = client.models.generate_content(
            model=refreshed.tuned_model.endpoint, contents=f"Say {colour}.", config=config
        )
        assert answer.text == f"{colour} it is"
    created = [event["data"] for event in family.events(job.name) if event["kind"] == "JOB_STATE_PENDING"]
    assert created[0]["stand_in"] == "tiny-0.5m"
    assert created[0]["teacher"] == "tiny-0.9m"

    # What it cost, and what the prompts were like.
    lines = [json.loads(line) for line in family.download(ended["gcsMetricsUri"]).splitlines()]
    assert lines[0]["teacher_rows"] == len(PROMPTS)
    assert lines[0]["teacher_prompt_tokens"] > 0
    assert lines[0]["teacher_answer_tokens"] > 0
    assert lines[-1]["eval_accuracy"] > 0.9
    stats = ended["tuningDataStats"]["distillationDataStats"]["trainingDatasetStats"]
    assert stats["tuningDatasetExampleCount"] == str(len(PROMPTS))
    assert stats["userDatasetExamples"][0] == {"role": "user", "parts": [{"text": "Say red."}]}
    assert "userOutputTokenDistribution" not in stats


def test_a_base_model_teaches_without_an_output_folder(family: Bench) -> None:
    answer = family.post(body(family.upload(PROMPTS)))
    job = family.wait(answer["name"])
    assert job["state"] == "JOB_STATE_SUCCEEDED", job
    beside = job["gcsMetricsUri"].replace("metrics.jsonl", "distillation_labelled_dataset.jsonl")
    assert len(family.download(beside).splitlines()) == len(PROMPTS)
    model = family.call("GET", f"/v1/{job['tunedModel']['model']}")
    assert model["labels"]["google-vertex-llm-tuning-base-model-id"] == "gemini-2-5-flash"


def test_an_open_student_takes_rows_of_its_own_forms_and_leaves_its_weights(family: Bench) -> None:
    rows = [{"messages": [{"role": "user", "content": f"Say {colour}."}]} for colour in COLOURS] * 4
    rows += [
        {"messages": [*one["messages"], {"role": "assistant", "content": "never learnt"}]} for one in rows
    ]
    out = f"gs://{family.bucket}/open"
    answer = family.post(
        body(
            family.upload(rows),
            baseModel=QWEN,
            outputUri=out,
            spec={"baseTeacherModel": DEEPSEEK, "tuningMode": "TUNING_MODE_FULL"},
        )
    )
    job = family.wait(answer["name"])
    assert job["state"] == "JOB_STATE_SUCCEEDED", job
    said = family.download(f"{out}/distillation_labelled_dataset.jsonl").decode()
    assert len(said.splitlines()) == len(rows)
    assert "never learnt" not in said
    assert family.objects(f"{out}/postprocess/node-0/checkpoints/final/")


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"spec": {"baseTeacherModel": "gemini-2.5-pro"}}, f"{SPEC}.base_teacher_model", "cannot teach"),
        ({"spec": {"baseTeacherModel": "gemini-9"}}, f"{SPEC}.base_teacher_model", "not supported"),
        ({"spec": {"baseTeacherModel": None}}, f"{SPEC}.teacher_model", "gemini-3.1-pro"),
        ({"spec": {"studentModel": "gemma"}}, f"{SPEC}.student_model", "base_model"),
        ({"spec": {"promptDatasetUri": None}}, f"{SPEC}.prompt_dataset_uri", "required"),
        (
            {"spec": {"baseTeacherModel": None, "tunedTeacherModelSource": "models/7"}},
            f"{SPEC}.tuned_teacher_model_source",
            "not the name",
        ),
        (
            {"spec": {"hyperParameters": {"batchSize": 4}}},
            f"{SPEC}.hyper_parameters.batch_size",
            "open models",
        ),
        ({"customBaseModel": "gs://b/c"}, "tuning_job.custom_base_model", "open models"),
        ({"outputUri": "/tmp"}, "tuning_job.output_uri", "Cloud Storage folder"),
        ({"baseModel": "gemini-2.5-flash-lite"}, "tuning_job.base_model", "distillation"),
    ],
)
def test_a_fault_is_named_by_its_field(bench: Bench, fields: dict[str, Any], field: str, words: str) -> None:
    violations = refused(bench.post(body(bench.upload(PROMPTS), **fields)))
    assert violations.keys() == {field}
    assert words in violations[field]


def test_a_tuned_model_is_no_student(bench: Bench, tuned: dict[str, Any]) -> None:
    source = {"tunedModelName": tuned["tunedModel"]["model"]}
    violations = refused(bench.post(body(bench.upload(PROMPTS), baseModel=None, preTunedModel=source)))
    assert "VT647" not in violations  # the rule stands in the details
    assert "tuning_job.pre_tuned_model" in violations


def test_rows_with_faults_fail_the_job_before_the_teacher_is_asked(bench: Bench) -> None:
    rows = [*PROMPTS, row("Say red.", "red"), {"contents": []}]
    answer = bench.post(body(bench.upload(rows)))
    job = bench.wait(answer["name"])
    assert job["state"] == "JOB_STATE_FAILED"
    assert all(word in job["error"]["message"] for word in ("line 41", "line 42", "VT230", "VT206"))
    assert "teacher answers" not in {event["kind"] for event in bench.events(answer["name"])}


def test_prompts_that_nobody_can_answer_fail_the_job(bench: Bench) -> None:
    rows = [*PROMPTS, *[prompt("Say " + "red and " * 400)] * 10]
    answer = bench.post(body(bench.upload(rows)))
    job = bench.wait(answer["name"])
    assert job["state"] == "JOB_STATE_FAILED"
    assert job["error"]["code"] == 3
    assert "row 41" in job["error"]["message"]
    assert "10 of 50" in job["error"]["message"]


@pytest.mark.slow
def test_nobody_is_asked_twice_after_a_crash(own_bench: Callable[..., Bench], tmp_path: Path) -> None:
    bench = own_bench(data_dir=tmp_path / "data")
    rows = [prompt(f"Say {colour} {number}.") for number in range(200) for colour in COLOURS]
    uri = bench.upload(rows)
    name = bench.post(body(uri))["name"]
    journal = tmp_path / "data" / "jobs" / name.rpartition("/")[2] / "labelled.answers"
    bench.until(name, lambda _: journal.exists() and journal.stat().st_size > 2000)
    os.kill(bench.running.process.pid, signal.SIGKILL)
    bench.running.process.wait()
    before = journal.read_bytes()
    again = own_bench(data_dir=tmp_path / "data")
    again.until(name, lambda _: journal.stat().st_size > len(before))
    assert journal.read_bytes().startswith(before[: before.rfind(b"\n") + 1])
    asked = [json.loads(line)["row"] for line in journal.read_bytes().splitlines()]
    assert len(asked) == len(set(asked))

    # Nor does the death of those who answer for the teacher end the job.
    said = journal.stat().st_size
    os.kill(again.call("GET", "/emulator/status")["workers"]["serving"]["pid"], signal.SIGKILL)
    again.until(name, lambda _: journal.stat().st_size > said + 2000)
    again.call("POST", f"/v1beta1/{name}:cancel")
    assert again.wait(name)["state"] == "JOB_STATE_CANCELLED"
    assert not journal.exists()
