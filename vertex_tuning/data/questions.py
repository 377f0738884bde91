"""What a row of a set for distillation may look like: what is asked. The teacher answers it.

    {"contents": [... the user's turn]}

For open models a row of their other forms will do too (`messages`, `prompt`), with an answer or without one: the teacher's takes
its place.

A quick and a thorough reader, as in `rows.py`.

Source: Google Cloud documentation, "Gemini Distillation Service", "Open model tuning" (2026-09-25); tests of
google-genai 2.34.
"""

from __future__ import annotations

from typing import Any

import msgspec

from vertex_tuning.data import rows
from vertex_tuning.data.contents import (
    Figures,
    PromptRow,
    Told,
    fields_of,
    given,
    told_in_prompt,
    walk_content,
    walk_prompt,
)
from vertex_tuning.data.words import Note, at, quoted

CONTENTS, MESSAGES, PROMPT = "contents", rows.MESSAGES, "prompt"

_CONVERT = "vertex-tuning data convert FILE --method distillation"
ROW_FIELDS = ("contents", "systemInstruction")
_ANSWER = "end contents with the user's turn: the teacher answers"
_HINTS = {
    "messages": f"these are OpenAI's: {_CONVERT}",
    "prompt": _CONVERT,
    "completion": "leave it out: the teacher answers",
    "completions": "this is a preference set: it belongs to preference tuning",
    "references": "leave them out: they belong to reinforcement tuning",
}


READERS: dict[str, Any] = {
    CONTENTS: msgspec.json.Decoder(PromptRow),
    MESSAGES: msgspec.json.Decoder(rows.MessagesRow),
    PROMPT: msgspec.json.Decoder(rows.CompletionRow),
}
"""The quick readers, by form."""


def figures(row: PromptRow | rows.MessagesRow | rows.CompletionRow) -> Figures | None:
    """The figures of a row that the quick reader took; None where it is not right after all."""
    if not isinstance(row, PromptRow):
        return rows.figures(row)
    said = told_in_prompt(row)
    return (
        None
        if said is None
        else Figures(len(row.contents), sum(map(len, said)), "", False, hash(tuple(said)))
    )


def form_of(row: dict[str, Any], *, open_model: bool) -> str:
    """Which form a row has, or is meant to have; without a row, the usual one."""
    found = rows.form_of(row, open_model=open_model)
    return PROMPT if found == rows.COMPLETION else found


def walk(row: dict[str, Any], form: str, note: Note, *, open_model: bool) -> Figures:
    """Note everything that is wrong with a row; what can be counted of it is counted."""
    row = given(row)
    if form != CONTENTS:
        return rows.walk(
            _answered(row, form), rows.COMPLETION if form == PROMPT else form, note, open_model=open_model
        )
    fields = fields_of(row, "", note)
    for name in fields:
        if name not in ROW_FIELDS:
            hint = _HINTS.get(name)
            what, fix = f"a row has no field {quoted(name)}", hint or f"a row has: {', '.join(ROW_FIELDS)}"
            note("VT218" if hint else "VT205", at("", fields[name]), what, fix=fix)
    told = Told()
    if "systemInstruction" in fields:
        written = fields["systemInstruction"]
        walk_content(row[written], written, note, told, roles=None)
    hinted = any(name in ("messages", "prompt") for name in fields)
    turns = walk_prompt(row.get("contents"), note, told, hinted=hinted, fix=_ANSWER)
    return Figures(turns, told.characters, "", told.media)


def _answered(row: dict[str, Any], form: str) -> dict[str, Any]:
    """A row whose answer was left out, as its form wants it otherwise."""
    if form == PROMPT:
        return row if row.get("completion") is not None else {**row, "completion": "-"}
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages:
        return row
    last = messages[-1]
    if isinstance(last, dict) and last.get("role") == "user":
        return {**row, "messages": [*messages, {"role": "assistant", "content": "-"}]}
    return row


# As a request


def request(row: dict[str, Any]) -> dict[str, Any]:
    """What a row that was found right asks, in GenerateContent form: `contents`, and `systemInstruction` where it has one.

    An answer that it ends with is left out.
    """
    row = given(row)
    if "contents" in row:
        system = row.get("systemInstruction", row.get("system_instruction"))
        body = {"contents": row["contents"]}
        return body if system is None else {**body, "systemInstruction": {"parts": system["parts"]}}
    if "messages" not in row:
        return {"contents": [_turn("user", row["prompt"])]}
    system, contents = [], []
    for message in row["messages"]:
        role, text = message["role"], _text(message.get("content"))
        if role == "system":
            system += [{"text": text}]
        else:
            contents.append(_turn("model" if role == "assistant" else "user", text))
    if contents[-1]["role"] == "model":
        contents.pop()
    return {"contents": contents, **({"systemInstruction": {"parts": system}} if system else {})}


def _turn(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"text": text}]}


def _text(content: Any) -> str:
    """Of a message; pieces that are not text are left out, and a stand-in could not see them."""
    if isinstance(content, str):
        return content
    return "".join(piece.get("text", "") for piece in content or () if isinstance(piece, dict))
