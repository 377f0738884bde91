"""Tools, their calls and their answers, as Google writes them.

A tool's parameters are JSON Schema; Google's `Schema` knows a part of its words, types in capitals, `nullable` for what may be
null, and `enum` as texts. What it does not know is left out and noted.

Source: Google's discovery document of Vertex AI (`Schema`, `FunctionDeclaration`, `FunctionResponse`); Google Cloud
documentation, "Tune function calling" (2026-11-26).
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from vertex_tuning.data.converting.chat import Part, Remarks, Turn
from vertex_tuning.data.words import at, kind_of, quoted

KEPT = (
    *("title", "description", "default", "example", "format", "pattern", "minimum", "maximum"),
    *("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"),
    *("required", "nullable", "propertyOrdering"),
)
"""Words of `Schema` that mean what they mean in JSON Schema, or are Google's own."""
_TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")
_DECLARED = ("name", "description", "parameters")


# Declarations


def declarations_of(tools: Any, path: str, remarks: Remarks) -> list[dict[str, Any]]:
    """`[{"functionDeclarations": [...]}]` of a list of tools, in any of the ways in which they are written; empty without any."""
    if isinstance(tools, str):
        tools = _read(tools)
    if not isinstance(tools, list):
        fix = '[{"type": "function", "function": {"name": "...", "parameters": {...}}}]'
        remarks.fault("VT257", path, "the tools cannot be read", fix=fix)
        return []
    declared = []
    for index, tool in enumerate(tools):
        declaration = _declaration(tool, f"{path}[{index}]", remarks)
        if declaration is not None:
            declared.append(declaration)
    return [{"functionDeclarations": declared}] if declared else []


def _declaration(tool: Any, path: str, remarks: Remarks) -> dict[str, Any] | None:
    given = tool.get("function", tool) if isinstance(tool, dict) else None
    kind = tool.get("type", "function") if isinstance(tool, dict) else "function"
    if kind != "function":
        remarks.fault("VT257", f"{path}.type", f"a tool of the type {quoted(kind)}", fix="functions alone")
        return None
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        fix = '{"type": "function", "function": {"name": "...", "parameters": {...}}}'
        remarks.fault("VT257", path, "a tool without a name", fix=fix)
        return None
    if given is not tool:
        path = f"{path}.function"
    made: dict[str, Any] = {"name": given["name"]}
    if isinstance(given.get("description"), str):
        made["description"] = given["description"]
    parameters = given.get("parameters")
    if isinstance(parameters, dict) and parameters:
        made["parameters"] = schema_of(parameters, f"{path}.parameters", remarks)
    elif parameters:
        remarks.fault("VT257", f"{path}.parameters", f"{kind_of(parameters)}, not a schema", fix="{...}")
    for name, value in given.items():
        if name not in _DECLARED and value is not None and (given is not tool or name != "type"):
            remarks.note(at(path, name), "left out: Google's declaration of a function has no such field")
    return made


def schema_of(schema: Any, path: str, remarks: Remarks) -> dict[str, Any]:
    """JSON Schema as Google's `Schema`."""
    if schema is True or schema == {}:
        return {}
    if not isinstance(schema, dict):
        remarks.note(path, f"left out: {kind_of(schema)}, not a schema")
        return {}
    made: dict[str, Any] = {}
    for name, value in schema.items():
        place = at(path, name)
        if name in KEPT:
            made[name] = value
        elif name == "type":
            _type(value, place, made, remarks)
        elif name == "enum" and isinstance(value, list):
            made["enum"] = [_word(one) for one in value if one is not None]
            if None in value:
                made["nullable"] = True
        elif name == "const":
            made["enum"] = [_word(value)]
        elif name == "properties" and isinstance(value, dict):
            made[name] = {key: schema_of(one, at(place, key), remarks) for key, one in value.items()}
        elif name == "items" and isinstance(value, dict):
            made[name] = schema_of(value, place, remarks)
        elif name in ("anyOf", "oneOf") and isinstance(value, list):
            if name == "oneOf":
                remarks.note("tools[]...oneOf", "written as anyOf: Google's Schema has no such word")
            _choice(value, place, made, remarks)
        elif name == "allOf" and isinstance(value, list) and len(value) == 1:
            made |= schema_of(value[0], place, remarks)
        elif name in ("$defs", "definitions", "defs") and isinstance(value, dict):
            defs = {key: schema_of(one, at(place, key), remarks) for key, one in value.items()}
            made["defs"] = made.get("defs", {}) | defs
        elif name in ("$ref", "ref") and isinstance(value, str):
            made["ref"] = value.replace("#/$defs/", "#/defs/").replace("#/definitions/", "#/defs/")
        elif name == "additionalProperties":
            made[name] = value if isinstance(value, bool) else schema_of(value, place, remarks)
        elif value is not None:
            # Wherever it stands in the tools, it is noted once.
            remarks.note(f"tools[]...{name}", "left out: Google's Schema has no such word")
    return made


