"""Policies as IAM keeps them: whoever changes one reads it first, and nobody is named who does not exist."""

from __future__ import annotations

import pytest
from google.api_core.exceptions import BadRequest, PreconditionFailed
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from tests.emulator.project.settings import (
    ATTACHMENT,
    DATASETS,
    IMAGES,
    KEY,
    NUMBER,
    POLICIES,
    PROJECT,
    REWARD,
    RUNNER,
    SUBMITTER,
    TUNING_AGENT,
    holders,
    policy,
)

ADA = "user:ada@example.com"
VIEWER = "roles/viewer"
SETTABLE = [of for of in POLICIES if of != "bucket"]


def resource(of: str) -> str:
    return POLICIES[of][1].partition(":getIam")[0]


def put(emulator, of: str, changed: dict):
    return emulator.call("POST", f"{resource(of)}:setIamPolicy", {"policy": changed})


def with_member(found: dict, role: str, member: str) -> dict:
    return {**found, "bindings": [*found.get("bindings", []), {"role": role, "members": [member]}]}


@pytest.fixture
def project(start_project):
    return start_project("[agents]\ntuning = false\n")


def test_a_policy_is_replaced_where_nobody_else_has_changed_it(project):
    for of in SETTABLE:
        before = policy(project, of)
        after = put(project, of, with_member(before, VIEWER, ADA))
        assert holders(after, VIEWER) == {ADA}
        assert after == policy(project, of)
        assert after["etag"] != before["etag"]
        status, body = put(project, of, with_member(before, VIEWER, "user:bob@example.com"))
        assert (status, body["error"]["status"]) == (409, "ABORTED")
        assert "There were concurrent policy changes" in body["error"]["message"]
        assert policy(project, of) == after
        assert put(project, of, {"bindings": []})["etag"]  # whoever names no etag means it


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (f"serviceAccount:{TUNING_AGENT}", f"Service account {TUNING_AGENT} does not exist."),
        (
            f"serviceAccount:nobody@{PROJECT}.iam.gserviceaccount.com",
            f"Service account nobody@{PROJECT}.iam.gserviceaccount.com does not exist.",
        ),
        ("ada@example.com", "The member ada@example.com is of an unknown type."),
        ("", "is of an unknown type"),
    ],
)
def test_nobody_is_named_who_does_not_exist(project, member, words):
    before = [policy(project, of) for of in POLICIES]
    for of in SETTABLE:
        status, body = put(project, of, with_member(policy(project, of), VIEWER, member))
        assert (status, body["error"]["status"]) == (400, "INVALID_ARGUMENT")
        assert words in body["error"]["message"]
    body = with_member(policy(project, "bucket"), "roles/storage.objectViewer", member)
    status, answer = project.call("PUT", resource("bucket"), body)
    assert status == 400
    assert words in answer["error"]["message"]
    assert before == [policy(project, of) for of in POLICIES]


@pytest.mark.parametrize(
    "member",
    [
        f"serviceAccount:{RUNNER}",
        f"serviceAccount:service-{NUMBER}@gcp-sa-vertex-moss-ft.iam.gserviceaccount.com",
        f"serviceAccount:service-{NUMBER}@gcp-sa-pubsub.iam.gserviceaccount.com",
        "serviceAccount:ci@another-project.iam.gserviceaccount.com",
        f"serviceAccount:{NUMBER}-compute@developer.gserviceaccount.com",
        "group:team@example.com",
        "allUsers",
        "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/attribute.repository/o/r",
    ],
)
def test_whoever_exists_can_be_given_a_role(project, member):
    assert holders(put(project, "project", with_member(policy(project), VIEWER, member)), VIEWER) == {member}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"bindings": "all"}, "list of bindings"),
        ({"bindings": [{"role": "viewer", "members": [ADA]}]}, "Role (viewer) does not exist"),
        ({"bindings": [{"role": VIEWER, "members": 7}]}, "each with a role, members"),
        ({"bindings": [], "version": 2}, "0, 1 or 3"),
        (
            {"bindings": [{"role": VIEWER, "members": [ADA], "condition": {"expression": "true"}}]},
            "version 3",
        ),
    ],
)
def test_a_policy_that_is_none_is_refused(project, changed, words):
    before = policy(project)
    status, body = put(project, "project", changed)
    assert status == 400
    assert words in body["error"]["message"]
    assert policy(project) == before


