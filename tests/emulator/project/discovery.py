"""Google's discovery documents, as google-api-python-client brings them: what an answer may look like."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import googleapiclient.discovery_cache

FOLDER = Path(googleapiclient.discovery_cache.__file__).parent / "documents"
FORMS = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "object": dict,
    "array": list,
    "any": object,
}


@cache
def schemas(api: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{api}.json").read_text(encoding="utf-8"))["schemas"]
    return found


def faults(api: str, schema: str, body: Any) -> list[str]:
    """What an answer has that the document of an API (`iam.v1`) does not let it have."""
    return list(_faults(schemas(api), schemas(api)[schema], body, schema))


def _faults(known: dict[str, Any], schema: dict[str, Any], value: Any, where: str) -> Iterator[str]:
    if "$ref" in schema:
        schema = known[schema["$ref"]]
    if not isinstance(value, FORMS[schema.get("type", "any")]):
        yield f"{where}: {value!r} is no {schema['type']}"
    elif schema.get("enum") and value not in schema["enum"]:
        yield f"{where}: {value!r} is none of {schema['enum']}"
    elif isinstance(value, dict):
        for name, one in value.items():
            inner = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
            if inner is None:
                yield f"{where}.{name}: there is no such field"
            else:
                yield from _faults(known, inner, one, f"{where}.{name}")
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _faults(known, schema["items"], one, f"{where}[{number}]")
