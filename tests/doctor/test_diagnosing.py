"""`client.doctor()`: a sound project is found sound, and whatever is broken is named, with its cure, and nothing else."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.projects import KEY, NUMBER, PROJECT, SETTINGS
from vertex_tuning import Diagnosis, Finding, catalog, connect
from vertex_tuning.catalog import requirements
from vertex_tuning.doctor import CHECKS, Status

BUCKET = f"gs://{SETTINGS.bucket}"
RUNNER, SUBMITTER = SETTINGS.service_account, SETTINGS.submitter
TUNING = f"service-{NUMBER}@gcp-sa-vertex-tune.iam.gserviceaccount.com"
STORAGE = f"service-{NUMBER}@gs-project-accounts.iam.gserviceaccount.com"
OF_KEY = f"--keyring=vt-us-central1 --location=us-central1 --project={PROJECT}"
OF_REWARD = f"--region=us-central1 --project={PROJECT}"
ROTATION = "--rotation-period=90d --next-rotation-time=+p90d"
REWARD = "service vt-reward"
VARIABLES = Path(__file__).parents[2] / "terraform" / "variables.tf"
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
        f'cmek = {{ key_id = "{KEY}" }}',
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
        f"gcloud kms keys create vt-data {OF_KEY} --purpose=encryption {ROTATION}",
        '[keys.kms_key]\npurpose = "ASYMMETRIC_SIGN"',
        "cmek = {}",
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
        f"gcloud artifacts repositories create vt-images --repository-format=docker --location=us-central1 --project={PROJECT}",
        "[repositories.images]\nexists = false",
    ),
    Broken(
        "a registry of another format",
        "VT157",
        SETTINGS.templates,
        f"gcloud artifacts repositories create vt-pipelines --repository-format=kfp --location=us-central1 --project={PROJECT}",
        '[repositories.templates]\nformat = "PYTHON"',
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


def ill(found: Diagnosis) -> list[Finding]:
    return [*found.faults, *found.warnings]


def test_a_sound_project_is_found_sound(diagnose):
    found = diagnose()
    assert (found.project, found.location, found.ok) == (PROJECT, "us-central1", True)
    assert [str(finding) for finding in found.findings if finding.status is not Status.OK] == []
    assert {finding.check for finding in found.findings} == {check.name for check in CHECKS}
    assert found.commands() == found.inputs() == []
    assert found.seconds < 3


@pytest.mark.parametrize("broken", SET_UPS, ids=lambda broken: broken.name)
def test_what_is_broken_is_named_with_its_cure_and_nothing_else(diagnose, broken):
    found = diagnose(broken.seed, there=broken.there, **broken.settings)
    assert [(finding.rule, finding.where) for finding in ill(found)] == [(broken.rule, broken.where)]
    (finding,) = ill(found)
    assert finding.status is (Status.WARNING if broken.warning else Status.FAULT)
    assert found.ok == broken.warning
    assert any(broken.command in line for line in finding.cure.commands), finding.cure.commands
    assert finding.cure.terraform == broken.terraform
    told = "\n".join(finding.lines())
    assert broken.rule in told
    assert broken.command in told


def test_what_terraform_is_told_is_an_input_of_it():
    inputs = {
        line.split('"')[1]
        for line in VARIABLES.read_text(encoding="utf-8").splitlines()
        if "variable " in line
    }
    named = {broken.terraform.partition(" ")[0] for broken in SET_UPS if broken.terraform}
    assert named <= inputs
    assert len(named) > 5


def test_the_settings_of_another_project_are_told_by_its_number(diagnose):
    found = diagnose(project_number="210987654321")
    assert [(finding.rule, finding.where) for finding in ill(found)] == [("VT124", f"project {PROJECT}")]
    assert found.faults[0].cure.words == f'project_number = "{NUMBER}" in vertex-tuning.toml'


def test_faults_that_have_nothing_to_do_with_each_other_are_all_named(diagnose):
    seed = '[keys.kms_key]\nstate = "DISABLED"\n[accounts.submitter]\ndisabled = true\n' + removed(
        member="tuning", on="artifacts_bucket"
    )
    found = diagnose(seed)
    assert {finding.rule for finding in ill(found)} == {"VT141", "VT144", "VT151"}
    assert len(found.commands()) == 3


def test_an_api_that_is_off_is_named_once_and_what_needs_it_is_not_seen(diagnose):
    found = diagnose(
        '[services]\n"cloudkms.googleapis.com" = "DISABLED"\n"cloudquotas.googleapis.com" = "DISABLED"'
    )
    assert [(finding.rule, finding.status) for finding in ill(found)] == [
        ("VT122", Status.FAULT),
        ("VT122", Status.WARNING),
    ]
    assert {finding.check for finding in found.unseen} == {"Key", "Quotas"}
    assert all("is off" in finding.what for finding in found.unseen)


def test_what_runs_out_of_one_cause_is_told_once(diagnose):
    """Nothing can be held by an account that is not there, nor on a bucket that is not."""
    found = diagnose("[accounts.submitter]\nexists = false\n[buckets.artifacts_bucket]\nexists = false")
    assert sorted(finding.rule for finding in ill(found)) == ["VT130", "VT140"]


def test_all_agents_that_do_not_exist_yet_are_made_by_one_command(diagnose):
    found = diagnose("[agents]\ntuning = false\nopen_tuning = false\ncustom_code = false")
    assert [finding.rule for finding in ill(found)] == ["VT145"] * 3
    assert found.commands() == ["vertex-tuning init --make-agents"]
    assert found.inputs() == [EXIST]


def test_terraform_is_told_of_no_agent_that_is_not_there(diagnose):
    """A binding to it would be refused."""
    seed = "[agents]\nopen_tuning = false\ncustom_code = false\n" + removed(member="tuning", on="bucket")
    inputs = {finding.rule: finding.cure.terraform for finding in ill(diagnose(seed))}
    assert inputs["VT144"] == "tuning_agents = { gemini = true }"


def test_a_role_on_the_project_counts_on_what_is_in_it(diagnose):
    seed = removed(role="roles/storage.objectViewer", member="service_account", on="bucket")
    seed += added(role="roles/storage.admin", member="service_account", on="project")
    assert ill(diagnose(seed)) == []


def test_a_bucket_in_the_multi_region_that_holds_the_location_is_well(diagnose):
    assert ill(diagnose('[buckets.bucket]\nlocation = "US"')) == []


@pytest.mark.parametrize(
    ("place", "location", "held"),
    [
        ("us", "us-central1", True),
        ("us", "europe-west4", False),
        ("eu", "europe-west4", True),
        ("nam4", "us-central1", True),
        ("nam4", "us-west1", False),
        ("us-east1", "us-east4", False),
    ],
)
def test_a_place_holds_a_location(place, location, held):
    assert requirements.holds(place, location) is held


def test_names_that_are_none_are_told_each_once(diagnose):
    found = diagnose(kms_key="my-key", images="my-images", network_attachment="my-network")
    assert [(finding.rule, finding.where) for finding in ill(found)] == [
        ("VT150", "my-key"),
        ("VT157", "my-images"),
        ("VT166", "my-network"),
    ]


def test_a_reward_behind_a_name_of_ones_own_cannot_be_looked_at(diagnose):
    found = diagnose(reward_uri="https://score.example.com/")
    assert ill(found) == []
    assert [finding.where for finding in found.unseen] == ["https://score.example.com/"]


@pytest.mark.parametrize(("counted", "words"), [("another", "to another"), (None, "to no project")])
def test_calls_of_a_person_that_are_not_counted_to_the_project_are_remarked(place, counted, words):
    from google.oauth2.credentials import Credentials

    place()
    person = Credentials(
        "token",
        refresh_token="r",
        token_uri="http://127.0.0.1:9",
        client_id="c",
        client_secret="s",
        quota_project_id=counted,
        account="ann@example.com",
    )
    with connect() as client:
        client.connection._session.credentials = person
        found = client.doctor()
    assert [(finding.rule, finding.where) for finding in ill(found)] == [("VT121", "ann@example.com")]
    assert words in found.warnings[0].what
    assert found.commands() == [f"gcloud auth application-default set-quota-project {PROJECT}"]


def test_a_project_of_no_settings_is_sound_and_says_what_is_not_configured(emulator, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
    with connect("local") as client:
        found = client.doctor()
    assert found.ok
    assert [str(finding) for finding in ill(found) + list(found.unseen)] == []
    unset = {finding.check for finding in found.findings if finding.status is Status.UNSET}
    assert unset == {"Buckets", "Accounts", "Agents", "Key", "Registries", "Reward", "Endpoint", "Network"}


def test_a_location_in_which_nothing_is_tuned_is_remarked(emulator, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
    with connect("local", location="mars-north1") as client:
        found = client.doctor()
    assert [(finding.rule, finding.where) for finding in found.warnings] == [("VT125", "mars-north1")]


def test_what_is_found_is_json_and_text(diagnose):
    found = diagnose('[keys.kms_key]\nstate = "DISABLED"')
    body = json.loads(json.dumps(found.to_json()))
    assert (body["ok"], body["faults"], body["warnings"], body["unseen"]) == (False, 1, 0, 0)
    (fault,) = [row for row in body["findings"] if row["status"] == "fault"]
    assert (fault["rule"], fault["check"], fault["where"]) == ("VT151", "Key", KEY)
    assert fault["why"] == catalog.rules()["VT151"]["why"]
    assert body["commands"] == fault["cure"]["commands"]
    assert f"VT151  {KEY}: its primary version is DISABLED" in str(found)
    assert str(found).endswith(found.summary())


def test_every_rule_of_a_check_is_explained_and_no_finding_is_of_another(diagnose):
    rules = {check.name: set(check.rules) for check in CHECKS}
    assert set().union(*rules.values()) <= set(catalog.rules())
    for broken in SET_UPS:
        assert any(broken.rule in known for known in rules.values()), broken.name


def test_nothing_is_changed_by_looking(place):
    emulator = place('[keys.kms_key]\nstate = "DISABLED"')
    with connect() as client:
        before = emulator.call("GET", "/emulator/events")
        client.doctor()
        assert emulator.call("GET", "/emulator/events") == before
    assert not os.path.exists("home/journal")  # noqa: PTH110


async def test_it_can_be_awaited(place):
    from vertex_tuning import aconnect

    place()
    async with await aconnect() as client:
        assert (await client.doctor()).ok
