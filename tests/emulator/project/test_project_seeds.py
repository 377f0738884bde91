"""What a seed says differs from the settings, and nothing else; a bad one is refused before anything starts."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.emulator.project.settings import (
    ARTIFACTS,
    ATTACHMENT,
    DATASETS,
    IMAGES,
    KEY,
    LOCATION,
    NUMBER,
    POLICIES,
    PROJECT,
    REWARD,
    RUNNER,
    SETTINGS,
    SUBMITTER,
    TUNING_AGENT,
    holders,
    policy,
)
from tests.running import RunningEmulator

QUOTAS = f"/v1/projects/{PROJECT}/locations/global/services/aiplatform.googleapis.com/quotaInfos"
BROKEN = f"""
[services]
"compute.googleapis.com" = "DISABLED"
"pubsub.googleapis.com" = "ENABLED"
[project]
state = "DELETE_REQUESTED"
[buckets.bucket]
location = "us-east1"
default_kms_key = ""
uniform_access = false
public_access_prevention = "inherited"
[buckets."gs://{ARTIFACTS}"]
exists = false
[buckets.another-bucket]
location = "EU"
[accounts.service_account]
disabled = true
[accounts."{SUBMITTER}"]
exists = false
[keys.kms_key]
state = "DISABLED"
rotation = ""
protection = "HSM"
[repositories.images]
format = "GENERIC"
[repositories.templates]
exists = false
[run.reward_uri]
ready = false
timeout = "60s"
invoker_check = false
[endpoints.endpoint]
exists = false
[attachments.network_attachment]
exists = false
[quotas]
"aiplatform.googleapis.com/global_concurrent_tuning_jobs" = 0
"aiplatform.googleapis.com/custom_model_training_cpus" = {{ {LOCATION} = 0, us-east1 = 7 }}
"aiplatform.googleapis.com/of_ones_own" = 5
[[grants.add]]
role = "roles/run.invoker"
member = "allUsers"
on = "reward_uri"
[[grants.add]]
role = "roles/owner"
member = "service_account"
on = "project"
[grants.add.condition]
title = "for now"
expression = "true"
[[grants.remove]]
member = "storage"
on = "kms_key"
"""
MISSHAPEN = """
[service]
"aiplatform.googleapis.com" = "DISABLED"
[services]
aiplatform = "DISABLED"
"run.googleapis.com" = "OFF"
[project]
state = "GONE"
[buckets.bucket]
locatio = "EUROPE-WEST4"
uniform_access = "no"
[buckets."Not a bucket"]
exists = false
[buckets.another-bucket]
location = "MARS"
[accounts.someone]
disabled = true
[keys.kms_key]
state = "BROKEN"
rotation = "90d"
[keys.data]
exists = false
[repositories."docker.io/library"]
exists = false
[run."http://localhost"]
ready = false
[run.reward_uri]
timeout = "soon"
[endpoints."7"]
exists = false
[attachments.vt-psc]
exists = false
[agents]
tunning = false
tuning = 0
[quotas]
custom_model_training_cpus = 0
"aiplatform.googleapis.com/custom_model_training_cpus" = "none"
[caller]
member = "nobody"
[[grants.remove]]
[[grants.add]]
role = "storage.objectUser"
member = "ada"
on = "nowhere"
[[grants.revoke]]
role = "roles/viewer"
"""


def refused(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "vertex_tuning.emulator", "--port", "0", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text(SETTINGS.to_toml(), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """The project, broken in every way that a seed knows."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "settings.toml").write_text(SETTINGS.to_toml(), encoding="utf-8")
    (folder / "seed.toml").write_text(BROKEN, encoding="utf-8")
    files = ("--config", str(folder / "settings.toml"), "--seed", str(folder / "seed.toml"))
    running = RunningEmulator(folder / "data", *files)
    yield running
    assert running.stop() == 0


