"""Terraform's schema of a provider, read back from the package of it for CDK Terrain.

The package is generated from the provider's own schema and keeps all of it that matters here: each field of a class has a comment
with Terraform's name and its flags, the field itself tells the type, and the tables that write HCL tell blocks from attributes.
It lies in the wheel as JavaScript; the TypeScript that we read is in its inline source map.

What the generator dropped is not to be had: which attributes are sensitive or deprecated, defaults, conflicts between attributes,
what forces a replacement, and maxima of lists above one.
"""

from __future__ import annotations

import base64
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Block = dict[str, Any]
"""As `terraform providers schema -json` has it, and `enum` beside the attributes whose values are told."""

_SOURCE = re.compile(r"package/lib/([^/]+)/(?:index|index-structs/structs\d+)\.js")
_MAP = "//# sourceMappingURL=data:application/json;base64,"
_CLASS = re.compile(r"^export class (\w+) extends \w+\.(\w+) \{\n(.*?)^\}", re.DOTALL | re.MULTILINE)
_WRITER = re.compile(r"^export function (\w+ToHclTerraform)\((.*?)^\}", re.DOTALL | re.MULTILINE)
_INTERFACE = re.compile(r"^export interface (\w+)[^{]*\{\n(.*?)^\}", re.DOTALL | re.MULTILINE)
_FIELD = re.compile(
    r"^  // (\w+) - computed: (\w+), optional: (\w+), required: (\w+)$"
    r"(.*?)(?=^  // \w+ - computed: |^  // ====|\Z)",
    re.DOTALL | re.MULTILINE,
)
_HELD = re.compile(r'= new (?:\w+\.)?(\w+)\(this, "\w+"(?:, (true|false))?\)')
_GOT = re.compile(r"return (?:\w+\.Token\.\w+\()?(\w+\.Fn\.tolist\()?this\.get(\w+)Attribute\(")
_WRITTEN = re.compile(
    r'^ +"?(\w+)"?: \{\n +value: (.*),\n +isBlock: (\w+),\n +type: "(\w+)",\n +storageClassType: "(\w+)",$',
    re.MULTILINE,
)
_DOCUMENTED = re.compile(r"/\*\*(.*?)\*/\s*readonly \w+\??:", re.DOTALL)
_TYPE_NAME = re.compile(r"tfResourceType = [\"'](\w+)[\"']")

_TYPES: dict[str, Any] = {
    "String": "string",
    "Number": "number",
    "Boolean": "bool",
    "List": ["list", "string"],
    "NumberList": ["list", "number"],
    "BooleanList": ["list", "bool"],
    "StringMap": ["map", "string"],
    "NumberMap": ["map", "number"],
    "BooleanMap": ["map", "bool"],
    "AnyMap": ["map", "string"],
    "StringMapList": ["list", ["map", "string"]],
}
"""By the name of the getter, or of the class that holds it."""
_PLAIN: dict[str, Any] = {
    "string": "string",
    "number": "number",
    "boolean": "bool",
    "stringList": ["list", "string"],
    "numberList": ["list", "number"],
    "stringMap": ["map", "string"],
}
_KINDS = {
    "TerraformResource": "resource_schemas",
    "TerraformDataSource": "data_source_schemas",
    "TerraformProvider": "provider",
}


@dataclass(frozen=True)
class _Written:
    """How a field is written in HCL."""

    by: str
    """The function that writes what is inside; empty for plain values."""
    is_block: bool
    nesting: str
    plain: str


