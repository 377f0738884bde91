"""Whatever dies, whenever: every acknowledged job is there after it, and ends well or with a clear error."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import COLOURS, ENDED, LOCATION, PATIENCE, Bench

pytestmark = pytest.mark.slow

TUNING = "TUNING_JOB_STATE_TUNING"
QUESTION = {"contents": [{"role": "user", "parts": [{"text": "Say red."}]}]}


def kill(pid: int) -> None:
    """End a process at once, and wait until the kernel has."""
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}/stat").exists() and time.monotonic() < deadline:
        if Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.01)


def trainer(bench: Bench) -> int:
    """Process id of the training child."""
    return int(bench.call("GET", "/emulator/status")["workers"]["trainer"]["pid"])


def forks(parent: int) -> list[int]:
    """Its children: the process of the job that trains."""
    path = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(pid) for pid in path.read_text(encoding="ascii").split()]


def steps(job: dict[str, Any]) -> int:
    return int(job.get("tuningJobMetadata", {}).get("completedStepCount", 0))


def deaths(bench: Bench, name: str) -> int:
    return sum(event["kind"] == "trainer died" for event in bench.events(name))


def begins(bench: Bench, name: str) -> list[int]:
    """The first step of each attempt."""
    return [event["data"]["step"] for event in bench.events(name) if event["kind"] == TUNING]


def test_a_job_survives_the_death_of_its_process_and_of_the_trainer(own_bench: Callable[..., Bench]) -> None:
    bench = own_bench()
    name = bench.create(bench.upload(COLOURS * 4), epochs=40)  # 20 steps an epoch, a checkpoint every 80
    for times in (1, 2):
        bench.until(name, lambda _, times=times: len(begins(bench, name)) == times)
        reached = begins(bench, name)[-1] + 100
        bench.until(name, lambda job, reached=reached: steps(job) >= reached)
        pid = trainer(bench)
        kill(pid if times == 2 else forks(pid)[0])
        bench.until(name, lambda _, times=times: deaths(bench, name) == times)
    job = bench.wait(name)
    assert job["state"] == "JOB_STATE_SUCCEEDED", job
    begun = begins(bench, name)
    assert 1 == begun[0] < begun[1] < begun[2], "each time it went on from a checkpoint"
    assert len(job["tunedModel"]["checkpoints"]) == 10
    assert bench.tune()["state"] == "JOB_STATE_SUCCEEDED", "the next job trains as if nothing had been"


def test_a_job_whose_trainer_always_dies_fails_and_lets_others_pass(own_bench: Callable[..., Bench]) -> None:
    bench = own_bench()
    name = bench.create(bench.upload(COLOURS * 50))
    job = bench.get(name)
    deadline = time.monotonic() + PATIENCE
    while job["state"] not in ENDED:
        status = bench.call("GET", "/emulator/status")
        # Before that, its children are programs that libraries run when they are imported (ldconfig), and no job's.
        ready = "trainer" in status["workers"] and "the trainer is ready" in bench.log("server")
        for pid in forks(status["workers"]["trainer"]["pid"]) if ready else []:
            kill(pid)
        time.sleep(0.01)
        job = bench.get(name)
        assert time.monotonic() < deadline, [status, *bench.events(name), bench.log("trainer")]
    assert job["state"] == "JOB_STATE_FAILED"
    assert job["error"]["code"] == 13
    assert "signal 9" in job["error"]["message"]
    assert bench.tune()["state"] == "JOB_STATE_SUCCEEDED"


def test_every_acknowledged_job_survives_the_death_of_the_server(
    own_bench: Callable[..., Bench], tmp_path: Path
) -> None:
    """Killed at random moments of queueing, training and finishing; a job that was cancelled stays so."""
    chance = random.Random(7)
    folder = tmp_path / "data"
    bench = own_bench(data_dir=folder)
    uri = bench.upload(COLOURS)
    names = [bench.create(uri, epochs=12) for _ in range(3)]
    cancelled = bench.create(uri)
    bench.call("POST", f"/v1beta1/{cancelled}:cancel")
    for _ in range(5):
        time.sleep(chance.uniform(0.0, 2.0))
        bench.running.kill()
        bench = own_bench(data_dir=folder)
        names.append(bench.create(uri))
    ended = [bench.wait(name) for name in names]
    assert [job["state"] for job in ended] == ["JOB_STATE_SUCCEEDED"] * len(names)
    assert bench.get(cancelled)["state"] == "JOB_STATE_CANCELLED"
    starts = [job["startTime"] for job in ended]
    assert starts == sorted(starts), "in the order in which they came"
    models = bench.call("GET", "/v1/projects/vertex-tuning-local/locations/us-central1/models")["models"]
    assert len(models) == len(names), "each job made one model, once"
    for job in ended:
        assert bench.call("GET", f"/v1/{job['tunedModel']['endpoint']}")["deployedModels"]
        last = bench.download(job["gcsMetricsUri"]).splitlines()[-1]
        assert f'"step": {steps(job)},'.encode() in last
    assert len(list((folder / "jobs").iterdir())) == len(names), "no folder is left over"


@pytest.mark.parametrize("how", ["crash", "stop"])
def test_a_job_goes_on_when_the_server_comes_back(
    own_bench: Callable[..., Bench], tmp_path: Path, how: str
) -> None:
    folder = tmp_path / "data"
    bench = own_bench(data_dir=folder)
    name = bench.create(epochs=60)
    before = bench.until(name, lambda job: steps(job) >= 10)
    pid = trainer(bench)
    if how == "crash":
        bench.running.kill()
    else:
        assert bench.running.stop() == 0
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists():  # it does not outlive the server
        assert time.monotonic() < deadline
        time.sleep(0.05)
    bench = own_bench(data_dir=folder)
    job = bench.get(name)
    assert job["state"] == "JOB_STATE_RUNNING"
    assert job["startTime"] == before["startTime"]
    assert steps(job) >= 10
    bench.until(name, lambda job: steps(job) > steps(before))
    bench.call("POST", f"/v1beta1/{name}:cancel")
    assert bench.wait(name)["state"] == "JOB_STATE_CANCELLED"
    deadline = time.monotonic() + 30
    while list((folder / "jobs").iterdir()):  # its files go when that has been said
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_ten_deaths_at_random_moments_of_a_job(own_bench: Callable[..., Bench], tmp_path: Path) -> None:
    """Server, trainer and serving process, killed while it queues, trains and finishes, and while questions are answered."""
    chance = random.Random(11)
    folder = tmp_path / "data"
    bench = own_bench(data_dir=folder)
    uri = bench.upload(COLOURS)
    first, second = bench.create(uri, epochs=60), bench.create(uri, epochs=2)
    killed = {"server": 0, "trainer": 0, "serving": 0}
    victims = ["server", "trainer", "serving"] * 3 + ["server"]
    chance.shuffle(victims)
    for victim in victims:
        with contextlib.suppress(OSError):  # a question that its process does not survive
            bench.call(
                "POST", f"/v1/{LOCATION}/publishers/google/models/gemini-2.5-flash:countTokens", QUESTION
            )
        time.sleep(chance.uniform(0.0, 1.5))
        workers = bench.call("GET", "/emulator/status")["workers"]
        if victim == "server":
            bench.running.kill()
            bench = own_bench(data_dir=folder)
        elif victim in workers:
            kill(workers[victim]["pid"])
        else:
            continue
        killed[victim] += 1
    assert sum(killed.values()) >= 8, killed
    assert all(killed.values()), killed
    for name in (first, second):
        job = bench.wait(name)
        if job["state"] != "JOB_STATE_SUCCEEDED":
            assert job["error"]["message"], "it ends well, or with a clear error"
            continue
        answer = bench.call("POST", f"/v1/{job['tunedModel']['endpoint']}:generateContent", QUESTION)
        assert answer["candidates"]
    assert bench.tune()["state"] == "JOB_STATE_SUCCEEDED"
