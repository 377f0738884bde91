"""Who is served next: requests join and leave a running batch.

Each step takes one token of every row that is being answered, and a stretch of the prompts that are being
read. A request waits only for a slot, for memory, or for another one that is reading the same beginning right
now.
"""

from __future__ import annotations

import heapq
import logging
import queue
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vertex_tuning.emulator.serving.answering import Row, Work
from vertex_tuning.emulator.serving.choosing import Choice
from vertex_tuning.emulator.serving.closing import reserve
from vertex_tuning.emulator.serving.formats import FormatError, Formats
from vertex_tuning.emulator.serving.packed import PackedModel, Segment
from vertex_tuning.emulator.serving.prefixes import MIN_SHARED, Prefixes, shared
from vertex_tuning.emulator.serving.sampling import is_greedy
from vertex_tuning.emulator.serving.tokens import byte_tokenizer

log = logging.getLogger(__name__)

MAX_ROWS = 32
"""Rows in one batch."""
_STRETCH = 512
"""Prompt tokens per step: others are answered in between."""
_CACHE_BUDGET = 1024 * 1024 * 1024
_CACHE_KEPT = 64 * 1024 * 1024
"""A larger cache is given back when nobody needs it."""
_WEIGHTS_BUDGET = 2 * 1024 * 1024 * 1024
"""Models beyond this are forgotten, except the one in use."""


