"""What a row may look like, by form.

Each form has two readers. The quick one is a typed decoder: it takes what is right and plain text, which is nearly every row of
nearly every set. A row that it does not take goes to the thorough one, which walks it and names everything that is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

import msgspec

Note = Callable[..., None]
"""`note(rule, path, what, *, fix="", why="")`."""

CONTENTS = "contents"
MESSAGES = "messages"
COMPLETION = "prompt/completion"

_PART_KINDS = (
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
)
_PART_EXTRAS = ("videoMetadata", "mediaResolution", "thought", "thoughtSignature")
_CONTENT_FIELDS = ("role", "parts")
_ROW_FIELDS = ("contents", "systemInstruction", "tools", "toolConfig", "labels", "generationConfig")
_URI = re.compile(r"(?:gs://[^/]+/.+|https://.+)")
_HINTS = {
    "messages": "these are OpenAI's: turn each message into a content: role user or model, parts [{text}]",
    "prompt": "turn it into contents: a user turn with the prompt, a model turn with the completion",
    "input_text": "this is the old text-bison form: a user turn with input_text, a model turn with output_text",
    "chosen": "this is a preference set: it has another form, and another kind of tuning",
    "rejected": "this is a preference set: it has another form, and another kind of tuning",
    "completions": "this is a preference set: it belongs to preference tuning",
}


# Quick


class _Part(msgspec.Struct, forbid_unknown_fields=True):
    text: str


class _Content(msgspec.Struct, forbid_unknown_fields=True):
    role: Literal["user", "model"]
    parts: list[_Part]


class _System(msgspec.Struct, forbid_unknown_fields=True):
    parts: list[_Part]
    role: str = ""


class ContentsRow(msgspec.Struct, forbid_unknown_fields=True):
    """GenerateContent form."""

    contents: list[_Content]
    systemInstruction: _System | None = None
    system_instruction: _System | None = None


class _Message(msgspec.Struct, forbid_unknown_fields=True):
    role: Literal["system", "user", "assistant"]
    content: str


class MessagesRow(msgspec.Struct, forbid_unknown_fields=True):
    """OpenAI's form, for open models."""

    messages: list[_Message]


class CompletionRow(msgspec.Struct, forbid_unknown_fields=True):
    """Prompt and completion, for open models."""

    prompt: str
    completion: str


class Figures(msgspec.Struct):
    """What is counted of a row that is right."""

    turns: int
    characters: int
    answer: str


def figures(row: ContentsRow | MessagesRow | CompletionRow) -> Figures | None:
    """The figures of a row that the quick reader took; None where it is not right after all."""
    if isinstance(row, ContentsRow):
        return _contents_figures(row)
    if isinstance(row, CompletionRow):
        if not row.prompt or not row.completion.strip():
            return None
        return Figures(2, len(row.prompt) + len(row.completion), row.completion)
    messages = row.messages
    if not messages or messages[-1].role != "assistant" or not messages[-1].content.strip():
        return None
    if not any(message.role == "user" for message in messages):
        return None
    return Figures(len(messages), sum(len(message.content) for message in messages), messages[-1].content)


def _contents_figures(row: ContentsRow) -> Figures | None:
    contents = row.contents
    if len(contents) < 2 or contents[-1].role != "model" or contents[0].role != "user":
        return None
    characters = 0
    for content in contents:
        parts = content.parts
        if len(parts) == 1:
            size = len(parts[0].text)
        else:
            size = sum(len(part.text) for part in parts)
        if not size:
            return None
        characters += size
    system = row.systemInstruction or row.system_instruction
    if system is not None:
        if (row.systemInstruction and row.system_instruction) or not system.parts:
            return None
        characters += sum(len(part.text) for part in system.parts)
    answer = contents[-1].parts[-1].text
    return Figures(len(contents), characters, answer) if answer.strip() else None


# Thorough


def form_of(row: dict[str, Any], *, open_model: bool) -> str:
    """Which form a row has, or is meant to have."""
    if open_model and "messages" in row:
        return MESSAGES
    if open_model and ("prompt" in row or "completion" in row):
        return COMPLETION
    return CONTENTS


