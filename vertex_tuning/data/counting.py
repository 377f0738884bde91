"""How much there is in a data set, as far as it can be told without the model's own tokenizer: text, and files.

A row is looked at in its parts: what is asked, and what is answered, since they are not paid for alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vertex_tuning import catalog
from vertex_tuning.data.contents import camel
from vertex_tuning.data.reading import read

Range = tuple[float, float]
"""The least and the most."""

_SECONDS = re.compile(r"(\d+(?:\.\d+)?)s")
_KINDS = {"image": "image", "video": "video", "audio": "audio", "application": "document"}


@dataclass(slots=True)
class Amount:
    """Text and files."""

    latin: int = 0
    """Characters of ASCII."""
    other: int = 0
    """Other characters."""
    images: int = 0
    documents: int = 0
    clips: list[tuple[str, Range]] = field(default_factory=list)
    """`video` or `audio`, and how many seconds."""

    @property
    def media(self) -> bool:
        """Whether there is something other than text."""
        return bool(self.images or self.documents or self.clips)

    def say(self, text: str) -> None:
        """Count a text."""
        ascii_only = len(text) if text.isascii() else sum(char < "\x80" for char in text)
        self.latin += ascii_only
        self.other += len(text) - ascii_only

    def tokens(self, group: str) -> Range:
        """How many tokens, for a group of models: the least and the most."""
        text, media, assumed = catalog.text_tokens(), catalog.media_tokens(group), catalog.assumed()
        low = (self.latin + self.other) / text["sparse"].value
        high = self.latin / text["dense"].value + self.other / text["other_scripts"].value
        pages = assumed["document_pages"].value
        parts = [
            _times(media["image"].value, (self.images, self.images)),
            _times(media["document_page"].value, (self.documents * pages[0], self.documents * pages[1])),
            *(_times(media[kind].value, seconds) for kind, seconds in self.clips),
            # There may be sound in a video, or none.
            *((0.0, media["audio"].value[1] * seconds[1]) for kind, seconds in self.clips if kind == "video"),
        ]
        return low + sum(part[0] for part in parts), high + sum(part[1] for part in parts)


@dataclass(slots=True)
class Counted:
    """What is in a data set."""

    rows: int = 0
    asked: Amount = field(default_factory=Amount)
    """Prompts, system instructions among them."""
    answered: Amount = field(default_factory=Amount)
    """Answers: the last turn of the model's, or both of a pair."""


def count(dataset: Any) -> Counted:
    """Count a data set that was checked before.

    Args:
        dataset: A JSONL file, or rows, of any form that `check` or a batch takes.
    """
    found = Counted()
    for row in read(dataset):
        found.rows += 1
        _row(_fields(row), found)
    return found


def texts(row: Mapping[str, Any]) -> list[str]:
    """Every text of a row, in its order."""
    found: list[str] = []

    class Listed(Amount):
        def say(self, text: str) -> None:
            found.append(text)

    _row(_fields(row), Counted(0, Listed(), Listed()))
    return found


def _fields(row: Any) -> dict[str, Any]:
    """What a row has, by name; in a batch a row may be a text, or turns."""
    if isinstance(row, str | list):
        return {"prompt": row}
    return {camel(name): value for name, value in row.items() if value is not None}


def _row(row: Mapping[str, Any], found: Counted) -> None:
    request = row.get("request")
    if isinstance(request, Mapping):  # of a batch
        row = {camel(name): value for name, value in request.items()}
    if isinstance(row.get("prompt"), list):
        row = {**row, "contents": row["prompt"]}
    elif "prompt" in row:
        found.asked.say(str(row["prompt"]))
        found.answered.say(str(row.get("completion", "")))
        return
    turns = list(_turns(row))
    last = bool(turns) and turns[-1][0] in ("model", "assistant")
    for index, (_, parts) in enumerate(turns):
        amount = found.answered if last and index == len(turns) - 1 else found.asked
        _parts(parts, amount)
    for completion in row.get("completions", ()):
        _parts(completion.get("completion", {}).get("parts", ()), found.answered)


def _turns(row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Roles and parts, the system instruction first."""
    if "messages" in row:
        for message in row["messages"]:
            content = message.get("content", "")
            yield message.get("role", ""), [{"text": content}] if isinstance(content, str) else content
        return
    if system := row.get("systemInstruction"):
        yield "system", system if isinstance(system, str) else system.get("parts", ())
    for content in row.get("contents", ()):
        yield content.get("role") or "user", content.get("parts", ())


def _parts(parts: Any, amount: Amount) -> None:
    if isinstance(parts, str):
        amount.say(parts)
        return
    for written in parts:
        part = {camel(name): value for name, value in written.items()}
        if isinstance(part.get("text"), str):
            amount.say(part["text"])
        elif file := part.get("fileData") or part.get("inlineData"):
            _file(
                {camel(name): value for name, value in file.items()}, part.get("videoMetadata") or {}, amount
            )
        elif "imageUrl" in part:
            amount.images += 1
        else:
            amount.say(str(part))


def _file(file: Mapping[str, Any], clip: Mapping[str, Any], amount: Amount) -> None:
    kind = _KINDS.get(str(file.get("mimeType", "")).partition("/")[0], "document")
    if kind == "image":
        amount.images += 1
    elif kind == "document":
        amount.documents += 1
    else:
        amount.clips.append((kind, _seconds(kind, clip)))


def _seconds(kind: str, clip: Mapping[str, Any]) -> Range:
    """How long a clip is: as far as is said, else what is assumed."""
    given = {camel(name): _SECONDS.fullmatch(str(value)) for name, value in clip.items()}
    start, end = given.get("startOffset"), given.get("endOffset")
    begin = float(start[1]) if start else 0.0
    if end:
        return (float(end[1]) - begin,) * 2
    least, most = catalog.assumed()[f"{kind}_seconds"].value
    return float(least), max(float(least), most - begin)


def _times(each: Range, many: Range) -> Range:
    return each[0] * many[0], each[1] * many[1]
