"""Rows that a stand-in cannot see or hear: they fail their job before it trains, all named, or are left out where asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vertex_tuning import rewards

from .conftest import LLAMA, Bench, row

IMAGE = {"fileData": {"mimeType": "image/png", "fileUri": "gs://b/a.png"}}
SOUND = {"inline_data": {"mime_type": "audio/mpeg", "data": "AAAA"}}
FILM = {"fileData": {"mimeType": "video/mp4", "fileUri": "https://example.com/a.mp4"}}
CALL = {"functionCall": {"name": "look", "args": {}}}
TEXTS = [row(f"Say {colour}.", colour) for colour in ("red", "green", "blue", "black")] * 5
REWARD = rewards.contains("{{references.answer}}", name="said").request()


def with_part(part: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(TEXTS[0]))
    made["contents"][0]["parts"].append(part)
    return made


MIXED = [TEXTS[0], with_part(IMAGE), *TEXTS[1:], with_part(SOUND), with_part(FILM)]
"""Rows 2, 22 and 23 of 23 are not text alone: more than a tenth of them."""


def of(method: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same rows for another way of tuning."""
    if method == "supervised":
        return rows
    asked = [{"contents": one["contents"][:1]} for one in rows]
    return asked if method == "distillation" else [{**one, "references": {"answer": "red"}} for one in asked]


def body(bench: Bench, method: str, rows: list[dict[str, Any]], **spec: Any) -> dict[str, Any]:
    uri = bench.upload(of(method, rows))
    if method == "distillation":
        spec = {"promptDatasetUri": uri, "baseTeacherModel": "gemini-3.1-pro", **spec}
        spec["hyperParameters"] = {"epochCount": 1}
        return {"baseModel": "gemini-2.5-flash", "distillationSpec": spec}
    if method == "reinforcement":
        numbers = {"batchSize": 4, "samplesPerPrompt": 4, "maxOutputTokens": 8, "epochCount": 1}
        spec = {"trainingDatasetUri": uri, "hyperParameters": numbers, **REWARD, **spec}
        return {"baseModel": "gemini-3.5-flash", "reinforcementTuningSpec": spec}
    return bench.body(uri, spec=spec)


def stats(job: dict[str, Any]) -> dict[str, Any]:
    [found] = job["tuningDataStats"].values()
    return dict(found.get("trainingDatasetStats", found))


def kinds(bench: Bench, job: dict[str, Any]) -> list[str]:
    return [event["kind"] for event in bench.events(job["name"])]


