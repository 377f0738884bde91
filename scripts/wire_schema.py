"""Rebuild the wire schema from what Google publishes: `python scripts/wire_schema.py [--check]`.

Three sources go into `vertex_tuning/emulator/wire/snapshot/{v1,v1beta1,storage}.json`:

- the discovery documents inside google-api-python-client: every message reachable from the methods that we
  serve, with names, types, formats, enum names and read-only marks; no prose. They are the contract.
- the protos inside google-cloud-aiplatform: what JSON documents cannot say, enum numbers and oneofs.
- `overlay.toml`: oneofs of messages that no installed proto has, and fields that Google's clients send and
  the documents lack.

A field is one short string, `[repeated |map ]TYPE[ readonly][ extra]`; a capitalised TYPE is a message, `enum
X` an enum. One message a line, sorted, so that a new release of Google's documents reads as a small diff.
"""

from __future__ import annotations

import argparse
import datetime
import difflib
import importlib
import json
import re
import sys
import tomllib
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "vertex_tuning" / "emulator" / "wire" / "snapshot"
OVERLAY = FOLDER / "overlay.toml"

SERVED = (
    "tuningJobs models endpoints publishers.models operations "
    "batchPredictionJobs customJobs pipelineJobs schedules"
)
"""Collections whose methods we may serve."""

PARTS = "operations chat deployedModels invoke evaluations responses openapi"
"""Sub-collections that belong to them."""

OPERATIONS = (  # noqa: SIM905
    "CopyModel DeployModel UndeployModel ExportModel MutateDeployedModel UploadModel RebaseTunedModel "
    "UpdateEndpoint Deploy DeployPublisherModel OptimizePrompt PurgeModels"
).split()
"""Long-running methods: results and metadata travel inside an Operation, and no method refers to them."""

EXTRA = ("GenericOperationMetadata", "DeleteOperationMetadata")

PREFIXES = ("GoogleLongrunning", "GoogleRpc", "GoogleProtobuf", "GoogleType", "GoogleIamV1", "GoogleApi")
"""Google's common messages, known by their bare names: Operation, Status, Empty..."""

SCALARS = {
    ("any", None): "any",
    ("boolean", None): "bool",
    ("integer", "int32"): "int32",
    ("integer", "uint32"): "uint32",
    ("number", "double"): "double",
    ("number", "float"): "float",
    ("string", None): "string",
    ("string", "byte"): "bytes",
    ("string", "date"): "date",
    ("string", "date-time"): "timestamp",
    ("string", "google-datetime"): "timestamp",
    ("string", "google-duration"): "duration",
    ("string", "google-fieldmask"): "fieldmask",
    ("string", "int64"): "int64",
    ("string", "uint64"): "uint64",
}

Document = dict[str, Any]


