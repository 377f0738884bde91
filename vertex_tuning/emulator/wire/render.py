"""Canonical ProtoJSON as one API version shows it.

Rendering stands on the path of every answer, so each message is compiled once into a plan: field -> None (as
it is) or a function. What the plan does not name, the version does not have.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from vertex_tuning.emulator.wire.schema import Field, Message, Schema

_URL = re.compile(r"type\.googleapis\.com/google\.cloud\.aiplatform\.(v1|v1beta1)\.(.+)")

Renderer = Callable[[Any], Any]


def render(schema: Schema, name: str, body: dict[str, Any]) -> dict[str, Any]:
    """A canonical body without what this version lacks; see `Wire.render`."""
    return _message(schema, schema.message(name), body)


def _message(schema: Schema, message: Message, body: dict[str, Any]) -> dict[str, Any]:
    plan = message.plan
    if not plan and message.fields:
        published = [one for one in message.fields.values() if not (one.extra or one.url)]
        plan = message.plan = {one.name: _renderer(schema, one) for one in published}
    shown: dict[str, Any] = {}
    for key, value in body.items():
        if key not in plan:
            continue
        renderer = plan[key]
        if renderer is None:
            shown[key] = value
        elif value is not None:
            shown[key] = renderer(value)
    return shown


def _renderer(schema: Schema, field: Field) -> Renderer | None:
    one = _single(schema, field)
    if one is None:
        # Free JSON may be null; anything else that is None is simply not set.
        return None if field.kind == "any" else _same
    if field.map:
        return lambda value: {key: one(item) for key, item in value.items()}
    if field.repeated:
        return lambda value: [one(item) for item in value]
    return one


def _single(schema: Schema, field: Field) -> Renderer | None:
    if field.kind == "message":
        # Bound late: a message may hold itself.
        return lambda value: _message(schema, schema.message(field.message), value)
    if field.kind in ("int64", "uint64"):
        return str
    if field.kind in ("double", "float"):
        return _number
    if field.kind == "Any":
        return lambda value: _any(schema, value)
    return None


def _same(value: Any) -> Any:
    return value


def _number(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    return value


def _any(schema: Schema, value: Any) -> Any:
    """What an operation carries: a message under its type, which names the version too."""
    found = _URL.fullmatch(value.get("@type", "")) if isinstance(value, dict) else None
    if found is None or schema.storage:
        return value
    name = found[2].replace(".", "")
    url = f"type.googleapis.com/google.cloud.aiplatform.{schema.name}.{found[2]}"
    if name not in schema:
        return value | {"@type": url}
    return {"@type": url} | _message(schema, schema.message(name), value)
