"""Calls that fail are made again where that may help, at the service's own waits, and nobody else waits for them."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.rewards.services import Answer, Service
from vertex_tuning import catalog, rewards
from vertex_tuning.rewards import calling
from vertex_tuning.rewards.calling import Calls, Standing

ROW = {"contents": [], "references": {"answer": "4"}}
JUDGE = "projects/p/locations/us-central1/publishers/google/models/gemini-2.5-flash"


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], Service]]:
    services: list[Service] = []

    def start(answer: Answer) -> Service:
        services.append(Service(answer))
        return services[-1]

    yield start
    for service in services:
        service.close()


def soon(_: rewards.Reward) -> tuple[float, ...]:
    return (0.01, 0.02, 0.03)


def test_the_waits_are_those_that_are_documented():
    assert calling.documented(rewards.cloud_run("http://127.0.0.1")) == (2, 4, 8, 16, 32)
    assert calling.documented(rewards.exact_match("4")) == ()
    assert len(calling.documented(rewards.code("def evaluate(e, r): return 1"))) > 1, "several, says the page"
    assert calling.in_words(rewards.cloud_run("http://x")) == " after 2, 4, 8, 16 and 32 seconds"
    assert calling.in_words(rewards.exact_match("4")) == ""


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_passes_is_waited_out(serve, status):
    service = serve(lambda time_, _: (status, b"busy") if time_ < 3 else (200, b'{"reward": 0.5}'))
    with Calls(rewards.cloud_run(service.uri), waits=soon) as calls:
        [(score, _)] = calls.score([(ROW, "4")])
    assert (score.reward, score.calls) == (0.5, 3)
    (first, _), (second, _), (third, _) = service.asked
    assert second - first >= 0.01
    assert third - second >= 0.02


def test_a_line_that_breaks_is_tried_again(serve):
    service = serve(lambda time_, _: None if time_ == 1 else (200, b'{"reward": 1}'))
    with Calls(rewards.cloud_run(service.uri), waits=soon) as calls:
        [(score, _)] = calls.score([(ROW, "4")])
    assert (score.reward, score.calls) == (1.0, 2)


@pytest.mark.parametrize(
    ("status", "body"),
    [(400, b""), (403, b""), (404, b""), (501, b""), (200, b"no JSON"), (200, b'{"reward": NaN}')],
)
def test_what_stays_as_it_is_is_asked_once(serve, status, body):
    service = serve(lambda *_: (status, body))
    with Calls(rewards.cloud_run(service.uri), waits=soon) as calls:
        [(score, _)] = calls.score([(ROW, "4")])
    assert score.failed
    assert score.calls == len(service.asked) == 1


def test_who_is_never_there_fails_after_all_the_waits():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    start = time.monotonic()
    with Calls(rewards.cloud_run(f"http://127.0.0.1:{port}"), waits=soon) as calls:
        [(score, seconds)] = calls.score([(ROW, "4")])
    assert score.failure is not None
    assert score.failure.passing
    assert score.calls == 4
    assert time.monotonic() - start >= 0.06
    assert seconds < time.monotonic() - start, "the waits are no part of it"


def test_an_answer_that_comes_too_late_may_come_in_time(serve, monkeypatch):
    def answer(time_: int, _: str) -> tuple[int, bytes]:
        time.sleep(1.0 if time_ == 1 else 0.0)
        return 200, b'{"reward": 1}'

    service = serve(answer)
    limits = {**catalog.limits("reward_cloud_run"), "max_seconds": 0.3}
    monkeypatch.setattr("vertex_tuning.catalog.limits", lambda _: limits)
    with Calls(rewards.cloud_run(service.uri), waits=soon) as calls:
        [(score, _)] = calls.score([(ROW, "4")])
    assert (score.reward, score.calls) == (1.0, 2)


def test_what_waits_takes_nobodys_place(serve):
    """Two at a time, ten of which wait three seconds: the others are through long before."""
    service = serve(lambda _, text: (503, b"") if text.startswith("bad") else (200, b'{"reward": 1}'))
    pairs = [(ROW, f"bad {number}") for number in range(10)] + [
        (ROW, f"good {number}") for number in range(10)
    ]
    seen: list[tuple[float, int]] = []
    start = time.monotonic()

    def watch(stands: Standing) -> None:
        seen.append((time.monotonic() - start, stands.settled))

    with Calls(rewards.cloud_run(service.uri), waits=lambda _: (3.0,), at_once=2) as calls:
        scores = [score for score, _ in calls.score(pairs, watch)]
    assert [score.failed for score in scores] == [True] * 10 + [False] * 10
    assert min(after for after, settled in seen if settled >= 10) < 2.9
    assert time.monotonic() - start < 12, "all waited at the same time"


def test_of_several_rewards_only_the_one_that_failed_is_asked_again(serve):
    service = serve(lambda time_, _: (503, b"") if time_ == 1 else (200, b'{"reward": 1}'))
    steady = serve(lambda *_: (200, b'{"reward": 0}'))
    both = rewards.weighted(
        [
            (rewards.cloud_run(service.uri, name="shaky"), 1),
            (rewards.cloud_run(steady.uri, name="steady"), 3),
        ]
    )
    with Calls(both, waits=soon) as calls:
        [(score, _)] = calls.score([(ROW, "4")])
    assert score.reward == 0.25
    assert (score.calls, score.parts["shaky"].calls, score.parts["steady"].calls) == (3, 2, 1)
    assert len(steady.asked) == 1


def test_who_watches_may_end_it(serve):
    service = serve(lambda *_: (503, b""))

    def enough(stands: Standing) -> None:
        if stands.waiting:
            raise KeyboardInterrupt

    start = time.monotonic()
    with Calls(rewards.cloud_run(service.uri), waits=lambda _: (60.0,)) as calls:
        with pytest.raises(KeyboardInterrupt):
            calls.score([(ROW, "4")], enough)
        # And it goes on with others.
        assert calls.score([], None) == []
    assert time.monotonic() - start < 20


def test_what_a_judge_raises_tells_whether_it_may_answer_later():
    class Busy(Exception):
        code = 429

    class Gone(Exception):
        code = 404

    for error, calls_made in (
        (Busy, 4),
        (TimeoutError, 4),
        (ConnectionResetError, 4),
        (Gone, 1),
        (KeyError, 1),
    ):

        def rate(*_: Any, error: type[Exception] = error) -> list[str]:
            raise error

        with Calls(rewards.judge("{{response}}", model=JUDGE), rate=rate, waits=soon) as calls:
            [(score, _)] = calls.score([(ROW, "4")])
        assert score.calls == calls_made, error


def test_a_judge_that_says_nothing_of_use_is_not_asked_again():
    with Calls(rewards.judge("{{response}}", model=JUDGE), rate=lambda *_: ["well"], waits=soon) as calls:
        [(score, _)] = calls.score([(ROW, "4")])
    assert (score.failed, score.calls) == (True, 1)


def test_code_that_took_too_long_is_run_again_and_code_that_raised_is_not(monkeypatch):
    limits = {**catalog.limits("reward_code"), "max_seconds": 1}
    monkeypatch.setattr("vertex_tuning.catalog.limits", lambda _: limits)
    slow = rewards.code("def evaluate(e, r):\n    while True: pass")
    wrong = rewards.code("def evaluate(e, r): raise ValueError('no')")
    for reward, calls_made in ((slow, 2), (wrong, 1)):
        with Calls(reward, waits=lambda _: (0.01,)) as calls:
            [(score, _)] = calls.score([(ROW, "4")])
        assert score.failed
        assert score.calls == calls_made


def test_what_breaks_in_here_is_heard():
    class Broken(rewards.Reward):
        def score(self, *_: Any, **__: Any) -> rewards.Score:
            raise RuntimeError("ours")

    with Calls(Broken(rewards.exact_match("4").scorer)) as calls, pytest.raises(RuntimeError, match="ours"):
        calls.score([(ROW, "4")])
