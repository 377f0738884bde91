"""What a row of a set for supervised tuning may look like, by form.

Each form has two readers. The quick one is a typed decoder: it takes what is right and plain text, which is nearly every row of
nearly every set. A row that it does not take goes to the thorough one, which walks it and names everything that is wrong. What
the quick one takes, the thorough one finds no fault in, and counts the same.

A field that is null is one that was left out, as everywhere in Google's JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from vertex_tuning.data.contents import (
    Content,
    Figures,
    System,
    Told,
    fields_of,
    given,
    joined,
    role_of,
    told_by,
    walk_content,
)
from vertex_tuning.data.words import Note, at, kind_of, quoted

CONTENTS = "contents"
MESSAGES = "messages"
COMPLETION = "prompt/completion"

_CONVERT = "vertex-tuning data convert FILE --method supervised"
ROW_FIELDS = ("contents", "systemInstruction", "tools", "toolConfig", "labels", "generationConfig")
_MESSAGE_FIELDS = ("role", "content", "name", "tool_calls", "tool_call_id")
_IMAGE_URI = re.compile(r"(?:gs://[^/]+/.+|https://.+|data:image/.+)", re.DOTALL)

_PREFERENCE = "this is a preference set: it has another form, and belongs to preference tuning"
_PREFERRED = f"{_PREFERENCE}: vertex-tuning data convert FILE --method preference"
_HINTS = {
    "messages": f"these are OpenAI's: {_CONVERT}",
    "prompt": _CONVERT,
    "input_text": f"this is the old text-bison form: {_CONVERT}",
    "conversations": _CONVERT,
    "instruction": _CONVERT,
    "chosen": _PREFERRED,
    "rejected": _PREFERRED,
    "preferred_output": _PREFERRED,
    "completions": _PREFERENCE,
}
_COMPANIONS = {
    "completion": "prompt",
    "output_text": "input_text",
    "output": "instruction",
    "rejected": "chosen",
    "non_preferred_output": "preferred_output",
}
"""Fields of other forms that go without saying once their companion was named."""


# Quick


class ContentsRow(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """GenerateContent form."""

    contents: list[Content]
    systemInstruction: System | None = None
    system_instruction: System | None = None


class _Message(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    role: Literal["system", "user", "assistant"]
    content: str


class MessagesRow(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """OpenAI's form, for open models."""

    messages: list[_Message]