def walk(row: Any, form: str, note: Note, *, open_model: bool) -> Figures:
    """Note everything that is wrong with a row; what can be counted of it is counted."""
    if not isinstance(row, dict):
        note("VT224", "", f"the row is {_kind(row)}, not an object", fix='{"contents": [...]}')
        return Figures(0, 0, "")
    if form == MESSAGES:
        return _walk_messages(row, note)
    if form == COMPLETION:
        return _walk_completion(row, note)
    return _walk_contents(row, note, open_model=open_model)


def _walk_contents(row: dict[str, Any], note: Note, *, open_model: bool) -> Figures:
    fields = {_camel(name): name for name in row}
    for name, written in fields.items():
        if name not in _ROW_FIELDS:
            note(
                "VT218" if written in _HINTS else "VT205",
                written,
                f'a row has no field "{written}"',
                fix=_HINTS.get(written, f"a row has: {', '.join(_ROW_FIELDS[:3])}"),
            )
    texts: list[str] = []
    if "systemInstruction" in fields:
        written = fields["systemInstruction"]
        _walk_content(row[written], written, note, texts, roles=None)
    contents = row.get("contents")
    if not isinstance(contents, list) or not contents:
        if not any(name in _HINTS for name in row):
            what = "contents is missing" if contents is None else f"contents is {_kind(contents)}"
            note("VT206", "contents", what, fix='"contents": [{"role": "user", ...}, {"role": "model", ...}]')
        return Figures(0, sum(map(len, texts)), "")
    roles = ("user", "model", "assistant") if open_model else ("user", "model")
    last: list[str] = []
    for index, content in enumerate(contents):
        last = []
        _walk_content(content, f"contents[{index}]", note, last, roles=roles)
        texts += last
    said = [content.get("role", "user") if isinstance(content, dict) else "" for content in contents]
    if said[-1] == "user":
        note(
            "VT208",
            f"contents[{len(contents) - 1}].role",
            "the last turn is the user's: there is no answer to learn",
            fix="end the row with the answer, as a model turn",
        )
    elif not any(role == "user" for role in said):
        note("VT209", "contents", "there is no user turn", fix="begin the row with what the user says")
    elif said[0] in ("model", "assistant"):
        note(
            "VT209",
            "contents[0].role",
            "the first turn is the model's",
            fix="begin the row with what the user says",
        )
    answer = "".join(last)
    if said[-1] in ("model", "assistant") and last and not answer.strip():
        note(
            "VT212",
            f"contents[{len(contents) - 1}].parts",
            "the answer is empty",
            fix="write the answer, or drop the row",
        )
    return Figures(len(contents), sum(map(len, texts)), answer)


def _walk_content(
    content: Any, path: str, note: Note, texts: list[str], *, roles: tuple[str, ...] | None
) -> None:
    if not isinstance(content, dict):
        note(
            "VT207",
            path,
            f"{_kind(content)}, not an object",
            fix='{"role": "user", "parts": [{"text": "..."}]}',
        )
        return
    for name in content:
        if name not in _CONTENT_FIELDS:
            fix = (
                'a text goes into parts: "parts": [{"text": "..."}]'
                if name in ("content", "text")
                else "role and parts"
            )
            note("VT205", f"{path}.{name}", f'a content has no field "{name}"', fix=fix)
    role = content.get("role", "user")
    if roles is not None and role not in roles:
        fix = {"assistant": 'write "model"', "system": "put it into systemInstruction"}.get(
            str(role), '"user" or "model"'
        )
        note("VT203", f"{path}.role", f'"{role}"', why='A turn\'s role must be "user" or "model".', fix=fix)
    parts = content.get("parts")
    if not isinstance(parts, list) or not parts:
        if "content" not in content and "text" not in content:
            note(
                "VT210",
                f"{path}.parts",
                "there are no parts" if not parts else f"{_kind(parts)}, not a list",
                fix='[{"text": "..."}]',
            )
        return
    for index, part in enumerate(parts):
        _walk_part(part, f"{path}.parts[{index}]", note, texts)


