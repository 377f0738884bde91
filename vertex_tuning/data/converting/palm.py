"""Rows for PaLM, which Vertex AI tuned before Gemini.

    {"input_text": "...", "output_text": "..."}                                      text-bison
    {"input_text": "...", "candidate_0": "...", "candidate_1": "...", "choice": 0}   ... with two answers
    {"context": "...", "messages": [{"author": "user", "content": "..."}, ...]}      chat-bison

Source: Google Cloud documentation, "Migrate tuning from PaLM API", and that of RLHF tuning for text models (2026-11-26).
"""

from __future__ import annotations

from typing import Any

from vertex_tuning.data.converting.chat import Chat, Remarks, add
from vertex_tuning.data.converting.pieces import parts_of
from vertex_tuning.data.words import kind_of, quoted


def text(row: dict[str, Any], remarks: Remarks) -> Chat:
    """An input and an output, or two candidates and a choice."""
    made = Chat([{"role": "user", "parts": parts_of(row["input_text"], "input_text", remarks)}])
    known = ["input_text", "output_text"]
    if "candidate_0" in row or "candidate_1" in row:
        known = ["input_text", "candidate_0", "candidate_1", "choice"]
        both = [parts_of(row.get(name), name, remarks) for name in ("candidate_0", "candidate_1")]
        choice = row.get("choice")
        if choice not in (0, 1, "0", "1") or isinstance(choice, bool):
            remarks.fault(
                "VT228",
                "choice",
                f"{quoted(choice)} is no choice",
                fix="0 or 1: the candidate that is preferred",
            )
            choice = 0
        made.pair = (both[int(choice)], both[1 - int(choice)])
    elif row.get("output_text") is not None:
        add(made.turns, "model", parts_of(row["output_text"], "output_text", remarks))
    made.others = {name: value for name, value in row.items() if name not in known}
    return made


def chat(row: dict[str, Any], remarks: Remarks) -> Chat:
    """A context and messages of two authors; the first one to speak is the user."""
    made = Chat([])
    authors: list[Any] = []
    for index, message in enumerate(row["messages"]):
        path = f"messages[{index}]"
        if not isinstance(message, dict):
            remarks.fault(
                "VT207",
                path,
                f"{kind_of(message)}, not an object",
                fix='{"author": "user", "content": "..."}',
            )
            continue
        author = message.get("author")
        if author not in authors:
            authors.append(author)
        if len(authors) > 2:
            remarks.fault("VT203", f"{path}.author", f"{quoted(author)} is a third one", fix="two authors")
            continue
        parts = parts_of(message.get("content"), f"{path}.content", remarks)
        if parts and add(made.turns, "user" if author == authors[0] else "model", parts):
            remarks.note(path, "joined to the turn before, which is of the same author")
        for name in message:
            if name not in ("author", "content"):
                remarks.note(f"{path}.{name}", "left out")
    context = row.get("context")
    if isinstance(context, str):
        if context:
            made.system = [{"text": context}]
    elif context is not None:
        remarks.fault("VT207", "context", f"{kind_of(context)}, not a text", fix='"..."')
    made.others = {name: value for name, value in row.items() if name not in ("context", "messages")}
    return made
