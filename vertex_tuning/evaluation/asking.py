"""The answers of a system to rows: many at a time, and kept as they come, so that a second run asks nobody again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vertex_tuning.asking import Answer
from vertex_tuning.errors import EvaluationError, ServiceError
from vertex_tuning.evaluation.rows import Question, Row, question
from vertex_tuning.models import Model

AT_ONCE = 8
_BEGINS = '{"key": "'
"""How a kept answer begins, one that was cut off too."""
_REFUSED = 400
"""A status that is about one request, and not about all of them."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a system said to a row."""

    text: str
    """Empty where the row was refused."""
    seconds: float
    """From the question to the whole answer, as a caller waits for it, others being asked beside."""
    prompt_tokens: int = 0
    answer_tokens: int = 0
    finish_reason: str = ""
    """`STOP`, `MAX_TOKENS`...; empty where nobody says."""
    error: str = ""
    """Why the row was refused."""


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens."""

    prompt: float
    answer: float


@dataclass(frozen=True, slots=True)
class System:
    """Whatever answers rows: a model with its options, or a function."""

    name: str
    """For people, and in results."""
    ask: Callable[[Row], Answer | str]
    identity: str
    """The same for what gives the same answers: kept answers are found by it."""
    price: Price | None = None
    sees: Callable[[Row], Any] = question
    """What of a row the answer may depend on."""

    @classmethod
    def of_model(
        cls, model: Model, *, name: str = "", place: str = "", price: Price | None = None, **options: Any
    ) -> System:
        """A model, asked for one answer to each row.

        Args:
            model: Who answers: a base model, a tuned one, a checkpoint.
            name: What it is called; else by its own name.
            place: Where it is served, where one name may mean two models.
            price: Of its tokens.
            **options: As `Model.generate` has them. The row's instruction counts where no `system` is given.
        """
        called = getattr(model, "name", "") or getattr(model, "output_uri", "") or model.served_as

        def ask(row: Row) -> Answer:
            asked = question(row)
            how = (
                options
                if asked.system is None or "system" in options
                else {**options, "system": asked.system}
            )
            return model.generate(asked.contents, **how)

        identity = json.dumps([place, called, model.served_as, options], sort_keys=True, default=str)
        return cls(name or called, ask, identity, price)

    @classmethod
    def of_function(
        cls, function: Callable[[Row], Answer | str], *, name: str = "", price: Price | None = None
    ) -> System:
        """A function of a row. Kept answers are found by its name: give another where it answers otherwise."""
        called = name or getattr(function, "__name__", "function").strip("<>")
        return cls(called, function, f"function {called}", price, sees=dict)


class Kept:
    """A JSONL file of answers, which several runs may share one after the other.

    Args:
        path: The file; made where it is not there. None: nothing is kept.

    Raises:
        EvaluationError: VT759, it cannot be read or written, or is a file of something else.
    """

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self._path = None if path is None else Path(path)
        self._lock = threading.Lock()
        self._known: dict[str, Said] = {}
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            text = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
            if text.strip() and not any(line.startswith(_BEGINS) for line in text.splitlines()):
                raise EvaluationError(
                    "VT759",
                    "this file is there already, and holds no answers",
                    where=str(self._path),
                    why="Answers are added at the end of it.",
                    fix="a file of its own",
                )
            if text and not text.endswith(
                "\n"
            ):  # what was cut off stands alone on its line, and is passed over
                self._write("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise self._trouble(error) from error
        for line in text.splitlines():
            with contextlib.suppress(ValueError, TypeError, KeyError):
                found = json.loads(line)
                self._known[found["key"]] = Said(**found["said"])

    def get(self, key: str) -> Said | None:
        """An answer that is there."""
        return self._known.get(key)

    def keep(self, key: str, system: str, said: Said) -> None:
        """Write an answer down."""
        self._known[key] = said
        if self._path is not None:
            line = json.dumps({"key": key, "system": system, "said": asdict(said)}, ensure_ascii=False)
            try:
                self._write(f"{line}\n")
            except OSError as error:
                raise self._trouble(error) from error

    def _write(self, text: str) -> None:
        assert self._path is not None
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(text)

    def _trouble(self, error: Exception) -> EvaluationError:
        words = getattr(error, "strerror", None) or error
        what = f"answers cannot be kept here: {words}"
        return EvaluationError("VT759", what, where=str(self._path), fix="another file, or a folder of yours")


def answers(
    system: System,
    rows: Sequence[Row],
    *,
    kept: Kept | None = None,
    at_once: int = AT_ONCE,
    progress: Callable[[int, int], None] | None = None,
) -> list[Said]:
    """Ask a system about every row.

    A row that the service refuses (400) has an `error`, and the others do not suffer; any other trouble is raised, and what was
    answered until then is kept.

    Args:
        system: Who is asked.
        rows: What about.
        kept: Answers of earlier runs, which are not asked for again; refusals are.
        at_once: So many rows are asked about at a time.
        progress: Told how far it is: (answers there, answers in all).

    Returns:
        By row.
    """
    kept = kept or Kept(None)
    seen: Counter[str] = Counter()
    keys = []
    for row in rows:
        key = _key(system, row)
        seen[key] += 1  # a question that is asked twice is answered twice
        keys.append(f"{key}-{seen[key]}")
    found: list[Said | None] = [kept.get(key) for key in keys]
    missing = [number for number, said in enumerate(found) if said is None]
    done = len(rows) - len(missing)
    if progress is not None and done:
        progress(done, len(rows))

    def ask(number: int) -> Said:
        said = _ask(system, rows[number])
        if not said.error:
            kept.keep(keys[number], system.name, said)  # at once: whoever waits may be gone
        return said

    with ThreadPoolExecutor(at_once) as pool:
        running = {pool.submit(ask, number): number for number in missing}
        try:
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    found[running.pop(future)] = future.result()
                    done += 1
                    if progress is not None:
                        progress(done, len(rows))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [said for said in found if said is not None]


def _ask(system: System, row: Row) -> Said:
    started = time.perf_counter()
    try:
        answer = system.ask(row)
    except ServiceError as error:
        if error.code != _REFUSED:
            raise
        return Said("", time.perf_counter() - started, error=error.fault.what)
    seconds = time.perf_counter() - started
    if isinstance(answer, str):
        return Said(answer, seconds)
    return Said(answer.text, seconds, answer.prompt_tokens, answer.answer_tokens, answer.finish_reason)


def _key(system: System, row: Row) -> str:
    seen = system.sees(row)
    told = [system.identity, asdict(seen) if isinstance(seen, Question) else seen]
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:32]