def test_services_and_the_project_itself_are_in_another_state(broken):
    services = f"/v1/projects/{PROJECT}/services"
    assert broken.call("GET", f"{services}/compute.googleapis.com")["state"] == "DISABLED"
    assert broken.call("GET", f"{services}/pubsub.googleapis.com")["state"] == "ENABLED"
    assert broken.call("GET", f"{services}/run.googleapis.com")["state"] == "ENABLED"
    assert broken.call("GET", f"/v3/projects/{PROJECT}")["state"] == "DELETE_REQUESTED"


def test_buckets_lie_elsewhere_are_open_or_are_not_there(broken):
    bucket = broken.call("GET", f"/storage/v1/b/{DATASETS}")
    assert bucket["location"] == "US-EAST1"
    assert "encryption" not in bucket
    access = bucket["iamConfiguration"]
    assert not access["uniformBucketLevelAccess"]["enabled"]
    assert access["publicAccessPrevention"] == "inherited"
    assert broken.call("GET", f"/storage/v1/b/{ARTIFACTS}")[0] == 404
    assert broken.call("GET", "/storage/v1/b/another-bucket")["location"] == "EU"


def test_accounts_are_disabled_or_are_not_there(broken):
    accounts = f"/v1/projects/{PROJECT}/serviceAccounts"
    assert broken.call("GET", f"{accounts}/{RUNNER}")["disabled"]
    assert broken.call("GET", f"{accounts}/{SUBMITTER}")[0] == 404


def test_a_key_is_disabled_and_never_turns_over(broken):
    key = broken.call("GET", f"/v1/{KEY}")
    assert (key["primary"]["state"], key["primary"]["protectionLevel"]) == ("DISABLED", "HSM")
    assert "rotationPeriod" not in key


def test_what_serves_is_of_another_kind_or_is_not_there(broken):
    assert broken.call("GET", f"/v1/{IMAGES}")["format"] == "GENERIC"
    assert broken.call("GET", f"/v1/{IMAGES.replace('images', 'pipelines')}")[0] == 404
    reward = broken.call("GET", f"/v2/{REWARD}")
    assert reward["terminalCondition"]["state"] == "CONDITION_FAILED"
    assert (reward["template"]["timeout"], reward["invokerIamDisabled"]) == ("60s", True)
    assert broken.call("GET", f"/v1/{SETTINGS.endpoint}")[0] == 404
    assert broken.call("GET", f"/compute/v1/{ATTACHMENT}")[0] == 403


def test_quotas_are_other_ones_everywhere_or_in_a_region(broken):
    found = {
        one["metric"].partition("/")[2]: {
            place: info["details"]["value"]
            for info in one["dimensionsInfos"]
            for place in info["applicableLocations"]
        }
        for one in broken.call("GET", QUOTAS)["quotaInfos"]
    }
    assert found["global_concurrent_tuning_jobs"] == {"global": "0"}
    assert found["custom_model_training_cpus"] == {LOCATION: "0", "us-east1": "7"}
    assert found["of_ones_own"] == {LOCATION: "5"}
    assert found["custom_model_training_nvidia_l4_gpus"] == {LOCATION: "8"}


@pytest.mark.parametrize("of", POLICIES)
def test_roles_are_taken_and_given_and_whoever_does_not_exist_has_none(broken, healthy, of):
    agent = f"serviceAccount:service-{NUMBER}@gs-project-accounts.iam.gserviceaccount.com"
    before, after = policy(healthy, of), policy(broken, of)
    roles = {one["role"] for one in (*before["bindings"], *after["bindings"])}
    for role in (role for role in roles if not role.startswith("roles/owner")):
        expected = holders(before, role) - {f"serviceAccount:{SUBMITTER}"}
        expected |= {"allUsers"} if of == "run" else set()
        expected -= {agent} if of == "key" else set()
        assert holders(after, role) == expected, role


def test_a_role_is_given_under_a_condition(broken):
    asked = {"options": {"requestedPolicyVersion": 3}}
    seen = broken.call("POST", f"/v3/projects/{PROJECT}:getIamPolicy", asked)
    (owner,) = (one for one in seen["bindings"] if one["role"] == "roles/owner")
    assert owner["members"] == [f"serviceAccount:{RUNNER}"]
    assert owner["condition"] == {"title": "for now", "expression": "true"}


