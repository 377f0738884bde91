"""What Terraform made is what there is: `terraform show -json` as a seed, and nothing that the settings promise beside."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.emulator.project.settings import (
    ARTIFACTS,
    DATASETS,
    IMAGES,
    KEY,
    LOCATION,
    NUMBER,
    PROJECT,
    REWARD,
    RING,
    RUNNER,
    SETTINGS,
    SUBMITTER,
    holders,
    policy,
)
from tests.emulator.project.test_project_seeds import refused

LABELS = {"app": "vertex-tuning"}
OPEN_AGENT = f"serviceAccount:service-{NUMBER}@gcp-sa-vertex-moss-ft.iam.gserviceaccount.com"


def managed(kind: str, **values: Any) -> dict[str, Any]:
    return {"address": f"{kind}.this", "mode": "managed", "type": kind, "values": values}


def member(of: str, role: str, member: str, **on: Any) -> dict[str, Any]:
    return managed(f"{of}_iam_member", role=role, member=member, condition=[], **on)


IDENTITIES = [
    managed("google_project_service", service="aiplatform.googleapis.com", project=PROJECT),
    managed("google_project_service", service="iam.googleapis.com", project=PROJECT),
    managed("google_project_service", service="cloudkms.googleapis.com", project=PROJECT),
    managed("google_project_service", service="artifactregistry.googleapis.com", project=PROJECT),
    managed("google_project_service", service="run.googleapis.com", project=PROJECT),
    managed("google_project_service", service="compute.googleapis.com", project=PROJECT),
    managed("google_project_service", service="serviceusage.googleapis.com", project=PROJECT),
    managed("google_project_service", service="cloudresourcemanager.googleapis.com", project=PROJECT),
    managed(
        "google_service_account",
        account_id="vt-runner",
        email=RUNNER,
        display_name="Runs jobs",
        disabled=False,
    ),
    managed(
        "google_service_account", account_id="vt-submitter", email=SUBMITTER, display_name=None, disabled=True
    ),
    member("google_project", "roles/aiplatform.user", f"serviceAccount:{RUNNER}", project=PROJECT),
    member("google_project", "roles/owner", f"serviceAccount:{RUNNER}", project="another-project"),
    managed(
        "google_project_iam_binding",
        project=PROJECT,
        role="roles/viewer",
        members=["group:team@example.com"],
        condition=[{"title": "soon", "expression": "true", "description": ""}],
    ),
    member(
        "google_service_account",
        "roles/iam.serviceAccountTokenCreator",
        OPEN_AGENT,
        service_account_id=f"projects/{PROJECT}/serviceAccounts/{RUNNER}",
    ),
]
THINGS = [
    managed(
        "google_storage_bucket",
        name=DATASETS,
        location="EU",
        encryption=[{"default_kms_key_name": KEY}],
        uniform_bucket_level_access=True,
        public_access_prevention="enforced",
        versioning=[{"enabled": True}],
        labels=LABELS,
    ),
    managed("google_storage_bucket", name=ARTIFACTS, location="us-east1", encryption=[], versioning=[]),
    member("google_storage_bucket", "roles/storage.objectViewer", "allUsers", bucket=f"b/{DATASETS}"),
    managed("google_kms_key_ring", name=f"vt-{LOCATION}", location=LOCATION),
    managed(
        "google_kms_crypto_key",
        name="vt-data",
        key_ring=RING,
        purpose="ENCRYPT_DECRYPT",
        rotation_period=None,
        version_template=[],
        labels=LABELS,
    ),
    member("google_kms_crypto_key", "roles/cloudkms.viewer", f"serviceAccount:{RUNNER}", crypto_key_id=KEY),
    managed(
        "google_artifact_registry_repository",
        repository_id="vt-images",
        location=LOCATION,
        project=PROJECT,
        format="DOCKER",
        kms_key_name=KEY,
        labels=None,
    ),
    member(
        "google_artifact_registry_repository",
        "roles/artifactregistry.reader",
        f"serviceAccount:{RUNNER}",
        repository="vt-images",
        location=LOCATION,
        project=PROJECT,
    ),
    managed(
        "google_cloud_run_v2_service",
        name="vt-reward",
        location=LOCATION,
        project=PROJECT,
        uri=SETTINGS.reward_uri,
        ingress="INGRESS_TRAFFIC_INTERNAL_ONLY",
        invoker_iam_disabled=None,
        template=[
            {"service_account": RUNNER, "timeout": "120s", "containers": [{"image": "gcr.io/p/reward:1"}]}
        ],
        labels={},
    ),
    member(
        "google_cloud_run_v2_service",
        "roles/run.invoker",
        f"serviceAccount:{SUBMITTER}",
        name=REWARD,
        location=LOCATION,
        project=PROJECT,
    ),
    managed(
        "google_vertex_ai_endpoint",
        name="7",
        display_name="vt-tuned",
        location=LOCATION,
        project=PROJECT,
        encryption_spec=[{"kms_key_name": KEY}],
    ),
    managed(
        "google_compute_network_attachment",
        name="vt-psc",
        region=LOCATION,
        project=PROJECT,
        connection_preference="ACCEPT_AUTOMATIC",
        subnetworks=[f"projects/{PROJECT}/regions/{LOCATION}/subnetworks/vt-{LOCATION}"],
    ),
    managed("google_billing_budget", display_name="not looked at"),
    {"mode": "data", "type": "google_storage_bucket", "values": {"name": "only-read", "location": "EU"}},
]


def state(*modules: list[dict[str, Any]]) -> str:
    inner = [{"address": f"module.m{number}", "resources": found} for number, found in enumerate(modules)]
    root = {"resources": [], "child_modules": [{"address": "module.tuning", "child_modules": inner}]}
    return json.dumps(
        {"format_version": "1.0", "terraform_version": "1.11.4", "values": {"root_module": root}}
    )


@pytest.fixture
def start(start_emulator, tmp_path):
    def begin(*seeds: str):
        (tmp_path / "settings.toml").write_text(SETTINGS.to_toml(), encoding="utf-8")
        arguments = ["--config", str(tmp_path / "settings.toml")]
        for number, seed in enumerate(seeds):
            path = tmp_path / f"seed-{number}.{'json' if seed.startswith('{') else 'toml'}"
            path.write_text(seed, encoding="utf-8")
            arguments += ["--seed", str(path)]
        return start_emulator(*arguments)

    return begin


def test_what_terraform_made_is_what_there_is(start):
    running = start(state(IDENTITIES, THINGS))
    call = running.call
    services = f"/v1/projects/{PROJECT}/services"
    on = {one["config"]["name"] for one in call("GET", f"{services}?filter=state:ENABLED")["services"]}
    assert on == {one["values"]["service"] for one in IDENTITIES if one["type"] == "google_project_service"}
    listed = call("GET", f"/v1/projects/{PROJECT}/serviceAccounts")["accounts"]
    assert [(one["email"], one.get("disabled", False)) for one in listed] == [
        (RUNNER, False),
        (SUBMITTER, True),
    ]
    bucket = call("GET", f"/storage/v1/b/{DATASETS}")
    assert (bucket["location"], bucket["encryption"]["defaultKmsKeyName"]) == ("EU", KEY)
    assert bucket["iamConfiguration"]["publicAccessPrevention"] == "enforced"
    bare = call("GET", f"/storage/v1/b/{ARTIFACTS}")
    assert "encryption" not in bare
    assert not bare["iamConfiguration"]["uniformBucketLevelAccess"]["enabled"]
    assert call("GET", f"/storage/v1/b/{SETTINGS.pipelines_bucket}")[0] == 404
    assert call("GET", "/storage/v1/b/only-read")[0] == 404
    key = call("GET", f"/v1/{KEY}")
    assert key["primary"]["state"] == "ENABLED"
    assert "rotationPeriod" not in key
    assert call("GET", f"/v1/{IMAGES}")["kmsKeyName"] == KEY
    reward = call("GET", f"/v2/{REWARD}")
    assert (reward["uri"], reward["ingress"]) == (SETTINGS.reward_uri, "INGRESS_TRAFFIC_INTERNAL_ONLY")
    assert reward["template"]["timeout"] == "120s"
    assert call("GET", f"/v1/{SETTINGS.endpoint}")["displayName"] == "vt-tuned"
    attachment = call("GET", f"/compute/v1/{SETTINGS.network_attachment}")
    assert attachment["connectionPreference"] == "ACCEPT_AUTOMATIC"


def test_roles_are_those_that_terraform_gave_and_those_of_googles_agents(start):
    running = start(state(IDENTITIES, THINGS))
    runner = f"serviceAccount:{RUNNER}"
    project = running.call(
        "POST", f"/v3/projects/{PROJECT}:getIamPolicy", {"options": {"requestedPolicyVersion": 3}}
    )
    assert holders(project, "roles/aiplatform.user") == {runner}
    assert holders(project, "roles/owner") == set()
    # Who exists from the start has what Google gives; of those that come later, the one that Terraform could name.
    assert len(holders(project, "roles/aiplatform.serviceAgent")) == 1
    assert holders(project, "roles/aiplatform.tuningServiceAgent") == {OPEN_AGENT}
    assert holders(project, "roles/aiplatform.customCodeServiceAgent") == set()
    (viewer,) = (one for one in project["bindings"] if one["role"] == "roles/viewer")
    assert viewer["condition"] == {"title": "soon", "expression": "true"}
    expected = {
        "account": {"roles/iam.serviceAccountTokenCreator": {OPEN_AGENT}},
        "bucket": {"roles/storage.objectViewer": {"allUsers"}},
        "key": {"roles/cloudkms.viewer": {runner}},
        "repository": {"roles/artifactregistry.reader": {runner}},
        "run": {"roles/run.invoker": {f"serviceAccount:{SUBMITTER}"}},
    }
    for of, roles in expected.items():
        found = policy(running, of)
        assert {one["role"]: set(one["members"]) for one in found["bindings"]} == roles, of


def test_a_seed_of_ones_own_breaks_what_terraform_made(start):
    seed = (
        '[keys.kms_key]\nstate = "DISABLED"\n[[grants.remove]]\nmember = "service_account"\non = "kms_key"\n'
    )
    running = start(state(IDENTITIES, THINGS), seed)
    assert running.call("GET", f"/v1/{KEY}")["primary"]["state"] == "DISABLED"
    assert "bindings" not in policy(running, "key")


def test_a_state_of_something_else_is_refused(tmp_path):
    path = tmp_path / "state.json"
    path.write_text(state([managed("google_storage_bucket", bucket="a")]), encoding="utf-8")
    assert refused("--seed", str(path)).startswith(
        f"VT413  {path}: a resource in it is not of Google's provider"
    )