class Snapshot:
    """The trimmed schema of one discovery document."""

    def __init__(self, name: str, document: Document, protos: Protos, overlay: Document) -> None:
        self.name = name
        self.schemas: Document = document["schemas"]
        self.protos = protos
        self.prefix = f"GoogleCloudAiplatform{name.capitalize()}"
        self.enums: dict[str, dict[str, int | None]] = {}
        self.messages: dict[str, Document] = {}
        methods = dict(_methods(document, name))
        for schema in self._reachable(methods):
            self._add(self._bare(schema), self.schemas[schema])
        self._apply(overlay)
        self.methods = {key: self._method(method, name) for key, method in sorted(methods.items())}
        self.head = {
            "document": f"{document['name']}.{document['version']}",
            "revision": document["revision"],
            "package": f"google-api-python-client {version('google-api-python-client')}",
            "protos": f"google-cloud-aiplatform {version('google-cloud-aiplatform')}",
            "overlay": overlay["date"].isoformat(),
        }

    def _bare(self, schema: str) -> str:
        for prefix in (self.prefix, *PREFIXES):
            if schema.startswith(prefix):
                return schema.removeprefix(prefix)
        return schema

    def _reachable(self, methods: dict[str, Document]) -> list[str]:
        waiting = [
            method[side]["$ref"]
            for method in methods.values()
            for side in ("request", "response")
            if side in method
        ]
        names = [f"{name}{end}" for name in OPERATIONS for end in ("Response", "OperationMetadata")]
        waiting += [self.prefix + name for name in (*names, *EXTRA) if self.prefix + name in self.schemas]
        seen: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting.extend(_references(self.schemas[name]))
        return sorted(seen)

    def _add(self, name: str, schema: Document) -> None:
        if name in self.messages:
            raise SystemExit(f"two schemas are called {name}")
        message: Document = {"fields": {}}
        self.messages[name] = message
        if proto := self.protos.messages.get(name):
            if proto["type"] != name:
                message["type"] = proto["type"]
            if oneofs := _present(proto["oneofs"], schema.get("properties", {})):
                message["oneofs"] = oneofs
        for key, field in sorted(schema.get("properties", {}).items()):
            code = self._code(name, key, field)
            message["fields"][key] = code + (" readonly" if field.get("readOnly") else "")

    def _code(self, message: str, key: str, field: Document) -> str:
        kind = str(field.get("type"))
        if "$ref" in field:
            return self._bare(field["$ref"])
        if kind == "array":
            return f"repeated {self._code(message, key, field['items'])}"
        if kind == "object" and "additionalProperties" in field:
            values = field["additionalProperties"]
            if "@type" in values.get("description", ""):
                return "Any"
            return f"map {self._code(message, key, values)}"
        if kind == "object":
            inline = f"{message}.{key}"
            self._add(inline, field)
            return inline
        if "enum" in field:
            return f"enum {self._enum(message, key, field['enum'])}"
        return SCALARS[kind, field.get("format")]

    def _enum(self, message: str, key: str, names: list[str]) -> str:
        title, numbers = self.protos.enum(message, key, names)
        # The documents are newer than the wheel: what the wheel does not know has no number here.
        values = {name: numbers.get(name) for name in names}
        if self.enums.setdefault(title, values) != values:
            title = f"{message}.{key[0].upper()}{key[1:]}"
            self.enums[title] = values
        return title

    def _apply(self, overlay: Document) -> None:
        for entry in overlay.get("oneof", ()):
            message = self.messages.get(entry["message"])
            if message and (found := _present({entry["name"]: entry["fields"]}, message["fields"])):
                message.setdefault("oneofs", {}).update(found)
        for entry in overlay.get("exception", ()):
            message = self.messages.get(entry["message"])
            if message is None or self.name not in entry["versions"]:
                continue
            if entry["field"] in message["fields"]:
                raise SystemExit(
                    f"{entry['message']}.{entry['field']} is documented now: remove it from overlay.toml"
                )
            message["fields"][entry["field"]] = entry["type"] + " extra"
            message["fields"] = dict(sorted(message["fields"].items()))

    def _method(self, method: Document, name: str) -> list[Any]:
        parameters = method.get("parameters", {})
        pattern = next(
            (p["pattern"] for p in parameters.values() if p.get("location") == "path" and "pattern" in p),
            None,
        )
        query = sorted(key for key, p in parameters.items() if p["location"] == "query")
        bodies = [
            self._bare(method[side]["$ref"]) if side in method else None for side in ("request", "response")
        ]
        return [method["httpMethod"], method["path"].removeprefix(f"{name}/"), *bodies, pattern, query]

    def text(self, date: str) -> str:
        """The file: one message, enum or method a line."""
        sections: dict[str, Document] = {
            "methods": self.methods,
            "enums": self.enums,
            "messages": self.messages,
        }
        parts = [f' "source": {json.dumps(self.head | {"built": date})}']
        for title, table in sections.items():
            lines = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(table.items()))
            parts.append(f' "{title}": {{\n{lines}\n }}')
        return "{\n" + ",\n".join(parts) + "\n}\n"