def _type(value: Any, path: str, made: dict[str, Any], remarks: Remarks) -> None:
    kinds = [str(kind).lower() for kind in (value if isinstance(value, list) else [value])]
    if len(kinds) > 1 and "null" in kinds:
        made["nullable"] = True
        kinds.remove("null")
    if any(kind not in _TYPES for kind in kinds) or not kinds:
        remarks.fault("VT257", path, f"{quoted(value)} is not a type", fix=f"one of: {', '.join(_TYPES)}")
    elif len(kinds) == 1:
        made["type"] = kinds[0].upper()
    else:
        made["anyOf"] = [{"type": kind.upper()} for kind in kinds]


def _choice(value: list[Any], path: str, made: dict[str, Any], remarks: Remarks) -> None:
    """`anyOf` and `oneOf`; that one of them is null has a word of its own."""
    some = [one for one in value if one != {"type": "null"}]
    if len(some) < len(value):
        made["nullable"] = True
    found = [schema_of(one, f"{path}[{index}]", remarks) for index, one in enumerate(some)]
    if len(found) == 1:
        made |= found[0]
    elif found:
        made["anyOf"] = found


def _word(value: Any) -> str:
    """A value of an `enum`, which lists texts whatever the type is."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# Calls and answers


class Calls:
    """The calls of a row that were not answered yet, so that an answer finds the name of its function."""

    def __init__(self) -> None:
        self._open: list[tuple[Any, str, int]] = []
        self._made = 0
        self._places: dict[int, int] = {}

    def call(self, given: Any, identity: Any, path: str, remarks: Remarks) -> Part | None:
        """A call as a part: `given` is `{"name": ..., "arguments": JSON text or an object}`."""
        name = given.get("name") if isinstance(given, dict) else None
        if not isinstance(name, str) or not name:
            remarks.fault(
                "VT257",
                path,
                "a call without the name of a function",
                fix='{"name": "...", "arguments": "{}"}',
            )
            return None
        arguments = given.get("arguments", given.get("parameters"))
        if isinstance(arguments, str):
            arguments = _read(arguments) if arguments.strip() else {}
        elif arguments is None:
            arguments = {}
        if not isinstance(arguments, dict):
            what = "the arguments are no JSON object"
            remarks.fault(
                "VT257", f"{path}.arguments", what, fix='JSON text of an object: "{\\"city\\": \\"Bonn\\"}"'
            )
            return None
        self._open.append((identity, name, self._made))
        self._made += 1
        return {"functionCall": {"name": name, "args": arguments}}

    def answer(self, text: str, identity: Any, name: Any, path: str, remarks: Remarks) -> Part | None:
        """What a tool answered, as a part. Its name is that of the call with its id, else its own, else the first call's."""
        found = next((one for one in self._open if identity is not None and one[0] == identity), None)
        if found is None and identity is None:
            found = next((one for one in self._open if not isinstance(name, str) or one[1] == name), None)
        if found is not None:
            self._open.remove(found)
            name = found[1]
        elif identity is not None and not isinstance(name, str):
            remarks.fault(
                "VT257", path, f"no call has the id {quoted(identity)}", fix="the id of a tool call before it"
            )
            return None
        elif not isinstance(name, str):
            remarks.fault(
                "VT257", path, "an answer to no call", fix="the tool call that it answers goes before it"
            )
            return None
        part = {"functionResponse": {"name": name, "response": _response(text)}}
        if found is not None:
            self._places[id(part)] = found[2]
        return part

    def in_order(self, turns: list[Turn]) -> None:
        """Put the answers to several calls in the order of the calls: without ids, that alone tells which is which."""
        for turn in turns if len(self._places) > 1 else ():
            turn["parts"].sort(key=lambda part: self._places.get(id(part), self._made))


def _response(text: str) -> dict[str, Any]:
    """An object as it is; anything else under the name that Google has for what a function gives back."""
    found = _read(text)
    return found if isinstance(found, dict) else {"output": text}


def _read(text: str) -> Any:
    """A JSON text; None where it is none."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
