"""Rewards by a service of the user's: the same number as without it, and no way into anybody's network."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.rewards.cases import ALL, NOTHING
from tests.rewards.test_semantics import config, example
from vertex_tuning import RewardError, rewards
from vertex_tuning.cli._serve import Server
from vertex_tuning.rewards import service

ROW = {"contents": [], "references": {"answer": "4"}}


@pytest.fixture
def serve() -> Iterator[Any]:
    """Serves a reward, as `reward serve` does; its address."""
    servers = []

    def start(reward: rewards.AnyReward) -> str:
        servers.append(Server("127.0.0.1", 0, reward))
        threading.Thread(target=servers[-1].serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def answering() -> Iterator[Any]:
    """A service that answers as it is told, and keeps what it was asked."""
    servers = []
    over = threading.Event()

    def start(status: int, body: bytes, wait: float = 0.0, **headers: str) -> tuple[str, list[Any]]:
        asked: list[Any] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                over.wait(wait)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        servers[-1].handle_error = lambda *_: (
            None
        )  # whoever asked may have gone: a test asks itself what it wants to know
        threading.Thread(target=servers[-1].serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/score", asked

    yield start
    over.set()
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("case", ALL[::3], ids=lambda case: f"{case.source}-{case.what}")
def test_a_served_reward_pays_what_it_pays_without(serve, case):
    reward = rewards.from_json(config(case))
    served = rewards.cloud_run(serve(reward)).score(example(case), case.response)
    if case.reward is NOTHING:
        assert served.failed
    else:
        assert served.reward == pytest.approx(case.reward)


def test_of_several_rewards_each_is_told_beside(serve):
    several = rewards.weighted([(rewards.contains("4", name="a"), 1), (rewards.contains("5", name="b"), 1)])
    score = rewards.cloud_run(serve(several)).score(ROW, "4")
    assert score.reward == 0.5
    assert json.loads(score.aux) == {"a": 1.0, "b": 0.0}


def test_the_service_is_asked_as_documented(answering):
    uri, asked = answering(200, b'{"reward": 0.25, "user_requested_aux_info": "why"}')
    score = rewards.cloud_run(uri, extract="<a>(.*?)</a>").score(ROW, "so <a>4</a>")
    assert (score.reward, score.aux, score.parsed) == (0.25, "why", "4")
    assert asked[0]["example"] == ROW
    assert asked[0]["response"] == {"role": "model", "parts": [{"text": "4"}]}
    assert {"step", "tuning_job_id", "tuningJobId"} == asked[0]["metadata"].keys()


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b"4", "no {"),
        (200, b"not JSON", "no {"),
        (200, b'{"reward": "1"}', "no {"),
        (200, b'{"reward": true}', "no {"),
        (200, b'{"score": 1}', "no {"),
        (200, b'{"reward": NaN}', "NaN"),
        (200, b'{"reward": ' + b"9" * 400 + b"}", "too large"),
        (200, b'{"reward": 1}' + b" " * 70_000, "more than 64 KiB"),
        (500, b"it broke", "answered 500: it broke"),
        (404, b"", "answered 404"),
    ],
)
def test_what_is_no_reward_is_a_failure_with_its_reason(answering, status, body, words):
    uri, _ = answering(status, body)
    score = rewards.cloud_run(uri).score(ROW, "4")
    assert score.failure is not None
    assert words in score.failure.message


def test_a_large_reward_is_clipped(answering):
    uri, _ = answering(200, b'{"reward": 1e9}')
    assert rewards.cloud_run(uri).score(ROW, "4").reward == 1.0


def test_redirects_are_not_followed(answering):
    target, asked = answering(200, b'{"reward": 1}')
    uri, _ = answering(307, b"", Location=target)
    score = rewards.cloud_run(uri).score(ROW, "4")
    assert score.failure is not None
    assert "redirects are not followed" in score.failure.message
    assert not asked


def test_proxies_are_not_asked(answering, monkeypatch):
    uri, asked = answering(200, b'{"reward": 1}')
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert rewards.cloud_run(uri).score(ROW, "4").reward == 1.0
    assert asked


@pytest.mark.parametrize("host", ["10.0.0.1", "169.254.169.254", "8.8.8.8", "[fe80::1]", "0.0.0.0"])
def test_nothing_but_this_machine_is_reached(host):
    score = rewards.cloud_run(f"http://{host}/").score(ROW, "4")
    assert score.failure is not None
    assert score.failure.rule == "VT926"


def test_a_name_is_where_it_leads_to(monkeypatch):
    def lookup(host: str, port: int, **_: Any) -> list[Any]:
        found = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*found, ("127.0.0.1", port)), (*found, ("10.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    score = rewards.cloud_run("http://looks-local.example/").score(ROW, "4")
    assert score.failure is not None
    assert "10.0.0.1" in score.failure.message


def test_a_service_that_takes_its_time_is_not_waited_for(answering, monkeypatch):
    uri, _ = answering(200, b'{"reward": 1}', wait=30.0)
    monkeypatch.setattr("vertex_tuning.catalog.limits", lambda _: {"max_seconds": 0.5})
    start = time.monotonic()
    assert rewards.cloud_run(uri).score(ROW, "4").failed
    assert time.monotonic() - start < 15


def test_the_emulator_does_not_ask_itself(emulator):
    location = "projects/vertex-tuning-local/locations/us-central1"
    body = {
        "singleRewardConfig": {"cloudRunRewardScorer": {"cloudRunUri": f"{emulator.address}/emulator/reset"}},
        "example": ROW,
        "sampleResponse": {"parts": [{"text": "4"}]},
    }
    found = emulator.call("POST", f"/v1beta1/{location}/tuningJobs:validateReinforcementTuningReward", body)
    assert "the emulator itself" in found["error"]


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    score = rewards.cloud_run(f"http://127.0.0.1:{port}").score(ROW, "4")
    assert score.failure is not None
    assert "refused" in score.failure.message


@pytest.mark.parametrize("uri", ["", "x.run.app", "ftp://x", "http://", "https://a b"])
def test_what_is_no_address_is_refused(uri):
    with pytest.raises(RewardError) as caught:
        rewards.cloud_run(uri)
    assert caught.value.rule == "VT913"


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b'{"example": {}}', b'{"example": 1, "response": {}}'])
def test_a_request_that_makes_no_sense_is_refused_by_the_served_reward(serve, body):
    address = serve(rewards.contains("4")).removeprefix("http://")
    host, _, port = address.partition(":")
    with socket.create_connection((host, int(port)), 5) as sock:
        sock.sendall(
            b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
            % (len(body), body)
        )
        assert b" 400 " in sock.recv(1000)


def test_the_command_serves_it(tmp_path):
    path = tmp_path / "reward.json"
    path.write_text(json.dumps(rewards.contains("4").request()), encoding="utf-8")
    command = str(Path(sys.executable).parent / "vertex-tuning")
    process = subprocess.Popen(
        [command, "reward", "serve", str(path), "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        uri = process.stdout.readline().strip()
        assert rewards.cloud_run(uri).score(ROW, "it is 4").reward == 1.0
        port = uri.rpartition(":")[2]
        again = [command, "reward", "serve", str(path), "--port", port]
        taken = subprocess.run(again, capture_output=True, text=True, check=False)
        assert taken.returncode == 1
        assert "VT914" in taken.stderr
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def test_a_port_that_is_closed_stays_so():
    service.close_port(1)
    assert "emulator" in str(rewards.cloud_run("http://127.0.0.1:1").score(ROW, "4").failure)