class Protos:
    """What the generated Python types know: oneofs and enum numbers."""

    def __init__(self, module: str | None) -> None:
        self.messages: dict[str, Document] = {}
        self.fields: dict[tuple[str, str], tuple[str, dict[str, int]]] = {}
        self.by_values: dict[frozenset[str], tuple[str, dict[str, int]]] = {}
        if module is None:
            return
        package = f"google.cloud.aiplatform.{module.rsplit('_', 1)[1]}."
        types = importlib.import_module(f"google.cloud.{module}.types")
        files = {
            attribute.pb(None, coerce=True).DESCRIPTOR.file
            for attribute in vars(types).values()
            if isinstance(attribute, type) and hasattr(attribute, "pb")
        }
        for file in sorted(files, key=lambda one: one.name):
            for descriptor in file.message_types_by_name.values():
                self._read(descriptor, package)

    def _read(self, descriptor: Any, package: str) -> None:
        kind = descriptor.full_name.removeprefix(package)
        name = kind.replace(".", "")
        oneofs = {
            oneof.name: [_camel(field.name) for field in oneof.fields]
            for oneof in descriptor.oneofs
            if len(oneof.fields) > 1 or not oneof.name.startswith("_")
        }
        self.messages[name] = {"type": kind, "oneofs": oneofs}
        for field in descriptor.fields:
            if field.enum_type is not None:
                title = field.enum_type.full_name.removeprefix(package)
                numbers = {value.name: value.number for value in field.enum_type.values}
                self.fields[name, _camel(field.name)] = (title, numbers)
                self.by_values.setdefault(frozenset(numbers), (title, numbers))
        for nested in descriptor.nested_types:
            if not nested.GetOptions().map_entry:
                self._read(nested, package)

    def enum(self, message: str, key: str, names: list[str]) -> tuple[str, dict[str, int]]:
        """Name and numbers of the enum of a field; no numbers where the wheel has no such enum."""
        own = f"{message}.{key[0].upper()}{key[1:]}"
        if found := self.fields.get((message, key)):
            return found
        known = self.by_values.get(frozenset(names))
        return known or (own, {})


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for child in node.values():
            yield from _references(child)


def _methods(node: Document, name: str) -> Iterator[tuple[str, Document]]:
    served = "|".join(re.escape(collection) for collection in SERVED.split())
    parts = "|".join(PARTS.split())
    wanted = re.compile(rf"(projects\.locations\.)?({served})(\.({parts}))*\.\w+")
    for resource in node.get("resources", {}).values():
        for method in resource.get("methods", {}).values():
            key = method["id"].split(".", 1)[1]
            if name == "storage" or wanted.fullmatch(key):
                yield key, method
        yield from _methods(resource, name)


def _present(oneofs: dict[str, list[str]], fields: Document) -> dict[str, list[str]]:
    kept = {name: [member for member in members if member in fields] for name, members in oneofs.items()}
    return {name: members for name, members in sorted(kept.items()) if len(members) > 1}


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def build() -> dict[str, Snapshot]:
    """All snapshots, by the name of their file."""
    import googleapiclient

    documents = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
    overlay = tomllib.loads(OVERLAY.read_text(encoding="utf-8"))
    sources = {
        "v1": ("aiplatform.v1", "aiplatform_v1"),
        "v1beta1": ("aiplatform.v1beta1", "aiplatform_v1beta1"),
        "storage": ("storage.v1", None),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            name: Snapshot(
                name, json.loads((documents / f"{document}.json").read_bytes()), Protos(module), overlay
            )
            for name, (document, module) in sources.items()
        }


def main() -> int:
    """Write the snapshots, or say whether they are stale."""
    parser = argparse.ArgumentParser(description="Rebuild the wire schema from Google's discovery documents.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a snapshot is stale")
    check: bool = parser.parse_args().check
    stale = 0
    for name, snapshot in build().items():
        path = FOLDER / f"{name}.json"
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        built = json.loads(old)["source"]["built"] if old else ""
        if old and snapshot.text(built) == old:
            continue
        stale += 1
        new = snapshot.text(datetime.datetime.now(datetime.UTC).date().isoformat())
        if check:
            sys.stdout.writelines(
                difflib.unified_diff(old.splitlines(True), new.splitlines(True), str(path), "fresh", n=0)
            )
        else:
            path.write_text(new, encoding="utf-8")
            count, revision = len(snapshot.messages), snapshot.head["revision"]
            print(f"{path.relative_to(ROOT)}: {count} messages, revision {revision}")
    if check and stale:
        print("The wire schema is stale. Run: python scripts/wire_schema.py")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
