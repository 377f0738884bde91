"""Rebuild the wire schema from what Google publishes: `python scripts/wire_schema.py [--check]`.

Three sources go into `vertex_tuning/emulator/wire/snapshot/{v1,v1beta1,storage}.json`:

- the discovery documents inside google-api-python-client: every message reachable from the methods that we
  serve, with names, types, formats, enum names and read-only marks; no prose. They are the contract.
- the protos inside google-cloud-aiplatform: what JSON documents cannot say, enum numbers and oneofs.
- `overlay.toml`: oneofs of messages that no installed proto has, and fields that Google's clients send and
  the documents lack.

A field is one short string, `[repeated |map ]TYPE[ readonly][ extra][ url]`; a capitalised TYPE is a message,
`enum X` an enum. `extra` fields come from the overlay, `url` fields stand in the path of the method. One
message a line, sorted, so that a new release of Google's documents reads as a small diff.
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

OTHERS = "projects.locations.deploy".split()
"""Methods of no collection."""
PROMPTS = r"projects\.locations\.datasets\.((datasetVersions\.)?(create|delete|get|list|patch|restore)|operations\.\w+)"
"""Of `datasets`, what keeps prompts; images, tables and what is done with them are not served."""

OPERATIONS = (
    "CopyModel DeployModel UndeployModel ExportModel MutateDeployedModel UploadModel RebaseTunedModel "
    "UpdateEndpoint Deploy DeployPublisherModel OptimizePrompt PurgeModels "
    "CreateDataset CreateDatasetVersion RestoreDatasetVersion BatchCancelPipelineJobs BatchDeletePipelineJobs"
).split()
"""Long-running methods: results and metadata travel inside an Operation, and no method refers to them."""

PROTOS = ("aiplatform_v1beta1", "aiplatform_v1")
"""Where oneofs and enum numbers are looked up: v1beta1 first, it knows almost all that v1 does and more."""

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
        self._bind(methods)
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

    def _bind(self, methods: dict[str, Document]) -> None:
        """A request may repeat in its body what its path carries, though no schema lists those fields."""
        for method in methods.values():
            name = self._bare(method.get("request", {}).get("$ref", ""))
            if name.endswith("Request") and self.name != "storage":
                fields = self.messages[name]["fields"]
                paths = (key for key, p in method["parameters"].items() if p["location"] == "path")
                fields |= {key: "string url" for key in paths if key not in fields}

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
            lines = ",\n".join(f"  {json.dumps(k)}: {_compact(v)}" for k, v in sorted(table.items()))
            parts.append(f' "{title}": {{\n{lines}\n }}')
        return "{\n" + ",\n".join(parts) + "\n}\n"


class Protos:
    """What the generated Python types know: oneofs and enum numbers."""

    def __init__(self) -> None:
        self.messages: dict[str, Document] = {}
        self.numbers: dict[str, dict[str, int]] = {}
        self._titles: dict[tuple[str, str], str] = {}
        self._same: dict[frozenset[str], str] = {}
        for module in PROTOS:
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
        self.messages.setdefault(name, {"type": kind, "oneofs": oneofs})
        for field in descriptor.fields:
            if field.enum_type is not None:
                title = field.enum_type.full_name.removeprefix(package)
                numbers = {value.name: value.number for value in field.enum_type.values}
                self.numbers[title] = numbers | self.numbers.get(title, {})
                self._titles.setdefault((name, _camel(field.name)), title)
                self._same.setdefault(frozenset(numbers), title)
        for nested in descriptor.nested_types:
            if not nested.GetOptions().map_entry:
                self._read(nested, package)

    def enum(self, message: str, key: str, names: list[str]) -> tuple[str, dict[str, int]]:
        """Name and numbers of the enum of a field; no numbers where the wheel has no such enum."""
        own = f"{message}.{key[0].upper()}{key[1:]}"
        title = self._titles.get((message, key)) or self._same.get(frozenset(names), own)
        return title, self.numbers.get(title, {})


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for child in node.values():
            yield from _references(child)


def _methods(node: Document, name: str) -> Iterator[tuple[str, Document]]:
    served = "|".join(re.escape(collection) for collection in SERVED.split())
    parts = "|".join(PARTS.split())
    wanted = re.compile(rf"(projects\.locations\.)?({served})(\.({parts}))*\.\w+|{PROMPTS}")
    for resource in node.get("resources", {}).values():
        for method in resource.get("methods", {}).values():
            key = method["id"].split(".", 1)[1]
            if name == "storage" or key in OTHERS or wanted.fullmatch(key):
                yield key, method
        yield from _methods(resource, name)


def _present(oneofs: dict[str, list[str]], fields: Document) -> dict[str, list[str]]:
    kept = {name: [member for member in members if member in fields] for name, members in oneofs.items()}
    return {name: members for name, members in sorted(kept.items()) if len(members) > 1}


def _compact(value: Any) -> str:
    """A line of the file; the fields of a message in alphabetical order, its oneofs behind them."""
    if isinstance(value, dict) and "fields" in value:
        value = value | {"fields": dict(sorted(value["fields"].items()))}
    return json.dumps(value)


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def build() -> dict[str, Snapshot]:
    """All snapshots, by the name of their file."""
    import googleapiclient

    documents = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
    overlay = tomllib.loads(OVERLAY.read_text(encoding="utf-8"))
    sources = {"v1": "aiplatform.v1", "v1beta1": "aiplatform.v1beta1", "storage": "storage.v1"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        protos = Protos()
    return {
        name: Snapshot(name, json.loads((documents / f"{document}.json").read_bytes()), protos, overlay)
        for name, document in sources.items()
    }


def main() -> int:
    """Write the snapshots, or say whether they are stale."""
    parser = argparse.ArgumentParser(description="Rebuild the wire schema from Google's discovery documents.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a snapshot is stale")
    check: bool = parser.parse_args().check
    stale = False
    for name, snapshot in build().items():
        path = FOLDER / f"{name}.json"
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        source = json.loads(old)["source"] if old else {}
        if old and snapshot.text(source["built"]) == old:
            continue
        new = snapshot.text(datetime.datetime.now(datetime.UTC).date().isoformat())
        if not check:
            path.write_text(new, encoding="utf-8")
            print(f"{path.relative_to(ROOT)}: {len(snapshot.messages)} messages, {snapshot.head['revision']}")
        elif old and any(source[key] != snapshot.head[key] for key in ("package", "protos")):
            # Google published a release since: no fault of this tree, and no reason for its tests to fail.
            print(f"{path.name} was built from {source['package']} and {source['protos']}; installed are")
            print(f"    {snapshot.head['package']} and {snapshot.head['protos']}: not compared.")
        else:
            stale = True
            lines = old.splitlines(True), new.splitlines(True)
            sys.stdout.writelines(difflib.unified_diff(*lines, str(path), "fresh", n=0))
            print("The wire schema is stale. Run: python scripts/wire_schema.py")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
