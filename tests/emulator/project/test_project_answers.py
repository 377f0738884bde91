"""A project over REST: what the settings name is there, and every answer is as Google documents it."""

from __future__ import annotations

import pytest

from tests.emulator.project import discovery
from tests.emulator.project.settings import (
    ATTACHMENT,
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
    TUNING_AGENT,
    holders,
    policy,
)
from vertex_tuning.catalog import requirements

QUOTAS = f"/v1/projects/{PROJECT}/locations/global/services/aiplatform.googleapis.com/quotaInfos"
SERVICES = f"/v1/projects/{PROJECT}/services"


@pytest.mark.parametrize(
    ("path", "api", "schema"),
    [
        (f"/v1/projects/{PROJECT}", "cloudresourcemanager.v1", "Project"),
        (f"/v3/projects/{NUMBER}", "cloudresourcemanager.v3", "Project"),
        (SERVICES, "serviceusage.v1", "ListServicesResponse"),
        (f"{SERVICES}/aiplatform.googleapis.com", "serviceusage.v1", "GoogleApiServiceusageV1Service"),
        (
            f"{SERVICES}:batchGet?names=projects/{NUMBER}/services/run.googleapis.com",
            "serviceusage.v1",
            "BatchGetServicesResponse",
        ),
        (f"/v1/projects/{PROJECT}/serviceAccounts", "iam.v1", "ListServiceAccountsResponse"),
        (f"/v1/projects/{PROJECT}/serviceAccounts/{RUNNER}", "iam.v1", "ServiceAccount"),
        (
            f"/v1/projects/{PROJECT}/locations/{LOCATION}/keyRings",
            "cloudkms.v1",
            "ListKeyRingsResponse",
        ),
        (f"/v1/{RING}", "cloudkms.v1", "KeyRing"),
        (f"/v1/{RING}/cryptoKeys", "cloudkms.v1", "ListCryptoKeysResponse"),
        (f"/v1/{KEY}", "cloudkms.v1", "CryptoKey"),
        (
            f"/v1/projects/{PROJECT}/locations/{LOCATION}/repositories",
            "artifactregistry.v1",
            "ListRepositoriesResponse",
        ),
        (f"/v1/{IMAGES}", "artifactregistry.v1", "Repository"),
        (
            f"/v2/projects/{NUMBER}/locations/{LOCATION}/services",
            "run.v2",
            "GoogleCloudRunV2ListServicesResponse",
        ),
        (f"/v2/{REWARD}", "run.v2", "GoogleCloudRunV2Service"),
        (f"/compute/v1/{ATTACHMENT}", "compute.v1", "NetworkAttachment"),
        (
            f"/compute/v1/projects/{PROJECT}/regions/{LOCATION}/networkAttachments",
            "compute.v1",
            "NetworkAttachmentList",
        ),
        (f"/storage/v1/b/{DATASETS}", "storage.v1", "Bucket"),
        (f"/storage/v1/b/{DATASETS}/iam", "storage.v1", "Policy"),
    ],
)
def test_what_the_settings_name_is_there_in_googles_own_form(healthy, path, api, schema):
    answer = healthy.call("GET", path)
    assert isinstance(answer, dict), answer
    assert answer
    assert discovery.faults(api, schema, answer) == []


@pytest.mark.parametrize(
    ("of", "api", "schema"),
    [
        ("project", "cloudresourcemanager.v3", "Policy"),
        ("project by number", "cloudresourcemanager.v1", "Policy"),
        ("account", "iam.v1", "Policy"),
        ("key", "cloudkms.v1", "Policy"),
        ("repository", "artifactregistry.v1", "Policy"),
        ("run", "run.v2", "GoogleIamV1Policy"),
    ],
)
def test_a_policy_has_googles_form_on_every_resource(healthy, of, api, schema):
    found = policy(healthy, of)
    assert found["bindings"]
    assert discovery.faults(api, schema, found) == []


def test_every_role_that_the_catalog_asks_for_is_given(healthy):
    places = {
        "project": "project",
        "service_account": "account",
        "bucket": "bucket",
        "kms_key": "key",
        "images": "repository",
        "reward_uri": "run",
    }
    grants = [grant for grant in requirements.grants(SETTINGS.given()) if grant.on in places]
    assert {grant.on for grant in grants} == set(places)
    for grant in grants:
        agent = requirements.agents().get(grant.to)
        member = agent.member(NUMBER) if agent else f"serviceAccount:{getattr(SETTINGS, grant.to)}"
        assert member in holders(policy(healthy, places[grant.on]), grant.role), grant


def test_a_project_has_one_policy_whichever_of_its_names_is_used(healthy):
    assert policy(healthy, "project") == policy(healthy, "project by number")


def test_services_that_the_settings_ask_for_are_on(healthy):
    listed = healthy.call("GET", f"{SERVICES}?filter=state:ENABLED&pageSize=200")["services"]
    on = {one["config"]["name"] for one in listed}
    assert on == {service.name for service in requirements.services(SETTINGS.given())}
    assert healthy.call("GET", f"{SERVICES}/pubsub.googleapis.com")["state"] == "DISABLED"


