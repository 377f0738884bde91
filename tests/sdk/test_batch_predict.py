"""Many requests in one job, and their answers in the order in which they were asked."""

from __future__ import annotations

import asyncio
import json
import uuid

import pytest

from tests.sdk.conftest import rows
from vertex_tuning import (
    DatasetError,
    JobCancelledError,
    JobTimeoutError,
    ServiceError,
    SpecError,
    SupervisedTuning,
    aconnect,
)

BASE = "gemini-2.5-flash"
SHORT = {"temperature": 0, "max_output_tokens": 8}


def turns(text):
    return [{"role": "user", "parts": [{"text": text}]}]


def long_rows(count=2000, tag=""):
    return [f"Count to {number}.{tag or uuid.uuid4().hex}" for number in range(count)]


def test_prompts_come_back_in_the_order_in_which_they_were_asked(client):
    prompts = [f"Say {number}." for number in range(30)]
    job = client.batch_predict(prompts, model=BASE, display_name="in order", **SHORT)
    seen = list(job.follow())
    assert seen[-1].state == "JOB_STATE_SUCCEEDED"
    assert (seen[-1].answered, seen[-1].refused, seen[-1].total) == (30, 0, 30)
    assert (job.display_name, job.model) == ("in order", f"publishers/google/models/{BASE}")
    results = job.results()
    assert [result.row["request"]["contents"] for result in results] == [turns(text) for text in prompts]
    assert [result.id for result in results] == [str(number) for number in range(1, 31)]
    assert all(result.answer.prompt_tokens > 0 and not result.error for result in results)
    asked = client.models.base(BASE).generate("Say 7.", **SHORT)
    assert results[7].text == asked.text
    again = client.batches.get(job.id)
    assert [result.text for result in again.results()] == [result.text for result in results]
    assert job.name in [found.name for found in client.batches.list(limit=50)]


def test_rows_in_every_form_keep_their_ids_and_keys(client, write):
    questions = [
        "Say red.",
        turns("Say red."),
        {"id": "p", "prompt": "Say red.", "colour": "red"},
        {"id": 7, "prompt": turns("Say red.")},
        {"id": "c", "contents": turns("Say red."), "key": "k", "generation_config": {"maxOutputTokens": 3}},
        {"id": "r", "request": {"contents": turns("Say red."), "generationConfig": {"temperature": 1}}},
    ]
    job = client.batch_predict(write(questions, "rows.jsonl"), model=BASE, system="Be brief.", **SHORT)
    results = job.results()
    assert [result.id for result in results] == ["1", "2", "p", "7", "c", "r"]
    assert results[2].to_json()["colour"] == "red"
    assert results[4].to_json()["key"] == "k"
    assert len({result.text for result in results[:4]}) == 1
    sent = [result.row["request"] for result in results]
    assert all(request["systemInstruction"]["parts"] == [{"text": "Be brief."}] for request in sent)
    assert sent[0]["generationConfig"] == {"temperature": 0.0, "maxOutputTokens": 8}
    assert sent[4]["generation_config"] == {"maxOutputTokens": 3, "temperature": 0.0}, (
        "a row's own come first"
    )
    assert sent[5]["generationConfig"] == {"temperature": 1, "maxOutputTokens": 8}
    assert results[4].answer.answer_tokens <= 3


def test_a_tuned_model_answers_and_labels_are_chosen_from(client, tuned):
    for model in (tuned, tuned.name):
        results = client.batch_predict(["Opposite of hot?"], model=model, again=True, **SHORT).results()
        assert results[0].text == tuned.generate("Opposite of hot?", **SHORT).text
    labelled = client.batch_predict(["Opposite of hot?"], model=tuned, labels=["cold", "dry"]).results()
    assert labelled[0].text in ("cold", "dry")


def test_a_model_in_a_multi_region_answers_there(client):
    spec = SupervisedTuning(base_model="gemini-3.5-flash", training=rows(tag=" multi"), epochs=1)
    model = client.tune(spec).result()
    assert "/locations/us/" in model.name
    job = client.batch_predict(["Opposite of hot?"], model=model, **SHORT)
    assert "/locations/us/" in job.name
    assert job.results()[0].text == model.generate("Opposite of hot?", **SHORT).text
    assert client.batches.get(job.id).name == job.name
    assert job.name in [found.name for found in client.batches.list(limit=20)]


def test_a_row_that_is_refused_says_why_and_the_others_are_answered(client):
    questions = ["Say red.", {"contents": turns("x"), "generationConfig": {"temperature": 9}}, "Say blue."]
    job = client.batch_predict(questions, model=BASE, max_output_tokens=4)
    results = job.results()
    assert [result.answer is not None for result in results] == [True, False, True]
    assert "temperature" in results[1].error
    assert results[1].text == ""
    assert job.progress().refused == 1


