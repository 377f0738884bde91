"""`client.doctor()`: a sound project is found sound, and whatever is broken is named, with its cure, and nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.doctor.set_ups import EXIST, SET_UPS, added, removed
from tests.projects import KEY, NUMBER, PROJECT, SETTINGS
from vertex_tuning import Diagnosis, Finding, catalog, connect
from vertex_tuning.catalog import requirements
from vertex_tuning.doctor import CHECKS, Status

WRITES = removed(role="roles/storage.objectUser", member="service_account", on="bucket")
VARIABLES = Path(__file__).parents[2] / "terraform" / "variables.tf"


def ill(found: Diagnosis) -> list[Finding]:
    return [*found.faults, *found.warnings]


def test_a_sound_project_is_found_sound(diagnose):
    found = diagnose()
    assert (found.project, found.location, found.ok) == (PROJECT, "us-central1", True)
    assert [str(finding) for finding in found.findings if finding.status is not Status.OK] == []
    assert {finding.check for finding in found.findings} == {check.name for check in CHECKS}
    assert found.commands() == found.inputs() == []
    assert found.seconds > 0


@pytest.mark.parametrize(("seed", "rules"), [("", []), (WRITES, ["VT142"])])
def test_one_bucket_for_everything_is_a_sound_project_too(diagnose, seed, rules):
    """The emulator gives the roles for all that it serves as, and doctor asks for them."""
    found = diagnose(seed, there={"pipelines_bucket": "", "artifacts_bucket": ""})
    assert [finding.rule for finding in ill(found)] == rules


@pytest.mark.parametrize("broken", SET_UPS, ids=lambda broken: broken.name)
def test_what_is_broken_is_named_with_its_cure_and_nothing_else(diagnose, broken):
    found = diagnose(broken.seed, there=broken.there, **broken.settings)
    assert [(finding.rule, finding.where) for finding in ill(found)] == [(broken.rule, broken.where)]
    (finding,) = ill(found)
    assert finding.rule in next(check.rules for check in CHECKS if check.name == finding.check)
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


def test_an_agent_that_has_nothing_is_told_once_with_all_that_it_needs(diagnose):
    found = diagnose(removed(member="aiplatform"))
    assert [finding.rule for finding in ill(found)] == ["VT146"]
    commands = "\n".join(found.commands())
    assert commands.startswith("gcloud beta services identity create --service=aiplatform.googleapis.com")
    for role in ("aiplatform.serviceAgent", "storage.objectUser", "cloudkms.cryptoKeyEncrypterDecrypter"):
        assert f"--role=roles/{role}" in commands


def test_a_basic_role_is_taken_away_only_after_the_roles_that_it_stood_for_are_given(diagnose):
    """Else the script that mends the project would leave its runner without access."""
    role = "roles/aiplatform.user"
    seed = removed(role=role, member="service_account", on="project")
    lines = diagnose(seed + added(role="roles/editor", member="service_account", on="project")).commands()
    assert [line.split("--role=")[1].split()[0] for line in lines] == [role, "roles/editor"]
    assert [line.split()[2] for line in lines] == ["add-iam-policy-binding", "remove-iam-policy-binding"]


def test_people_may_own_a_project(diagnose):
    seed = added(role="roles/owner", member="user:ann@example.com", on="project")
    assert ill(diagnose(seed, submitter="ann@example.com")) == []


def test_a_key_that_is_not_there_is_made_with_its_ring_where_that_is_not_there_either(diagnose):
    lines = diagnose("[keys.kms_key]\nexists = false").commands()
    assert [line.split()[2:5] for line in lines] == [
        ["keyrings", "create", "vt-us-central1"],
        ["keys", "create", "vt-data"],
    ]


def test_a_name_that_is_taken_is_not_taken_again_and_the_settings_are_told_of_the_new_one(diagnose):
    seed = '[repositories.templates]\nformat = "PYTHON"\n[keys.kms_key]\npurpose = "ASYMMETRIC_SIGN"'
    words = {finding.rule: finding.cure.words for finding in diagnose(seed).faults}
    assert f'templates = "{SETTINGS.templates}-kfp"' in words["VT157"]
    assert f'kms_key = "{KEY}-encryption"' in words["VT153"]


def test_whoever_asks_for_a_quota_is_named(diagnose):
    """Cloud Quotas grants nobody more who cannot be asked."""
    seed = '[quotas]\n"aiplatform.googleapis.com/global_concurrent_tuning_jobs" = 0\n[caller]\nmember = "submitter"\n'
    found = diagnose(seed)
    assert (
        f"--email={SETTINGS.submitter}"
        in next(one for one in found.faults if one.rule == "VT170").cure.commands[0]
    )


def test_a_key_version_that_is_restored_is_enabled_too(diagnose):
    """Cloud KMS leaves it disabled."""
    lines = diagnose('[keys.kms_key]\nstate = "DESTROY_SCHEDULED"').commands()
    assert [line.split()[4:6] for line in lines] == [["restore", "1"], ["enable", "1"]]


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


def test_a_registry_in_the_multi_region_that_holds_the_location_is_well(diagnose):
    assert ill(diagnose(there={"images": f"us-docker.pkg.dev/{PROJECT}/vt-images"})) == []


@pytest.mark.parametrize(
    ("place", "location", "held"),
    [
        ("us", "us-central1", True),
        ("us", "europe-west4", False),
        ("eu", "europe-west4", True),
        ("nam4", "us-central1", True),
        ("nam4", "us-west1", False),
        ("us-east1", "us-east4", False),
        ("eu", "europe-west2", False),
        ("eur5", "europe-west2", True),
        ("us", "northamerica-northeast1", False),
        ("asia-east1", "global", True),
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


def test_every_rule_of_a_check_is_explained_and_tried():
    """But for those of whoever asks, and of who may not look, which other tests try."""
    rules = {rule for check in CHECKS for rule in check.rules}
    assert rules <= set(catalog.rules())
    assert rules - {broken.rule for broken in SET_UPS} == {"VT120", "VT121", "VT124", "VT125"}


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


def test_the_submitter_itself_is_not_sent_to_work_as_the_submitter(diagnose):
    seed = '[caller]\nmember = "submitter"\n[[grants.remove]]\nmember = "submitter"\non = "service_account"\n'
    told = {finding.rule: finding.cure.commands for finding in ill(diagnose(seed))}
    assert set(told) == {"VT136", "VT143"}
    assert told["VT136"] == told["VT143"]
    assert "iam service-accounts add-iam-policy-binding" in told["VT136"][0]