class Batch:
    """The running batch of one model."""

    def __init__(self, folder: Path) -> None:
        self.model = PackedModel(folder)
        self._prefixes = Prefixes()
        self._formats: Formats | None = None
        self._waiting: deque[Work] = deque()
        self._rows: list[Row] = []
        self._free: list[int] = []
        self._opened = 0

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return bool(self._rows or self._waiting)

    def add(self, work: Work) -> None:
        """Queue a request."""
        self._waiting.append(work)

    def cancel(self, identifier: str) -> None:
        """Forget a request: whoever asked has gone."""
        self._waiting = deque(work for work in self._waiting if work.order.id != identifier)
        self._leave(row for row in self._rows if row.work.order.id == identifier)

    def fail(self, message: str) -> None:
        """Tell everybody, and begin anew."""
        works = {id(work): work for work in [*self._waiting, *(row.work for row in self._rows)]}
        for work in works.values():
            _refuse(work, "INTERNAL", message)
        self._waiting.clear()
        self._leave(list(self._rows))
        self.model.cache.clear()

    @torch.inference_mode()
    def step(self) -> None:
        """One pass of the model."""
        self._admit()
        if not self._rows:
            return
        by_slot: dict[int, Row] = {}
        segments = []
        left = _STRETCH
        for row in self._rows:
            segment = self._segment(row, left)
            if segment is not None:
                left -= len(segment.tokens) * bool(row.unread)
                segments.append(segment)
                by_slot[row.slot] = row
        taken, logits = self.model.forward(segments)
        speaking: list[tuple[Row, Tensor]] = []
        at = 0
        for segment in taken:
            found = logits[at : at + len(segment.wanted)]
            at += len(segment.wanted)
            speaking += self._advance(by_slot[segment.slot], segment, found)
        self._speak(speaking)
        self._leave(row for row in self._rows if row.ended)

    # Joining and leaving

    def _admit(self) -> None:
        while self._waiting and self._fits(self._waiting[0]):
            work = self._waiting[0]
            adapter = None
            try:
                if work.order.adapter is not None:
                    adapter = self.model.adapters.load(Path(work.order.adapter))
                length, saved = self._prefixes.find(adapter, work.prompt)
                if self._is_being_read(adapter, work.prompt, length):
                    return
                rows = [self._row(work, index, adapter) for index in range(work.order.candidates)]
            except (FormatError, OSError, ValueError) as error:
                log.warning("request %s is refused", work.order.id, exc_info=True)
                self._waiting.popleft()
                _refuse(work, "INVALID_ARGUMENT", str(error))
                continue
            self._waiting.popleft()
            for row in rows:
                row.slot = heapq.heappop(self._free) if self._free else self._open()
            self.model.cache.reserve(self._opened, len(work.prompt) + 1)
            if length:
                self.model.cache.write(rows[0].slot, saved, length)
                rows[0].done, rows[0].unread = length, work.prompt[length:]
            self._rows += rows

    def _row(self, work: Work, index: int, adapter: Any) -> Row:
        row = Row(work, index, adapter)
        order = work.order
        if order.labels:
            labels = [(label, work.chat.encode(label)) for label in order.labels]
            row.choice = Choice(labels, min(work.chat.end_ids), order.logprobs or 0)
        elif order.json_schema is not None:
            if self._formats is None:
                self._formats = Formats(byte_tokenizer(order.model))
            row.follower = self._formats.follow(order.json_schema)
            if work.ends_with_the_context:
                row.closing = reserve(order.json_schema, lambda text: len(work.chat.encode(text)))
        return row

    def _open(self) -> int:
        self._opened += 1
        return self._opened - 1

    def _fits(self, work: Work) -> bool:
        """Whether there are slots and memory; who is alone always fits."""
        if not self._rows:
            return True
        count = len(self._rows) + work.order.candidates
        length = max(len(w.prompt) + w.room for w in [work, *(row.work for row in self._rows)])
        return count <= MAX_ROWS and count * length * self.model.cache.bytes_per_token <= _CACHE_BUDGET

    def _is_being_read(self, adapter: Any, prompt: list[int], known: int) -> bool:
        """Whether a row reads right now what this prompt begins with."""
        return any(
            row.unread
            and row.index == 0
            and row.adapter is adapter
            and shared(row.work.prompt, prompt) >= known + MIN_SHARED
            for row in self._rows
        )

    def _leave(self, rows: Iterable[Row]) -> None:
        gone = list(rows)
        if not gone:
            return
        self._rows = [row for row in self._rows if row not in gone]
        for row in gone:
            heapq.heappush(self._free, row.slot)
        if not self._rows:
            self._free, self._opened = [], 0
            cache = self.model.cache
            if cache.slots * cache.length * cache.bytes_per_token > _CACHE_KEPT:
                cache.clear()

    # One step of a row

    def _segment(self, row: Row, left: int) -> Segment | None:
        """What a row puts into the step; None: nothing, it waits."""
        if row.unread:
            if row.index or left <= 0:
                return None  # further candidates get a copy of what the first one reads
            tokens = row.unread[:left]
            wanted = [len(tokens) - 1] if len(tokens) == len(row.unread) else []
            return Segment(row.slot, row.done, tokens, row.adapter, wanted)
        if row.choice is not None:
            scored = row.choice.tokens()
            assert scored is not None
            tokens, distances, visible = scored
            positions = [row.done + distance for distance in distances]
            return Segment(
                row.slot, row.done, tokens, row.adapter, list(range(len(tokens))), positions, visible
            )
        return Segment(row.slot, row.done, [row.last], row.adapter, [0])

    def _advance(self, row: Row, segment: Segment, logits: Tensor) -> list[tuple[Row, Tensor]]:
        """Book what a step did for a row; returns the rows that choose a token now, with their logits."""
        if row.unread:
            row.done += len(segment.tokens)
            row.unread = row.unread[len(segment.tokens) :]
            if row.unread:
                return []
            return [
                (reader, logits[0]) for reader in self._read(row) if not self._begin_choice(reader, logits[0])
            ]
        if row.choice is not None:
            row.choice.scored(logits)
            self._score_on(row)
            return []
        row.done += 1
        return [(row, logits[0])]

    def _read(self, row: Row) -> list[Row]:
        """The prompt is in the cache: for the other candidates too, and for prompts to come."""
        prompt, cache = row.work.prompt, self.model.cache
        known, _ = self._prefixes.find(row.adapter, prompt)
        if len(prompt) - known > MIN_SHARED:
            self._prefixes.keep(row.adapter, prompt, cache.read(row.slot, len(prompt)))
        rows = [other for other in self._rows if other.work is row.work]
        for other in rows:
            if other is not row:
                cache.copy(row.slot, other.slot, len(prompt))
                other.done, other.unread = row.done, []
        return rows

    def _begin_choice(self, row: Row, logits: Tensor) -> bool:
        if row.choice is None:
            return False
        row.choice.begin(logits)
        self._score_on(row)
        return True

    def _score_on(self, row: Row) -> None:
        assert row.choice is not None
        if not row.choice.left:
            row.decide()

    def _speak(self, speaking: list[tuple[Row, Tensor]]) -> None:
        """Choose a token for each row; the usual case, greedy and free, for all at once."""
        if not speaking:
            return
        logits = torch.stack([found for _, found in speaking])
        total = torch.logsumexp(logits, dim=-1).tolist()
        likeliest = logits.argmax(dim=-1).tolist()
        for index, (row, found) in enumerate(speaking):
            order = row.work.order
            try:
                plain = (
                    is_greedy(order.sampling) and row.follower is None and not order.sampling.has_penalties
                )
                token = likeliest[index] if plain else row.pick(found)
                tops = []
                if order.logprobs:
                    values, tokens = torch.topk(found - total[index], order.logprobs)
                    tops = list(zip(tokens.tolist(), values.tolist(), strict=True))
                row.take(token, float(found[token]) - total[index], tops)
            except FormatError as error:
                row.ended = True
                _refuse(row.work, "INVALID_ARGUMENT", f"The response schema cannot be followed: {error}")


