"""A reward model behind `reward serve`: what is asked at the same time is scored together."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from vertex_tuning.errors import WeightsError
from vertex_tuning.rewards import Score, scoring
from vertex_tuning.rewards.matching import text_of
from vertex_tuning.training import rows
from vertex_tuning.training.examples import DataFaultError
from vertex_tuning.training.judging import Answered, RewardModel

_MOST = 32
_Asked = tuple[Answered, "Future[float]"]


class ServedModel:
    """Scores answers as a reward does, from many threads at a time.

    Args:
        folder: Of a reward model, a checkpoint of `python -m vertex_tuning.training --method reward`.

    Raises:
        WeightsError: VT765, there is none.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._model = RewardModel(folder)
        except (DataFaultError, OSError, ValueError) as error:
            how = "python -m vertex_tuning.training --method reward makes one: its checkpoints/N"
            raise WeightsError("VT765", "this is no reward model", where=str(folder), fix=how) from error
        self._asked: queue.SimpleQueue[_Asked] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="reward model", daemon=True).start()

    def score(self, example: Mapping[str, Any], response: Any) -> Score:
        """What an answer is worth, in (-1, 1); a failure where the example is no chat of texts."""
        text = text_of(response)
        try:
            answered = Answered(rows.messages(dict(example)), text)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return scoring.failed("VT766", f"the example is no chat that can be read: {error}", parsed=text)
        told: Future[float] = Future()
        self._asked.put((answered, told))
        return Score(told.result(), parsed=text)

    def _work(self) -> None:
        """One batch after the other: the first that is asked, and all that wait by then."""
        while True:
            batch = [self._asked.get()]
            while len(batch) < _MOST and not self._asked.empty():
                batch.append(self._asked.get())
            try:
                for (_, told), worth in zip(
                    batch, self._model.rewards([answered for answered, _ in batch]), strict=True
                ):
                    told.set_result(worth)
            except Exception as error:  # whoever waits is to hear of it
                for _, told in batch:
                    if not told.done():
                        told.set_exception(error)
