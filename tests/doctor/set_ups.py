"""Set-ups that are broken in one way each, and how that is to be told."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from tests.projects import KEY, NUMBER, PROJECT, SETTINGS

BUCKET = f"gs://{SETTINGS.bucket}"
RUNNER, SUBMITTER = SETTINGS.service_account, SETTINGS.submitter
TUNING = f"service-{NUMBER}@gcp-sa-vertex-tune.iam.gserviceaccount.com"
STORAGE = f"service-{NUMBER}@gs-project-accounts.iam.gserviceaccount.com"
OF_KEY = f"--keyring=vt-us-central1 --location=us-central1 --project={PROJECT}"
OF_REWARD = f"--region=us-central1 --project={PROJECT}"
ROTATION = "--rotation-period=90d --next-rotation-time=+p90d"
REWARD = "service vt-reward"
EXIST = "tuning_agents = { exist = true }"


@dataclass(frozen=True)
class Broken:
    """A set-up that is broken in one way, and how that is told."""

    name: str
    rule: str
    where: str
    command: str
    seed: str = ""
    terraform: str = ""
    warning: bool = False
    there: dict[str, str] = field(default_factory=dict)
    """Settings of the project itself that are others."""
    settings: dict[str, str] = field(default_factory=dict)
    """Settings of whoever asks that are others."""


def removed(**row: str) -> str:
    return "[[grants.remove]]\n" + "".join(f"{name} = {json.dumps(text)}\n" for name, text in row.items())


def added(**row: str) -> str:
    return removed(**row).replace("remove", "add")


def made(registry: str, form: str) -> str:
    where = f"--location=us-central1 --project={PROJECT}"
    return f"gcloud artifacts repositories create {registry} --repository-format={form} {where}"


SET_UPS = [
    Broken(
        "a bucket in another region",
        "VT131",
        BUCKET,
        f"gcloud storage buckets relocate {BUCKET} --location=us-central1",
        '[buckets.bucket]\nlocation = "EUROPE-WEST4"',
        'buckets = { datasets = { location = "us-central1" } }',
    ),
    Broken(
        "a bucket that is not there",
        "VT130",
        BUCKET,
        f"gcloud storage buckets create {BUCKET} --project={PROJECT} --location=us-central1 --uniform-bucket-level-access "
        f"--public-access-prevention --default-encryption-key={KEY}",
        "[buckets.bucket]\nexists = false",
    ),
    Broken(
        "a bucket with a key of Google's",
        "VT132",
        BUCKET,
        f"gcloud storage buckets update {BUCKET} --default-encryption-key={KEY}",
        '[buckets.bucket]\ndefault_kms_key = ""',
    ),
    Broken(
        "a bucket with rules for each object",
        "VT133",
        BUCKET,
        f"gcloud storage buckets update {BUCKET} --uniform-bucket-level-access",
        "[buckets.bucket]\nuniform_access = false",
        warning=True,
    ),
    Broken(
        "a bucket that could be made public",
        "VT134",
        BUCKET,
        f"gcloud storage buckets update {BUCKET} --public-access-prevention",
        '[buckets.bucket]\npublic_access_prevention = "inherited"',
        warning=True,
    ),
    Broken(
        "a bucket that is public",
        "VT135",
        BUCKET,
        f"gcloud storage buckets remove-iam-policy-binding {BUCKET} --member=allUsers --role=roles/storage.objectViewer",
        added(role="roles/storage.objectViewer", member="allUsers", on="bucket"),
    ),
    Broken(
        "somebody who may not write to a bucket",
        "VT136",
        BUCKET,
        f"gcloud auth application-default login --impersonate-service-account={SUBMITTER}",
        '[caller]\nmember = "user:ann@example.com"\n'
        + added(role="roles/aiplatform.user", member="user:ann@example.com", on="project")
        + added(role="roles/serviceusage.serviceUsageConsumer", member="user:ann@example.com", on="project")
        + added(role="roles/iam.serviceAccountUser", member="user:ann@example.com", on="service_account")
        + added(role="roles/storage.objectViewer", member="user:ann@example.com", on="bucket")
        + added(role="roles/storage.legacyBucketReader", member="user:ann@example.com", on="bucket")
        + added(role="roles/storage.admin", member="user:ann@example.com", on="pipelines_bucket")
        + added(role="roles/storage.admin", member="user:ann@example.com", on="artifacts_bucket"),
        warning=True,
    ),
    Broken(
        "an account that is not there",
        "VT140",
        RUNNER,
        f"gcloud iam service-accounts create vt-runner --project={PROJECT}",
        "[accounts.service_account]\nexists = false",
    ),
    Broken(
        "an account that is disabled",
        "VT141",
        RUNNER,
        f"gcloud iam service-accounts enable {RUNNER} --project={PROJECT}",
        "[accounts.service_account]\ndisabled = true",
    ),
    Broken(
        "a runner that lacks a role",
        "VT142",
        RUNNER,
        f"gcloud storage buckets add-iam-policy-binding gs://{SETTINGS.artifacts_bucket} --member=serviceAccount:{RUNNER} "
        "--role=roles/storage.objectUser",
        removed(role="roles/storage.objectUser", member="service_account", on="artifacts_bucket"),
    ),
    Broken(
        "a submitter that may start no jobs",
        "VT142",
        SUBMITTER,
        f"gcloud projects add-iam-policy-binding {PROJECT} --member=serviceAccount:{SUBMITTER} --role=roles/aiplatform.user "
        "--condition=None",
        removed(role="roles/aiplatform.user", member="submitter", on="project"),
    ),
    Broken(
        "a submitter that may not act as the runner",
        "VT143",
        SUBMITTER,
        f"gcloud iam service-accounts add-iam-policy-binding {RUNNER} --project={PROJECT} "
        f"--member=serviceAccount:{SUBMITTER} --role=roles/iam.serviceAccountUser --condition=None",
        removed(member="submitter", on="service_account"),
    ),
    Broken(
        "an agent that may not read the data",
        "VT144",
        TUNING,
        f"gcloud storage buckets add-iam-policy-binding {BUCKET} --member=serviceAccount:{TUNING} "
        "--role=roles/storage.objectUser",
        removed(member="tuning", on="bucket"),
        EXIST,
    ),
    Broken(
        "an agent that may not call the reward",
        "VT144",
        TUNING,
        f"gcloud run services add-iam-policy-binding vt-reward {OF_REWARD} --member=serviceAccount:{TUNING} "
        "--role=roles/run.invoker",
        removed(member="tuning", on="reward_uri"),
        EXIST,
    ),
    Broken(
        "an agent that is not there yet",
        "VT145",
        TUNING,
        "vertex-tuning init --make-agents",
        "[agents]\ntuning = false",
        EXIST,
        warning=True,
    ),
    Broken(
        "an agent that lost what Google gave it",
        "VT146",
        f"service-{NUMBER}@gcp-sa-aiplatform.iam.gserviceaccount.com",
        f"gcloud beta services identity create --service=aiplatform.googleapis.com --project={PROJECT}",
        removed(member="aiplatform", on="project"),
    ),
    Broken(
        "an API that is off",
        "VT122",
        "run.googleapis.com",
        f"gcloud services enable run.googleapis.com --project={PROJECT}",
        '[services]\n"run.googleapis.com" = "DISABLED"',
    ),
    Broken(
        "a quota of none",
        "VT170",
        "global_concurrent_tuning_jobs",
        "gcloud quotas preferences create --service=aiplatform.googleapis.com",
        '[quotas]\n"aiplatform.googleapis.com/global_concurrent_tuning_jobs" = 0',
    ),
    Broken(
        "a quota of none in the region",
        "VT170",
        "custom_model_training_cpus",
        "--dimensions=region=us-central1",
        '[quotas."aiplatform.googleapis.com/custom_model_training_cpus"]\nus-central1 = 0',
    ),
    Broken(
        "a key that is not there",
        "VT150",
        KEY,
        f"gcloud kms keys create vt-data {OF_KEY} --purpose=encryption {ROTATION}",
        "[keys.kms_key]\nexists = false",
        "cmek = {}",
    ),
    Broken(
        "a key that is disabled",
        "VT151",
        KEY,
        f"gcloud kms keys versions enable 1 --key=vt-data {OF_KEY}",
        '[keys.kms_key]\nstate = "DISABLED"',
    ),
    Broken(
        "a key that is about to be destroyed",
        "VT151",
        KEY,
        f"gcloud kms keys versions restore 1 --key=vt-data {OF_KEY}",
        '[keys.kms_key]\nstate = "DESTROY_SCHEDULED"',
    ),
    Broken(
        "a key that was destroyed",
        "VT151",
        KEY,
        f"gcloud kms keys versions create --primary --key=vt-data {OF_KEY}",
        '[keys.kms_key]\nstate = "DESTROYED"',
    ),
    Broken(
        "a key that is still being made",
        "VT151",
        KEY,
        f"gcloud kms keys versions list --key=vt-data {OF_KEY}",
        '[keys.kms_key]\nstate = "PENDING_GENERATION"',
    ),
    Broken(
        "a key in another region",
        "VT152",
        KEY.replace("us-central1", "europe-west4"),
        f"gcloud kms keys create vt-data {OF_KEY} --purpose=encryption {ROTATION}",
        there={"kms_key": KEY.replace("us-central1", "europe-west4")},
        terraform="cmek = {}",
    ),
    Broken(
        "a key that signs",
        "VT153",
        KEY,
        f"gcloud kms keys create vt-data-encryption {OF_KEY} --purpose=encryption {ROTATION}",
        '[keys.kms_key]\npurpose = "ASYMMETRIC_SIGN"',
        f'cmek = {{ key_id = "{KEY}-encryption" }}',
    ),
    Broken(
        "a key that is never renewed",
        "VT154",
        KEY,
        f"gcloud kms keys update vt-data {OF_KEY} {ROTATION}",
        '[keys.kms_key]\nrotation = ""',
        'cmek = { rotation_period = "7776000s" }',
        warning=True,
    ),
    Broken(
        "a key that Cloud Storage may not use",
        "VT155",
        STORAGE,
        f"gcloud kms keys add-iam-policy-binding vt-data {OF_KEY} --member=serviceAccount:{STORAGE} "
        "--role=roles/cloudkms.cryptoKeyEncrypterDecrypter",
        removed(member="storage", on="kms_key"),
    ),
    Broken(
        "a registry that is not there",
        "VT156",
        SETTINGS.images,
        made("vt-images", "docker"),
        "[repositories.images]\nexists = false",
    ),
    Broken(
        "a registry of another format",
        "VT157",
        SETTINGS.templates,
        made("vt-pipelines-kfp", "kfp"),
        '[repositories.templates]\nformat = "PYTHON"',
    ),
    Broken(
        "a registry in another region",
        "VT158",
        SETTINGS.images.replace("us-central1", "europe-west4"),
        made("vt-images", "docker"),
        there={"images": SETTINGS.images.replace("us-central1", "europe-west4")},
        warning=True,
    ),
    Broken(
        "a registry for something else",
        "VT157",
        SETTINGS.templates,
        made("vt-pipelines-docker", "docker"),
        settings={"images": SETTINGS.templates},
    ),
    Broken(
        "no reward at its address",
        "VT160",
        SETTINGS.reward_uri,
        f"gcloud run services list {OF_REWARD}",
        "[run.reward_uri]\nexists = false",
        'reward_service = { image = "..." }',
    ),
    Broken(
        "a reward that everybody may call",
        "VT161",
        REWARD,
        f"gcloud run services remove-iam-policy-binding vt-reward {OF_REWARD} --member=allUsers --role=roles/run.invoker",
        added(role="roles/run.invoker", member="allUsers", on="reward_uri"),
    ),
    Broken(
        "a reward that asks nobody who they are",
        "VT161",
        REWARD,
        f"gcloud run services update vt-reward {OF_REWARD} --invoker-iam-check",
        "[run.reward_uri]\ninvoker_check = false",
    ),
    Broken(
        "a reward that does not start",
        "VT162",
        REWARD,
        f"gcloud run services describe vt-reward {OF_REWARD}",
        "[run.reward_uri]\nready = false",
    ),
    Broken(
        "a reward that gives up too soon",
        "VT163",
        REWARD,
        f"gcloud run services update vt-reward {OF_REWARD} --timeout=300",
        '[run.reward_uri]\ntimeout = "60s"',
        warning=True,
    ),
    Broken(
        "an endpoint that is not there",
        "VT164",
        SETTINGS.endpoint,
        f"gcloud ai endpoints list {OF_REWARD}",
        "[endpoints.endpoint]\nexists = false",
        "endpoint = {}",
    ),
    Broken(
        "an endpoint in another location",
        "VT165",
        SETTINGS.endpoint.replace("us-central1", "europe-west4"),
        f"gcloud ai endpoints list {OF_REWARD}",
        terraform="endpoint = {}",
        settings={"endpoint": SETTINGS.endpoint.replace("us-central1", "europe-west4")},
    ),
    Broken(
        "a network attachment that is not there",
        "VT166",
        SETTINGS.network_attachment,
        f"gcloud compute network-attachments list --project={PROJECT}",
        "[attachments.network_attachment]\nexists = false",
        "network = {}",
    ),
    Broken(
        "a project that is to be deleted",
        "VT123",
        f"project {PROJECT}",
        f"gcloud projects undelete {PROJECT}",
        '[project]\nstate = "DELETE_REQUESTED"',
    ),
    Broken(
        "a basic role on an account that jobs run as",
        "VT171",
        RUNNER,
        f"gcloud projects remove-iam-policy-binding {PROJECT} --member=serviceAccount:{RUNNER} --role=roles/editor "
        "--condition=None",
        added(role="roles/editor", member="service_account", on="project"),
        warning=True,
    ),
    Broken(
        "a role on the project that everybody has",
        "VT172",
        f"project {PROJECT}",
        f"gcloud projects remove-iam-policy-binding {PROJECT} --member=allAuthenticatedUsers --role=roles/browser "
        "--condition=None",
        added(role="roles/browser", member="allAuthenticatedUsers", on="project"),
        warning=True,
    ),
    Broken(
        "a role under a condition",
        "VT147",
        RUNNER,
        f"gcloud storage buckets add-iam-policy-binding {BUCKET} --member=serviceAccount:{RUNNER} "
        "--role=roles/storage.objectViewer",
        removed(role="roles/storage.objectViewer", member="service_account", on="bucket")
        + added(role="roles/storage.objectViewer", member="service_account", on="bucket")
        + 'condition = { title = "until spring", expression = "request.time < timestamp(\'2027-03-01T00:00:00Z\')" }\n',
        warning=True,
    ),
    Broken(
        "a role of one's own making",
        "VT148",
        RUNNER,
        f"gcloud storage buckets add-iam-policy-binding {BUCKET} --member=serviceAccount:{RUNNER} "
        "--role=roles/storage.objectViewer",
        removed(role="roles/storage.objectViewer", member="service_account", on="bucket")
        + added(role=f"projects/{PROJECT}/roles/reader", member="service_account", on="bucket"),
        warning=True,
    ),
]
