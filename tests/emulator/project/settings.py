"""A project with everything, and how it is asked."""

from __future__ import annotations

from typing import Any

from tests.running import RunningEmulator
from vertex_tuning.config import Config

PROJECT, NUMBER, LOCATION = "demo-tuning", "987654321098", "europe-west4"
RUNNER = f"vt-runner@{PROJECT}.iam.gserviceaccount.com"
SUBMITTER = f"vt-submitter@{PROJECT}.iam.gserviceaccount.com"
TUNING_AGENT = f"service-{NUMBER}@gcp-sa-vertex-tune.iam.gserviceaccount.com"
RING = f"projects/{PROJECT}/locations/{LOCATION}/keyRings/vt-{LOCATION}"
KEY = f"{RING}/cryptoKeys/vt-data"
DATASETS, PIPELINES, ARTIFACTS = (f"{PROJECT}-vt-{name}" for name in ("datasets", "pipelines", "artifacts"))
REWARD = f"projects/{PROJECT}/locations/{LOCATION}/services/vt-reward"
IMAGES = f"projects/{PROJECT}/locations/{LOCATION}/repositories/vt-images"
ATTACHMENT = f"projects/{PROJECT}/regions/{LOCATION}/networkAttachments/vt-psc"

SETTINGS = Config(
    target="local",
    project=PROJECT,
    project_number=NUMBER,
    location=LOCATION,
    bucket=DATASETS,
    pipelines_bucket=PIPELINES,
    artifacts_bucket=ARTIFACTS,
    service_account=RUNNER,
    submitter=SUBMITTER,
    scheduler=f"vt-scheduler@{PROJECT}.iam.gserviceaccount.com",
    reward_account=f"vt-reward@{PROJECT}.iam.gserviceaccount.com",
    images=f"{LOCATION}-docker.pkg.dev/{PROJECT}/vt-images",
    templates=f"https://{LOCATION}-kfp.pkg.dev/{PROJECT}/vt-pipelines",
    kms_key=KEY,
    reward_uri=f"https://vt-reward-{NUMBER}.{LOCATION}.run.app",
    endpoint=f"projects/{PROJECT}/locations/{LOCATION}/endpoints/7",
    network_attachment=ATTACHMENT,
    labels={"app": "vertex-tuning"},
)

# By service: where a resource's policy is read, and with which verb.
POLICIES = {
    "project": ("POST", f"/v3/projects/{PROJECT}:getIamPolicy"),
    "project by number": ("POST", f"/v1/projects/{NUMBER}:getIamPolicy"),
    "account": ("POST", f"/v1/projects/-/serviceAccounts/{RUNNER}:getIamPolicy"),
    "key": ("GET", f"/v1/{KEY}:getIamPolicy"),
    "repository": ("GET", f"/v1/{IMAGES}:getIamPolicy"),
    "run": ("GET", f"/v2/{REWARD}:getIamPolicy"),
    "bucket": ("GET", f"/storage/v1/b/{DATASETS}/iam"),
}


def policy(emulator: RunningEmulator, of: str = "project") -> dict[str, Any]:
    """The policy of a resource of `POLICIES`."""
    method, path = POLICIES[of]
    return emulator.call(method, path, {} if method == "POST" else None)


def holders(policy: dict[str, Any], role: str) -> set[str]:
    """Who has a role."""
    return {member for one in policy.get("bindings", []) if one["role"] == role for member in one["members"]}