class Engine:
    """All models, one thread: takes orders, and steps through the batches in turn."""

    def __init__(self) -> None:
        self._orders: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._batches: OrderedDict[str, Batch] = OrderedDict()

    # Called from another thread

    def submit(self, work: Work) -> None:
        """Answer an order."""
        self._orders.put(lambda: self._submit(work))

    def cancel(self, identifier: str) -> None:
        """Stop answering an order; nothing happens where it was answered."""
        self._orders.put(lambda: self._cancel(identifier))

    def use_threads(self, count: int) -> None:
        """How many threads a step may use."""
        self._orders.put(lambda: torch.set_num_threads(count))

    # The engine's own thread

    def run(self) -> None:
        """Work for ever."""
        while True:
            busy = [batch for batch in self._batches.values() if batch.busy]
            self._take_orders(wait=not busy)
            for batch in busy:
                try:
                    batch.step()
                except Exception as error:
                    log.exception("a step failed")
                    batch.fail(f"The serving process failed: {error}")

    def _take_orders(self, *, wait: bool) -> None:
        if wait:
            self._orders.get()()
        while True:
            try:
                take = self._orders.get_nowait()
            except queue.Empty:
                return
            take()

    def _submit(self, work: Work) -> None:
        try:
            batch = self._batch(work.order.model)
        except Exception as error:
            log.exception("the model in %s cannot be loaded", work.order.model)
            _refuse(work, "INTERNAL", f"The model cannot be loaded: {error}")
            return
        batch.add(work)

    def _batch(self, folder: str) -> Batch:
        batch = self._batches.get(folder)
        if batch is None:
            batch = self._batches[folder] = Batch(Path(folder))
        self._batches.move_to_end(folder)
        for other in [name for name, b in self._batches.items() if b is not batch and not b.busy]:
            if sum(b.model.bytes for b in self._batches.values()) <= _WEIGHTS_BUDGET:
                break
            del self._batches[other]
        return batch

    def _cancel(self, identifier: str) -> None:
        for batch in self._batches.values():
            batch.cancel(identifier)


def _refuse(work: Work, code: str, message: str) -> None:
    work.send({"id": work.order.id, "event": "failed", "code": code, "message": message})
