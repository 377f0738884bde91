"""The snapshot in memory: a file is read when its version is first asked for, a message unfolds when met."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "snapshot"
VERSIONS = ("v1", "v1beta1", "storage")


@dataclass(slots=True)
class Enum:
    """An enum: its values and, where Google publishes them, their numbers."""

    type: str
    """`google.cloud.aiplatform.v1.JobState`."""

    names: frozenset[str]

    numbers: dict[int, str]


@dataclass(slots=True)
class Field:
    """One field of a message."""

    name: str
    """In camelCase, the canonical spelling."""

    kind: str
    """`message`, `enum`, `Any`, or a scalar: string, bool, int32, int64, double, bytes, timestamp, any..."""

    repeated: bool = False
    map: bool = False
    readonly: bool = False
    extra: bool = False
    """Sent by Google's clients, missing in Google's documents."""

    url: bool = False
    """Part of a request's path; a body may repeat it, and nothing is made of it."""

    message: str = ""
    """Name of the message, where `kind` is `message`."""

    entry: str = ""
    """Type of an entry, where this is a map: `google.cloud.aiplatform.v1.TuningJob.LabelsEntry`."""

    enum: Enum | None = None
    oneof: str = ""


@dataclass(slots=True)
class Message:
    """One message."""

    name: str
    type: str
    """`google.cloud.aiplatform.v1.TuningJob`."""

    fields: dict[str, Field]
    """By camelCase name."""

    spellings: dict[str, Field]
    """By every name that a client may use: camelCase and snake_case."""

    plan: dict[str, Any] = field(default_factory=dict)
    """How to render it; filled by `render.py`."""


class Schema:
    """The messages of one API version."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.storage = name == "storage"
        snapshot = json.loads((FOLDER / f"{name}.json").read_bytes())
        self.source: dict[str, str] = snapshot["source"]
        self._enums: dict[str, Enum] = {}
        self._enum_tables: dict[str, dict[str, int | None]] = snapshot["enums"]
        self._tables: dict[str, dict[str, Any]] = snapshot["messages"]
        self._messages: dict[str, Message] = {}

    def __contains__(self, message: str) -> bool:
        return message in self._tables

    def names(self) -> list[str]:
        """All messages, sorted."""
        return sorted(self._tables)

    def message(self, name: str) -> Message:
        """A message by its bare name."""
        found = self._messages.get(name)
        if found is None:
            found = self._messages[name] = self._unfold(name)
        return found

    def _unfold(self, name: str) -> Message:
        table = self._tables[name]
        kind = self._type(table.get("type", name))
        fields = {key: self._field(kind, key, code) for key, code in table["fields"].items()}
        for oneof, members in table.get("oneofs", {}).items():
            for member in members:
                fields[member].oneof = oneof
        spellings = fields | {snake(key): one for key, one in fields.items()}
        return Message(name, kind, fields, spellings)

    def _field(self, owner: str, name: str, code: str) -> Field:
        words = code.split()
        made = Field(name, "")
        if words[0] == "repeated":
            made.repeated = bool(words.pop(0))
        elif words[0] == "map":
            made.map = bool(words.pop(0))
            made.entry = f"{owner}.{name[0].upper()}{name[1:]}Entry"
        for flag in words[1:]:
            if flag in ("readonly", "extra", "url"):
                setattr(made, flag, True)
        if words[0] == "enum":
            made.kind, made.enum = "enum", self._enum(words[1])
        elif words[0][0].isupper() and words[0] != "Any":
            made.kind, made.message = "message", words[0]
        else:
            made.kind = words[0]
        return made

    def _enum(self, title: str) -> Enum:
        found = self._enums.get(title)
        if found is None:
            table = self._enum_tables[title]
            numbers = {number: name for name, number in table.items() if number is not None}
            found = self._enums[title] = Enum(self._type(title), frozenset(table), numbers)
        return found

    def _type(self, name: str) -> str:
        return (
            name
            if name.startswith("google.") or self.storage
            else f"google.cloud.aiplatform.{self.name}.{name}"
        )


@dataclass(frozen=True, slots=True)
class Method:
    """A method as Google documents it."""

    verb: str
    path: str
    """After the version: `{+parent}/tuningJobs`."""
    request: str | None
    response: str | None
    pattern: str | None
    """What the path's own variable must match."""
    query: list[str]


@functools.cache
def schema(version: str) -> Schema:
    """The schema of a version, read once."""
    return Schema(version)


def methods(version: str) -> dict[str, Method]:
    """The documented methods of a version, by id."""
    table = json.loads((FOLDER / f"{version}.json").read_bytes())["methods"]
    return {key: Method(*row) for key, row in table.items()}


@functools.cache
def resource_names(version: str) -> dict[str, list[str]]:
    """What the names of resources look like, by message: the patterns of the methods that get one."""
    found: dict[str, list[str]] = {}
    for key, method in methods(version).items():
        if key.endswith(".get") and method.response and method.pattern:
            found.setdefault(method.response, []).append(method.pattern)
    # Some methods have a short form for callers without a project; an answer always has the full name.
    return {
        message: [one for one in patterns if one.startswith("^projects")] or patterns
        for message, patterns in found.items()
    }


_WORD = re.compile(r"(?<=[a-z0-9])([A-Z])|(?<=[A-Z])([A-Z])(?=[a-z])")


@functools.cache
def snake(name: str) -> str:
    """`kmsKeyName` -> `kms_key_name`."""
    return _WORD.sub(r"_\1\2", name).lower()
