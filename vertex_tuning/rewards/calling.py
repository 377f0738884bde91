"""Many answers scored: so many calls at a time, and once more where that may help.

A call that failed for a reason that may pass (nobody listened, no answer came in time, the server was busy) is made again after
the waits that the service documents; then it counts as failed. While it waits it takes nobody's place: the other calls go on.

Of several rewards only the one that failed is asked again.
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vertex_tuning import catalog
from vertex_tuning.rewards.rating import AutoRater, Rate
from vertex_tuning.rewards.scorers import AnyReward, CloudRun, Code, CompositeReward, Reward
from vertex_tuning.rewards.scoring import Failure, Score

Waits = Callable[[Reward], Sequence[float]]
"""Seconds to wait before each further call of a reward; none: it is called once."""

_AT_ONCE = 8
_GLANCE = 5.0
_LIMITS = {CloudRun: "reward_cloud_run", Code: "reward_code", AutoRater: "reward_autorater"}


def documented(reward: Reward) -> Sequence[float]:
    """The waits of the service, as the catalog has them."""
    name = _LIMITS.get(type(reward.scorer))
    return () if name is None else tuple(catalog.limits(name)["retry_waits"])


def in_words(reward: AnyReward) -> str:
    """` after 2, 4, 8, 16 and 32 seconds`: when a job would call a reward again; empty where it never does."""
    parts = [part for part, _ in reward.parts] if isinstance(reward, CompositeReward) else [reward]
    waits = max((documented(part) for part in parts), key=len, default=())
    if not waits:
        return ""
    *others, last = (f"{wait:g}" for wait in waits)
    return f" after {', '.join(others)} and {last} seconds" if others else f" after {last} seconds"


@dataclass(frozen=True, slots=True)
class Standing:
    """How far it is."""

    answers: int
    """To be scored in all."""
    settled: int
    """Scored, or failed for good."""
    failed: int
    """Of those."""
    waiting: int
    """Calls that wait to be made again."""
    failure: Failure | None
    """The latest, whether it is final or not."""


@dataclass(slots=True, eq=False)
class _Call:
    """One reward of one answer."""

    reward: Reward
    answer: int
    example: Mapping[str, Any]
    response: Any
    made: int = 0
    seconds: float = 0.0
    score: Score | None = None


@dataclass(slots=True)
class _Batch:
    """What was asked for together, and what has come of it."""

    left: list[int]
    """By answer: rewards that are not settled yet."""
    calls: list[list[_Call]]
    waiting: int = 0
    settled: int = 0
    failed: int = 0
    news: int = 0
    """Counts what is worth telling."""
    failure: Failure | None = None
    error: BaseException | None = None
    due: list[tuple[float, int, _Call]] = field(default_factory=list)
    """A heap by the time at which a call is to be made."""


class Calls:
    """Scores answers. Use it as a context manager, or `close()` it; one batch at a time.

    Args:
        reward: What an answer is worth.
        rate: How a judge is asked, where the reward has one.
        waits: When a call is made again.
        at_once: So many calls are made at a time.
    """

    def __init__(
        self,
        reward: AnyReward,
        *,
        rate: Rate | None = None,
        waits: Waits = documented,
        at_once: int = _AT_ONCE,
    ) -> None:
        self._reward = reward
        self._parts = [part for part, _ in reward.parts] if isinstance(reward, CompositeReward) else [reward]
        self._rate, self._waits, self._at_once = rate, waits, at_once
        self._order = itertools.count()  # of calls that are due at one time
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._news = threading.Condition(self._lock)
        self._batch: _Batch | None = None
        self._threads: list[threading.Thread] = []
        self._closed = False

    def score(
        self,
        pairs: Sequence[tuple[Mapping[str, Any], Any]],
        watch: Callable[[Standing], None] | None = None,
    ) -> list[tuple[Score, float]]:
        """What answers are worth, and how many seconds the calls of each took, without the waits.

        Args:
            pairs: Rows, and answers to them.
            watch: Told how it stands, when something has changed and every few seconds. What it raises ends the scoring.
        """
        calls = [
            [_Call(part, number, example, response) for part in self._parts]
            for number, (example, response) in enumerate(pairs)
        ]
        batch = _Batch([len(self._parts)] * len(calls), calls)
        every = [call for several in calls for call in several]
        batch.due = [(0.0, next(self._order), call) for call in every]  # a sorted list is a heap
        with self._lock:
            self._start()
            self._batch = batch
            self._work.notify_all()
        try:
            self._wait(batch, watch)
        finally:
            with self._lock:
                self._batch = None
        return [self._total(several) for several in calls]

    def close(self) -> None:
        """End the threads as soon as their calls have ended; nobody waits for them."""
        with self._lock:
            self._closed = True
            self._work.notify_all()

    def __enter__(self) -> Calls:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wait(self, batch: _Batch, watch: Callable[[Standing], None] | None) -> None:
        seen = -1
        while True:
            with self._lock:
                if batch.news == seen:
                    self._news.wait(_GLANCE)
                if batch.error is not None:
                    raise batch.error
                seen = batch.news
                stands = Standing(len(batch.calls), batch.settled, batch.failed, batch.waiting, batch.failure)
            if watch is not None:
                watch(stands)
            if stands.settled == stands.answers:
                return

    def _total(self, several: list[_Call]) -> tuple[Score, float]:
        scores = [call.score for call in several if call.score is not None]
        seconds = sum(call.seconds for call in several)
        if isinstance(self._reward, CompositeReward):
            return self._reward.weighed(scores), seconds
        return scores[0], seconds

    # The threads

    def _start(self) -> None:
        """They stay: the process behind the walls ends with the thread that started it."""
        for _ in range(self._at_once - len(self._threads)):
            thread = threading.Thread(target=self._serve, name="reward", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self) -> None:
        while (found := self._next()) is not None:
            batch, call = found
            start = time.perf_counter()
            try:
                score = call.reward.score(call.example, call.response, rate=self._rate)
            except BaseException as error:  # whose fault it is, the caller is to hear
                with self._lock:
                    batch.error = error
                    self._tell(batch)
                continue
            call.seconds += time.perf_counter() - start
            self._settle(batch, call, score)

    def _next(self) -> tuple[_Batch, _Call] | None:
        with self._lock:
            while not self._closed:
                left = None
                if self._batch is not None and self._batch.due:
                    at, _, call = self._batch.due[0]
                    left = at - time.monotonic()
                    if left <= 0:
                        heapq.heappop(self._batch.due)
                        self._batch.waiting -= call.made > 0
                        return self._batch, call
                self._work.wait(left)
        return None

    def _settle(self, batch: _Batch, call: _Call, score: Score) -> None:
        waits = self._waits(call.reward)
        with self._lock:
            call.made += 1
            if score.failure is not None:
                batch.failure = score.failure
                if score.failure.passing and call.made <= len(waits):
                    at = time.monotonic() + waits[call.made - 1]
                    heapq.heappush(batch.due, (at, next(self._order), call))
                    batch.waiting += 1
                    self._work.notify()
                    self._tell(batch)
                    return
            call.score = dataclasses.replace(score, calls=call.made)
            batch.left[call.answer] -= 1
            if batch.left[call.answer] == 0:
                batch.settled += 1
                batch.failed += any(one.score is None or one.score.failed for one in batch.calls[call.answer])
                self._tell(batch)

    def _tell(self, batch: _Batch) -> None:
        batch.news += 1
        self._news.notify_all()
