"""One line of the input, and the line of the output that answers it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vertex_tuning.emulator.status import ApiError, Code
from vertex_tuning.emulator.wire import parse_json

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator
    from vertex_tuning.emulator.jobs import ServedModel

_VERSION = "v1beta1"
_TRIES = 4
"""How often a request is sent whose serving process died; it may have been another one that it died of."""
_PAUSE = 0.5
_OURS = ("status", "processed_time", "response")
"""Keys of an output line that are the service's, whatever the input line has under them."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a line."""

    output: bytes
    """The output line, its end included."""
    error: dict[str, Any] | None
    """A `google.rpc.Status`; None: it was answered."""


def read(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, with their numbers from 1."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if text.strip():
                yield number, text


def count(path: Path) -> tuple[int, bool]:
    """How many lines there are, and whether any of them is a JSON object."""
    lines, found = 0, False
    for _, line in read(path):
        lines += 1
        if not found:
            try:
                found = isinstance(parse_json(line), dict)
            except ApiError:
                found = False
    return lines, found


async def answer(emulator: Emulator, served: ServedModel, line: bytes, gate: asyncio.Semaphore) -> Outcome:
    """Answer a line; whatever is wrong with it is told in its output."""
    row: dict[str, Any] = {}
    try:
        row = _object(line)
        body = _request(emulator, row)
        response = await _ask(emulator, served, body, gate)
        return Outcome(
            _output(row, "", emulator.wire.render("GenerateContentResponse", response, _VERSION)), None
        )
    except ApiError as error:
        status = f"{HTTPStatus(error.code.http).phrase}: {json.dumps(error.body(), ensure_ascii=False)}"
        shown = row or {"request": line.decode("utf-8", "replace").strip()}
        return Outcome(_output(shown, status, {}), error.status())


def _object(line: bytes) -> dict[str, Any]:
    found = parse_json(line)
    if not isinstance(found, dict):
        raise _refused("A line must be a JSON object")
    return found


def _request(emulator: Emulator, row: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(row.get("request"), dict):
        raise _refused("A line must have a request, which is an object")
    return emulator.wire.parse("GenerateContentRequest", row["request"], _VERSION, root="request")


def _refused(what: str) -> ApiError:
    return ApiError(Code.INVALID_ARGUMENT, f'{what}: {{"request": {{"contents": [...]}}}}.', rule="VT657")


async def _ask(
    emulator: Emulator, served: ServedModel, body: dict[str, Any], gate: asyncio.Semaphore
) -> dict[str, Any]:
    tries = 0
    while True:
        try:
            async with gate:
                return await emulator.generation.generate(served, body)
        except ApiError as error:
            # Where others ask too much, a batch has time; where the serving process died, it is started again.
            tries += error.code is Code.UNAVAILABLE
            if error.code not in (Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED) or tries >= _TRIES:
                raise
        await asyncio.sleep(_PAUSE * max(tries, 1))


def _output(row: dict[str, Any], status: str, response: dict[str, Any]) -> bytes:
    kept = {key: value for key, value in row.items() if key not in _OURS}
    output = {"status": status, "processed_time": _now(), **kept, "response": response}
    # Half of a surrogate pair, which JSON can name and UTF-8 cannot hold, goes back as it came.
    text = json.dumps(output, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(output, separators=(",", ":")).encode() + b"\n"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