def test_an_agent_that_does_not_exist_yet_holds_nothing_anywhere(start_project):
    running = start_project("[agents]\ntuning = false\n")
    for of in POLICIES:
        assert TUNING_AGENT not in json.dumps(policy(running, of)), of


def test_seeds_are_applied_one_after_the_other(start_project):
    first = "[buckets.bucket]\nlocation = 'EU'\n[accounts.submitter]\nexists = false\n"
    second = "[buckets.bucket]\nlocation = 'US'\n[accounts.submitter]\ntitle = 'Back'\n"
    running = start_project(first, second)
    assert running.call("GET", f"/storage/v1/b/{DATASETS}")["location"] == "US"
    account = running.call("GET", f"/v1/projects/{PROJECT}/serviceAccounts/{SUBMITTER}")
    assert account["displayName"] == "Back"
    assert SUBMITTER not in json.dumps(policy(running))  # its roles went with the first of that name


def test_a_seed_works_without_settings_too(start_emulator, tmp_path):
    (tmp_path / "seed.json").write_text(
        json.dumps(
            {
                "services": {"run.googleapis.com": "DISABLED"},
                "accounts": {"gone@vertex-tuning-local.iam.gserviceaccount.com": {"exists": False}},
                "agents": {"tuning": False},
            }
        ),
        encoding="utf-8",
    )
    running = start_emulator("--seed", str(tmp_path / "seed.json"))
    root = "/v1/projects/vertex-tuning-local"
    states = [
        running.call("GET", f"{root}/services/{name}.googleapis.com")["state"] for name in ("run", "pubsub")
    ]
    assert states == ["DISABLED", "ENABLED"]
    accounts = f"{root}/serviceAccounts"
    assert running.call("GET", f"{accounts}/gone@vertex-tuning-local.iam.gserviceaccount.com")[0] == 404
    assert "email" in running.call("GET", f"{accounts}/here@vertex-tuning-local.iam.gserviceaccount.com")
    found = running.call("POST", f"{root}:getIamPolicy", {})
    assert len(holders(found, "roles/aiplatform.tuningServiceAgent")) == 1


# Another start


def test_a_restart_keeps_what_was_changed_and_a_reset_brings_the_project_back(start_project):
    running = start_project("[agents]\ntuning = false\n")
    first = policy(running)
    member = {"role": "roles/viewer", "members": ["user:ada@example.com"]}
    changed = {**first, "bindings": [*first["bindings"], member]}
    path = f"/v3/projects/{PROJECT}"
    kept = running.call("POST", f"{path}:setIamPolicy", {"policy": changed})
    running.call("POST", f"/v1/projects/{PROJECT}/services/run.googleapis.com:disable", {})
    running.call("POST", f"/upload/storage/v1/b/{DATASETS}/o?uploadType=media&name=rows", "rows")
    assert running.stop() == 0
    running = start_project("[agents]\ntuning = false\n")
    assert policy(running) == kept
    assert running.call("GET", f"/v2/{REWARD}")[0] == 403
    assert running.call("GET", f"/storage/v1/b/{DATASETS}/o/rows")["size"] == "6"
    running.call("POST", "/emulator/reset")
    assert policy(running)["bindings"] == first["bindings"]
    assert running.call("GET", f"/v2/{REWARD}")["uri"] == SETTINGS.reward_uri
    assert "items" not in running.call("GET", f"/storage/v1/b/{DATASETS}/o")
    assert running.call("GET", f"/v1/{SETTINGS.endpoint}")["displayName"]


