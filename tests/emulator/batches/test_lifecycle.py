"""A file of requests goes in, a file of answers comes out; one that is wrong does not hurt the others."""

from __future__ import annotations

import json
import re
import time
import uuid
from datetime import datetime

import pytest
from google.genai import errors

from .conftest import BASE, Batches, answered, line


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_every_line_is_answered_and_keeps_its_keys(bench, version):
    batches = Batches(bench, version)
    asked = [line(f"Say {number}.", key=f"row-{number}", extra={"n": number}) for number in range(40)]
    job = batches.create(asked)
    assert job.state.value == "JOB_STATE_PENDING"
    assert job.model == f"publishers/google/models/{BASE}"
    job = batches.wait(job.name)
    assert job.state.value == "JOB_STATE_SUCCEEDED"
    assert job.create_time <= job.start_time <= job.end_time <= job.update_time
    assert (job.completion_stats.successful_count, job.completion_stats.failed_count) == (40, None)
    folder = job.output_info.gcs_output_directory
    assert re.fullmatch(
        re.escape(job.dest.gcs_uri) + r"/prediction-model-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", folder
    )
    found = batches.output(job)
    assert sorted(row["extra"]["n"] for row in found) == list(range(40))
    for row in found:
        assert row["status"] == ""
        assert datetime.fromisoformat(row["processed_time"]).tzinfo is not None
        assert row["request"] == asked[row["extra"]["n"]]["request"]
        assert row["key"] == f"row-{row['extra']['n']}"
        assert row["response"]["modelVersion"] == BASE
        assert row["response"]["usageMetadata"]["promptTokenCount"] > 0
        assert row["response"]["candidates"][0]["finishReason"] in ("STOP", "MAX_TOKENS")


def test_a_batch_answers_as_the_model_does_when_it_is_asked(batches):
    job = batches.wait(batches.create([line("Say red.")]).name)
    [row] = batches.output(job)
    asked = batches.genai.models.generate_content(
        model=BASE, contents="Say red.", config={"temperature": 0, "max_output_tokens": 8}
    )
    parts = row["response"]["candidates"][0]["content"].get("parts", [])
    assert "".join(part["text"] for part in parts) == (asked.text or "")


def test_a_line_that_is_wrong_is_told_in_its_own_line_and_counted(batches):
    wrong = [
        ({"key": "no request"}, "A line must have a request"),
        ([1, 2], "A line must be a JSON object"),
        ({"request": {"contents": [{"role": "tester", "parts": [{"text": "x"}]}] * 2}}, "valid role"),
        ({"request": {"contents": []}}, "at least one contents field"),
        ({"request": {"contents": [{"parts": [{"text": "x"}]}], "temprature": 1}}, "temprature"),
        (
            {"request": {"contents": [{"role": "user", "parts": [{"text": "x"}]}], "cachedContent": "c"}},
            "VT803",
        ),
    ]
    rows = [line("Say red.", key="right"), *(row for row, _ in wrong)]
    text = "\n".join(
        ["", *map(json.dumps, rows), '{"request": {"contents"', "\ud800".encode("utf-8", "replace").decode()]
    )
    job = batches.wait(batches.create(batches.bench.upload(text.encode() + b"\n\xff\xfe\n")).name)
    assert job.state.value == "JOB_STATE_SUCCEEDED"
    assert (job.completion_stats.successful_count, job.completion_stats.failed_count) == (1, 9)
    found = batches.output(job)
    assert [row["key"] for row in found if row["status"] == ""] == ["right"]
    refused = [row for row in found if row["status"]]
    assert all(row["response"] == {} and row["status"].startswith("Bad Request: {") for row in refused)
    for _, words in wrong:
        assert any(words in row["status"] for row in refused), words
    assert sum("VT657" in row["status"] for row in refused) == 2
    assert {"no request"} == {row["key"] for row in refused if "key" in row}
    told = [failure["message"] for failure in batches.raw(job.name)["partialFailures"]]
    assert len(told) == 9
    assert any(message.startswith("line 4: A line must be a JSON object") for message in told)


