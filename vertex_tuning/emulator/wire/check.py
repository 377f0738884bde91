"""Is this what Google would have sent? The strict reading of a response, for tests."""

from __future__ import annotations

import re
from typing import Any

from vertex_tuning.emulator.wire.schema import Field, Message, Schema, resource_names
from vertex_tuning.emulator.wire.values import READERS, Bad, read_any, read_typed


def problems(schema: Schema, name: str, body: object) -> list[str]:
    """Everything that is wrong with a canonical body; see `Wire.problems`."""
    found: list[str] = []
    _check(schema, schema.message(name), body, name, found)
    return found


def _check(schema: Schema, message: Message, body: object, path: str, found: list[str]) -> None:
    if not isinstance(body, dict):
        found.append(f"{path}: an object is due, not {_kind(body)}")
        return
    oneofs: dict[str, str] = {}
    for key, value in body.items():
        field = message.fields.get(key)
        here = f"{path}.{key}"
        if field is None or field.extra or field.url:
            hint = (
                f" (spelled {message.spellings[key].name})" if key in message.spellings and not field else ""
            )
            found.append(f"{here}: {message.name} has no such field in {schema.name}{hint}")
            continue
        if key == "name" and isinstance(value, str):
            _check_name(schema, message, value, here, found)
        if field.oneof and (other := oneofs.setdefault(field.oneof, key)) != key:
            found.append(f"{here}: {field.oneof} is already {other}")
        if field.map:
            _check_map(schema, field, value, here, found)
        elif field.repeated:
            _check_list(schema, field, value, here, found)
        else:
            _check_value(schema, field, value, here, found)


def _check_name(schema: Schema, message: Message, value: str, path: str, found: list[str]) -> None:
    patterns = resource_names(schema.name).get(message.name)
    if patterns and not any(re.match(pattern, value) for pattern in patterns):
        found.append(f"{path}: {value!r} is no resource name: {' or '.join(patterns)}")


def _check_map(schema: Schema, field: Field, value: Any, path: str, found: list[str]) -> None:
    if not isinstance(value, dict):
        found.append(f"{path}: a map is due, not {_kind(value)}")
        return
    for key, one in value.items():
        _check_value(schema, field, one, f"{path}[{key!r}]", found)


def _check_list(schema: Schema, field: Field, value: Any, path: str, found: list[str]) -> None:
    if not isinstance(value, list):
        found.append(f"{path}: a list is due, not {_kind(value)}")
        return
    for index, one in enumerate(value):
        _check_value(schema, field, one, f"{path}[{index}]", found)


def _check_value(schema: Schema, field: Field, value: Any, path: str, found: list[str]) -> None:
    if field.kind == "message":
        _check(schema, schema.message(field.message), value, path, found)
    elif field.enum is not None:
        if not isinstance(value, str) or value not in field.enum.names:
            found.append(f"{path}: {value!r} is no value of {field.enum.type}")
    elif field.kind in ("any", "Any"):
        _check_free(field, value, path, found)
    else:
        try:
            kept = READERS[field.kind](value)
        except Bad as bad:
            found.append(f"{path}: no {field.kind}: {bad}")
            return
        # A reader is lenient and returns the canonical form: what differs from that is wrong in a response.
        if kept != value or type(kept) is not type(value):
            found.append(f"{path}: {field.kind} must be written {kept!r}, not {value!r}")


def _check_free(field: Field, value: Any, path: str, found: list[str]) -> None:
    try:
        read_any(value) if field.kind == "any" else read_typed(value)
    except Bad as bad:
        found.append(f"{path}: {bad}")


def _kind(value: object) -> str:
    return type(value).__name__
