"""Whatever dies, whenever: no answer is lost that was counted, and none is there twice."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Callable

import pytest

from .conftest import BASE, Batches, answered, line

pytestmark = pytest.mark.slow


def restarts(batches: Batches, name: str) -> list[int]:
    """How many answers there were, each time the job was begun or taken up again."""
    events = batches.bench.events(name)
    return [event["data"]["answered"] for event in events if event["kind"] == "JOB_STATE_RUNNING"]


def test_a_killed_server_goes_on_behind_the_last_answer(own_batches: Callable[..., Batches]) -> None:
    batches = own_batches()
    name = batches.create([line(f"Count to {n}.", 120, n=n) for n in range(1500)]).name
    seen = {}
    for _ in range(2):
        last = max([0, *restarts(batches, name)])
        job = batches.until(name, lambda job, last=last: answered(job) > last + 20)
        before = {row["n"]: row for row in batches.output(job)}
        assert seen.items() <= before.items(), "what was there stays as it was"
        seen = before
        batches.bench.running.kill()
        batches = own_batches(data_dir=batches.bench.running.data_dir)
    job = batches.wait(name)
    begun = restarts(batches, name)
    assert job.state.value == "JOB_STATE_SUCCEEDED"
    # On a busy machine all may be answered when it is killed for the second time.
    assert 2 <= len(begun) <= 3
    assert begun[0] == 0
    assert begun == sorted(set(begun)), "each time it went on where it had been"
    assert answered(job) == 1500
    rows = batches.output(job)
    assert sorted(row["n"] for row in rows) == list(range(1500))
    after = {row["n"]: row for row in rows}
    assert seen.items() <= after.items(), "what was answered is not asked again"


def test_a_line_that_was_half_written_is_written_anew(own_batches: Callable[..., Batches]) -> None:
    batches = own_batches()
    name = batches.create([line(f"Count to {n}.", 100, n=n) for n in range(1000)]).name
    batches.until(name, lambda job: answered(job) > 20)
    batches.bench.running.kill()
    folder = batches.bench.running.data_dir / "batches" / name.rsplit("/", 1)[1]
    with (folder / "predictions.jsonl").open("ab") as file:
        file.write(b'{"status":"","n":7')
    with (folder / "done.jsonl").open("ab") as file:
        file.write(b'{"line": 8, "en')
    batches = own_batches(data_dir=batches.bench.running.data_dir)
    rows = batches.output(batches.wait(name))
    assert sorted(row["n"] for row in rows) == list(range(1000))


def test_a_cancel_survives_the_death_of_the_server(own_batches: Callable[..., Batches]) -> None:
    batches = own_batches()
    name = batches.create([line(f"Count to {n}.", 100, n=n) for n in range(2000)]).name
    batches.until(name, lambda job: answered(job) > 5)
    batches.bench.running.kill()
    # As if it had died with the cancellation written down, and nothing done about it.
    with sqlite3.connect(batches.bench.running.data_dir / "emulator.sqlite") as sql:
        [(text,)] = sql.execute("SELECT body FROM resources WHERE name = ?", (name,)).fetchall()
        body = {**json.loads(text), "state": "JOB_STATE_CANCELLING"}
        sql.execute("UPDATE resources SET body = ? WHERE name = ?", (json.dumps(body), name))
    sql.close()
    batches = own_batches(data_dir=batches.bench.running.data_dir)
    job = batches.until(name, lambda job: job.state.value == "JOB_STATE_CANCELLED")
    assert len(batches.output(job)) == answered(job) > 5


def test_a_batch_outlives_the_serving_process(own_batches: Callable[..., Batches]) -> None:
    batches = own_batches()
    name = batches.create([line(f"Count to {n}.", 100, n=n) for n in range(1000)]).name
    batches.until(name, lambda job: answered(job) > 20)
    os.kill(batches.bench.call("GET", "/emulator/status")["workers"]["serving"]["pid"], signal.SIGKILL)
    job = batches.wait(name)
    assert (job.state.value, answered(job)) == ("JOB_STATE_SUCCEEDED", 1000)


def test_more_jobs_than_run_at_once_wait_and_all_end(own_batches: Callable[..., Batches]) -> None:
    batches = own_batches()
    names = [batches.create([line(f"Count to {n}.", 40) for n in range(60)]).name for _ in range(6)]
    last = batches.client.get(name=names[-1])
    assert last.state.value == "JOB_STATE_PENDING"
    batches.client.cancel(name=names[-1])
    assert batches.client.get(name=names[-1]).state.value == "JOB_STATE_CANCELLED", "one that waits, at once"
    for name in names[:-1]:
        assert batches.wait(name).state.value == "JOB_STATE_SUCCEEDED"


def test_a_reset_forgets_batches(own_batches: Callable[..., Batches]) -> None:
    batches = own_batches()
    batches.create([line(f"Count to {n}.", 100) for n in range(500)])
    batches.bench.call("POST", "/emulator/reset")
    assert list(batches.client.list()) == []
    again = Batches(batches.bench)
    again.bench.bucket = again.bench.new_bucket("US")
    job = again.wait(again.create([line("Say red.")], model=BASE).name)
    assert job.state.value == "JOB_STATE_SUCCEEDED"


def test_a_batch_whose_model_was_deleted_fails_and_leaves_what_was_answered(
    own_batches: Callable[..., Batches],
) -> None:
    batches = own_batches()
    made = batches.bench.tune()["tunedModel"]
    asked = [line(f"Count to {n}.", 100, n=n) for n in range(3000)]
    name = batches.create(asked, model=made["model"]).name
    batches.until(name, lambda job: answered(job) > 20)
    model = made["model"].partition("@")[0]
    for place in batches.bench.get(model)["deployedModels"]:
        body = {"deployedModelId": place["deployedModelId"]}
        assert batches.bench.call("POST", f"/v1/{place['endpoint']}:undeployModel", body)["done"]
    assert batches.bench.call("DELETE", f"/v1/{model}")["done"]
    batches.bench.running.kill()
    batches = own_batches(data_dir=batches.bench.running.data_dir)
    job = batches.until(name, lambda job: job.state.value == "JOB_STATE_FAILED")
    assert job.error.code == 5
    assert "is not found" in job.error.message
    assert len(batches.output(job)) == answered(job) > 20
    assert job.completion_stats.incomplete_count == 3000 - answered(job)