def test_lists_come_in_pages(healthy):
    names, token = [], ""
    for _ in range(20):
        page = healthy.call("GET", f"{SERVICES}?pageSize=3&pageToken={token}")
        names += [one["config"]["name"] for one in page["services"]]
        token = page.get("nextPageToken", "")
        if not token:
            break
    assert names == sorted(requirements.every_service())


def test_resources_are_encrypted_with_the_key_of_the_settings(healthy):
    assert healthy.call("GET", f"/storage/v1/b/{DATASETS}")["encryption"]["defaultKmsKeyName"] == KEY
    assert healthy.call("GET", f"/v1/{IMAGES}")["kmsKeyName"] == KEY
    assert healthy.call("GET", f"/v2/{REWARD}")["template"]["encryptionKey"] == KEY
    endpoint = healthy.call("GET", f"/v1/{SETTINGS.endpoint}")
    assert endpoint["encryptionSpec"]["kmsKeyName"] == KEY
    assert "deployedModels" not in endpoint
    key = healthy.call("GET", f"/v1/{KEY}")
    assert (key["primary"]["state"], key["rotationPeriod"]) == ("ENABLED", "7776000s")


def test_quotas_tell_what_jobs_and_chips_may_run_at_once(healthy):
    found = {one["metric"]: one for one in healthy.call("GET", f"{QUOTAS}?pageSize=100")["quotaInfos"]}
    known = [*requirements.quotas(), *requirements.chip_quotas().values()]
    assert set(found) == {quota.metric for quota in known}
    for quota in known:
        (info,) = found[quota.metric]["dimensionsInfos"]
        assert info["details"]["value"] == str(quota.emulated)
        assert info["applicableLocations"] == [LOCATION if quota.regional else "global"]
    one = found["aiplatform.googleapis.com/global_concurrent_tuning_jobs"]
    assert healthy.call("GET", f"{QUOTAS}/{one['quotaId']}") == one


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (
            f"/v1/projects/{PROJECT}/serviceAccounts/nobody@{PROJECT}.iam.gserviceaccount.com",
            "Unknown service account",
        ),
        (f"/v1/projects/-/serviceAccounts/{TUNING_AGENT}", "Unknown service account"),
        (f"/v1/{RING}/cryptoKeys/none", f"CryptoKey {RING}/cryptoKeys/none not found."),
        (f"/v1/projects/{PROJECT}/locations/us-east1/keyRings/none/cryptoKeys", "KeyRing"),
        (f"/v1/{IMAGES}-none", "Requested entity was not found."),
        (f"/v2/{REWARD}-none", "Resource 'vt-reward-none' of kind 'SERVICE' does not exist."),
        (f"/compute/v1/{ATTACHMENT}-none", f"The resource '{ATTACHMENT}-none' was not found"),
        (f"{QUOTAS}/none", "Quota none"),
        (f"/v1/{KEY}-none:getIamPolicy", "not found"),
    ],
)
def test_what_nobody_made_is_not_there(healthy, path, words):
    status, body = healthy.call("GET", path)
    assert status == 404
    assert words in body["error"]["message"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (f"{SERVICES}:batchGet", "names holds from 1 to 30"),
        (f"{SERVICES}:batchGet?names=projects/other/services/run.googleapis.com", "of this project"),
        (f"{SERVICES}?filter=name:x", "Invalid filter"),
        (f"/v2/projects/{PROJECT}/locations/-/services", "wildcard"),
        (f"/v1/{KEY}:getIamPolicy?options.requestedPolicyVersion=9", "0, 1 or 3"),
    ],
)
def test_what_google_refuses_is_refused(healthy, path, words):
    status, body = healthy.call("GET", path)
    assert (status, body["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert words in body["error"]["message"]


def test_a_name_that_is_no_service_is_refused_as_one_that_nobody_may_see(healthy):
    status, body = healthy.call("GET", f"{SERVICES}/gmail-api")
    assert status == 403
    assert body["error"]["details"][0]["reason"] == "SERVICE_CONFIG_NOT_FOUND_OR_PERMISSION_DENIED"


def test_programs_find_the_project_in_their_environment(healthy):
    found = healthy.environment
    assert (found["GOOGLE_CLOUD_PROJECT"], found["GOOGLE_CLOUD_LOCATION"]) == (PROJECT, LOCATION)


def test_without_settings_everything_is_welcome(emulator):
    root = "/v1/projects/some-project"
    assert emulator.call("GET", f"{root}/services/pubsub.googleapis.com")["state"] == "ENABLED"
    email = "anybody@some-project.iam.gserviceaccount.com"
    account = emulator.call("GET", f"{root}/serviceAccounts/{email}")
    assert discovery.faults("iam.v1", "ServiceAccount", account) == []
    assert emulator.call("GET", f"/v1/projects/-/serviceAccounts/{email}") == account
    asked = {"permissions": ["aiplatform.tuningJobs.create", "resourcemanager.projects.delete"]}
    assert emulator.call("POST", f"{root}:testIamPermissions", asked) == asked
    number = emulator.call("GET", root)["projectNumber"]
    agent = f"serviceAccount:service-{number}@gcp-sa-vertex-tune.iam.gserviceaccount.com"
    found = emulator.call("POST", f"{root}:getIamPolicy", {})
    assert agent in holders(found, "roles/aiplatform.tuningServiceAgent")
