"""What a stand-in cannot read: pictures, sounds, films, files; calls of functions. Such rows are found before training."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vertex_tuning.data.contents import camel
from vertex_tuning.data.report import DataReport

RULE = "VT685"
_MEDIA = ("inlineData", "fileData", "imageUrl")
_TEXT = ("text", "thought", "thoughtSignature", "videoMetadata", "mediaResolution")
_SIGNS = (b"inline", b"file", b"image_url", b"unction", b"xecut")
"""One of them stands in a line that holds anything but text: the others need not be parsed."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A part that is not text."""

    line: int
    """In the file, from 1."""
    row: int
    """Among the rows, from 1."""
    path: str
    what: str
    media: bool
    """Whether it is to be seen or heard; else it is to be called, or run."""


def unread(path: Path) -> Iterator[Unread]:
    """Every part of a JSONL file that is not text. Lines that make no sense are passed over: the check of the data names them."""
    number = 0
    with path.open("rb") as file:
        for line, data in enumerate(file, 1):
            number += bool(data.strip())
            if not any(sign in data for sign in _SIGNS):
                continue
            try:
                row = json.loads(data)
            except (ValueError, RecursionError):
                continue
            for place, part in _parts(row):
                kinds = [name for name in part if camel(name) not in _TEXT]
                for kind in kinds[:1]:
                    yield Unread(line, number, f"{place}.{kind}", _type(part) or kind, camel(kind) in _MEDIA)


def note(reports: Iterable[DataReport], files: Iterable[Path]) -> None:
    """Enter what is not text into the reports of the files, as faults."""
    for report, path in zip(reports, files, strict=True):
        for found in unread(path):
            fix = "leave out such rows" + (
                ": vertex-tuning emulator start --drop-media does" if found.media else ""
            )
            what = f"{found.what}: the stand-in reads text only"
            report.add(found.line, RULE, found.path, what, fix=fix)


def _parts(row: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The parts of all contents of a row, and the pieces of its messages, with their places."""
    if not isinstance(row, dict):
        return
    fields = {camel(name): value for name, value in row.items()}
    contents = [("systemInstruction", fields.get("systemInstruction"))]
    contents += [(f"contents[{index}]", one) for index, one in enumerate(_list(fields.get("contents")))]
    for index, one in enumerate(_list(fields.get("completions"))):
        contents.append(
            (f"completions[{index}].completion", one.get("completion") if isinstance(one, dict) else None)
        )
    for place, content in contents:
        pieces = content.get("parts") if isinstance(content, dict) else None
        yield from _objects(f"{place}.parts", pieces)
    for index, message in enumerate(_list(fields.get("messages"))):
        pieces = message.get("content") if isinstance(message, dict) else None
        for place, piece in _objects(f"messages[{index}].content", pieces):
            yield place, {name: value for name, value in piece.items() if name not in ("type", "detail")}


def _objects(place: str, pieces: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for index, piece in enumerate(_list(pieces)):
        if isinstance(piece, dict):
            yield f"{place}[{index}]", {name: value for name, value in piece.items() if value is not None}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _type(part: dict[str, Any]) -> str:
    """What kind of file it is, where that is said."""
    for value in part.values():
        if isinstance(value, dict):
            mime = value.get("mimeType", value.get("mime_type"))
            if isinstance(mime, str) and mime:
                return mime
    return ""
