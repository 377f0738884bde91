"""`tuningJobs.create` has no request id: asked twice, it trains twice, and costs twice. It never comes to that."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.running import RunningEmulator
from tests.sdk.conftest import rows
from vertex_tuning import ServiceError, SupervisedTuning, connect

BASE = "gemini-2.5-flash"
CREATE = (b"POST /v1beta1/projects/", b"POST /v1/projects/")
CREATED = re.compile(rb".*/(?:tuningJobs|batchPredictionJobs|pipelineJobs\?\S*) HTTP/1\.1")


class Proxy:
    """Stands between a client and the emulator, and does something to answers to requests that create jobs."""

    def __init__(self, port: int, fate: Callable[[int], str]) -> None:
        self._port = port
        self._fate = fate
        self.creates = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with near, contextlib.suppress(OSError):
            while request := _message(near):
                line = request.partition(b"\r\n")[0]
                is_create = line.startswith(CREATE) and CREATED.fullmatch(line)
                fate = "passed on"
                if is_create:
                    self.creates += 1
                    fate = self._fate(self.creates)
                if fate == "busy":
                    near.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}")
                    continue
                if fate == "late":
                    threading.Timer(4.0, self._ask, [request]).start()
                    return
                answer = self._ask(request)
                if fate == "swallowed":
                    return
                if fate == "spoiled":
                    answer = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\n{}"
                near.sendall(answer)

    def _ask(self, request: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self._port)) as far:
            far.sendall(request)
            return _message(far)


def _message(connection: socket.socket) -> bytes:
    """One HTTP message whose length its head tells; empty where the other side has closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@pytest.fixture