def test_a_condition_is_kept_and_shows_as_a_strange_role_to_whoever_knows_none(project):
    condition = {"title": "until spring", "expression": 'request.time < timestamp("2027-03-20T00:00:00Z")'}
    binding = {"role": VIEWER, "members": [ADA], "condition": condition}
    kept = put(project, "key", {"version": 3, "bindings": [binding]})
    assert (kept["version"], kept["bindings"]) == (3, [binding])
    path = f"/v1/{KEY}:getIamPolicy"
    assert project.call("GET", f"{path}?options.requestedPolicyVersion=3") == kept
    (seen,) = project.call("GET", path)["bindings"]
    assert seen["role"].startswith(f"{VIEWER}_withcond_")
    assert "condition" not in seen


def test_google_s_storage_client_reads_and_changes_the_policy_of_a_bucket(project):
    client = storage.Client(
        PROJECT, credentials=AnonymousCredentials(), client_options={"api_endpoint": project.address}
    )
    bucket = client.bucket(DATASETS)
    found = bucket.get_iam_policy(requested_policy_version=3)
    given = {one["role"]: one["members"] for one in found.bindings}
    assert f"serviceAccount:{RUNNER}" in given["roles/storage.objectViewer"]
    found.bindings.append({"role": "roles/storage.objectViewer", "members": {ADA}})
    bucket.set_iam_policy(found)
    assert ADA in holders(policy(project, "bucket"), "roles/storage.objectViewer")
    found.bindings.append({"role": "roles/storage.objectViewer", "members": {"allUsers"}})
    found.etag = None
    with pytest.raises(PreconditionFailed, match="public access prevention"):
        bucket.set_iam_policy(found)
    found.bindings[-1]["members"] = {f"serviceAccount:{TUNING_AGENT}"}
    with pytest.raises(BadRequest, match="does not exist"):
        bucket.set_iam_policy(found)
    assert bucket.test_iam_permissions(["storage.objects.get"]) == ["storage.objects.get"]


# Who may what


def test_permissions_are_those_of_the_caller_s_roles_there_and_on_the_project(start_project):
    running = start_project('[caller]\nmember = "submitter"\nmissing = ["aiplatform.tuningJobs.cancel"]\n')
    wanted = {
        f"/v3/projects/{PROJECT}": {
            "aiplatform.tuningJobs.create": True,
            "aiplatform.tuningJobs.cancel": False,  # said to be missing
            "serviceusage.services.use": True,
            "resourcemanager.projects.setIamPolicy": False,
        },
        f"/v1/projects/{PROJECT}/serviceAccounts/{RUNNER}": {
            "iam.serviceAccounts.actAs": True,
            "iam.serviceAccounts.getAccessToken": False,
        },
        f"/v1/{IMAGES}": {"artifactregistry.repositories.downloadArtifacts": False},
        f"/v1/{KEY}": {"cloudkms.cryptoKeyVersions.useToDecrypt": False},
        f"/v2/{REWARD}": {"run.routes.invoke": True},
    }
    for path, asked in wanted.items():
        answer = running.call("POST", f"{path}:testIamPermissions", {"permissions": list(asked)})
        assert answer.get("permissions", []) == [name for name, allowed in asked.items() if allowed], path
    names = ["storage.objects.create", "storage.buckets.get", "storage.buckets.delete"]
    query = "&".join(f"permissions={name}" for name in names)
    answer = running.call("GET", f"/storage/v1/b/{DATASETS}/iam/testPermissions?{query}")
    assert answer["permissions"] == names[:2]
    assert running.call("GET", "/v1/userinfo")["email"] == SUBMITTER


def test_whoever_nobody_knows_may_do_everything(healthy):
    asked = {"permissions": ["resourcemanager.projects.delete"]}
    assert healthy.call("POST", f"/v3/projects/{PROJECT}:testIamPermissions", asked) == asked
    assert "email" not in healthy.call("GET", "/v1/userinfo")