@dataclass
class _Module:
    """What one folder of the package declares."""

    classes: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Name to base class and body."""
    writers: dict[str, dict[str, _Written]] = field(default_factory=dict)
    enums: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    """Interface, then attribute, to the values that its documentation says are possible."""

    def add(self, source: str) -> None:
        self.classes |= {name: (base, body) for name, base, body in _CLASS.findall(source)}
        self.writers |= {name: _written(body) for name, body in _WRITER.findall(source)}
        self.enums |= {name: _enums(body) for name, body in _INTERFACE.findall(source)}


def extract(wheel: Path, resources: Collection[str], data_sources: Collection[str]) -> dict[str, Any]:
    """The schema of the provider itself and of these types, those of them that it has.

    Args:
        wheel: Of `cdktn-provider-google`, or of another provider's package by the same generator.
        resources: Types of resources, such as `google_storage_bucket`.
        data_sources: Types of data sources.

    Returns:
        `provider`, `resource_schemas` and `data_source_schemas` as Terraform prints them.
    """
    wanted = {"resource_schemas": set(resources), "data_source_schemas": set(data_sources)}
    found: dict[str, Any] = {"provider": None, "resource_schemas": {}, "data_source_schemas": {}}
    for module in _modules(wheel, wanted["resource_schemas"] | wanted["data_source_schemas"]):
        for name, (base, body) in module.classes.items():
            kind = _KINDS.get(base)
            if kind == "provider":
                found["provider"] = {"block": _block(module, name, _written(body))}
            elif kind and (match := _TYPE_NAME.search(body)) and match[1] in wanted[kind]:
                found[kind][match[1]] = {"block": _block(module, name, _written(body))}
    return found


def _modules(wheel: Path, wanted: set[str]) -> Iterator[_Module]:
    folders: dict[str, list[str]] = {}
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".jsii.tgz"))
        package = io.BytesIO(archive.read(name))
    with tarfile.open(fileobj=package) as files:
        for member in files:
            if match := _SOURCE.fullmatch(member.name):
                held = files.extractfile(member)
                assert held is not None
                folders.setdefault(match[1], []).append(held.read().decode())
    for folder, texts in folders.items():
        if folder == "provider" or any(wanted.intersection(_TYPE_NAME.findall(text)) for text in texts):
            module = _Module()
            for text in texts:
                module.add(_typescript(text))
            yield module


def _typescript(javascript: str) -> str:
    _, _, encoded = javascript.rpartition(_MAP)
    source: str = json.loads(base64.b64decode(encoded))["sourcesContent"][0]
    return source


def _written(body: str) -> dict[str, _Written]:
    return {
        name: _Written(_inner_writer(value), is_block == "true", nesting, plain)
        for name, value, is_block, nesting, plain in _WRITTEN.findall(body)
    }


def _inner_writer(value: str) -> str:
    """`aToHclTerraform` of `cdktn.listMapperHcl(aToHclTerraform, true)(...)`; nothing of `cdktn.stringToHclTerraform(...)`."""
    match = re.search(r"(?<![\w.])(\w+ToHclTerraform)\b", value)
    return match[1] if match else ""


def _enums(body: str) -> dict[str, list[str]]:
    found = {}
    for text in _DOCUMENTED.findall(body):
        name = re.search(r"#(\w+) \w+#\1", text)
        values = re.search(r'Possible values: \[("[^\]]*")\]', text)
        if name and values:
            found[name[1]] = re.findall(r'"([^"]*)"', values[1])
    return found


def _block(module: _Module, name: str, written: dict[str, _Written]) -> Block:
    attributes: dict[str, Any] = {}
    blocks: dict[str, Any] = {}
    enums = module.enums.get(f"{name}Config") or module.enums.get(name.removesuffix("OutputReference"), {})
    for attribute, computed, optional, required, text in _FIELD.findall(module.classes[name][1]):
        flags = {"computed": computed, "optional": optional, "required": required}
        told = {flag: True for flag, value in flags.items() if value == "true"}
        how = written.get(attribute)
        if held := _HELD.search(text):
            holder, is_set = held[1], held[2] == "true"
            if holder in _TYPES:
                attributes[attribute] = {"type": _TYPES[holder], **told}
                continue
            inner = _block(module, _element(holder), module.writers.get(how.by, {}) if how else {})
            if how and how.is_block:
                blocks[attribute] = _nested(inner, how.nesting, holder, required == "true")
            else:
                attributes[attribute] = {"type": _collection(inner, holder, how, is_set), **told}
        elif how and how.is_block:  # the provider's own blocks keep what they are given, and have no class
            inner = {
                "attributes": {
                    one: {"type": _PLAIN[rest.plain], "optional": True}
                    for one, rest in module.writers[how.by].items()
                }
            }
            blocks[attribute] = {"nesting_mode": how.nesting, "max_items": 1, "block": inner}
        else:
            kind = {"type": _plain_type(text, how), **told}
            if attribute in enums:
                kind["enum"] = enums[attribute]
            attributes[attribute] = kind
    return {"attributes": attributes} | ({"block_types": blocks} if blocks else {})


def _plain_type(text: str, how: _Written | None) -> Any:
    if got := _GOT.search(text):
        kind = _TYPES[got[2]]
        return ["set", kind[1]] if got[1] else kind
    if "interpolationForAttribute" in text:
        return "dynamic"
    assert how is not None
    return _PLAIN[how.plain]


def _element(holder: str) -> str:
    """The class of what a list or a map of objects holds."""
    for ending in ("List", "Map"):
        if holder.endswith(ending):
            return f"{holder.removesuffix(ending)}OutputReference"
    return holder


def _nested(inner: Block, nesting: str, holder: str, required: bool) -> Block:
    found: Block = {"nesting_mode": "single" if nesting == "struct" else nesting, "block": inner}
    if nesting != "struct":
        if required:
            found["min_items"] = 1
        if not holder.endswith("List"):  # a class for one, not for many
            found["max_items"] = 1
    return found


def _collection(inner: Block, holder: str, how: _Written | None, is_set: bool) -> Any:
    nesting = how.nesting if how else ""
    if nesting == "struct":
        return _object(inner)
    if holder.endswith("Map"):
        return ["map", _object(inner)]
    return ["set" if is_set or nesting == "set" else "list", _object(inner)]


def _object(inner: Block) -> Any:
    fields = {name: attribute["type"] for name, attribute in inner["attributes"].items()}
    for name, nested in inner.get("block_types", {}).items():
        kind = _object(nested["block"])
        fields[name] = kind if nested["nesting_mode"] == "single" else [nested["nesting_mode"], kind]
    return ["object", fields]
