"""The provider that stands in for Google's does as that one does, where the tests of terraform/ rely on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.terraform import checks
from tests.terraform.core import Done, Workspace

HEAD = """\
terraform {
  required_providers {
    google = {
      source = "hashicorp/google"
    }
  }
}

provider "google" {
  project        = "demo-tuning"
  region         = "us-central1"
  default_labels = { team = "search" }
}
"""
BUCKET = """\
resource "google_storage_bucket" "this" {
  name     = "demo-data"
  location = "us-central1"
  labels   = { app = "vertex-tuning" }
}
"""
ACCOUNT = """\
resource "google_service_account" "this" {
  account_id = "vt-runner"
}

output "email" {
  description = "Its address."
  value       = google_service_account.this.email
}
"""
Write = Callable[[str], Workspace]


@pytest.fixture
def write(open_workspace: Callable[..., Workspace], schema: Mapping[str, Any], tmp_path: Path) -> Write:
    """Puts a configuration into a folder of the test's own, and into the same again."""
    source = tmp_path / "source"
    source.mkdir()
    space: Workspace | None = None

    def put(body: str) -> Workspace:
        nonlocal space
        if space is None:
            (source / "main.tf").write_text(HEAD + body, encoding="utf-8")
            space = open_workspace(schema, source)
            space.init(".")
        (space.folder / "main.tf").write_text(HEAD + body, encoding="utf-8")
        return space

    return put


def apply(space: Workspace, expect: int = 0) -> Done:
    return space.run("apply", "-auto-approve", "-input=false", "-no-color", expect=expect)


def change(space: Workspace) -> dict[str, Any]:
    """The one change that a plan has."""
    space.run("plan", "-input=false", "-out=plan")
    changes = [one["change"] for one in space.show(".", "plan")["resource_changes"]]
    (found,) = [one for one in changes if one["actions"] != ["no-op"]]
    return dict(found)


def test_what_google_sets_is_unknown_until_it_is_made(write: Write):
    space = write(ACCOUNT)
    planned = change(space)
    assert {"email", "id", "member", "name", "unique_id"} <= set(planned["after_unknown"])
    assert planned["after"]["account_id"] == "vt-runner"
    apply(space)
    made = space.show(".")["values"]
    assert made["outputs"]["email"]["value"] == "vt-runner@demo-tuning.iam.gserviceaccount.com"
    assert len(made["root_module"]["resources"][0]["values"]["unique_id"]) == 21


def test_the_provider_adds_its_own_labels_and_a_plan_knows_them(write: Write):
    planned = change(write(BUCKET))["after"]
    assert planned["labels"] == {"app": "vertex-tuning"}
    assert planned["effective_labels"] == {
        "app": "vertex-tuning",
        "team": "search",
        "goog-terraform-provisioned": "true",
    }


def test_a_label_changes_in_place_and_a_name_does_not(write: Write):
    space = write(BUCKET)
    apply(space)
    write(BUCKET.replace("vertex-tuning", "other"))
    assert change(space)["actions"] == ["update"]
    write(BUCKET.replace("demo-data", "demo-more"))
    assert change(space)["actions"] == ["delete", "create"]
    apply(space)
    assert list(space.provider.made) == [("google_storage_bucket", "demo-more")]
    assert space.provider.made["google_storage_bucket", "demo-more"]["url"] == "gs://demo-more"


def test_a_name_that_is_taken_is_refused(write: Write):
    space = write(BUCKET + BUCKET.replace('"this"', '"that"'))
    assert "Error 409" in apply(space, expect=1).err


@pytest.mark.parametrize("protection", ['deletion_policy = "PREVENT"', ""])
def test_what_is_protected_is_not_destroyed(protection: str, write: Write):
    space = write(BUCKET.replace("labels ", f"{protection}\n  labels "))
    apply(space)
    done = space.run("destroy", "-auto-approve", "-no-color", expect=1 if protection else 0)
    assert ("is protected" in done.err) == bool(protection) == bool(space.provider.made)


def test_a_configuration_of_wrong_values_is_refused_where_it_stands(write: Write):
    policy = """\
resource "google_artifact_registry_repository" "this" {
  repository_id = "vt"
  location      = "us-central1"
  format        = "DOCKER"
  cleanup_policies {
    id     = "old"
    action = "REMOVE"
  }
}

resource "google_cloud_run_v2_service" "this" {
  name     = "reward"
  location = "us-central1"
  uri      = "https://example.com"
  template {
    execution_environment = "EXECUTION_ENVIRONMENT_GEN3"
  }
}
"""
    lines = (HEAD + policy).splitlines()
    found = checks.validation(write(policy), ".")
    told = {one.words.partition(":")[0]: lines[one.line - 1].split()[0] for one in found}
    assert len(found) == 3
    assert told["Value for unconfigurable attribute"] == "uri"
    # A set has no places: its resource is all that can be named. A list has.
    assert "execution_environment" in told.values()


def test_nothing_that_is_made_twice_differs(write: Write):
    space = write(BUCKET + ACCOUNT)
    apply(space)
    first = json.dumps(sorted(space.provider.made.items()))
    space.run("destroy", "-auto-approve")
    apply(space)
    assert json.dumps(sorted(space.provider.made.items())) == first
