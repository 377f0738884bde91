"""A life of a project: planned, made, left alone by a second apply, and destroyed but for what is protected."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.terraform.checks import COMPLETE, KEY, MINIMAL
from tests.terraform.core import Workspace

PROTECTED = re.compile(
    r"google_(storage_bucket|artifact_registry_repository|bigquery_dataset|cloud_run_v2_service|vertex_ai_endpoint)"
)
"""Types of what holds data, or serves it."""
UNPROTECTED = "-var=deletion_protection=false"
GIVEN_KEY = f"-var=key_id={KEY}"


@pytest.fixture
def applied(space: Workspace) -> Callable[..., Workspace]:
    """Makes the project of an example: `applied(COMPLETE, "-var=...")`."""

    def apply(at: str, *variables: str) -> Workspace:
        space.init(at)
        change(space, "apply", at, *variables)
        return space

    return apply


def change(space: Workspace, command: str, at: str, *variables: str, expect: int = 0) -> str:
    done = space.run(command, "-auto-approve", "-input=false", "-no-color", *variables, at=at, expect=expect)
    return " ".join(re.sub(r"[│╷╵]", " ", done.out + done.err).split())


def left(space: Workspace, at: str) -> set[str]:
    """Types that are in the state."""
    lines = space.run("state", "list", at=at).out.split()
    return {address for address in lines if ".data." not in address}


def kind(address: str) -> str:
    return next(part for part in reversed(re.sub(r"\[[^]]*]", "", address).split(".")) if "google_" in part)


@pytest.mark.parametrize("example", [MINIMAL, COMPLETE])
def test_a_second_apply_changes_nothing(example: str, applied: Callable[..., Workspace]):
    space = applied(example)
    assert len(space.provider.made) == len(left(space, example))
    outputs = space.run("output", "-json", at=example).out
    space.run("plan", "-input=false", "-detailed-exitcode", at=example, expect=0)
    assert "0 added, 0 changed, 0 destroyed" in change(space, "apply", example)
    assert space.run("output", "-json", at=example).out == outputs


def test_what_somebody_deleted_is_made_again(applied: Callable[..., Workspace]):
    space = applied(MINIMAL)
    del space.provider.made["google_storage_bucket", "demo-tuning-vt-artifacts"]
    space.run("plan", "-input=false", "-detailed-exitcode", at=MINIMAL, expect=2)
    change(space, "apply", MINIMAL)
    assert ("google_storage_bucket", "demo-tuning-vt-artifacts") in space.provider.made


def test_destroy_keeps_what_holds_data_and_nothing_else(applied: Callable[..., Workspace]):
    space = applied(COMPLETE, GIVEN_KEY)
    protected = {address for address in left(space, COMPLETE) if PROTECTED.fullmatch(kind(address))}
    assert protected
    said = change(space, "destroy", COMPLETE, GIVEN_KEY, expect=1)
    assert "is protected" in said
    kept = left(space, COMPLETE)
    assert {address for address in kept if PROTECTED.fullmatch(kind(address))} == protected
    # With it stays what it needs: APIs, the key's grants, the account that the reward runs as, and the grants of accounts.
    assert {kind(address) for address in kept - protected} == {
        "google_kms_crypto_key_iam_member",
        "google_project_iam_member",
        "google_project_service",
        "google_service_account",
        "google_service_account_iam_member",
    }


def test_without_protection_nothing_is_left_but_that_apis_are_on(applied: Callable[..., Workspace]):
    space = applied(COMPLETE, GIVEN_KEY)
    said = change(space, "apply", COMPLETE, GIVEN_KEY, UNPROTECTED)
    assert re.search(r"Resources: 0 added, [1-9]\d* changed, 0 destroyed", said)
    change(space, "destroy", COMPLETE, GIVEN_KEY, UNPROTECTED)
    assert left(space, COMPLETE) == set()
    assert space.provider.made == {}
    assert {kind for kind, _ in space.provider.forgotten} == {"google_project_service"}


def test_a_key_that_was_made_here_is_never_destroyed(applied: Callable[..., Workspace]):
    space = applied(COMPLETE, UNPROTECTED)
    before = left(space, COMPLETE)
    said = change(space, "destroy", COMPLETE, UNPROTECTED, expect=1)
    assert "Instance cannot be destroyed" in said
    assert left(space, COMPLETE) == before
    # Let go of as the README says, it stays at Google, and all else goes.
    readme = (space.folder / "README.md").read_text(encoding="utf-8")
    keys = re.findall(r"'(module\.kms\S+)'", readme.partition("terraform state rm")[2])
    space.run("state", "rm", *(f"module.tuning.{address}" for address in keys), at=COMPLETE)
    change(space, "destroy", COMPLETE, UNPROTECTED)
    assert left(space, COMPLETE) == set()
    assert {kind for kind, _ in space.provider.made} == {"google_kms_key_ring", "google_kms_crypto_key"}
