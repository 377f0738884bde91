"""Settings: arguments, then the environment, then the nearest file."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from vertex_tuning import ConfigurationError
from vertex_tuning.config import NAMES, SDK_CONFIG, Config, from_terraform, home, load, read

SETTINGS = ["target", "project", "location", "bucket"]
VALUES = {
    "target": ("vertex", "local"),
    "project": ("by-file", "by-environment", "by-argument"),
    "location": ("us-east1", "us-east4", "us-east5"),
    "bucket": ("by-file", "by-environment", "by-argument"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "vertex-tuning.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(**arguments: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        load(**arguments)
    return caught.value


def test_without_settings_work_is_local(folder):
    assert load() == Config(target="local", project=None, location=None, bucket=None)


def test_the_file_names_everything(folder):
    write(folder, 'target = "vertex"\nproject = "p"\nlocation = "us-east1"\nbucket = "b"\n')
    assert load() == Config("vertex", "p", "us-east1", "b")


@pytest.mark.parametrize("name", SETTINGS)
def test_an_argument_goes_before_the_environment_and_that_before_the_file(folder, monkeypatch, name):
    by_file, by_environment, *by_argument = VALUES[name]
    write(folder, f'{name} = "{by_file}"')
    assert getattr(load(), name) == by_file
    monkeypatch.setenv(f"VERTEX_TUNING_{name.upper()}", by_environment)
    assert getattr(load(), name) == by_environment
    argument = by_argument[0] if by_argument else by_file
    assert getattr(load(**{name: argument}), name) == argument
    assert getattr(load(**{name: None}), name) == by_environment
    assert getattr(load(**{name: ""}), name) == by_environment
    monkeypatch.setenv(f"VERTEX_TUNING_{name.upper()}", "")
    assert getattr(load(), name) == by_file


@pytest.mark.parametrize("name", ["project", "location"])
def test_googles_own_variables_count_where_neither_we_nor_the_file_say_more(folder, monkeypatch, name):
    monkeypatch.setenv(f"GOOGLE_CLOUD_{name.upper()}", "googles")
    assert getattr(load(), name) == "googles"
    path = write(folder, f'{name} = "by-file"')
    assert getattr(load(), name) == "by-file"
    path.unlink()
    monkeypatch.setenv(f"VERTEX_TUNING_{name.upper()}", "ours")
    assert getattr(load(), name) == "ours"


def test_the_nearest_file_upwards_is_taken_and_no_other(folder, monkeypatch):
    write(folder, 'project = "far"\nbucket = "far"')
    deep = folder / "a" / "b" / "c"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert load().project == "far"
    write(folder / "a", 'project = "near"')
    assert load() == Config(project="near")
    (deep / "vertex-tuning.toml").mkdir()  # a folder of that name is not a file
    assert load() == Config(project="near")


def test_a_working_folder_that_is_gone_has_no_file(folder, monkeypatch):
    gone = folder / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert load(project="p") == Config(project="p")
    monkeypatch.chdir(folder)


@pytest.mark.parametrize(
    ("given", "bucket"),
    [("gs://b", "b"), ("gs://b/", "b"), ("b/", "b"), ("b", "b")],
)
def test_a_bucket_may_be_given_as_a_uri(folder, given, bucket):
    assert load(bucket=given).bucket == bucket


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("bucket", "gs://b/folder", "without a folder"),
        ("bucket", "Data_Sets!", "lower-case letters"),
        ("project", "My project", "the id, not the title"),
        ("location", "US Central", "us-central1"),
    ],
)
def test_what_cannot_be_a_name_is_told_before_a_service_says_so_in_its_own_words(folder, name, value, words):
    with pytest.raises(ConfigurationError) as told:
        load(**{name: value})
    assert told.value.fault.rule == "VT119"
    assert told.value.fault.where == name
    assert words in told.value.fault.fix


def test_all_names_that_cannot_be_are_told_at_once(folder):
    with pytest.raises(ConfigurationError) as told:
        load(project="My project", bucket="My bucket")
    assert [fault.where for fault in told.value.faults] == ["project", "bucket"]


def test_what_belongs_to_a_project_does_not_count_beside_another(folder, monkeypatch):
    """Work for one project is not encrypted with the key of another, nor put into its bucket."""
    write(
        folder, 'target = "vertex"\nproject = "a"\nlocation = "us-east1"\nbucket = "of-a"\nkms_key = "of-a"'
    )
    assert load(project="a").bucket == "of-a"
    assert load(project="b") == Config(target="vertex", project="b", location="us-east1")
    assert load(project="b", bucket="of-b").bucket == "of-b"
    monkeypatch.setenv("VERTEX_TUNING_PROJECT", "b")
    monkeypatch.setenv("VERTEX_TUNING_BUCKET", "of-b")
    assert (load().bucket, load().kms_key) == ("of-b", None)
    assert load(project="a").bucket == "of-a"
    monkeypatch.delenv("VERTEX_TUNING_PROJECT")
    assert load().kms_key == "of-a", "a bucket alone says nothing of the project"


@pytest.mark.parametrize(
    "text",
    [b"target = vertex", b"[", b"\xff", b"\xef\xbb\xbftarget = 'local'", b"a = 1\na = 2"],
    ids=["bare", "torn", "not utf-8", "byte order mark", "twice"],
)
def test_a_file_that_is_not_toml_is_named_with_its_reason(folder, text):
    (folder / "vertex-tuning.toml").write_bytes(text)
    error = refused(target="local")
    assert (error.rule, error.fault.where) == ("VT101", str(folder / "vertex-tuning.toml"))
    assert error.__cause__ is not None


def test_a_file_that_may_not_be_read_is_named():
    """Root may read everything: what it starts becomes nobody first."""
    code = (
        "import os\nfrom vertex_tuning.config import load\nos.getuid() or os.setuid(65534)\n"
        "try: load()\nexcept Exception as error: print(error.rule, error.__cause__.strerror)"
    )
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        write(Path(name), 'target = "local"').chmod(0)
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=name, capture_output=True, text=True, check=True
        )
    assert done.stdout == "VT101 Permission denied\n"


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [
        ("projekt = 'p'", '"projekt" is not a setting', "do you mean project?"),
        (
            "[cloud]\nproject = 'p'",
            '"cloud" is not a setting',
            f"settings are: {', '.join(NAMES)}",
        ),
        ("bucket = 1", '"bucket" is not a string', 'bucket = "..."'),
        ("location = ['us-east1']", '"location" is not a string', 'location = "..."'),
        ("target = true", '"target" is not a string', 'target = "..."'),
        (
            "labels = 'team=search'",
            '"labels" is not a table of strings',
            '[labels], and below it team = "search"',
        ),
        (
            "[labels]\nteam = 1",
            '"labels" is not a table of strings',
            '[labels], and below it team = "search"',
        ),
    ],
)
def test_a_setting_that_cannot_be_taken_is_told_with_what_is_wrong_and_what_was_meant(
    folder, text, what, fix
):
    path = write(folder, text)
    error = refused()
    assert (error.rule, error.fault.where) == ("VT102", str(path))
    assert (error.fault.what, error.fault.fix) == (what, fix)


def test_a_settings_file_that_is_not_there_is_told_with_what_writes_one(folder):
    with pytest.raises(ConfigurationError) as caught:
        read(folder / "vertex-tuning.toml")
    told = caught.value.fault
    assert (told.rule, told.fix) == ("VT101", "vertex-tuning init writes one")
    assert str(caught.value).count("vertex-tuning.toml") == 1


def test_all_settings_that_are_wrong_are_named_at_once(folder):
    write(folder, "projekt = 'p'\nbucket = 1\nlocation = 'us-east1'")
    error = refused()
    assert error.rule == "VT102"
    assert [fault.what.split('"')[1] for fault in error.faults] == ["projekt", "bucket"]


def test_a_target_that_there_is_not_is_told_with_the_place_that_it_came_from(folder, monkeypatch):
    path = write(folder, 'target = "cloud"')
    assert (refused().rule, refused().fault.where) == ("VT103", f"target in {path}")
    monkeypatch.setenv("VERTEX_TUNING_TARGET", "emulator")
    assert refused().fault.where == "VERTEX_TUNING_TARGET"
    error = refused(target="gcp")
    assert (error.fault.where, error.fault.what) == ("target", 'there is no target "gcp"')
    assert error.fault.fix == '"local" or "vertex"'
    assert load(target="vertex").target == "vertex"


def test_things_are_kept_where_the_user_says(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert home() == tmp_path / ".local" / "share" / "vertex-tuning"
    monkeypatch.setenv("XDG_DATA_HOME", "~/data")
    assert home() == tmp_path / "data" / "vertex-tuning"
    monkeypatch.setenv("VERTEX_TUNING_HOME", "~/kept")
    assert home() == tmp_path / "kept"


# What a provisioned project has

MADE: dict[str, Any] = {
    "schema_version": 1,
    "project": "demo-tuning",
    "project_number": "123456789012",
    "location": "europe-west4",
    "buckets": {name: f"gs://demo-tuning-vt-{name}" for name in ("datasets", "pipelines", "artifacts")},
    "service_accounts": {
        "runner": "vt-runner@demo-tuning.iam.gserviceaccount.com",
        "submitter": "vt-submitter@demo-tuning.iam.gserviceaccount.com",
        "scheduler": "vt-scheduler@demo-tuning.iam.gserviceaccount.com",
        "reward": None,
    },
    "registries": {
        "images": "europe-west4-docker.pkg.dev/demo-tuning/vt-images",
        "pipelines": "https://europe-west4-kfp.pkg.dev/demo-tuning/vt-pipelines",
    },
    "kms_key": "projects/demo-tuning/locations/europe-west4/keyRings/vt/cryptoKeys/vt-data",
    "reward_uri": None,
    "endpoint": None,
    "network_attachment": None,
    "labels": {"app": "vertex-tuning", "env": "dev"},
}


def made(folder: Path, document: Any) -> Path:
    path = folder / "output.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def not_taken(path: Path) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        from_terraform(path)
    return caught.value


@pytest.mark.parametrize(
    "document",
    [MADE, {"sdk_config": {"sensitive": False, "type": "object", "value": MADE}}],
    ids=["the output alone", "all outputs"],
)
def test_what_terraform_made_is_taken(folder, document):
    config = from_terraform(made(folder, document))
    assert (config.target, config.bucket) == ("vertex", "demo-tuning-vt-datasets")
    assert (config.service_account, config.reward_account) == (
        MADE["service_accounts"]["runner"],
        None,
    )
    assert config.labels == MADE["labels"]


def test_settings_survive_the_way_through_a_file_and_through_the_environment(folder, monkeypatch):
    config = from_terraform(made(folder, MADE))
    path = write(folder, config.to_toml())
    assert load() == read(path) == config
    path.unlink()
    for name, value in config.environment().items():
        monkeypatch.setenv(name, value)
    assert load() == config


def test_every_setting_but_the_target_comes_from_terraform_and_back():
    assert set(SDK_CONFIG.values()) == set(NAMES) - {"target"}
    assert len(set(SDK_CONFIG.values())) == len(SDK_CONFIG)


def test_every_part_that_is_wrong_is_named_at_once(folder):
    wrong = {**MADE, "kms_keys": "k", "location": 7, "labels": {"a": 1}}
    del wrong["endpoint"]
    wrong["buckets"] = {"datasets": "gs://d", "pipelines": "gs://p", "results": "gs://r"}
    error = not_taken(made(folder, wrong))
    assert error.rule == "VT114"
    named = {fault.what.split('"')[1] for fault in error.faults}
    assert named == {"kms_keys", "location", "labels", "endpoint", "buckets.results", "buckets.artifacts"}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "VT112"),
        ("[]", "VT112"),
        ("{}", "VT112"),
        ('{"sdk_config": null}', "VT112"),
        ('{"project": "p"}', "VT112"),
        ('{"schema_version": 2}', "VT113"),
        ('{"schema_version": 1}', "VT114"),
        ('{"schema_version": 1, "buckets": [], "service_accounts": "x"}', "VT114"),
    ],
)
def test_what_is_no_output_of_terraform_is_told_with_a_way_out(folder, text, rule):
    path = folder / "output.json"
    path.write_text(text, encoding="utf-8")
    error = not_taken(path)
    assert error.rule == rule
    assert error.fault.where == str(path)


def test_a_folder_or_file_that_is_not_there_is_named(folder):
    error = not_taken(folder / "terafrom")
    assert (error.rule, error.fault.what) == ("VT112", "there is no such folder or file")
    assert "the folder in which terraform/ was applied" in error.fault.fix


def test_a_folder_in_which_terraform_was_not_initialised_is_told_in_a_sentence():
    """The folder of this repository: its state would be in a bucket that was never named."""
    error = not_taken(Path(__file__).parents[1] / "terraform")
    assert error.rule == "VT112"
    assert error.fault.what.startswith("terraform output failed: Error: ")
    assert len(error.fault.what) < 200
    assert error.fault.fix == "terraform init, then terraform apply, in that folder"


def test_labels_of_the_environment_are_pairs(folder, monkeypatch):
    monkeypatch.setenv("VERTEX_TUNING_LABELS", "team=search, env=dev")
    assert load().labels == {"team": "search", "env": "dev"}
    monkeypatch.setenv("VERTEX_TUNING_LABELS", "team")
    assert (refused().rule, refused().fault.where) == ("VT102", "VERTEX_TUNING_LABELS")
