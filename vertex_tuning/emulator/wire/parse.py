"""A client's JSON, read leniently and kept canonically; every fault is reported at once, in Google's words.

The rules are those of protobuf's JSON reader as Google's front end runs it: both spellings of a name, enum
names or numbers, numbers as text, one value where a list is due, no nulls, at most one member of a oneof.
"""

from __future__ import annotations

import logging
from typing import Any

from vertex_tuning.emulator.status import ApiError, Code
from vertex_tuning.emulator.wire.schema import Field, Message, Schema, snake
from vertex_tuning.emulator.wire.values import (
    MAX_DEPTH,
    READERS,
    WELL_KNOWN,
    Bad,
    read_any,
    read_enum,
    read_typed,
    shown,
)

log = logging.getLogger(__name__)

_RECEIVED = "Invalid JSON payload received."
_MAX_FAULTS = 100


def parse(
    schema: Schema,
    name: str,
    data: object,
    *,
    root: str | None = None,
    output_only: bool = False,
    noted: list[str] | None = None,
) -> dict[str, Any]:
    """A body as canonical ProtoJSON; see `Wire.parse`."""
    if root is None:
        root = "" if schema.storage or name.endswith("Request") else snake(name)
    reader = _Reader(schema, output_only)
    if isinstance(data, dict):
        parsed = reader.message(schema.message(name), data, root, 1)
    else:
        reader.unknown("", root, "Root element must be a message.")
        parsed = {}
    if reader.faults:
        raise _refusal(reader.faults)
    for path in reader.extras:
        log.info("%s: a field that Google's clients send and its documents lack", path)
    if noted is not None:
        noted.extend(reader.extras)
    return parsed


def _refusal(faults: list[tuple[str, str]]) -> ApiError:
    violations = [
        {"field": path, "description": text} if path else {"description": text} for path, text in faults
    ]
    return ApiError(
        Code.INVALID_ARGUMENT,
        "\n".join(text for _, text in faults),
        details=[{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations}],
    )