def test_a_tuned_model_answers_by_name_version_alias_and_endpoint(batches, tuned):
    made = tuned["tunedModel"]
    model, endpoint = made["model"], made["endpoint"]
    request = {"temperature": 0, "max_output_tokens": 8}
    wanted = batches.genai.models.generate_content(model=endpoint, contents="Say red.", config=request)
    for name in (model, model.partition("@")[0], model.partition("@")[0] + "@default"):
        job = batches.wait(batches.create([line("Say red.")], model=name).name)
        assert job.state.value == "JOB_STATE_SUCCEEDED"
        assert batches.raw(job.name)["modelVersionId"] == "1"
        [row] = batches.output(job)
        assert row["response"]["candidates"][0]["content"]["parts"][0]["text"] == wanted.text
    uri = batches.bench.upload([line("Say red.")])
    source = {"instancesFormat": "jsonl", "gcsSource": {"uris": [uri]}}
    made = batches.post(batches.body(model=None, endpoint=endpoint, inputConfig=source))
    [row] = batches.output(batches.wait(made["name"]))
    assert row["response"]["candidates"][0]["content"]["parts"][0]["text"] == wanted.text


def test_lists_are_filtered_and_paged(batches):
    tag = uuid.uuid4().hex[:8]
    names = [batches.create([line("x")], display_name=f"{tag} {n}").name for n in range(3)]
    for name in names:
        batches.wait(name)
    pager = batches.client.list(config={"filter": f'display_name:"{tag}*"', "page_size": 2})
    assert [job.name for job in pager] == names[::-1]
    running = batches.client.list(config={"filter": f'display_name:"{tag}*" AND state="JOB_STATE_RUNNING"'})
    assert list(running) == []


def test_cancel_ends_it_at_once_and_leaves_what_was_answered(batches):
    job = batches.create([line(f"Count to {n}.", 200, n=n) for n in range(3000)])
    batches.until(job.name, lambda job: answered(job) > 8)
    begun = time.monotonic()
    batches.client.cancel(name=job.name)
    job = batches.until(job.name, lambda job: job.state.value == "JOB_STATE_CANCELLED")
    assert time.monotonic() - begun < 15  # two seconds on a quiet machine
    found = batches.output(job)
    assert len(found) == job.completion_stats.successful_count < 3000
    assert job.completion_stats.incomplete_count == 3000 - len(found)
    assert len({row["n"] for row in found}) == len(found)
    assert job.error.code == 1
    with pytest.raises(errors.ClientError, match="has ended") as refused:
        batches.client.cancel(name=job.name)
    assert "VT655" in str(refused.value.details)


def test_what_runs_cannot_be_deleted_and_what_ended_leaves_its_answers(batches):
    job = batches.create([line(f"Count to {n}.", 200) for n in range(500)])
    with pytest.raises(errors.ClientError, match="cannot be deleted") as refused:
        batches.client.delete(name=job.name)
    assert "VT656" in str(refused.value.details)
    batches.client.cancel(name=job.name)
    job = batches.wait(job.name)
    done = batches.client.delete(name=job.name)
    assert done.done
    assert batches.bench.call("GET", f"/v1/{done.name}")["done"]
    with pytest.raises(errors.ClientError, match="not found"):
        batches.client.get(name=job.name)
    batches.output(job)


def test_a_model_still_answers_people_while_a_batch_runs(batches):
    job = batches.create([line(f"Count to {n}.", 120) for n in range(1000)])
    batches.until(job.name, lambda job: job.state.value == "JOB_STATE_RUNNING")
    for _ in range(3):
        batches.genai.models.generate_content(
            model=BASE, contents="Say red.", config={"max_output_tokens": 4}
        )
    assert not batches.client.get(name=job.name).done
    batches.client.cancel(name=job.name)
    batches.wait(job.name)


def test_the_input_may_change_once_the_job_is_there(batches):
    uri = batches.bench.upload([line(f"Say {n}.", n=n) for n in range(20)])
    job = batches.create(uri)
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    batches.bench.upload([line("Other.", n=99)], bucket, name)
    job = batches.wait(job.name)
    assert sorted(row["n"] for row in batches.output(job)) == list(range(20))
