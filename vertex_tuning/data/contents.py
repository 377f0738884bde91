"""A turn in GenerateContent form: a role, and parts. What every form that is made of such turns shares.

The quick reader is a typed decoder that takes plain text; the thorough one walks a turn and names everything that is wrong.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from vertex_tuning.data.words import Note, at, kind_of, quoted

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
_MEDIA = ("inlineData", "fileData")
_CONTENT_FIELDS = ("role", "parts")
_URI = re.compile(r"(?:gs://[^/]+/.+|https://.+)")


class Figures(msgspec.Struct, gc=False):
    """What is counted of a row."""

    turns: int = 0
    characters: int = 0
    answer: str = ""
    media: bool = False
    """Whether it holds something other than text."""
    mark: int = 0
    """The same for rows that say the same; 0: by its line."""


# Quick


class Part(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A part that is text."""

    text: str


class Content(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A turn."""

    role: Literal["user", "model"]
    parts: list[Part]


class System(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A system instruction; its role says nothing."""

    parts: list[Part]
    role: str = ""


class PromptRow(msgspec.Struct, forbid_unknown_fields=True, gc=False, kw_only=True):
    """What is asked: the beginning of a row whose answer stands elsewhere, or nowhere."""

    contents: list[Content]
    systemInstruction: System | None = None
    system_instruction: System | None = None


def told_in_prompt(row: PromptRow) -> list[str] | None:
    """The texts of what is asked, the system instruction first (empty where there is none); None where it is not right."""
    contents, system = row.contents, row.systemInstruction
    if not contents or contents[-1].role != "user" or contents[0].role != "user":
        return None
    if system is None:
        system = row.system_instruction
    elif row.system_instruction is not None:
        return None
    said = [told_by(content) for content in contents]
    instruction = "" if system is None else joined(system.parts)
    if not all(said) or (system is not None and not instruction):
        return None
    return [instruction, *said]


def told_by(content: Content) -> str:
    """The text of a turn; empty where any of its parts is."""
    parts = content.parts
    return parts[0].text if len(parts) == 1 else joined(parts)


def joined(parts: list[Part]) -> str:
    """The text of the parts; empty where any of them is."""
    texts = [part.text for part in parts]
    return "".join(texts) if all(texts) else ""


# Thorough


class Told:
    """What the turns of a row hold."""

    def __init__(self) -> None:
        self.characters = 0
        self.media = False
        self.last: list[str] = []
        """Texts of the turn that is being walked."""


def walk_content(content: Any, path: str, note: Note, told: Told, *, roles: tuple[str, ...] | None) -> None:
    """Note everything that is wrong with a turn; None: its role may be any."""
    if not isinstance(content, dict):
        fix = '{"role": "user", "parts": [{"text": "..."}]}'
        note("VT207", path, f"{kind_of(content)}, not an object", fix=fix)
        return
    content = given(content)
    for name in content:
        if name not in _CONTENT_FIELDS:
            fix = (
                'a text goes into parts: "parts": [{"text": "..."}]'
                if name in ("content", "text")
                else "role and parts"
            )
            note("VT205", at(path, name), f"a content has no field {quoted(name)}", fix=fix)
    role = role_of(content)
    if roles is not None and role not in roles:
        fix = {"assistant": 'write "model"', "system": "put it into systemInstruction"}.get(
            str(role), '"user" or "model"'
        )
        note("VT203", f"{path}.role", quoted(role), why='A turn\'s role must be "user" or "model".', fix=fix)
    parts = content.get("parts")
    if not isinstance(parts, list) or not parts:
        if "content" not in content and "text" not in content:
            what = "there are no parts" if not parts else f"{kind_of(parts)}, not a list"
            note("VT210", f"{path}.parts", what, fix='[{"text": "..."}]')
        return
    for index, part in enumerate(parts):
        _walk_part(part, f"{path}.parts[{index}]", note, told)


def walk_prompt(contents: Any, note: Note, told: Told, *, hinted: bool, fix: str) -> int:
    """Note everything that is wrong with contents that end with a question; how many turns there are.

    Args:
        contents: The turns.
        note: Gets the faults.
        told: Gets what is in them.
        hinted: Whether it was said already why they are missing.
        fix: What to do with an answer that stands in them.
    """
    if not isinstance(contents, list) or not contents:
        if not hinted:
            what = "contents is missing" if contents is None else f"contents is {kind_of(contents)}"
            note("VT206", "contents", what, fix='"contents": [{"role": "user", "parts": [{"text": "..."}]}]')
        return 0
    said = []
    for index, content in enumerate(contents):
        walk_content(content, f"contents[{index}]", note, told, roles=("user", "model"))
        said.append(role_of(content) if isinstance(content, dict) else "")
    if said[-1] == "model":
        what = "the last turn is the model's: it is to be the one that is answered"
        note("VT230", f"contents[{len(contents) - 1}].role", what, fix=fix)
    elif said[0] == "model":
        what = "the first turn is the model's"
        note("VT209", "contents[0].role", what, fix="begin with what the user says")
    return len(contents)


def _walk_part(part: Any, path: str, note: Note, told: Told) -> None:
    if not isinstance(part, dict):
        note("VT207", path, f"{kind_of(part)}, not an object", fix='{"text": "..."}')
        return
    part = given(part)
    fields = fields_of(part, path, note)
    kinds = [name for name in fields if name in _PART_KINDS]
    for name, written in fields.items():
        if name not in _PART_KINDS and name not in _PART_EXTRAS:
            note(
                "VT205",
                at(path, written),
                f"a part has no field {quoted(written)}",
                fix=f"one of: {', '.join(_PART_KINDS[:5])}",
            )
    if len(kinds) != 1:
        what = f"a part is one thing, this one is {' and '.join(kinds)}" if kinds else "the part is empty"
        note("VT211", path, what, fix='one of text, fileData, functionCall...: {"text": "..."}')
        return
    kind, written = kinds[0], fields[kinds[0]]
    value, path = part[written], f"{path}.{written}"
    told.media |= kind in _MEDIA
    if kind == "text":
        if not isinstance(value, str):
            note("VT207", path, f"{kind_of(value)}, not a string", fix='put it in quotes: "..."')
            return
        told.characters += len(value)
        told.last.append(value)
        if not value:
            note("VT212", path, "the text is empty", fix="write it, or drop the part")
    elif not isinstance(value, dict):
        note("VT207", path, f"{kind_of(value)}, not an object", fix="{...}")
    elif kind == "fileData":
        _walk_file(given(value), path, note)


def _walk_file(value: dict[str, Any], path: str, note: Note) -> None:
    fields = fields_of(value, path, note)
    uri = value.get(fields.get("fileUri", ""))
    if not isinstance(uri, str) or not _URI.fullmatch(uri):
        what = "the URI of the file is missing" if uri is None else f"{quoted(uri)} is not a file's URI"
        place = at(path, fields.get("fileUri", "fileUri"))
        note("VT219", place, what, fix="gs://bucket/file or https://...")
    mime = value.get(fields.get("mimeType", ""))
    if not isinstance(mime, str) or not mime:
        what = "the type of the file is missing" if not mime else f"{kind_of(mime)}, not a type"
        place = at(path, fields.get("mimeType", "mimeType"))
        note("VT219", place, what, fix='"mimeType": "image/png"')


# Names


def fields_of(value: dict[str, Any], path: str, note: Note) -> dict[str, str]:
    """Names in camelCase, and how each is written; one that stands there in both ways is noted."""
    fields: dict[str, str] = {}
    for written in value:
        name = camel(written)
        if name in fields:
            note("VT205", at(path, written), f"the same field as {fields[name]}", fix="write it once")
        fields[name] = written
    return fields


def given(value: dict[str, Any]) -> dict[str, Any]:
    """Without what is null: that was left out."""
    if None not in value.values():
        return value
    return {name: member for name, member in value.items() if member is not None}


def role_of(content: dict[str, Any]) -> Any:
    """Who speaks; where it is not said, the user."""
    role = content.get("role")
    return "user" if role is None else role


def camel(name: str) -> str:
    """`system_instruction` -> `systemInstruction`."""
    if "_" not in name:
        return name
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
