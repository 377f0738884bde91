"""Rows of Vertex AI's formats as chats."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vertex_tuning.training.chat import Message

_ROLES = {"user": "user", "model": "assistant", "assistant": "assistant", "system": "system", "": "user"}


class CannotSeeError(ValueError):
    """A row holds something other than text."""


def read(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows of a JSONL file with their line numbers, from 1; empty lines are passed over.

    Raises:
        ValueError: A line is not a JSON object; with its number.
    """
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise ValueError(f"line {number} is not JSON: {error}") from error
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is not a JSON object")
            yield number, row


def messages(row: dict[str, Any]) -> list[Message]:
    """A row as a chat: GenerateContent form, `messages`, or `prompt` and `completion`.

    Raises:
        CannotSeeError: A part is not text.
        ValueError: The row has none of the forms.
    """
    if row.get("contents") is not None:
        system = row.get("systemInstruction") or row.get("system_instruction")
        chat = [{"role": "system", "content": _text(system)}] if system else []
        return chat + [
            {"role": _role(content.get("role") or "user"), "content": _text(content)}
            for content in row["contents"]
        ]
    if row.get("messages") is not None:
        return [
            {"role": _role(turn["role"]), "content": _plain(turn.get("content"))} for turn in row["messages"]
        ]
    if "prompt" in row and "completion" in row:
        return [
            {"role": "user", "content": _plain(row["prompt"])},
            {"role": "assistant", "content": _plain(row["completion"])},
        ]
    raise ValueError("the row has neither contents, nor messages, nor prompt and completion")


def preference(row: dict[str, Any]) -> tuple[list[Message], tuple[str, str]]:
    """A row of a preference set: what was asked, and the two answers, the preferred one first.

    Raises:
        CannotSeeError: A part is not text.
        ValueError: There are not two answers of different scores.
    """
    ranked = sorted(row["completions"], key=lambda completion: -completion["score"])
    if len(ranked) != 2 or ranked[0]["score"] == ranked[1]["score"]:
        raise ValueError("a row has two completions, one preferred to the other")
    preferred, other = (_text(completion["completion"]) for completion in ranked)
    return messages(row), (preferred, other)


def _role(name: str) -> str:
    if name not in _ROLES:
        raise ValueError(f'"{name}" is not a role')
    return _ROLES[name]


def _text(content: dict[str, Any]) -> str:
    texts = []
    for part in content.get("parts") or ():
        if part.get("text") is None:
            kind = ", ".join(name for name, value in part.items() if value is not None) or "an empty part"
            raise CannotSeeError(f"{kind}: the stand-in reads text only")
        texts.append(part["text"])
    return "".join(texts)


def _plain(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(
        isinstance(part, dict) and part.get("type") == "text" for part in content
    ):
        return "".join(part["text"] for part in content)
    raise CannotSeeError("a content that is not text: the stand-in reads text only")