class CompletionRow(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Prompt and completion, for open models."""

    prompt: str
    completion: str


READERS: dict[str, Any] = {
    CONTENTS: msgspec.json.Decoder(ContentsRow),
    MESSAGES: msgspec.json.Decoder(MessagesRow),
    COMPLETION: msgspec.json.Decoder(CompletionRow),
}
"""The quick readers, by form."""


def figures(row: ContentsRow | MessagesRow | CompletionRow) -> Figures | None:
    """The figures of a row that the quick reader took; None where it is not right after all."""
    if isinstance(row, ContentsRow):
        return _contents_figures(row)
    if isinstance(row, CompletionRow):
        prompt, completion = row.prompt, row.completion
        if not prompt.strip() or not completion.strip():
            return None
        return Figures(2, len(prompt) + len(completion), completion, mark=hash((prompt, completion)))
    messages = row.messages
    if not messages or messages[-1].role != "assistant":
        return None
    words: list[str] = []
    for message in messages:
        if not message.content.strip():
            return None
        words += (message.role, message.content)
    if "user" not in words[::2]:
        return None
    return Figures(len(messages), sum(map(len, words[1::2])), words[-1], mark=hash(tuple(words)))


def _contents_figures(row: ContentsRow) -> Figures | None:
    contents = row.contents
    if len(contents) < 2 or contents[-1].role != "model" or contents[0].role != "user":
        return None
    system = row.systemInstruction
    if system is None:
        system = row.system_instruction
    elif row.system_instruction is not None:
        return None
    said: list[str | None] = [None]
    characters = 0
    if system is not None:
        said[0] = text = joined(system.parts)
        if not text:
            return None
        characters = len(text)
    for content in contents:
        text = told_by(content)
        if not text:
            return None
        characters += len(text)
        said.append(text)
    if not text.strip():
        return None
    return Figures(len(contents), characters, text, False, hash(tuple(said)))


# Thorough


def form_of(row: dict[str, Any], *, open_model: bool) -> str:
    """Which form a row has, or is meant to have; without a row, the usual one."""
    if open_model and row.get("messages") is not None:
        return MESSAGES
    if open_model and row.get("contents") is None and ("prompt" in row or "completion" in row):
        return COMPLETION
    return CONTENTS


def walk(row: dict[str, Any], form: str, note: Note, *, open_model: bool) -> Figures:
    """Note everything that is wrong with a row; what can be counted of it is counted."""
    row = given(row)
    if form == MESSAGES:
        return _walk_messages(row, note)
    if form == COMPLETION:
        return _walk_completion(row, note)
    return _walk_contents(row, note, open_model=open_model)


def _walk_contents(row: dict[str, Any], note: Note, *, open_model: bool) -> Figures:
    fields = fields_of(row, "", note)
    for name, written in fields.items():
        if name in ROW_FIELDS or _COMPANIONS.get(written) in row:
            continue
        hint = _HINTS.get(_COMPANIONS.get(written, written))
        note(
            "VT218" if hint else "VT205",
            at("", written),
            f"a row has no field {quoted(written)}",
            fix=hint or f"a row has: {', '.join(ROW_FIELDS[:3])}",
        )
    _walk_extras(row, fields, note)
    told = Told()
    if "systemInstruction" in fields:
        written = fields["systemInstruction"]
        walk_content(row[written], written, note, told, roles=None)
    contents = row.get("contents")
    if not isinstance(contents, list) or not contents:
        if not any(name in _HINTS or name in _COMPANIONS for name in row):
            what = "contents is missing" if contents is None else f"contents is {kind_of(contents)}"
            note("VT206", "contents", what, fix='"contents": [{"role": "user", ...}, {"role": "model", ...}]')
        return Figures(0, told.characters, media=told.media)
    roles = ("user", "model", "assistant") if open_model else ("user", "model")
    said: list[Any] = []
    for index, content in enumerate(contents):
        told.last = []
        walk_content(content, f"contents[{index}]", note, told, roles=roles)
        said.append(role_of(content) if isinstance(content, dict) else "")
    _walk_order(said, len(contents), note)
    answer = "".join(told.last)
    # Texts that are wholly empty are noted one by one.
    if said[-1] in ("model", "assistant") and answer and not answer.strip():
        note(
            "VT212",
            f"contents[{len(contents) - 1}].parts",
            "the answer is empty",
            fix="write the answer, or drop the row",
        )
    return Figures(len(contents), told.characters, answer, told.media)


def _walk_order(said: list[Any], turns: int, note: Note) -> None:
    if said[-1] == "user":
        note(
            "VT208",
            f"contents[{turns - 1}].role",
            "the last turn is the user's: there is no answer to learn",
            fix="end the row with the answer, as a model turn",
        )
    elif all(role in ("model", "assistant") for role in said):  # another role may be meant for the user's
        note("VT209", "contents", "there is no user turn", fix="begin the row with what the user says")
    elif said[0] in ("model", "assistant"):
        note(
            "VT209",
            "contents[0].role",
            "the first turn is the model's",
            fix="begin the row with what the user says",
        )


def _walk_extras(row: dict[str, Any], fields: dict[str, str], note: Note) -> None:
    for name in ("toolConfig", "labels", "generationConfig"):
        if name in fields and not isinstance(value := row[fields[name]], dict):
            note("VT207", fields[name], f"{kind_of(value)}, not an object", fix="{...}, or leave it out")
    if "tools" not in fields:
        return
    if not isinstance(tools := row[fields["tools"]], list):
        note("VT207", "tools", f"{kind_of(tools)}, not a list", fix='[{"functionDeclarations": [...]}]')
        return
    for index, tool in enumerate(tools):
        if not isinstance(tool, dict):
            fix = '{"functionDeclarations": [...]}'
            note("VT207", f"tools[{index}]", f"{kind_of(tool)}, not an object", fix=fix)


def _walk_messages(row: dict[str, Any], note: Note) -> Figures:
    _walk_names(row, ("messages", "tools"), note, "messages")
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages:
        what = "there are no messages" if not messages else f"messages is {kind_of(messages)}"
        note("VT206", "messages", what, fix='[{"role": "user", "content": "..."}, ...]')
        return Figures()
    told = Told()
    said: list[Any] = []
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        told.last = []
        if not isinstance(message, dict):
            note(
                "VT207", path, f"{kind_of(message)}, not an object", fix='{"role": "user", "content": "..."}'
            )
            said.append("")
            continue
        message = given(message)
        for name in message:
            if name not in _MESSAGE_FIELDS:
                note(
                    "VT205",
                    at(path, name),
                    f"a message has no field {quoted(name)}",
                    fix="role and content",
                )
        role = message.get("role")
        said.append(role)
        if role not in ("system", "user", "assistant"):
            what = "there is no role" if role is None else quoted(role)
            note("VT203", f"{path}.role", what, fix='"system", "user" or "assistant"')
        if "content" in message or "tool_calls" not in message:
            _walk_message(message.get("content"), f"{path}.content", note, told)
    if said[-1] in ("system", "user"):
        note(
            "VT208",
            f"messages[{len(messages) - 1}].role",
            "the last message is not the assistant's: there is no answer to learn",
            fix="end the row with the answer, as a message of the assistant",
        )
    elif all(role in ("system", "assistant") for role in said):
        note(
            "VT209",
            "messages",
            "there is no message of the user",
            fix="begin the row with what the user says",
        )
    return Figures(len(messages), told.characters, "".join(told.last), told.media)


def _walk_message(content: Any, path: str, note: Note, told: Told) -> None:
    if isinstance(content, str):
        told.characters += len(content)
        told.last.append(content)
        if not content.strip():
            note("VT212", path, "the text is empty", fix="write it, or drop the row")
    elif not isinstance(content, list):
        note("VT207", path, f"{kind_of(content)}, not a text", fix='put it in quotes: "..."')
    elif not content:
        note("VT212", path, "there is nothing in it", fix="write it, or drop the row")
    else:
        for index, part in enumerate(content):
            _walk_piece(part, f"{path}[{index}]", note, told)
        text = "".join(told.last)
        if len(told.last) == len(content) and text and not text.strip():
            note("VT212", path, "the text is empty", fix="write it, or drop the row")


def _walk_piece(part: Any, path: str, note: Note, told: Told) -> None:
    """A piece of a message: `{"type": "text", "text": ...}` or `{"type": "image_url", "image_url": {"url": ...}}`."""
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text":
        text = part.get("text")
        if not isinstance(text, str):
            note("VT207", f"{path}.text", f"{kind_of(text)}, not a string", fix='put it in quotes: "..."')
            return
        told.characters += len(text)
        told.last.append(text)
        if not text:
            note("VT212", f"{path}.text", "the text is empty", fix="write it, or drop the piece")
    elif kind == "image_url":
        told.media = True
        image = part.get("image_url")
        url = image.get("url") if isinstance(image, dict) else image
        if not isinstance(image, dict) or not isinstance(url, str) or not _IMAGE_URI.fullmatch(url):
            what = (
                "the URL of the image is missing" if url is None else f"{quoted(url)} is not an image's URL"
            )
            fix = '"image_url": {"url": "gs://bucket/file"}, or "data:image/png;base64,..."'
            note("VT219", f"{path}.image_url", what, fix=fix)
    else:
        fix = '{"type": "text", "text": "..."} or {"type": "image_url", "image_url": {"url": "..."}}'
        note("VT211", path, "neither a text nor an image", fix=fix)


def _walk_completion(row: dict[str, Any], note: Note) -> Figures:
    texts = {}
    for name in ("prompt", "completion"):
        value = row.get(name)
        if not isinstance(value, str):
            note("VT206" if value is None else "VT207", name, f"{name} is {kind_of(value)}", fix="a text")
            continue
        texts[name] = value
        if not value.strip():
            note("VT212", name, "the text is empty", fix="write it, or drop the row")
    _walk_names(row, ("prompt", "completion"), note, "prompt and completion")
    return Figures(2, sum(map(len, texts.values())), texts.get("completion", ""))


# Names


def _walk_names(row: dict[str, Any], known: Iterable[str], note: Note, fix: str) -> None:
    for name in row:
        if name not in known:
            note("VT205", at("", name), f"a row has no field {quoted(name)}", fix=fix)