def test_every_fault_of_the_rows_is_told_before_anything_is_sent(client):
    questions = [
        "",
        7,
        {"id": "a"},
        {"id": "a", "prompt": "x", "contents": turns("x")},
        {"id": "b", "prompt": "x"},
        {"id": "b", "prompt": "x"},
        {"id": [1], "prompt": "x"},
        {"request": {"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}},
        {"request": {"contents": []}},
        {"prompt": "x", "score": float("nan")},
    ]
    with pytest.raises(DatasetError) as refused:
        client.batch_predict(questions, model=BASE)
    rules = {fault.rule for fault in refused.value.faults}
    assert rules == {"VT203", "VT206", "VT212", "VT223", "VT340", "VT341", "VT342"}
    assert "rows line 6, id" in str(refused.value)
    assert "request.contents[0].role" in str(refused.value)


def test_a_file_that_is_no_set_of_rows(client, write, tmp_path):
    for data, rule in ((b"", "VT217"), (b"{\n", "VT204"), (b'"\xff"\n', "VT213")):
        with pytest.raises(DatasetError) as refused:
            client.batch_predict(write(data, "rows.jsonl"), model=BASE)
        assert refused.value.rule == rule
    with pytest.raises(DatasetError, match="no such file"):
        client.batch_predict(tmp_path / "nothing.jsonl", model=BASE)
    with pytest.raises(DatasetError, match="VT202"):
        client.batch_predict({"prompt": "x"}, model=BASE)


def test_more_than_a_batch_may_have_is_said_before_it_is_sent(client, monkeypatch):
    from vertex_tuning import catalog

    limits = {**catalog.limits("batch"), "max_requests": 2}
    monkeypatch.setattr(catalog, "limits", lambda _: limits)
    with pytest.raises(DatasetError, match="VT343"):
        client.batch_predict(["a", "b", "c"], model=BASE)


def test_a_model_that_cannot_answer_a_batch(client, tuned):
    for model, rule in (
        ("nothing", "VT301"),
        (tuned.endpoint, "VT344"),
        (tuned.checkpoints()[0], "VT344"),
        ("gs://bucket/weights", "VT344"),
        (client.models.get("gs://bucket/weights"), "VT344"),
    ):
        with pytest.raises(SpecError) as refused:
            client.batch_predict(["x"], model=model)
        assert refused.value.rule == rule
    with pytest.raises(ServiceError) as missing:
        client.batch_predict(["x"], model="projects/p/locations/us-central1/models/1")
    assert missing.value.code == 404
    with pytest.raises(SpecError, match="VT346"):
        client.batches.get("nothing")
    with pytest.raises(ServiceError, match="/locations/us-central1/batchPredictionJobs/9 is not found"):
        client.batches.get("9")


def test_requests_in_cloud_storage_are_sent_as_they_are(client, write):
    lines = [
        {"request": {"contents": turns(f"Say {n}."), "generationConfig": {"maxOutputTokens": 4}}}
        for n in (1, 2, 1)
    ]
    uri = client.upload(write(lines))
    results = client.batch_predict(uri, model=BASE).results()
    assert [result.row for result in results] == lines
    assert all(result.answer for result in results)
    with pytest.raises(SpecError, match="VT345"):
        client.batch_predict(uri, model=BASE, temperature=0)


def test_the_same_program_run_again_takes_up_its_job(open_client):
    asked = long_rows(tag="again")
    job = open_client().batch_predict(asked, model=BASE, max_output_tokens=100)
    second = open_client()
    assert second.batch_predict(asked, model=BASE, max_output_tokens=100).name == job.name
    other = second.batch_predict(asked, model=BASE, max_output_tokens=100, again=True)
    assert other.name != job.name
    different = second.batch_predict(asked, model=BASE, max_output_tokens=101)
    assert different.name not in (job.name, other.name)
    for found in (job, other, different):
        found.cancel()
    with pytest.raises(JobCancelledError):
        job.results()


def test_what_was_answered_before_a_cancel_is_there(client):
    job = client.batch_predict(long_rows(), model=BASE, max_output_tokens=100)
    for progress in job.follow():
        if progress.answered > 5:
            break
    with pytest.raises(JobTimeoutError, match="batch watch"):
        job.wait(timeout=0)
    job.cancel()
    assert job.wait().state == "JOB_STATE_CANCELLED"
    results = job.results(partial=True)
    assert len(results) == 2000
    answered = [result for result in results if result.answer]
    assert len(answered) == job.progress().answered > 5
    assert {result.error for result in results if not result.answer} == {"it was not answered"}
    job.delete()
    job.delete()  # no fault where it is gone
    with pytest.raises(ServiceError):
        client.batches.get(job.name)


def test_answers_find_their_rows_even_where_the_ids_are_dropped(client):
    """What a service other than ours may do: other order, no keys beside the request."""
    job = client.batch_predict(["Say 1.", "Say 2.", "Say 1.", "Say 3."], model=BASE, **SHORT).wait()
    wanted = [result.text for result in job.results()]
    bucket, _, name = f"{job.output_uri}/predictions.jsonl".removeprefix("gs://").partition("/")
    blob = client.connection.storage.bucket(bucket).blob(name)
    lines = [json.loads(line) for line in blob.download_as_text().splitlines()]
    for line in lines:
        del line["id"]
    blob.upload_from_string("".join(json.dumps(line) + "\n" for line in reversed(lines)))
    assert [result.text for result in job.results()] == wanted


def test_the_same_awaited(emulator, tmp_path, monkeypatch):
    monkeypatch.setenv("VERTEX_TUNING_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)

    async def main():
        async with await aconnect("local") as client:
            job = await client.batch_predict(
                ["Say red.", "Say blue."], model=client.models.base(BASE), **SHORT
            )
            states = [progress.state async for progress in job.follow()]
            assert states[-1] == job.state == "JOB_STATE_SUCCEEDED"
            results = await job.results()
            found = await client.batches.get(job.name)
            assert [result.text for result in await found.results()] == [result.text for result in results]
            assert job.name in [item.name for item in await client.batches.list(limit=20)]
            await found.delete()

    asyncio.run(main())