def through(
    emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Proxy]]:
    """Puts a proxy between this test and the emulator: `through(lambda n: "swallowed" if n == 1 else "passed on")`."""
    proxies: list[Proxy] = []

    def put(fate: Callable[[int], str]) -> Proxy:
        proxies.append(Proxy(emulator.port, fate))
        monkeypatch.setenv("VERTEX_TUNING_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("VERTEX_TUNING_EMULATOR", proxies[-1].address)
        return proxies[-1]

    yield put
    for proxy in proxies:
        proxy.close()


@pytest.mark.parametrize("fate", ["swallowed", "spoiled"])
def test_a_lost_answer_does_not_start_a_second_job(through, fate):
    proxy = through(lambda n: fate if n == 1 else "passed on")
    with connect("local") as client:
        spec = SupervisedTuning(
            base_model=BASE, training=rows(tag=f" {fate}"), epochs=1, labels={"lost": fate}
        )
        job = client.tune(spec)
        assert [found.name for found in client.jobs.list(filter=f'labels.lost="{fate}"')] == [job.name]
        assert proxy.creates == 1
        assert job.result().endpoint


@pytest.mark.parametrize("fate", ["swallowed", "spoiled", "busy"])
def test_a_lost_answer_does_not_start_a_second_batch(through, fate):
    proxy = through(lambda n: fate if n == 1 else "passed on")
    with connect("local") as client:
        job = client.batch_predict(["Say red."], model=BASE, display_name=f"lost {fate}", max_output_tokens=4)
        found = client.batches.list(filter=f'display_name="lost {fate}"')
        assert [item.name for item in found] == [job.name]
        assert proxy.creates == (2 if fate == "busy" else 1)
        assert job.results()[0].answer


def test_a_request_that_never_arrived_is_sent_again(through):
    proxy = through(lambda n: "busy" if n <= 2 else "passed on")
    with connect("local") as client:
        spec = SupervisedTuning(
            base_model=BASE, training=rows(tag=" busy"), epochs=1, labels={"lost": "busy"}
        )
        job = client.tune(spec)
        assert [found.name for found in client.jobs.list(filter='labels.lost="busy"')] == [job.name]
        assert proxy.creates == 3
        job.wait()


def test_a_request_that_arrives_late_leaves_one_job_that_runs(through):
    """The first request reaches the service when the second one is on its way: the later job is cancelled."""
    through(lambda n: "late" if n == 1 else "passed on")
    with connect("local") as client:
        spec = SupervisedTuning(
            base_model=BASE, training=rows(400, tag=" late"), epochs=40, labels={"lost": "late"}
        )
        job = client.tune(spec)
        time.sleep(3)
        client.tune(spec)  # as the program's next run would
        running = [found for found in client.jobs.list(filter='labels.lost="late"') if not found.ended]
        assert len(running) == 1
        assert job.refresh().name
        for found in running:
            found.cancel()


def test_a_service_that_stays_away_is_an_error_and_the_key_is_kept(through, monkeypatch, tmp_path):
    monkeypatch.setattr("vertex_tuning.once._FIRST_WAIT", 0.01)
    proxy = through(lambda _: "busy")
    with connect("local") as client:
        spec = SupervisedTuning(base_model=BASE, training=rows(tag=" away"), epochs=1)
        with pytest.raises(ServiceError) as caught:
            client.tune(spec)
    assert (caught.value.rule, caught.value.code) == ("VT503", 503)
    assert proxy.creates == 5
    assert list((tmp_path / "home" / "journal").rglob("*.json"))


def test_a_refusal_is_not_repeated_and_leaves_no_key(through, tmp_path):
    proxy = through(lambda _: "passed on")
    with connect("local") as client:
        spec = SupervisedTuning(base_model=BASE, training="gs://nobody-has-it/train.jsonl")
        with pytest.raises(ServiceError) as caught:
            client.tune(spec)
    assert (caught.value.rule, caught.value.code) == ("VT501", 400)
    assert proxy.creates == 1
    assert not list((tmp_path / "home" / "journal").rglob("*.json"))


CALLER = """
import sys, json
from vertex_tuning import SupervisedTuning, connect

with connect("local") as client:
    job = client.tune(SupervisedTuning(
        base_model="gemini-2.5-flash", training=sys.argv[1], epochs=60, labels={"lost": "caller"}))
    print(job.name, flush=True)
    if sys.argv[2:] == ["stay"]:
        job.cancel()
"""


def test_a_caller_that_is_killed_finds_its_job_again(through, tmp_path, emulator):
    """Killed as soon as the service has the request, before the answer is there; then run once more."""
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows(200, tag=" killed")), encoding="utf-8")
    callers: list[subprocess.Popen[str]] = []

    def kill(n: int) -> str:
        if n > 1:
            return "passed on"
        threading.Timer(0.0, callers[0].kill).start()
        return "swallowed"

    proxy = through(kill)
    callers.append(
        subprocess.Popen([sys.executable, "-c", CALLER, str(path)], stdout=subprocess.PIPE, text=True)
    )
    said, _ = callers[0].communicate(timeout=120)
    assert callers[0].returncode == -signal.SIGKILL
    assert said == ""
    deadline = time.monotonic() + 30
    with connect("local") as client:
        while len(found := client.jobs.list(filter='labels.lost="caller"')) != 1:
            assert time.monotonic() < deadline
        done = subprocess.run(
            [sys.executable, "-c", CALLER, str(path), "stay"],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
            env=dict(os.environ),
        )
        assert done.stdout.strip() == found[0].name
        assert "taken up again" in done.stderr
        assert len(client.jobs.list(filter='labels.lost="caller"')) == 1
        assert proxy.creates == 1


def test_an_identical_job_that_ended_is_mentioned_and_another_one_starts(client, caplog):
    spec = SupervisedTuning(base_model=BASE, training=rows(tag=" twice"), epochs=1)
    first = client.tune(spec).wait()
    second = client.tune(spec).wait()
    assert first.name != second.name
    assert first.name in caplog.text


def test_another_one_is_started_where_that_is_meant(client):
    spec = SupervisedTuning(base_model=BASE, training=rows(200, tag=" again"), epochs=30)
    first = client.tune(spec)
    assert client.tune(spec).name == first.name
    second = client.tune(spec, again=True)
    assert second.name != first.name
    for job in (second, first):
        job.cancel()
        job.wait()