def _walk_part(part: Any, path: str, note: Note, texts: list[str]) -> None:
    if not isinstance(part, dict):
        note("VT207", path, f"{_kind(part)}, not an object", fix='{"text": "..."}')
        return
    fields = {_camel(name): name for name in part}
    kinds = [name for name in fields if name in _PART_KINDS]
    for name, written in fields.items():
        if name not in _PART_KINDS and name not in _PART_EXTRAS:
            note(
                "VT205",
                f"{path}.{written}",
                f'a part has no field "{written}"',
                fix=f"one of: {', '.join(_PART_KINDS[:5])}",
            )
    if len(kinds) != 1:
        what = f"a part is one thing, this one is {' and '.join(kinds)}" if kinds else "the part is empty"
        note("VT211", path, what, fix='one of text, fileData, functionCall...: {"text": "..."}')
        return
    kind, value = kinds[0], part[fields[kinds[0]]]
    if kind == "text":
        if not isinstance(value, str):
            note("VT207", f"{path}.text", f"{_kind(value)}, not a string", fix='put it in quotes: "..."')
        else:
            texts.append(value)
            if not value:
                note("VT212", f"{path}.text", "the text is empty", fix="write it, or drop the part")
    elif not isinstance(value, dict):
        note("VT207", f"{path}.{fields[kind]}", f"{_kind(value)}, not an object")
    elif kind == "fileData":
        uri = value.get("fileUri", value.get("file_uri"))
        if not isinstance(uri, str) or not _URI.fullmatch(uri):
            note(
                "VT219",
                f"{path}.{fields[kind]}.fileUri",
                f"{uri!r} is not a file's URI",
                fix="gs://bucket/file or https://...",
            )
        if not value.get("mimeType", value.get("mime_type")):
            note(
                "VT219",
                f"{path}.{fields[kind]}.mimeType",
                "the type of the file is missing",
                fix='"mimeType": "image/png"',
            )


def _walk_messages(row: dict[str, Any], note: Note) -> Figures:
    for name in row:
        if name not in ("messages", "tools"):
            note("VT205", name, f'a row has no field "{name}"', fix="messages")
    messages = row["messages"]
    if not isinstance(messages, list) or not messages:
        note("VT206", "messages", "there are no messages", fix='[{"role": "user", "content": "..."}, ...]')
        return Figures(0, 0, "")
    characters, answer, said = 0, "", []
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        if not isinstance(message, dict):
            note("VT207", path, f"{_kind(message)}, not an object")
            continue
        role, content = message.get("role"), message.get("content")
        said.append(role)
        if role not in ("system", "user", "assistant"):
            note("VT203", f"{path}.role", f'"{role}"', fix='"system", "user" or "assistant"')
        if isinstance(content, str):
            characters += len(content)
            answer = content
            if not content.strip():
                note("VT212", f"{path}.content", "the text is empty", fix="write it, or drop the row")
        elif not isinstance(content, list):
            note("VT207", f"{path}.content", f"{_kind(content)}, not a text")
        for name in message:
            if name not in ("role", "content", "name", "tool_calls", "tool_call_id"):
                note("VT205", f"{path}.{name}", f'a message has no field "{name}"', fix="role and content")
    if said and said[-1] != "assistant":
        note(
            "VT208",
            f"messages[{len(messages) - 1}].role",
            "the last message is not the assistant's: there is no answer to learn",
        )
    if "user" not in said:
        note("VT209", "messages", "there is no message of the user")
    return Figures(len(messages), characters, answer)


def _walk_completion(row: dict[str, Any], note: Note) -> Figures:
    texts = []
    for name in ("prompt", "completion"):
        value = row.get(name)
        if not isinstance(value, str):
            note("VT207" if name in row else "VT206", name, f"{name} is {_kind(value)}", fix="a text")
        elif not value.strip():
            note("VT212", name, "the text is empty", fix="write it, or drop the row")
        else:
            texts.append(value)
    for name in row:
        if name not in ("prompt", "completion"):
            note("VT205", name, f'a row has no field "{name}"', fix="prompt and completion")
    return Figures(2, sum(map(len, texts)), texts[-1] if texts else "")


def _kind(value: Any) -> str:
    if value is None:
        return "missing"
    names = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "a boolean",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), type(value).__name__) + (", and empty" if value in ([], {}, "") else "")


def _camel(name: str) -> str:
    if "_" not in name:
        return name
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
