"""The bodies of a project's resources, as each service words them.

Source: discovery documents of google-api-python-client (2026-10): iam v1, cloudkms v1, artifactregistry v1, run v2, compute v1.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from vertex_tuning.emulator.state import now, spelled

Body = dict[str, Any]
Fields = Mapping[str, Any]

_ALGORITHMS = {
    "ENCRYPT_DECRYPT": "GOOGLE_SYMMETRIC_ENCRYPTION",
    "ASYMMETRIC_SIGN": "EC_SIGN_P256_SHA256",
    "ASYMMETRIC_DECRYPT": "RSA_DECRYPT_OAEP_2048_SHA256",
    "MAC": "HMAC_SHA256",
}


def digits(text: str, count: int) -> str:
    """A number of so many digits, the same for the same text."""
    most = 10 ** (count - 1)
    return str(most + int.from_bytes(hashlib.sha256(text.encode()).digest()[:16]) % (9 * most))


def _etag(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()[:8]).decode()


def _given(body: Body) -> Body:
    """Without what is empty, as ProtoJSON leaves it out."""
    return {name: value for name, value in body.items() if value not in ("", None, False, {}, [])}


def account(project: str, email: str, fields: Fields) -> Body:
    """A service account."""
    return _given(
        {
            "name": f"projects/{project}/serviceAccounts/{email}",
            "projectId": project,
            "uniqueId": digits(email, 21),
            "email": email,
            "displayName": fields.get("title", ""),
            "etag": "MDEwMjE5MjA=",
            "oauth2ClientId": digits(email, 21),
            "disabled": fields.get("disabled", False),
        }
    )


def key_ring(name: str) -> Body:
    """A ring of keys."""
    return {"name": name, "createTime": now()}


def key(name: str, fields: Fields) -> Body:
    """A key, in its first version. Only keys that encrypt and decrypt have a primary version, and turn over."""
    created, protection = now(), fields["protection"]
    template = _given({"protectionLevel": protection, "algorithm": _ALGORITHMS.get(fields["purpose"])})
    body: Body = {
        "name": name,
        "purpose": fields["purpose"],
        "createTime": created,
        "versionTemplate": template,
        "destroyScheduledDuration": "2592000s",
        "labels": dict(fields["labels"]),
    }
    if fields["purpose"] == "ENCRYPT_DECRYPT":
        body["primary"] = {
            "name": f"{name}/cryptoKeyVersions/1",
            "state": fields["state"],
            "createTime": created,
            "generateTime": created,
            **template,
        }
        if period := fields["rotation"]:
            due = datetime.fromisoformat(created) + timedelta(seconds=float(period.removesuffix("s")))
            body |= {"rotationPeriod": period, "nextRotationTime": spelled(due)}
    return _given(body)


def repository(name: str, fields: Fields) -> Body:
    """A repository of Artifact Registry."""
    _, project, _, location, _, own = name.split("/")
    created, form = now(), fields["format"]
    return _given(
        {
            "name": name,
            "format": form,
            "mode": "STANDARD_REPOSITORY",
            "createTime": created,
            "updateTime": created,
            "kmsKeyName": fields["kms_key"],
            "labels": dict(fields["labels"]),
            "registryUri": f"{location}-{form.lower()}.pkg.dev/{project}/{own}",
        }
    )


def run_service(name: str, number: str, fields: Fields) -> Body:
    """A service of Cloud Run, with one revision that serves, or that could not start."""
    _, _, _, location, _, own = name.split("/")
    created, ready = now(), fields["ready"]
    uri = fields["uri"] or f"https://{own}-{number}.{location}.run.app"
    state = {"state": "CONDITION_SUCCEEDED" if ready else "CONDITION_FAILED", "lastTransitionTime": created}
    if not ready:
        state |= {
            "message": f"Revision '{own}-00001-emu' is not ready and cannot serve traffic.",
            "reason": "HEALTH_CHECK_CONTAINER_ERROR",
        }
    revision = f"{name}/revisions/{own}-00001-emu"
    return _given(
        {
            "name": name,
            "uid": _uuid(name),
            "generation": "1",
            "observedGeneration": "1",
            "labels": dict(fields["labels"]),
            "createTime": created,
            "updateTime": created,
            "launchStage": "GA",
            "ingress": fields["ingress"],
            "invokerIamDisabled": not fields["invoker_check"],
            "template": _given(
                {
                    "serviceAccount": fields["account"],
                    "timeout": fields["timeout"],
                    "encryptionKey": fields["kms_key"],
                    "maxInstanceRequestConcurrency": 80,
                    "containers": [
                        {"image": fields["image"], "ports": [{"name": "http1", "containerPort": 8080}]}
                    ],
                }
            ),
            "traffic": [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}],
            "terminalCondition": {"type": "Ready", **state},
            "conditions": [{"type": "RoutesReady", **state}, {"type": "ConfigurationsReady", **state}],
            "latestCreatedRevision": revision,
            "latestReadyRevision": revision if ready else "",
            "uri": uri.rstrip("/"),
            "urls": [uri.rstrip("/")],
            "etag": f'"{_etag(name + created)}"',
        }
    )


def network_attachment(name: str, fields: Fields) -> Body:
    """A network attachment of Compute Engine."""
    _, project, _, region, _, own = name.split("/")
    root = "https://www.googleapis.com/compute/v1"
    return {
        "kind": "compute#networkAttachment",
        "id": digits(name, 19),
        "creationTimestamp": now(),
        "name": own,
        "selfLink": f"{root}/{name}",
        "selfLinkWithId": f"{root}/projects/{project}/regions/{region}/networkAttachments/{digits(name, 19)}",
        "region": f"{root}/projects/{project}/regions/{region}",
        "connectionPreference": fields["connection"],
        "network": f"{root}/projects/{project}/global/networks/{fields['network']}",
        "subnetworks": [f"{root}/projects/{project}/regions/{region}/subnetworks/{fields['subnetwork']}"],
        "connectionEndpoints": [],
        "fingerprint": _etag(name),
    }


def bucket(name: str, fields: Fields) -> Body:
    """A bucket, as its maker words it."""
    body: Body = {
        "name": name,
        "location": fields["location"],
        "labels": dict(fields["labels"]),
        "versioning": {"enabled": fields["versioning"]},
        "iamConfiguration": {
            "uniformBucketLevelAccess": {"enabled": fields["uniform_access"]},
            "publicAccessPrevention": fields["public_access_prevention"],
        },
    }
    if fields["default_kms_key"]:
        body["encryption"] = {"defaultKmsKeyName": fields["default_kms_key"]}
    return body


def endpoint(fields: Fields) -> Body:
    """An endpoint of Vertex AI that holds no model yet."""
    body: Body = {"displayName": fields["title"], "labels": dict(fields["labels"])}
    if fields["kms_key"]:
        body["encryptionSpec"] = {"kmsKeyName": fields["kms_key"]}
    return body


def _uuid(text: str) -> str:
    found = hashlib.sha256(text.encode()).hexdigest()
    return "-".join((found[:8], found[8:12], found[12:16], found[16:20], found[20:32]))
