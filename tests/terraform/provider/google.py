"""What Google makes of what it is asked for: names, numbers and addresses, the same for the same question.

An entry is a pattern over the arguments, `{id}` included; `{project}` and `{region}` fall back on the provider's own.
What has no entry is recognised by its name, or worked out from a hash.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

NUMBER = "123456789012"
"""Of every project."""

IDS = {
    "google_access_context_manager_service_perimeter_dry_run_resource": "{perimeter_name}/{resource}",
    "google_access_context_manager_service_perimeter_resource": "{perimeter_name}/{resource}",
    "google_artifact_registry_repository": "projects/{project}/locations/{location}/repositories/{repository_id}",
    "google_bigquery_dataset": "projects/{project}/datasets/{dataset_id}",
    "google_cloud_run_v2_service": "projects/{project}/locations/{location}/services/{name}",
    "google_cloud_scheduler_job": "projects/{project}/locations/{region}/jobs/{name}",
    "google_compute_firewall": "projects/{project}/global/firewalls/{name}",
    "google_compute_network": "projects/{project}/global/networks/{name}",
    "google_compute_network_attachment": "projects/{project}/regions/{region}/networkAttachments/{name}",
    "google_compute_route": "projects/{project}/global/routes/{name}",
    "google_compute_router": "projects/{project}/regions/{region}/routers/{name}",
    "google_compute_subnetwork": "projects/{project}/regions/{region}/subnetworks/{name}",
    "google_dns_managed_zone": "projects/{project}/managedZones/{name}",
    "google_dns_record_set": "projects/{project}/managedZones/{managed_zone}/rrsets/{name}/{type}",
    "google_iam_workload_identity_pool": (
        "projects/{project}/locations/global/workloadIdentityPools/{workload_identity_pool_id}"
    ),
    "google_iam_workload_identity_pool_provider": (
        "projects/{project}/locations/global/workloadIdentityPools/{workload_identity_pool_id}"
        "/providers/{workload_identity_pool_provider_id}"
    ),
    "google_kms_crypto_key": "{key_ring}/cryptoKeys/{name}",
    "google_kms_key_ring": "projects/{project}/locations/{location}/keyRings/{name}",
    "google_logging_metric": "{name}",
    "google_logging_project_bucket_config": "projects/{project}/locations/{location}/buckets/{bucket_id}",
    "google_logging_project_sink": "projects/{project}/sinks/{name}",
    "google_project_iam_custom_role": "projects/{project}/roles/{role_id}",
    "google_project_iam_audit_config": "{project}/audit_config/{service}",
    "google_project_service": "{project}/{service}",
    "google_pubsub_subscription": "projects/{project}/subscriptions/{name}",
    "google_pubsub_topic": "projects/{project}/topics/{name}",
    "google_service_account": "projects/{project}/serviceAccounts/{account_id}@{project}.iam.gserviceaccount.com",
    "google_storage_bucket": "{name}",
    "google_vertex_ai_endpoint": "projects/{project}/locations/{location}/endpoints/{name}",
    # These are numbered by Google.
    "google_billing_budget": "billingAccounts/{billing_account}/budgets/{uuid}",
    "google_monitoring_alert_policy": "projects/{project}/alertPolicies/{serial}",
    "google_monitoring_notification_channel": "projects/{project}/notificationChannels/{serial}",
    # Data sources
    "google_bigquery_default_service_account": "bq-{number}@bigquery-encryption.iam.gserviceaccount.com",
    "google_project": "projects/{project_id}",
    "google_storage_project_service_account": "service-{number}@gs-project-accounts.iam.gserviceaccount.com",
}
"""What identifies one of its kind. A pattern of names alone also tells which arguments cannot be changed in place."""

_SERVICE_ACCOUNT = "{account_id}@{project}.iam.gserviceaccount.com"
_POOL = "projects/{number}/locations/global/workloadIdentityPools/{workload_identity_pool_id}"

VALUES: dict[str, Any] = {
    "google_artifact_registry_repository.name": "{repository_id}",
    "google_bigquery_default_service_account.email": "{id}",
    "google_bigquery_default_service_account.member": "serviceAccount:{id}",
    "google_billing_budget.name": "{id}",
    "google_cloud_run_v2_service.uri": "https://{name}-{number}.{location}.run.app",
    "google_cloud_run_v2_service.ingress": "INGRESS_TRAFFIC_ALL",
    "google_cloud_scheduler_job.state": "ENABLED",
    "google_iam_workload_identity_pool.name": _POOL,
    "google_iam_workload_identity_pool_provider.name": _POOL
    + "/providers/{workload_identity_pool_provider_id}",
    "google_logging_project_sink.writer_identity": (
        "serviceAccount:service-{number}@gcp-sa-logging.iam.gserviceaccount.com"
    ),
    "google_monitoring_alert_policy.name": "{id}",
    "google_monitoring_notification_channel.name": "{id}",
    "google_project.name": "{project_id}",
    "google_project.number": NUMBER,
    "google_service_account.email": _SERVICE_ACCOUNT,
    "google_service_account.member": f"serviceAccount:{_SERVICE_ACCOUNT}",
    "google_service_account.name": "{id}",
    "google_storage_bucket.project_number": int(NUMBER),
    "google_storage_bucket.url": "gs://{name}",
    "google_storage_project_service_account.email_address": "{id}",
    "google_storage_project_service_account.member": "serviceAccount:{id}",
}
_COMPUTE = "https://www.googleapis.com/compute/v1/{id}"
_SELF_LINKS = {
    "google_storage_bucket": "https://www.googleapis.com/storage/v1/b/{name}",
    "google_bigquery_dataset": "https://bigquery.googleapis.com/bigquery/v2/{id}",
}
_MOMENT = "2026-01-01T00:00:00Z"
_ATTRIBUTION = {"goog-terraform-provisioned": "true"}
_EMPTY = {"map": dict, "object": dict}


def identity(kind: str, arguments: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """Its id, as the provider gives it."""
    if kind.endswith("_iam_member"):
        of = [
            str(value)
            for name, value in arguments.items()
            if isinstance(value, str) and name not in ("id", "etag", "member", "role")
        ]
        return "/".join([*of, str(arguments["role"]), str(arguments["member"])])
    pattern = IDS.get(kind)
    return (
        _formatted(pattern, kind, arguments, defaults) if pattern else f"{kind}/{_hash(kind, arguments)[:12]}"
    )


def computed(
    kind: str,
    name: str,
    attribute: Mapping[str, Any],
    arguments: Mapping[str, Any],
    defaults: Mapping[str, Any],
) -> Any:
    """What Google sets an attribute to that was left to it. `name` has dots where it stands in a block."""
    found = VALUES.get(f"{kind}.{name}")
    if isinstance(found, str):
        return _formatted(found, kind, arguments, defaults)
    if found is not None:
        return found
    last = name.rpartition(".")[2]
    if name in ("project", "region", "location") and defaults.get(name):
        return defaults[name]
    if name in ("effective_labels", "terraform_labels"):
        return labels(arguments, defaults)
    if name == "self_link":
        return _formatted(_SELF_LINKS.get(kind, _COMPUTE), kind, arguments, defaults)
    return _recognised(kind, last, attribute["type"], arguments)


def labels(arguments: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, str]:
    """Of a resource, with those that the provider adds."""
    added = {} if defaults.get("add_terraform_attribution_label") is False else _ATTRIBUTION
    return {**added, **(defaults.get("default_labels") or {}), **(arguments.get("labels") or {})}


def _recognised(kind: str, name: str, of: Any, arguments: Mapping[str, Any]) -> Any:
    digits = str(int(_hash(kind, arguments), 16))
    if isinstance(of, list):
        return _EMPTY.get(of[0], list)()
    if of == "bool":
        return False
    if of == "number":
        return int(digits[:9])
    if name.endswith("_time") or name in ("updated", "time_created", "creation_timestamp"):
        return _MOMENT
    if name == "unique_id":
        return digits[:21]
    if name == "deletion_policy":
        return "DELETE"
    return base64.b32encode(bytes.fromhex(_hash(kind, name, arguments)))[:12].decode().lower()


def _formatted(pattern: str, kind: str, arguments: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    known = {
        name: value for source in (defaults, arguments) for name, value in source.items() if value is not None
    }
    digits = _hash(kind, arguments)
    uuid = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))
    derived = {"number": NUMBER, "serial": str(int(digits, 16))[:19], "uuid": uuid}
    return pattern.format_map(defaultdict(str, derived | known))


def _hash(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