class _Reader:
    """One body being read."""

    def __init__(self, schema: Schema, output_only: bool) -> None:
        self.schema = schema
        self.output_only = output_only
        self.faults: list[tuple[str, str]] = []
        self.extras: list[str] = []

    # Faults

    def fault(self, path: str, text: str) -> None:
        """Note a fault; of a body with thousands the first hundred are enough."""
        if len(self.faults) < _MAX_FAULTS:
            self.faults.append((path, text))

    def unknown(self, name: str, path: str, why: str) -> None:
        """A name that cannot stand where it stands."""
        where = f" at '{path}'" if path else ""
        self.fault(path, f'{_RECEIVED} Unknown name "{_cut(name)}"{where}: {why}')

    def invalid(self, path: str, kind: str, text: str) -> None:
        """A value that cannot stand where it stands."""
        where = f" at '{path}'" if path else ""
        self.fault(path, f"Invalid value{where} ({kind}), {text}")

    # Structure

    def message(self, message: Message, data: dict[str, Any], path: str, depth: int) -> dict[str, Any]:
        """The members of an object, each by the rule of its field."""
        read: dict[str, Any] = {}
        oneofs: dict[str, str] = {}
        ignored: list[str] = []
        for key, value in data.items():
            field = message.spellings.get(key)
            if field is None:
                if not self.schema.storage:  # Cloud Storage's JSON API passes over what it does not know.
                    self.unknown(key, path, "Cannot find field.")
                continue
            if value is None and (field.kind != "any" or field.map or field.repeated):
                if self.schema.storage:  # There a null means: remove this.
                    read[field.name] = None
                continue
            if field.oneof and oneofs.setdefault(field.oneof, key) != key:
                self.invalid(path, "oneof", f"oneof field '{field.oneof}' is already set. Cannot set '{key}'")
                continue
            if field.name in read:
                text = f"'{key}' has already been set (either directly or as part of a oneof)"
                self.invalid(_join(path, field.name), _type(self.schema, field), text)
                continue
            if field.extra:
                self.extras.append(_join(path, field.name))
            if field.url or (field.readonly and not self.output_only and not self.schema.storage):
                ignored.append(field.name)
            read[field.name] = self.field(field, value, key, path, depth)
        for name in ignored:
            del read[name]
        return read

    def field(self, field: Field, value: Any, key: str, path: str, depth: int) -> Any:
        """One field, whatever its shape."""
        here = _join(path, field.name)
        if field.map:
            return self.map(field, value, key, path, depth)
        if not field.repeated:
            if isinstance(value, list) and field.kind != "any":
                self.unknown(key, path, "Proto field is not repeating, cannot start list.")
                return None
            return self.value(field, value, path, here, depth)
        if not isinstance(value, list):
            # One value where a list is due: protobuf's reader takes it, and Google's own samples use it.
            return [self.value(field, value, path, here, depth)]
        return [
            self.value(field, one, path, f"{here}[{index}]", depth)
            for index, one in enumerate(value)
            if one is not None or field.kind == "any"
        ]

    def map(self, field: Field, value: Any, key: str, path: str, depth: int) -> dict[str, Any]:
        """A map: protobuf counts its entries, and so do the paths of its faults."""
        here = _join(path, field.name)
        if isinstance(value, list):
            self.invalid(path, "Map", f"Cannot bind a list to map for field '{key}'.")
            return {}
        if not isinstance(value, dict):
            kind = "google.protobuf.Struct" if field.kind == "any" else field.entry
            self.invalid(here, f"type.googleapis.com/{kind}", shown(value))
            return {}
        read: dict[str, Any] = {}
        for index, (name, one) in enumerate(value.items()):
            entry = f"{here}[{index}]"
            if one is None and field.kind != "any":
                if self.schema.storage:
                    read[name] = None
                continue
            known = self.value(_KEY, name, entry, f"{entry}.key", depth)
            read[known] = self.value(field, one, entry, f"{entry}.value", depth)
        return read

    def value(self, field: Field, value: Any, path: str, here: str, depth: int) -> Any:
        """One value of a field, of a list or of a map."""
        try:
            if field.kind == "message":
                return self.nested(field, value, here, depth)
            if field.kind == "any":
                return read_any(value, depth)
            if field.kind == "Any":
                return read_typed(value, depth)
            if isinstance(value, (dict, list)):
                self.invalid(path, snake(field.name), "Starting an object on a scalar field")
                return None
            if field.enum is not None:
                return read_enum(field.enum, value)
            return READERS[field.kind](value)
        except Bad as bad:
            text = str(bad)
            if field.kind in ("timestamp", "duration"):
                text = f"Field '{field.name}', {text}"
            self.invalid(here, _type(self.schema, field), text)
            return None

    def nested(self, field: Field, value: Any, here: str, depth: int) -> Any:
        """A message in a message."""
        if depth >= MAX_DEPTH:
            text = f"Message too deep. Max recursion depth reached for key '{field.name}'"
            self.fault(here, f"{_RECEIVED} {text}")
            return {}
        if not isinstance(value, dict):
            raise Bad(shown(value))
        return self.message(self.schema.message(field.message), value, here, depth + 1)


_KEY = Field("key", "string")


def _type(schema: Schema, field: Field) -> str:
    """How Google's messages name the type of a value."""
    if field.kind == "message":
        return f"type.googleapis.com/{schema.message(field.message).type}"
    if field.enum is not None:
        return f"type.googleapis.com/{field.enum.type}"
    if field.kind in WELL_KNOWN:
        return f"type.googleapis.com/{WELL_KNOWN[field.kind]}"
    return f"TYPE_{field.kind.upper()}"


def _join(path: str, name: str) -> str:
    return f"{path}.{snake(name)}" if path else snake(name)


def _cut(name: str) -> str:
    return name if len(name) <= 200 else name[:200] + "..."
