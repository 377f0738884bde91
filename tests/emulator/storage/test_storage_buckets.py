from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests
from google.api_core import exceptions
from google.cloud import storage as gcs

if TYPE_CHECKING:
    from tests.emulator.storage.conftest import Server


def test_a_bucket_is_made_read_listed_and_deleted(client: gcs.Client) -> None:
    made = client.create_bucket("first-bucket", location="europe-west4")
    assert (made.location, made.location_type, made.storage_class) == ("EUROPE-WEST4", "region", "STANDARD")
    assert made.time_created is not None
    assert made.metageneration == 1
    assert made.etag
    client.create_bucket("second-bucket")
    assert [bucket.name for bucket in client.list_buckets()] == ["first-bucket", "second-bucket"]
    assert [bucket.name for bucket in client.list_buckets(prefix="sec")] == ["second-bucket"]
    assert [bucket.name for bucket in client.list_buckets(page_size=1)] == ["first-bucket", "second-bucket"]
    made.delete()
    assert client.lookup_bucket("first-bucket") is None
    with pytest.raises(exceptions.NotFound, match="The specified bucket does not exist"):
        client.get_bucket("first-bucket")


def test_buckets_belong_to_the_project_that_made_them(server: Server) -> None:
    mine = server.client("mine").create_bucket("my-bucket")
    assert mine.project_number == int(server.storage.settings.number_of("mine"))
    assert [bucket.name for bucket in server.client("theirs").list_buckets()] == []


def test_a_second_bucket_of_the_same_name_is_refused(client: gcs.Client, bucket: gcs.Bucket) -> None:
    with pytest.raises(exceptions.Conflict, match="you already own it"):
        client.create_bucket(bucket.name)


@pytest.mark.parametrize(
    "name",
    [
        "ab",
        "Upper",
        "a.-dash.b",
        "a..b",
        "a.-b",
        "10.0.0.1",
        "goog-x",
        "my-google-bucket",
        "x" * 64,
        "ä-bucket",
    ],
)
def test_a_name_that_google_would_refuse_is_refused(client: gcs.Client, name: str) -> None:
    with pytest.raises(exceptions.BadRequest, match="Invalid bucket name"):
        client.bucket(name).create()


@pytest.mark.parametrize("name", ["abc", "a_b-c.d", "x" * 63, "1bucket", f"{'x' * 63}.{'y' * 63}"])
def test_a_name_that_google_would_take_is_taken(client: gcs.Client, name: str) -> None:
    assert client.create_bucket(name).exists()


@pytest.mark.parametrize(
    "name", ["storage", "upload", "download", "batch", "v1", "v1beta1", "ui", "emulator", "token"]
)
def test_a_bucket_cannot_hide_a_route(client: gcs.Client, name: str) -> None:
    with pytest.raises(exceptions.BadRequest, match=r"VT452: .* would hide the route"):
        client.create_bucket(name)


def test_a_location_that_does_not_exist_is_refused(client: gcs.Client) -> None:
    with pytest.raises(exceptions.BadRequest, match="location constraint is not valid"):
        client.create_bucket("bkt", location="atlantis")


def test_a_bucket_with_objects_cannot_be_deleted(bucket: gcs.Bucket) -> None:
    bucket.blob("x").upload_from_string("x")
    with pytest.raises(exceptions.Conflict, match="not empty"):
        bucket.delete()
    bucket.delete(force=True)
    assert not bucket.exists()


def test_settings_of_a_bucket_are_kept(client: gcs.Client, bucket: gcs.Bucket) -> None:
    bucket.labels = {"team": "blue", "stage": "test"}
    bucket.versioning_enabled = True
    bucket.add_lifecycle_delete_rule(age=3, matches_prefix=["tmp/"])
    bucket.default_kms_key_name = "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"
    bucket.cors = [{"origin": ["*"], "method": ["GET"]}]
    bucket.iam_configuration.uniform_bucket_level_access_enabled = True
    bucket.patch()
    again = client.get_bucket(bucket.name)
    assert again.labels == {"team": "blue", "stage": "test"}
    assert again.versioning_enabled
    assert [dict(rule) for rule in again.lifecycle_rules] == [
        {"action": {"type": "Delete"}, "condition": {"age": 3, "matchesPrefix": ["tmp/"]}}
    ]
    assert again.default_kms_key_name.endswith("/cryptoKeys/k")
    assert again.cors == [{"origin": ["*"], "method": ["GET"]}]
    assert again.iam_configuration.uniform_bucket_level_access_enabled
    assert again.metageneration == 2
    again.labels = {"stage": "live"}
    again.patch()
    assert client.get_bucket(bucket.name).labels == {"stage": "live"}
    again.clear_lifecycle_rules()
    again.update()
    assert list(client.get_bucket(bucket.name).lifecycle_rules) == []


def test_a_change_counts_on_the_metageneration_that_was_read(bucket: gcs.Bucket) -> None:
    bucket.labels = {"a": "1"}
    bucket.patch(if_metageneration_match=1)
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.patch(if_metageneration_match=1)
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.delete(if_metageneration_match=1) if hasattr(bucket, "x") else bucket.reload(
            if_metageneration_match=1
        )


def test_labels_that_google_would_refuse_are_refused(bucket: gcs.Bucket) -> None:
    bucket.labels = {"Team": "blue"}
    with pytest.raises(exceptions.BadRequest, match="label key"):
        bucket.patch()


def test_an_iam_policy_is_kept_and_a_stale_one_refused(bucket: gcs.Bucket) -> None:
    policy = bucket.get_iam_policy(requested_policy_version=3)
    assert policy.bindings == []
    policy.bindings.append({"role": "roles/storage.objectViewer", "members": {"user:ada@example.com"}})
    bucket.set_iam_policy(policy)
    again = bucket.get_iam_policy(requested_policy_version=3)
    assert again["roles/storage.objectViewer"] == {"user:ada@example.com"}
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.set_iam_policy(policy)
    assert bucket.test_iam_permissions(["storage.buckets.get", "storage.objects.list"]) == [
        "storage.buckets.get",
        "storage.objects.list",
    ]


def test_links_lead_back_to_the_address_that_was_asked(server: Server, bucket: gcs.Bucket) -> None:
    forged = {
        "Host": f"localhost:{server.port}",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
    }
    answer = requests.get(f"{server.address}/storage/v1/b/bkt", headers=forged, timeout=30).json()
    assert answer["selfLink"] == f"http://localhost:{server.port}/storage/v1/b/bkt"


def test_an_error_has_the_form_of_google(server: Server) -> None:
    answer = requests.get(f"{server.address}/storage/v1/b/nothing-here", timeout=30)
    assert answer.status_code == 404
    message = "The specified bucket does not exist."
    assert answer.json() == {
        "error": {
            "code": 404,
            "message": message,
            "errors": [{"message": message, "domain": "global", "reason": "notFound"}],
        }
    }


def test_what_is_not_there_says_so(server: Server, client: gcs.Client, bucket: gcs.Bucket) -> None:
    with pytest.raises(exceptions.MethodNotImplemented, match=r"VT454: .* access control lists"):
        list(bucket.acl)
    assert requests.get(f"{server.address}/storage/v1/nonsense", timeout=30).status_code == 404
    assert requests.post(f"{server.address}/storage/v1/b/bkt", timeout=30).status_code == 405


def test_the_service_account_of_a_project_is_named(client: gcs.Client) -> None:
    assert client.get_service_account_email().endswith("@gs-project-accounts.iam.gserviceaccount.com")
