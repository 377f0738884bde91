"""What a platform team expects of the plan: nothing public, least privilege, encryption, audit, budgets, labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.terraform import checks, core, policy
from tests.terraform.checks import COMPLETE, KEY, MINIMAL
from tests.terraform.policy import Asked, Planned

VARIANTS = {
    "minimal": (MINIMAL, (), Asked()),
    "complete with a key that exists": (COMPLETE, (f"-var=key_id={KEY}",), Asked(key=True, budget=True)),
    "complete with a key of its own": (COMPLETE, (), Asked(key=True, budget=True)),
    "dev": (".", ("-var-file=environments/dev.tfvars",), Asked(budget=True, protection=False)),
    "prod": (".", ("-var-file=environments/prod.tfvars",), Asked(key=True, budget=True)),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_plan_keeps_to_the_policy(variant: str, open_workspace: Any, schema: Mapping[str, Any]):
    at, variables, asked = VARIANTS[variant]
    space = open_workspace(schema)
    space.init(at)
    assert checks.planning(space, at, *variables) == []
    found = checks.policies(space, at, schema, asked)
    assert "\n".join(map(str, found)) == ""


def test_every_sample_of_an_environment_is_planned():
    files = {
        f"-var-file=environments/{path.name}" for path in (core.SOURCES / "environments").glob("*.tfvars")
    }
    assert files == {file for at, variables, _ in VARIANTS.values() if at == "." for file in variables}


# Each rule finds what it is for


def planned(kind: str, **values: Any) -> Planned:
    return Planned(f"google_{kind}.this", f"google_{kind}", values, {})


BROKEN = {
    "uniform-access": planned("storage_bucket", uniform_bucket_level_access=False),
    "public-bucket": planned("storage_bucket", public_access_prevention="inherited"),
    "bucket-lifecycle": planned("storage_bucket", force_destroy=True, lifecycle_rule=[{}]),
    "deletion": planned("artifact_registry_repository", deletion_policy="DELETE"),
    "additive-iam": planned("project_iam_binding", role="roles/aiplatform.user", members=["user:a@b.c"]),
    "public-member": planned(
        "storage_bucket_iam_member", role="roles/storage.objectViewer", member="allUsers"
    ),
    "basic-role": planned("project_iam_member", role="roles/editor", member="user:a@b.c"),
    "admin-role": planned("storage_bucket_iam_member", role="roles/storage.admin", member="user:a@b.c"),
    "project-impersonation": planned("project_iam_member", role="roles/iam.serviceAccountTokenCreator"),
    "account-key": planned("service_account_key", service_account_id="a"),
    "reward-service": planned("cloud_run_v2_service", template=[{"timeout": "3600s"}]),
    "key-rotation": planned("kms_crypto_key", rotation_period="31536000s"),
    "service-stays": planned("project_service", service="run.googleapis.com", disable_on_destroy=True),
    "federation": planned(
        "iam_workload_identity_pool_provider", attribute_condition='assertion.repository_owner == "acme"'
    ),
    "federated-account": planned(
        "service_account_iam_member", member="principalSet://iam.googleapis.com/projects/1/pool/*"
    ),
    "private-network": planned("compute_subnetwork", private_ip_google_access=False),
    "labels": planned("pubsub_topic", labels={"app": "vertex-tuning"}),
    "cmek": planned("pubsub_topic", kms_key_name=None),
    "audit": planned(
        "project_iam_audit_config", service="allServices", audit_log_config=[{"log_type": "DATA_READ"}]
    ),
    "budget": planned(
        "billing_budget", threshold_rules=[{"threshold_percent": 1, "spend_basis": "FORECASTED_SPEND"}]
    ),
}
BARE: dict[str, Any] = {"block": {"attributes": {}}}


@pytest.mark.parametrize("rule", BROKEN)
def test_a_rule_finds_what_it_is_for(rule: str, schema: Mapping[str, Any]):
    one = BROKEN[rule]
    schemas = {one.kind: BARE, **schema["resource_schemas"]}
    found = policy.faults([one], schemas, Asked(key=True, budget=True))
    assert rule in {name for name, _, _ in found}


def test_every_rule_has_something_that_it_finds():
    assert set(BROKEN) == policy.rules()


def test_a_value_that_is_known_after_apply_is_given():
    bucket = Planned(
        "google_storage_bucket.this",
        "google_storage_bucket",
        {"encryption": [{}]},
        {"encryption": [{"default_kms_key_name": True}]},
    )
    assert bucket.get("encryption", "default_kms_key_name") == [True]
    assert bucket.get("encryption", "other") == []


def test_a_key_that_nobody_asked_for_is_told(schema: Mapping[str, Any]):
    topic = planned("pubsub_topic", kms_key_name=KEY, labels={"app": "a", "managed-by": "terraform"})
    found = policy.faults([topic], schema["resource_schemas"], Asked())
    assert "cmek" in {name for name, _, _ in found}
