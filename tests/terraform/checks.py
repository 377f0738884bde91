"""Everything that terraform/ is held to, as findings with file and line: what Terraform itself says, and what the policy does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.terraform import policy, sources
from tests.terraform.core import Workspace
from tests.terraform.policy import Asked
from tests.terraform.sources import Finding

MINIMAL, COMPLETE = EXAMPLES = ("examples/minimal", "examples/complete")
KEY = "projects/demo-keys/locations/us-central1/keyRings/shared/cryptoKeys/tuning"
"""One that exists: a plan then tells what is encrypted with it. Of a key that it makes itself it knows no name yet."""


def findings(space: Workspace, schema: Mapping[str, Any]) -> list[Finding]:
    """What is wrong, as far as it can be seen: a file that is not valid is not planned."""
    found = [*formatting(space), *sources.findings(space.folder)]
    wrong = validation(space, ".")
    if not wrong:
        space.init(MINIMAL)
        space.init(COMPLETE)
        wrong += planning(space, MINIMAL)
        wrong += planning(space, COMPLETE, f"-var=key_id={KEY}")
    found += wrong
    if not wrong:
        found += policies(space, MINIMAL, schema, Asked())
        found += policies(space, COMPLETE, schema, Asked(key=True, budget=True))
    return sorted(set(found), key=lambda one: (one.file, one.line, one.rule, one.address))


def formatting(space: Workspace) -> list[Finding]:
    """Files that `terraform fmt` would write otherwise."""
    done = space.run("fmt", "-check", "-recursive", "-diff", "-no-color", expect=None)
    changed = re.findall(r"^--- old/(\S+)\n.*?\n@@ -(\d+)", done.out, re.MULTILINE)
    assert bool(changed) == bool(done.status), done.out + done.err
    return [Finding("format", "terraform fmt writes it otherwise", file, int(line)) for file, line in changed]


def validation(space: Workspace, at: str) -> list[Finding]:
    """What `terraform validate` says of a folder, or `terraform init` before it."""
    started = space.run("init", "-backend=false", "-input=false", "-json", at=at, expect=None)
    if started.status:
        said = [one for one in started.messages if one.get("diagnostic")]
        return list(_diagnosed(space, at, (one["diagnostic"] for one in said)))
    done = space.run("validate", "-json", at=at, expect=None)
    return list(_diagnosed(space, at, json.loads(done.out)["diagnostics"]))


def planning(space: Workspace, at: str, *variables: str) -> list[Finding]:
    """What `terraform plan` says; the plan is kept in the file `plan` there."""
    done = space.run("plan", "-input=false", "-json", "-out=plan", *variables, at=at, expect=None)
    found = list(_diagnosed(space, at, (one["diagnostic"] for one in done.messages if "diagnostic" in one)))
    assert bool(found) == bool(done.status), done.out + done.err
    return found


def policies(space: Workspace, at: str, schema: Mapping[str, Any], asked: Asked) -> list[Finding]:
    """What the policy says of the plan that is kept in a folder, or of its state where there is none."""
    kept = ["plan"] if (space.folder / at / "plan").exists() else []
    planned = policy.resources(space.show(at, *kept))
    faults = policy.faults(planned, schema["resource_schemas"], asked)
    return [_placed(space.folder, space.folder / at, fault) for fault in faults]


def _placed(root: Path, at: Path, fault: policy.Fault) -> Finding:
    rule, resource, words = fault
    if resource is None:  # what is missing is missing in what was asked for
        return Finding(rule, words, str((at / "main.tf").relative_to(root)), 1)
    file, line = sources.locate(root, at, resource.address)
    return Finding(rule, words, file, line, resource.address)


def _diagnosed(space: Workspace, at: str, said: Iterable[Mapping[str, Any]]) -> Iterator[Finding]:
    """Errors alone. Warnings are left out: one tells that the backend of a module counts for nothing."""
    for one in said:
        if one["severity"] == "error":
            place = one.get("range") or {"filename": "main.tf", "start": {"line": 1}}
            path = (space.folder / at / place["filename"]).resolve()
            file = str(path.relative_to(space.folder.resolve()))
            words = " ".join(f"{one['summary']}: {one.get('detail', '')}".split())
            yield Finding("terraform", words, file, place["start"]["line"])