def test_with_another_seed_the_project_is_as_that_one_says_and_objects_stay(start_project):
    running = start_project("[keys.kms_key]\nstate = 'DISABLED'\n[agents]\ntuning = false\n")
    running.call("POST", f"/upload/storage/v1/b/{DATASETS}/o?uploadType=media&name=rows", "rows")
    running.stop()
    running = start_project(
        f"[buckets.bucket]\nlocation = 'EU'\n[buckets.'{ARTIFACTS}']\nexists = false\n[endpoints.endpoint]\nexists = false\n"
    )
    assert running.call("GET", f"/v1/{KEY}")["primary"]["state"] == "ENABLED"
    assert len(holders(policy(running), "roles/aiplatform.tuningServiceAgent")) == 2
    assert running.call("GET", f"/storage/v1/b/{DATASETS}")["location"] == "EU"
    assert running.call("GET", f"/storage/v1/b/{DATASETS}/o/rows")["size"] == "6"
    assert running.call("GET", f"/storage/v1/b/{ARTIFACTS}")[0] == 404
    assert running.call("GET", f"/v1/{SETTINGS.endpoint}")[0] == 404


def test_without_settings_a_folder_that_was_a_project_is_any_project_again(start_emulator, tmp_path):
    """Else accounts would be missing, and services off, for no reason that shows."""
    (tmp_path / "settings.toml").write_text(
        replace(SETTINGS, project_number=None).to_toml(), encoding="utf-8"
    )
    (tmp_path / "seed.toml").write_text(
        '[services]\n"aiplatform.googleapis.com" = "DISABLED"\n', encoding="utf-8"
    )
    running = start_emulator(
        "--config", str(tmp_path / "settings.toml"), "--seed", str(tmp_path / "seed.toml")
    )
    running.call("POST", f"/upload/storage/v1/b/{DATASETS}/o?uploadType=media&name=rows", "rows")
    running.stop()
    running = start_emulator()
    own = running.record["project"]
    assert own != PROJECT
    email = f"anybody@{own}.iam.gserviceaccount.com"
    assert running.call("GET", f"/v1/projects/{own}/serviceAccounts/{email}")["email"] == email
    assert running.call("GET", f"/v1/projects/{own}/locations/{LOCATION}/tuningJobs") == {}
    assert running.call("GET", f"/storage/v1/b/{DATASETS}/o/rows")["size"] == "6"


def test_objects_are_not_deleted_because_a_seed_says_that_their_bucket_is_not_there(
    start_project, settings, tmp_path
):
    running = start_project()
    running.call("POST", f"/upload/storage/v1/b/{DATASETS}/o?uploadType=media&name=rows", "rows")
    running.stop()
    (tmp_path / "gone.toml").write_text("[buckets.bucket]\nexists = false\n", encoding="utf-8")
    data = str(running.data_dir)
    words = refused("--data-dir", data, "--config", settings, "--seed", str(tmp_path / "gone.toml"))
    assert words.startswith("VT416")
    assert f"gs://{DATASETS}" in words
    assert start_project().call("GET", f"/storage/v1/b/{DATASETS}/o/rows")["size"] == "6"


def test_what_the_command_line_says_goes_before_the_settings(start_project):
    running = start_project(options=("--location", "us-east4"))
    assert running.record["location"] == "us-east4"
    assert running.call("GET", f"/storage/v1/b/{DATASETS}")["location"] == "US-EAST4"


# Files that cannot be taken


