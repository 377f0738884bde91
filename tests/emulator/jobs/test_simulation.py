"""`--simulate`: the states, rules and answers of jobs, without training, on a clock that runs faster."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from vertex_tuning import rewards

from .conftest import COLOURS, FINAL, LLAMA, LOCATION, Bench
from .test_distillation import PROMPTS
from .test_distillation import body as distillation
from .test_preference import PAIRS
from .test_preference import body as preference
from .test_reinforcement import PROMPTS as REFERRED
from .test_reinforcement import body as reinforcement
from .test_requests import refused

MARKS = ("createTime", "startTime", "endTime", "updateTime")
SLOW = ("--simulate", "--speed", "1")


@pytest.fixture(scope="module")
def simulation(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from tests.running import RunningEmulator

    running = RunningEmulator(tmp_path_factory.mktemp("simulation"), "--simulate")
    yield Bench(running)
    running.stop()


def hours(job: dict[str, Any]) -> float:
    start, end = (datetime.fromisoformat(job[name]) for name in ("startTime", "endTime"))
    return (end - start).total_seconds() / 3600


def test_a_job_of_hours_takes_seconds_and_trains_nothing(simulation: Bench) -> None:
    uri = simulation.upload(COLOURS * 50)
    began = time.monotonic()
    job = simulation.tune(uri, epochs=10, labels={"team": "a"})
    assert time.monotonic() - began < 20
    assert 0.3 < hours(job) < 3
    assert job["labels"] == {"team": "a", "simulated": "true"}
    assert "gcsMetricsUri" not in job
    assert "trainer" not in simulation.call("GET", "/emulator/status")["workers"]
    states = [event["kind"] for event in simulation.events(job["name"])]
    usual = ["PENDING", "RUNNING", "WAITING_FOR_CAPACITY", "TUNING", "POST_PROCESSING", "SUCCEEDED"]
    assert [state.rpartition("STATE_")[2] for state in states if "STATE_" in state] == usual
    model = simulation.call("GET", f"/v1/{job['tunedModel']['model']}")
    assert model["labels"]["simulated"] == "true"
    assert len(model["checkpoints"]) == 10
    assert job["tuningDataStats"]["supervisedTuningDataStats"]["tuningDatasetExampleCount"] == "2000"


def test_a_simulated_model_is_answered_for_by_its_base(simulation: Bench) -> None:
    job = simulation.tune()
    client = simulation.genai()
    assert client.models.generate_content(model=job["tunedModel"]["endpoint"], contents="Say red.").candidates


def test_every_way_is_gone_through(simulation: Bench) -> None:
    asked = [
        preference(simulation.upload(PAIRS)),
        distillation(simulation.upload(PROMPTS)),
        reinforcement(simulation.upload(REFERRED)),
    ]
    for body in asked:
        job = simulation.wait(simulation.post(body)["name"])
        assert job["state"] == "JOB_STATE_SUCCEEDED", job
        assert job["tuningDataStats"]


def test_an_open_model_leaves_a_note_and_no_weights(simulation: Bench) -> None:
    out = f"gs://{simulation.bucket}/simulated"
    simulation.tune(baseModel="meta/llama3_1@llama-3.1-8b-instruct", outputUri=out)
    written = simulation.objects(f"{out}/")
    assert {name.rpartition("/")[2] for name in written} == {"simulated.json"}


def test_the_rules_of_the_data_hold(simulation: Bench) -> None:
    job = simulation.wait(simulation.create(simulation.upload([*COLOURS, {"contents": []}])))
    assert job["state"] == "JOB_STATE_FAILED"
    assert "line 41" in job["error"]["message"]


def test_a_reward_that_no_row_can_earn_fails_there_too(simulation: Bench) -> None:
    reward = rewards.contains("{{references.nothing}}").request()
    asked = reinforcement(simulation.upload(REFERRED), spec=reward)
    job = simulation.wait(simulation.post(asked)["name"])
    assert job["state"] == "JOB_STATE_FAILED", job
    assert "VT233" in job["error"]["message"]
    assert '"answer"' in job["error"]["message"]


def test_the_clock_is_put_forward_and_many_jobs_go_at_once(own_bench: Callable[..., Bench]) -> None:
    bench = own_bench(*SLOW)
    uri = bench.upload(COLOURS)
    names = [bench.create(uri) for _ in range(100)]
    before = bench.call("GET", "/emulator/clock")["now"]
    for _ in range(4):
        bench.call("POST", "/emulator/clock?advance=3600")
        time.sleep(0.5)
    after = bench.call("GET", "/emulator/clock")["now"]
    assert 4 <= (datetime.fromisoformat(after) - datetime.fromisoformat(before)).total_seconds() / 3600 < 4.1
    for _ in range(25):
        bench.call("POST", "/emulator/clock?advance=3600")
    assert {bench.wait(name)["state"] for name in names} == {"JOB_STATE_SUCCEEDED"}


def test_an_hour_later_is_an_hour_later_for_a_job_too(own_bench: Callable[..., Bench]) -> None:
    """It takes twenty minutes and a little: an hour is enough for all of its states, not for one of them."""
    bench = own_bench(*SLOW)
    name = bench.create()
    bench.until(name, lambda job: job["state"] == "JOB_STATE_RUNNING")
    bench.call("POST", "/emulator/clock?advance=600")
    assert bench.until(name, lambda job: "tuningDataStats" in job)["state"] == "JOB_STATE_RUNNING"
    bench.call("POST", "/emulator/clock?advance=3600")
    job = bench.wait(name)
    assert job["state"] == "JOB_STATE_SUCCEEDED"
    assert 1 < hours(job) < 1.3


def test_a_simulated_job_is_cancelled(own_bench: Callable[..., Bench]) -> None:
    bench = own_bench(*SLOW)
    name = bench.create()
    bench.until(name, lambda job: job["state"] == "JOB_STATE_RUNNING")
    bench.call("POST", f"/v1/{name}:cancel")
    assert bench.wait(name)["state"] == "JOB_STATE_CANCELLED"


def test_time_never_goes_back_and_jobs_begin_anew_after_a_crash(
    own_bench: Callable[..., Bench], tmp_path: Path
) -> None:
    bench = own_bench(*SLOW, data_dir=tmp_path / "data")
    bench.call("POST", "/emulator/clock?advance=10000000")
    name = bench.create()
    bench.until(name, lambda job: job["state"] == "JOB_STATE_RUNNING")
    bench.call("POST", "/emulator/clock?advance=400")
    assert "endTime" not in bench.until(name, lambda job: "tuningDataStats" in job)
    os.kill(bench.running.process.pid, signal.SIGKILL)
    bench.running.process.wait()
    again = own_bench("--simulate", data_dir=tmp_path / "data")
    job = again.wait(name)
    assert job["state"] == "JOB_STATE_SUCCEEDED"
    assert job["endTime"] > job["startTime"] > job["createTime"]


def killed(bench: Bench) -> None:
    os.kill(bench.running.process.pid, signal.SIGKILL)
    bench.running.process.wait()


def test_a_job_that_was_to_be_trained_is_trained_by_a_simulation_too(
    own_bench: Callable[..., Bench], tmp_path: Path
) -> None:
    bench = own_bench(data_dir=tmp_path / "data")
    names = [bench.create(bench.upload(COLOURS * 20), epochs=3), bench.create()]
    bench.until(names[0], lambda job: job["state"] == "JOB_STATE_RUNNING")
    killed(bench)
    again = own_bench("--simulate", data_dir=tmp_path / "data")
    quick = again.tune()
    for job in map(again.wait, names):
        assert job["state"] == "JOB_STATE_SUCCEEDED", job
        assert "labels" not in job
        assert any("loss" in event["data"] for event in again.events(job["name"]))
    assert quick["labels"] == {"simulated": "true"}


def test_a_simulated_job_is_not_trained_by_an_emulator_that_trains(
    own_bench: Callable[..., Bench], tmp_path: Path
) -> None:
    bench = own_bench(*SLOW, data_dir=tmp_path / "data")
    bench.call("POST", "/emulator/clock?advance=90000")
    name, cancelled = bench.create(), bench.create()
    bench.until(name, lambda job: job["state"] == "JOB_STATE_RUNNING")
    killed(bench)
    again = own_bench(data_dir=tmp_path / "data")
    for job in map(again.get, (name, cancelled)):
        assert job["state"] == "JOB_STATE_FAILED"
        assert job["error"]["details"][-1]["reason"] == "VT648"
        assert "--simulate" in job["error"]["message"]
        times = [datetime.fromisoformat(job[mark]) for mark in MARKS if mark in job]
        assert times == sorted(times), "the clock was ahead, and what is written down stays in order"
    assert again.tune()["state"] == "JOB_STATE_SUCCEEDED"


def test_what_a_simulation_left_has_no_weights_to_go_on_from(
    own_bench: Callable[..., Bench], tmp_path: Path
) -> None:
    bench = own_bench("--simulate", data_dir=tmp_path / "data")
    model = bench.tune()["tunedModel"]["model"]
    out = f"gs://{bench.bucket}/simulated"
    bench.tune(baseModel=LLAMA, outputUri=out)
    on = {"baseModel": None, "preTunedModel": {"tunedModelName": model}}
    assert bench.tune(**on)["state"] == "JOB_STATE_SUCCEEDED"
    deploying = {"customModel": {"gcsUri": f"{out}/{FINAL}"}}
    answer = bench.call("POST", f"/v1beta1/{LOCATION}:deploy", deploying)
    assert answer[0] == 400
    assert "is of a simulated job" in answer[1]["error"]["message"]
    killed(bench)
    again = own_bench(data_dir=tmp_path / "data")
    answer = again.post(again.body(**on))
    assert "simulated" in refused(answer)["tuning_job.pre_tuned_model.tuned_model_name"]
    spec = {"baseTeacherModel": None, "tunedTeacherModelSource": model}
    answer = again.post(distillation(again.upload(PROMPTS), spec=spec))
    assert "simulated" in refused(answer)["tuning_job.distillation_spec.tuned_teacher_model_source"]


def test_the_folder_of_a_batch_bears_the_time_of_the_simulation(own_bench: Callable[..., Bench]) -> None:
    bench = own_bench(*SLOW)
    bench.call("POST", "/emulator/clock?advance=90000")
    asked = {"request": {"contents": [{"role": "user", "parts": [{"text": "Say red."}]}]}}
    body = {
        "displayName": "batch",
        "model": "publishers/google/models/gemini-2.5-flash",
        "inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": [bench.upload([asked])]}},
        "outputConfig": {
            "predictionsFormat": "jsonl",
            "gcsDestination": {"outputUriPrefix": f"gs://{bench.bucket}/out"},
        },
    }
    job = bench.wait(bench.call("POST", f"/v1/{LOCATION}/batchPredictionJobs", body)["name"])
    assert f"prediction-model-{job['createTime'][:16]}" in job["outputInfo"]["gcsOutputDirectory"]


@pytest.mark.parametrize("seconds", ["", "-1", "soon", "inf", "nan"])
def test_the_clock_takes_seconds(simulation: Bench, seconds: str) -> None:
    code, answer = simulation.call("POST", f"/emulator/clock?advance={seconds}")
    assert code == 400
    assert "advance" in answer["error"]["message"]


def test_real_time_is_not_put_forward(bench: Bench) -> None:
    code, answer = bench.call("POST", "/emulator/clock?advance=60")
    assert code == 400
    assert "--simulate" in answer["error"]["message"]
    assert answer["error"]["details"][0]["reason"] == "VT412"
