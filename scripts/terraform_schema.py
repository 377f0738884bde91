"""The schemas that Terraform is held against here: Google's provider at both ends of the range that terraform/ allows.

python -m scripts.terraform_schema --update    fetch the pinned packages, write tests/terraform/schema/*.json
python -m scripts.terraform_schema --check     exit status 1 where a type that terraform/ uses is not in them (no network)

A snapshot has the types in use alone, in the form of `terraform providers schema -json`, one attribute a line: what a new release
changes reads as a small diff. To move to one: change PINS, `--update`, read the diff.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts import jsii_schema

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "terraform"
FOLDER = ROOT / "tests" / "terraform" / "schema"
PACKAGE = "cdktn-provider-google"
LICENCE = "MPL-2.0"

_USED = re.compile(r'^\s*(resource|data|mock_resource|mock_data)\s+"(google_\w+)"', re.MULTILINE)


@dataclass(frozen=True)
class Pin:
    """A release of the package, and the provider that it was made from."""

    provider: str
    version: str
    sha256: str

    @property
    def path(self) -> Path:
        """Of its snapshot."""
        return FOLDER / f"google-{self.provider}.json"


PINS = (
    Pin("7.41.0", "19.10.0", "3de4aa30021d93fdee8c621ef74da97c9661079db92c81273f96091723ffd1d1"),
    Pin("8.7.0", "21.1.0", "157dead5025d5db5abe48e40cc49f0b6a4d8088fd0498eb17ad5a36bca811b2a"),
)
REMOVED = "google_vertex_ai_schedule"
"""In 7.41 and gone in 8: nothing may use it, and a test makes sure that this is found out."""


def used(folder: Path = SOURCES) -> tuple[set[str], set[str]]:
    """Types of resources and of data sources in the files of Terraform below a folder."""
    resources: set[str] = set()
    data: set[str] = set()
    for path in [*folder.rglob("*.tf"), *folder.rglob("*.hcl")]:
        if ".terraform" not in path.parts:
            for kind, name in _USED.findall(path.read_text(encoding="utf-8")):
                (data if kind.endswith("data") else resources).add(name)
    return resources, data


def update(pin: Pin) -> None:
    """Fetch the package, hold it against its hash, and write its snapshot."""
    resources, data = used()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
        subprocess.run([*command, f"{PACKAGE}=={pin.version}"], check=True)
        wheel = next(Path(folder).glob("*.whl"))
        found = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if found != pin.sha256:
            sys.exit(f"{wheel.name} has the hash {found}, and {pin.sha256} is pinned")
        schema = jsii_schema.extract(wheel, resources | {REMOVED}, data)
    head = {
        "provider": f"registry.terraform.io/hashicorp/google {pin.provider}",
        "package": f"{PACKAGE} {pin.version}",
        "sha256": pin.sha256,
        "licence": f"{LICENCE}, see NOTICE",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
    pin.path.parent.mkdir(parents=True, exist_ok=True)
    pin.path.write_text("\n".join([*_lines({"source": head, **schema}), ""]), encoding="utf-8")


def _lines(value: Any, name: str = "", depth: int = 0, comma: str = "") -> Iterator[str]:
    """As JSON, sorted; an attribute is a line, and so is whatever holds no object."""
    label = f"{' ' * depth}{json.dumps(name)}: " if name else ""
    if not isinstance(value, dict) or not any(isinstance(inner, dict) for inner in value.values()):
        yield f"{label}{json.dumps(value, sort_keys=True)}{comma}"
        return
    yield f"{label}{{"
    for index, key in enumerate(sorted(value), start=1):
        yield from _lines(value[key], key, depth + 1, "," if index < len(value) else "")
    yield f"{' ' * depth}}}{comma}"


def load(path: Path) -> dict[str, Any]:
    """A snapshot."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def check() -> list[str]:
    """What the snapshots lack, or were not made from."""
    resources, data = used()
    return [fault for pin in PINS for fault in _check(pin, resources, data)]


def _check(pin: Pin, resources: set[str], data: set[str]) -> Iterator[str]:
    if not pin.path.exists():
        yield f"{pin.path.relative_to(ROOT)} is missing"
        return
    snapshot = load(pin.path)
    if snapshot["source"]["sha256"] != pin.sha256:
        yield f"{pin.path.relative_to(ROOT)} was not made from {PACKAGE} {pin.version}"
    for kind, names in (("resource_schemas", resources), ("data_source_schemas", data)):
        for name in sorted(names - set(snapshot[kind])):
            yield f"{pin.path.relative_to(ROOT)} has no {name}"


def main() -> int:
    """Write, or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--update", action="store_true")
    chosen.add_argument("--check", action="store_true")
    if parser.parse_args().update:
        for pin in PINS:
            update(pin)
    faults = check()
    if faults:
        print("run `python -m scripts.terraform_schema --update`:", *faults, sep="\n")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