@pytest.fixture(scope="module")
def dropping(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An emulator that leaves such rows out."""
    from tests.running import RunningEmulator

    running = RunningEmulator(tmp_path_factory.mktemp("dropping"), "--drop-media")
    yield Bench(running)
    running.stop()


@pytest.mark.parametrize("method", ["supervised", "reinforcement", "distillation"])
def test_such_a_job_fails_before_it_trains_and_every_row_is_named(bench: Bench, method: str) -> None:
    job = bench.wait(bench.post(body(bench, method, MIXED))["name"])
    assert (job["state"], job["error"]["code"]) == ("JOB_STATE_FAILED", 3), job
    message = job["error"]["message"]
    for words in (
        "VT685",
        "line 2",
        "line 22",
        "23",
        "image/png",
        "audio/mpeg",
        "the stand-in reads text only",
    ):
        assert words in message, message
    assert "--drop-media" in message
    assert not {"TUNING_JOB_STATE_TUNING", "teacher answers"} & {*kinds(bench, job)}


def test_other_faults_of_the_set_are_told_with_it(bench: Bench) -> None:
    rows = [*TEXTS, with_part(IMAGE), {"contents": [{"role": "user", "parts": [{"text": "and?"}]}]}]
    message = bench.wait(bench.create(bench.upload(rows)))["error"]["message"]
    assert "VT685" in message
    assert "no answer to learn" in message


def test_pictures_of_open_models_are_named_too(bench: Bench) -> None:
    picture = {"type": "image_url", "image_url": {"url": "gs://b/a.png"}}
    rows = [
        {"messages": [{"role": "user", "content": content}, {"role": "assistant", "content": "red"}]}
        for content in ("Say red.", [picture, {"type": "text", "text": "What is this?"}])
    ]
    job = bench.wait(bench.create(bench.upload(rows), baseModel=LLAMA, outputUri=f"gs://{bench.bucket}/seen"))
    assert "line 2, messages[0].content[0].image_url" in job["error"]["message"]


def test_pairs_are_text_alone_on_vertex_ai_too_and_nothing_of_that_is_hidden(
    bench: Bench, dropping: Bench
) -> None:
    from .test_preference import PAIRS
    from .test_preference import body as preferred

    seen = json.loads(json.dumps(PAIRS[0]))
    seen["contents"][0]["parts"].append(IMAGE)
    for where in (bench, dropping):
        job = where.wait(where.post(preferred(where.upload([*PAIRS, seen])))["name"])
        assert (job["state"], job["error"]["code"]) == ("JOB_STATE_FAILED", 3)
        assert "VT229" in job["error"]["message"]


@pytest.mark.parametrize("method", ["supervised", "reinforcement", "distillation"])
def test_where_it_is_asked_they_are_left_out_and_reported(dropping: Bench, method: str) -> None:
    bench = dropping
    held_out = bench.upload(of(method, [with_part(FILM), *TEXTS[:4]]))
    job = bench.wait(bench.post(body(bench, method, MIXED, validationDatasetUri=held_out))["name"])
    assert job["state"] == "JOB_STATE_SUCCEEDED", job
    found = stats(job)
    assert found["tuningDatasetExampleCount"] == "23"
    indices = "truncatedExampleIndices" if method == "supervised" else "droppedExampleIndices"
    shown = dict(zip(found[indices], found["droppedExampleReasons"], strict=True))
    assert {"2", "22", "23"} <= shown.keys()
    assert "image/png" in shown["2"]
    assert "audio/mpeg" in shown["22"]
    assert "video/mp4" in shown["23"]
    [told] = [event["data"] for event in bench.events(job["name"]) if event["kind"] == "rows dropped"]
    assert told["rows"] == 4
    assert told["training"]["rows"] == 3
    assert told["validation"]["first"][0].startswith("row 1: contents[0].parts[1].fileData is video/mp4")


def test_the_users_object_is_left_as_it_was(dropping: Bench) -> None:
    uri = dropping.upload(MIXED)
    before = dropping.download(uri)
    assert dropping.wait(dropping.create(uri))["state"] == "JOB_STATE_SUCCEEDED"
    assert dropping.download(uri) == before


def test_rows_that_are_too_long_keep_their_numbers_and_count_by_themselves(dropping: Bench) -> None:
    """Row 12 of 22 is too long: less than a tenth, however many are left out besides."""
    rows = [with_part(IMAGE), *TEXTS[:10], row("Say " + "very " * 600 + "red.", "red"), *TEXTS[:10]]
    job = dropping.wait(dropping.create(dropping.upload(rows)))
    assert job["state"] == "JOB_STATE_SUCCEEDED", job
    assert stats(job)["truncatedExampleIndices"] == ["1", "12"]


@pytest.mark.parametrize("method", ["supervised", "reinforcement", "distillation"])
def test_one_row_at_least_must_be_left(dropping: Bench, method: str) -> None:
    job = dropping.wait(dropping.post(body(dropping, method, [with_part(IMAGE)] * 3))["name"])
    assert (job["state"], job["error"]["code"]) == ("JOB_STATE_FAILED", 3)
    assert job["error"]["details"][-1]["reason"] == "VT686"
    assert "row 1" in job["error"]["message"]


def test_what_vertex_ai_would_refuse_is_refused_in_them_too(dropping: Bench) -> None:
    broken = with_part({"fileData": {"mimeType": "image/png", "fileUri": "a.png"}})
    job = dropping.wait(dropping.create(dropping.upload([*TEXTS, broken])))
    assert "line 21, contents[0].parts[1].fileData.fileUri" in job["error"]["message"]


def test_a_call_of_a_function_is_no_medium(dropping: Bench) -> None:
    job = dropping.wait(dropping.create(dropping.upload([*TEXTS, with_part(CALL)])))
    assert job["state"] == "JOB_STATE_FAILED"
    assert "line 21, contents[0].parts[1].functionCall" in job["error"]["message"]
    assert "--drop-media" not in job["error"]["message"]


def test_an_evaluation_answers_the_rows_that_are_left(dropping: Bench) -> None:
    output = {"gcsDestination": {"outputUriPrefix": f"gs://{dropping.bucket}/left"}}
    spec = {
        "validationDatasetUri": dropping.upload([TEXTS[0], with_part(IMAGE), TEXTS[1]]),
        "evaluationConfig": {"metrics": [{"exactMatchSpec": {}}], "outputConfig": output},
    }
    job = dropping.wait(dropping.post(body(dropping, "supervised", MIXED, **spec))["name"])
    folder = job["evaluateDatasetRuns"][0]["evaluateDatasetResponse"]["outputInfo"]["gcsOutputDirectory"]
    lines = dropping.download(f"{folder}/evaluation_results.jsonl").splitlines()
    assert [json.loads(line)["row"] for line in lines] == [1, 3]


@pytest.mark.slow
def test_after_a_crash_it_is_still_known_what_was_left_out(
    own_bench: Callable[..., Bench], tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    bench = own_bench("--drop-media", data_dir=folder)
    name = bench.create(bench.upload(MIXED), epochs=20)
    bench.until(name, lambda _: "rows dropped" in [event["kind"] for event in bench.events(name)])
    bench.running.kill()
    bench = own_bench(data_dir=folder)  # what was decided when it was created stays
    job = bench.wait(name)
    assert job["state"] == "JOB_STATE_SUCCEEDED", job
    assert stats(job)["truncatedExampleIndices"] == ["2", "22", "23"]
    assert kinds(bench, job).count("rows dropped") == 1