def test_permissions_are_asked_for_by_their_whole_names(healthy):
    for wrong in ("all", ["storage.*"], [7]):
        path = f"/v3/projects/{PROJECT}:testIamPermissions"
        status, body = healthy.call("POST", path, {"permissions": wrong})
        assert (status, body["error"]["status"]) == (400, "INVALID_ARGUMENT")


# Services that are off, and agents that come later


@pytest.mark.parametrize(
    ("service", "path"),
    [
        ("cloudkms", f"/v1/{KEY}"),
        ("artifactregistry", f"/v1/{IMAGES}"),
        ("run", f"/v2/{REWARD}"),
        ("compute", f"/compute/v1/{ATTACHMENT}"),
        ("iam", f"/v1/projects/{PROJECT}/serviceAccounts/{RUNNER}"),
        ("cloudresourcemanager", f"/v3/projects/{PROJECT}"),
        ("aiplatform", f"/v1/projects/{NUMBER}/locations/europe-west4/endpoints/7"),
    ],
)
def test_a_service_that_is_off_refuses_until_it_is_turned_on(project, service, path):
    name = f"{service}.googleapis.com"
    done = project.call("POST", f"/v1/projects/{PROJECT}/services/{name}:disable", {})
    assert done["done"]
    assert done["response"]["service"]["state"] == "DISABLED"
    status, body = project.call("GET", path)
    assert (status, body["error"]["status"]) == (403, "PERMISSION_DENIED")
    info = body["error"]["details"][0]
    assert (info["reason"], info["metadata"]["service"]) == ("SERVICE_DISABLED", name)
    assert info["metadata"]["consumer"] == f"projects/{NUMBER}"
    done = project.call("POST", f"/v1/projects/{PROJECT}/services:batchEnable", {"serviceIds": [name]})
    assert [one["state"] for one in done["response"]["services"]] == ["ENABLED"]
    assert "error" not in project.call("GET", path)


def test_the_first_job_of_a_kind_makes_its_agent_exist(start_project):
    running = start_project("[agents]\ntuning = false\nopen_tuning = false\ncustom_code = false\n")
    role = "roles/aiplatform.tuningServiceAgent"
    assert holders(policy(running), role) == set()
    row = b'{"contents": [{"role": "user", "parts": [{"text": "Say red."}]}, {"role": "model", "parts": [{"text": "red"}]}]}\n'
    client = storage.Client(
        PROJECT, credentials=AnonymousCredentials(), client_options={"api_endpoint": running.address}
    )
    client.bucket(DATASETS).blob("rows.jsonl").upload_from_string(row * 20)
    spec = {"trainingDatasetUri": f"gs://{DATASETS}/rows.jsonl"}
    body = {"baseModel": "gemini-2.5-flash", "supervisedTuningSpec": spec}
    parent = f"/v1/projects/{PROJECT}/locations/europe-west4"
    job = running.call("POST", f"{parent}/tuningJobs", body)
    assert holders(policy(running), role) == {f"serviceAccount:{TUNING_AGENT}"}
    running.call("POST", f"/v1/{job['name']}:cancel", {})
    given = with_member(
        policy(running, "key"), "roles/cloudkms.cryptoKeyEncrypterDecrypter", f"serviceAccount:{TUNING_AGENT}"
    )
    assert "bindings" in put(running, "key", given)  # from now on it can be given roles
    pool = {"machineSpec": {"machineType": "n1-standard-4"}, "replicaCount": "1"}
    pool["containerSpec"] = {"imageUri": "europe-docker.pkg.dev/p/r/vertex-tuning:1", "command": ["true"]}
    job = {"displayName": "own", "jobSpec": {"workerPoolSpecs": [pool]}}
    assert "name" in running.call("POST", f"{parent}/customJobs", job)
    found = policy(running)
    assert len(holders(found, "roles/aiplatform.customCodeServiceAgent")) == 1
    assert len(holders(found, role)) == 1  # that of open models is still to come
