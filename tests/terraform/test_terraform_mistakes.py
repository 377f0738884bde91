"""Mistakes that are made on purpose, each in a copy: what terraform/ is held to finds them, with file and line."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from scripts.terraform_schema import PINS, REMOVED, load
from tests.terraform import checks, core
from tests.terraform.core import Workspace

OLDEST, NEWEST = (pin.provider for pin in PINS)


@dataclass(frozen=True)
class Mistake:
    """An edit of one file, and what has to be found."""

    file: str
    old: str
    """A regular expression; its last match is replaced."""
    new: str
    at: str
    """What the line begins with that is pointed at, after its indentation; the last such line."""
    words: str
    rule: str = "terraform"
    address: str = ""


MISTAKES = {
    "misspelt argument": Mistake(
        "modules/storage/main.tf",
        r"force_destroy ",
        "force_destory ",
        at="force_destory",
        words='Did you mean "force_destroy"?',
    ),
    "wrong type": Mistake(
        "modules/registry/main.tf",
        r"labels( +)= .*",
        r'labels\1= ["tuning"]',
        at="labels",
        words="map of string required",
    ),
    "missing block": Mistake(
        "modules/budget/main.tf",
        r"  amount \{.*?\n  \}\n\n",
        "",
        at='resource "google_billing_budget"',
        words='At least 1 "amount" blocks are required',
    ),
    "removed resource": Mistake(
        "modules/schedules/main.tf",
        r"\Z",
        f'\nresource "{REMOVED}" "again" {{\n  display_name = "again"\n  location = var.location\n'
        '  cron = "0 0 * * *"\n  max_concurrent_run_count = 1\n}\n',
        at=f'resource "{REMOVED}"',
        words=f'does not support resource type "{REMOVED}"',
    ),
    "read-only attribute": Mistake(
        "modules/identities/main.tf",
        r"  account_id ",
        '  email = "me@example.com"\n  account_id ',
        at="email",
        words="google_service_account.email is read-only",
    ),
    "unknown enum": Mistake(
        "modules/reward/main.tf",
        r'"INGRESS_TRAFFIC_ALL"',
        '"ALL"',
        at="ingress",
        words="expected ingress to be one of",
    ),
    "public bucket": Mistake(
        "modules/storage/main.tf",
        r'"enforced"',
        '"inherited"',
        at='resource "google_storage_bucket" "this"',
        words="public access is not prevented",
        rule="public-bucket",
        address='google_storage_bucket.this["datasets"]',
    ),
    "owner role": Mistake(
        "grants.tf",
        r"\"roles/logging\.logWriter\"",
        '"roles/owner"',
        at='resource "google_project_iam_member" "account"',
        words="roles/owner is a basic role",
        rule="basic-role",
        address="google_project_iam_member.account",
    ),
    "missing CMEK": Mistake(
        "modules/budget/main.tf",
        r" +kms_key_name.*\n",
        "",
        at='resource "google_pubsub_topic"',
        words="not encrypted with the key",
        rule="cmek",
        address="google_pubsub_topic.this",
    ),
    "unlabelled resource": Mistake(
        "modules/registry/main.tf",
        r" +labels.*\n",
        "",
        at='resource "google_artifact_registry_repository" "this"',
        words="lack app and managed-by",
        rule="labels",
        address='google_artifact_registry_repository.this["images"]',
    ),
    "everybody may read": Mistake(
        "modules/storage/main.tf",
        r"member = each\.value\.member",
        'member = "allUsers"',
        at='resource "google_storage_bucket_iam_member" "this"',
        words="allUsers is anybody",
        rule="public-member",
        address="google_storage_bucket_iam_member.this",
    ),
}


def make(mistake: Mistake, space: Workspace) -> None:
    """Make it, and leave nothing else to find fault with."""
    path = space.folder / mistake.file
    text = path.read_text(encoding="utf-8")
    last = list(re.finditer(mistake.old, text, re.DOTALL if r"\n  \}" in mistake.old else 0))[-1]
    path.write_text(text[: last.start()] + last.expand(mistake.new) + text[last.end() :], encoding="utf-8")
    space.run("fmt", "-recursive")


def line(space: Workspace, mistake: Mistake, file: str) -> int:
    lines = (space.folder / file).read_text(encoding="utf-8").splitlines()
    return max(number for number, text in enumerate(lines, 1) if text.lstrip().startswith(mistake.at))


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_found_with_file_and_line(name: str, open_workspace: Callable[..., Workspace]):
    mistake = MISTAKES[name]
    schema = load(core.SCHEMAS[NEWEST])
    space = open_workspace(schema)
    make(mistake, space)
    found = checks.findings(space, schema)
    # A role is written down in one file, and given by a resource in another.
    file = "modules/identities/main.tf" if mistake.file == "grants.tf" else mistake.file
    assert {(one.rule, one.file, one.line) for one in found} == {
        (mistake.rule, file, line(space, mistake, file))
    }
    assert any(mistake.words in one.words for one in found), found
    assert any(mistake.address in one.address for one in found), found


def test_a_resource_that_version_8_removed_is_still_valid_with_version_7(
    open_workspace: Callable[..., Workspace],
):
    space = open_workspace(load(core.SCHEMAS[OLDEST]))
    make(MISTAKES["removed resource"], space)
    assert checks.validation(space, ".") == []


def test_a_file_that_is_not_formatted_is_found(open_workspace: Callable[..., Workspace]):
    space = open_workspace(load(core.SCHEMAS[NEWEST]))
    path = space.folder / "modules" / "apis" / "main.tf"
    path.write_text(path.read_text(encoding="utf-8").replace("\n  ", "\n    ", 1), encoding="utf-8")
    (found,) = checks.formatting(space)
    assert (found.rule, found.file) == ("format", "modules/apis/main.tf")
