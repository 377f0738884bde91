"""Models asked about every row of a file. What was said is kept as it comes, so that after a crash nobody is asked twice."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vertex_tuning.emulator.status import ApiError, Code

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator
    from vertex_tuning.emulator.jobs.served import ServedModel

ANSWER_TOKENS = 256
"""Of an answer, where nobody says how long it may be."""
_AT_ONCE = 24
"""Fewer than the serving child takes in a batch: who asks a model meanwhile is answered too."""
_ATTEMPTS = 6
_PASSING = (Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED)

Json = dict[str, Any]


async def ask(emulator: Emulator, served: ServedModel, body: Json) -> Json:
    """A model's answer. Where too many wait, or the process that answers died, it is asked again.

    Raises:
        ApiError: 400; 429 or 503 where that goes on.
    """
    attempt = 0
    while True:
        try:
            return await emulator.generation.generate(served, body)
        except ApiError as error:
            attempt += 1
            if error.code not in _PASSING or attempt == _ATTEMPTS:
                raise
        await asyncio.sleep(0.1 * 2**attempt)


async def each(
    source: Path,
    journal: Path,
    work: Callable[[Json], Awaitable[Json]],
    told: Callable[[Json], None],
    gone: Collection[int] = (),
) -> dict[int, Json]:
    """Do something with every row, several at once.

    Args:
        source: JSONL file that was found right.
        journal: Holds what was found so far, and gets the rest.
        work: Makes of a row what is to be found of it.
        told: Hears what was found of each row, `row` among it; of those before a crash first.
        gone: Numbers of rows that were left out of the file.

    Returns:
        By row, from 1.

    Raises:
        ApiError: As `work` does; what was found until then is kept.
    """
    known = _recall(journal)
    for found in known.values():
        told(found)
    waiting = iter([(number, row) for number, row in rows(source, gone) if number not in known])

    async def several() -> None:
        for number, row in waiting:
            found = known[number] = {"row": number, **await work(row)}
            with journal.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found) + "\n")
            told(found)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(several())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors
    return known


def rows(path: Path, gone: Collection[int] = ()) -> Iterator[tuple[int, Json]]:
    """The rows of a file with their numbers, from 1; those that were left out keep theirs."""
    numbers = (number for number in itertools.count(1) if number not in gone)
    with path.open(encoding="utf-8-sig") as file:
        for line in file:
            if line.strip():
                yield next(numbers), json.loads(line)


def _recall(journal: Path) -> dict[int, Json]:
    """What was found; a line that a crash has torn was not."""
    if not journal.exists():
        return {}
    text = journal.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if len(whole) < len(text):
        journal.write_bytes(whole)
    return {found["row"]: found for found in map(json.loads, whole.splitlines())}
