"""The files of terraform/: well formed, valid for both versions of the provider, and kept to the house's rules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from scripts import terraform_schema
from tests.terraform import checks, core, sources
from tests.terraform.core import Workspace

FOLDERS = [str(path.relative_to(core.SOURCES)) for path in sources.modules(core.SOURCES)]


def said(findings: list[sources.Finding]) -> str:
    return "\n".join(map(str, findings))


def test_files_are_written_as_terraform_formats_them(space: Workspace):
    assert said(checks.formatting(space)) == ""


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_module_and_every_example_is_valid_by_itself(folder: str, shared: Workspace):
    assert said(checks.validation(shared, folder)) == ""


def test_root_modules_and_examples_are_all_there():
    modules = {"apis", "identities", "storage", "registry", "kms", "network", "observability", "budget"}
    modules |= {"schedules", "reward", "ci", "endpoint"}
    assert set(FOLDERS) == {".", *checks.EXAMPLES, *(f"modules/{name}" for name in modules)}


def test_everything_is_described_and_sorted_and_no_module_has_a_provider_of_its_own():
    assert said(sources.findings(core.SOURCES)) == ""


UNRULY = """\
terraform {
  required_providers {
    random = { source = "hashicorp/random" }
  }
}

provider "google" {}

variable "b" {
  description = "The second."
}

variable "a" {}

resource "random_id" "this" {}
"""


def test_what_breaks_the_rules_of_the_house_is_found(tmp_path: Path):
    module = tmp_path / "modules" / "unruly"
    module.mkdir(parents=True)
    (module / "main.tf").write_text(UNRULY, encoding="utf-8")
    found = sources.findings(tmp_path)
    assert {one.file for one in found} == {"modules/unruly/main.tf"}
    assert sorted((one.line, one.rule) for one in found) == [
        (3, "one-provider"),
        (7, "no-provider"),
        (13, "alphabetical"),
        (13, "description"),
        (15, "one-provider"),
    ]


@pytest.mark.parametrize("example", checks.EXAMPLES)
def test_examples_plan(example: str, shared: Workspace):
    shared.init(example)
    assert said(checks.planning(shared, example)) == ""


def test_all_types_in_use_are_in_both_snapshots_of_the_schema():
    assert terraform_schema.check() == []


def test_a_type_that_no_snapshot_has_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(terraform_schema, "used", lambda: ({"google_tpu_vm"}, {"google_client_config"}))
    assert [line.split()[-1] for line in terraform_schema.check()] == [
        "google_tpu_vm",
        "google_client_config",
    ] * len(terraform_schema.PINS)


def test_snapshots_say_what_they_were_made_from(schema: Mapping[str, Any]):
    source = schema["source"]
    pin = next(pin for pin in terraform_schema.PINS if pin.provider in source["provider"])
    assert source["package"] == f"{terraform_schema.PACKAGE} {pin.version}"
    assert source["licence"].startswith("MPL-2.0")
