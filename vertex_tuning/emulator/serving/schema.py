"""Google's `Schema` as JSON Schema.

Google's is a subset of OpenAPI 3.0: types in capitals, `nullable`, 64-bit numbers as strings, and
`propertyOrdering`, which JSON Schema lacks: the constraint library writes properties in the order in which
the schema lists them.
"""

from __future__ import annotations

from typing import Any

_TYPES = {
    "STRING": "string",
    "NUMBER": "number",
    "INTEGER": "integer",
    "BOOLEAN": "boolean",
    "ARRAY": "array",
    "OBJECT": "object",
    "NULL": "null",
}
_SIZES = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
_KEPT = ("pattern", "minimum", "maximum")
# Of JSON Schema: what holds schemas by names of the user's, and what holds values instead of schemas.
_NAMED = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"})
_VALUES = frozenset({"enum", "const", "default", "examples"})
# Formats of strings that the constraint library knows; others only describe.
_FORMATS = frozenset(
    {"date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"}
)


def to_json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """A `Schema`, canonical as the wire gives it, as JSON Schema."""
    made = _convert(schema)
    if "defs" in schema:
        made["$defs"] = {name: _convert(part) for name, part in schema["defs"].items()}
    return made


def without_what_cannot_be_held(schema: Any) -> Any:
    """A JSON Schema without `uniqueItems`, which Vertex AI takes too, and which nobody can hold token by token."""
    if isinstance(schema, list):
        return [without_what_cannot_be_held(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {}
    for key, value in schema.items():
        if key in _NAMED and isinstance(value, dict):
            made[key] = {name: without_what_cannot_be_held(part) for name, part in value.items()}
        elif key != "uniqueItems":
            made[key] = value if key in _VALUES else without_what_cannot_be_held(value)
    return made


def labels_of(schema: dict[str, Any]) -> list[str]:
    """The values of a `Schema` that is nothing but a list of strings; empty where it is more."""
    if schema.get("type", "STRING") == "STRING" and not schema.get("nullable") and "anyOf" not in schema:
        return list(schema.get("enum", ()))
    return []


def _convert(schema: dict[str, Any]) -> dict[str, Any]:
    if "ref" in schema:
        name = schema["ref"].rpartition("/")[2]
        return {"$ref": f"#/$defs/{name}"}
    made: dict[str, Any] = {}
    kind = _TYPES.get(schema.get("type", ""))
    if kind is not None:
        made["type"] = kind
    made.update({key: schema[key] for key in _KEPT if key in schema})
    made.update({key: int(schema[key]) for key in _SIZES if key in schema})
    if schema.get("format") in _FORMATS and kind == "string":
        made["format"] = schema["format"]
    if schema.get("enum"):
        made["enum"] = [_value(value, kind) for value in schema["enum"]]
    if "anyOf" in schema:
        made["anyOf"] = [_convert(part) for part in schema["anyOf"]]
    if "items" in schema:
        made["items"] = _convert(schema["items"])
    if "properties" in schema:
        made["properties"] = _ordered(schema)
        made["required"] = [name for name in schema.get("required", ()) if name in schema["properties"]]
        made["additionalProperties"] = False
    if "additionalProperties" in schema:
        extra = schema["additionalProperties"]
        made["additionalProperties"] = extra if isinstance(extra, bool) else _convert(extra)
    return {"anyOf": [made, {"type": "null"}]} if schema.get("nullable") else made


def _ordered(schema: dict[str, Any]) -> dict[str, Any]:
    given = schema["properties"]
    first = [name for name in schema.get("propertyOrdering", ()) if name in given]
    return {name: _convert(given[name]) for name in [*first, *(name for name in given if name not in first)]}


def _value(value: str, kind: str | None) -> str | int | float:
    """An `enum` lists strings whatever the type is."""
    if kind in ("integer", "number"):
        try:
            return int(value) if kind == "integer" else float(value)
        except ValueError:
            return value
    return value
