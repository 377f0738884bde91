"""Rows to check."""

from __future__ import annotations

from typing import Any

GEMINI = "gemini-2.5-flash"
OPEN = "meta/llama3_1@llama-3.1-8b"

Row = dict[str, Any]


def turn(role: str, *texts: Any) -> Row:
    return {"role": role, "parts": [{"text": text} for text in texts]}


def row(question: Any = "Opposite of hot?", answer: Any = "cold", **more: Any) -> Row:
    return {"contents": [turn("user", question), turn("model", answer)], **more}


def chat(*messages: tuple[str, Any], **more: Any) -> Row:
    return {"messages": [{"role": role, "content": content} for role, content in messages], **more}


def rows(count: int, tag: str = "") -> list[Row]:
    return [row(f"Number {number}{tag}?", f"It is {number}.") for number in range(count)]


def part(**fields: Any) -> Row:
    """A row whose question is this part."""
    return {"contents": [{"role": "user", "parts": [fields]}, turn("model", "cold")]}