def test_all_that_is_wrong_with_a_seed_is_told_at_once(settings, tmp_path):
    seed = tmp_path / "seed.toml"
    seed.write_text(MISSHAPEN, encoding="utf-8")
    words = refused("--data-dir", str(tmp_path / "data"), "--config", settings, "--seed", str(seed))
    head, *told = [line for line in words.splitlines() if line.startswith("VT4")]
    assert head == f"VT414  {seed}: {len(told)} entries of seeds cannot be taken"
    for place in (
        "service",
        'services."aiplatform"',
        'services."run.googleapis.com"',
        "project.state",
        'buckets."bucket".locatio',
        'buckets."bucket".uniform_access',
        'buckets."Not a bucket"',
        'buckets."another-bucket".location',
        'accounts."someone"',
        'keys."kms_key".state',
        'keys."kms_key".rotation',
        'keys."data"',
        'repositories."docker.io/library"',
        'run."http://localhost"',
        'run."reward_uri".timeout',
        'endpoints."7"',
        'attachments."vt-psc"',
        "agents.tunning",
        "agents.tuning",
        'quotas."custom_model_training_cpus"',
        'quotas."aiplatform.googleapis.com/custom_model_training_cpus"',
        "caller.member",
        "grants.remove[0]",
        "grants.add[0].role",
        "grants.add[0].member",
        "grants.add[0].on",
        "grants.revoke",
    ):
        assert sum(line.startswith(f"VT414  {seed}: {place}: ") for line in told) == 1, place
    assert len(told) == 27
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("seed", "words"),
    [
        ('[[grants.remove]]\nrole = "roles/owner"\n', "there is no such grant: role roles/owner"),
        (
            '[agents]\ntuning = false\n[[grants.add]]\nrole = "roles/viewer"\nmember = "tuning"\non = "project"\n',
            "the agent does not exist: tuning",
        ),
        (
            '[buckets.bucket]\nexists = false\n[[grants.add]]\nrole = "roles/viewer"\nmember = "submitter"\non = "bucket"\n',
            "there is no such bucket",
        ),
        (
            '[accounts.submitter]\nexists = false\n[[grants.add]]\nrole = "roles/viewer"\nmember = "submitter"\non = "project"\n',
            "there is no such account",
        ),
    ],
)
def test_what_is_not_there_can_neither_be_given_nor_taken(settings, tmp_path, seed, words):
    (tmp_path / "seed.toml").write_text(seed, encoding="utf-8")
    said = refused("--config", settings, "--seed", str(tmp_path / "seed.toml"))
    assert said.startswith("VT415")
    assert words in said


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("seed.toml", None, "No such file"),
        ("seed.toml", "[services", "cannot be read"),
        ("seed.json", "{", "cannot be read"),
        ("seed.json", "[]", "is not a table"),
        ("seed.json", '{"format_version": "1.2", "planned_values": {}}', "that is a plan"),
    ],
)
def test_a_file_that_is_no_seed_is_refused(tmp_path, name, text, words):
    if text is not None:
        (tmp_path / name).write_text(text, encoding="utf-8")
    said = refused("--seed", str(tmp_path / name))
    assert said.startswith(f"VT413  {tmp_path / name}: ")
    assert words in said


def test_settings_that_name_nothing_are_refused(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text(
        'project = "p"\nkms_key = "data"\nimages = "docker.io/x"\nendpoint = "7"\n', encoding="utf-8"
    )
    said = refused("--config", str(path))
    assert said.startswith("VT417  kms_key, images, endpoint: 3 settings name nothing")
    assert said.count("VT417") == 4
    assert refused("--config", str(tmp_path / "none.toml")).startswith("VT101")


def test_a_bucket_that_cloud_storage_would_not_make_is_told(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text('project = "p"\nbucket = "google-data"\nartifacts_bucket = "compute"\n', encoding="utf-8")
    said = refused("--config", str(path), "--data-dir", str(tmp_path / "data"))
    assert said.startswith("VT417  gs://google-data, gs://compute: 2 buckets")
    assert "Invalid bucket name: 'google-data'" in said


def test_people_who_submit_have_their_roles_and_no_account(start_emulator, tmp_path):
    path = tmp_path / "settings.toml"
    submitters = replace(SETTINGS, submitter="group:tuners@example.com", scheduler="ada@example.com")
    path.write_text(submitters.to_toml(), encoding="utf-8")
    running = start_emulator("--config", str(path))
    assert {"group:tuners@example.com", "user:ada@example.com"} <= holders(
        policy(running), "roles/aiplatform.user"
    )
    listed = running.call("GET", f"/v1/projects/{PROJECT}/serviceAccounts")["accounts"]
    assert len(listed) == 2


def test_the_number_of_the_settings_is_not_that_of_another_project(start_project):
    running = start_project(options=("--project", "another-project"))
    assert running.call("GET", "/v1/projects/another-project")["projectNumber"] != NUMBER
