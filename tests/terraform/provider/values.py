"""Values as they travel between Terraform and a provider, and walks through them along a schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgpack

from tests.terraform.provider.messages import MESSAGES

Path = tuple[str | int, ...]
"""Where a value stands: names of attributes and blocks, and places in lists."""

_NESTING = {"single": 1, "list": 2, "set": 3, "map": 4}


class _Unknown:
    """Known after apply."""

    def __repr__(self) -> str:
        return "(known after apply)"


UNKNOWN = _Unknown()


def decode(value: Any) -> Any:
    """What a DynamicValue holds; None for null."""
    if value.json:
        return json.loads(value.json)
    if value.msgpack:
        return msgpack.unpackb(value.msgpack, ext_hook=lambda code, data: UNKNOWN, strict_map_key=False)
    return None


def encode(value: Any) -> Any:
    """The reverse of `decode`."""
    packed = msgpack.packb(value, default=lambda _: msgpack.ExtType(0, b"\x00"))
    return MESSAGES["DynamicValue"](msgpack=packed)


def is_known(value: Any) -> bool:
    """Whether nothing of it is still to come."""
    if isinstance(value, dict):
        return all(map(is_known, value.values()))
    if isinstance(value, list):
        return all(map(is_known, value))
    return value is not UNKNOWN


def schema_message(schema: dict[str, Any]) -> Any:
    """A schema in Terraform's own JSON, as a message."""
    return MESSAGES["Schema"](version=0, block=_block_message(schema["block"]))


def _block_message(block: dict[str, Any]) -> Any:
    message = MESSAGES["Block"]()
    for name, attribute in block["attributes"].items():
        flags = {flag: True for flag in ("required", "optional", "computed") if attribute.get(flag)}
        message.attributes.add(name=name, type=json.dumps(attribute["type"]).encode(), **flags)
    for name, nested in block.get("block_types", {}).items():
        message.block_types.add(
            type_name=name,
            block=_block_message(nested["block"]),
            nesting=_NESTING[nested["nesting_mode"]],
            min_items=nested.get("min_items", 0),
            max_items=nested.get("max_items", 0),
        )
    return message


def attributes(
    block: dict[str, Any], value: Any, at: Path = ()
) -> Iterator[tuple[Path, dict[str, Any], Any]]:
    """Every attribute of a configuration: where, its schema, its value. What is in a set has its set's place."""
    if not isinstance(value, dict):
        return
    for name, attribute in block["attributes"].items():
        yield (*at, name), attribute, value.get(name)
    for name, nested in block.get("block_types", {}).items():
        inner = value.get(name)
        for index, one in enumerate(inner if isinstance(inner, list) else [inner]):
            place = (*at, name, index) if nested["nesting_mode"] == "list" else (*at, name)
            yield from attributes(nested["block"], one, place)


def fill(
    block: dict[str, Any], value: Any, make: Callable[[Path, dict[str, Any]], Any], at: Path = ()
) -> Any:
    """The value, with what a provider has to compute and nobody has given."""
    if not isinstance(value, dict):
        return value
    filled = dict(value)
    for name, attribute in block["attributes"].items():
        if attribute.get("computed") and (filled.get(name) is None or filled[name] is UNKNOWN):
            filled[name] = make((*at, name), attribute)
    for name, nested in block.get("block_types", {}).items():
        inner = filled.get(name)
        if isinstance(inner, list):
            filled[name] = [fill(nested["block"], one, make, (*at, name)) for one in inner]
        else:
            filled[name] = fill(nested["block"], inner, make, (*at, name))
    return filled


def diagnostic(summary: str, at: Path = (), detail: str = "") -> Any:
    """An error of a provider, at an attribute or at the whole."""
    message = MESSAGES["Diagnostic"](severity=1, summary=summary, detail=detail)
    for step in at:
        if isinstance(step, int):
            message.attribute.steps.add(element_key_int=step)
        else:
            message.attribute.steps.add(attribute_name=step)
    return message
