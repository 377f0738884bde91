"""Terraform and the package agree: on the settings that one hands to the other, and on who needs which role."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.cloud.aiplatform_v1 import PipelineJob
from google.protobuf import json_format

from tests.pipelines import small
from tests.running import RunningEmulator
from tests.terraform import checks, core, policy
from tests.terraform.checks import COMPLETE, MINIMAL
from tests.terraform.conftest import Made
from vertex_tuning import config, connect
from vertex_tuning.catalog import requirements
from vertex_tuning.config import Config

# Settings


def leaves(value: Mapping[str, Any]) -> dict[str, Any]:
    """`buckets.datasets` to its value; labels are one value."""
    flat: dict[str, Any] = {}
    for name, inner in value.items():
        if isinstance(inner, dict) and name != "labels":
            flat |= {f"{name}.{below}": one for below, one in inner.items()}
        else:
            flat[name] = inner
    return flat


def test_every_part_of_the_output_becomes_a_setting(made: Callable[..., Made], tmp_path: Path):
    whole = made(COMPLETE)
    parts = leaves(json.loads(whole.outputs())["sdk_config"]["value"])
    assert parts.pop("schema_version") == config.SCHEMA_VERSION
    settings = whole.settings(tmp_path)
    for part, value in parts.items():
        found = getattr(settings, config.SDK_CONFIG[part])
        assert value, f"{part} is not provided though every feature is on"
        assert found == (value.removeprefix("gs://") if isinstance(value, str) else value), part


def test_every_setting_but_the_target_can_be_provided(made: Callable[..., Made], tmp_path: Path):
    settings = made(COMPLETE).settings(tmp_path)
    assert set(settings.given()) == set(config.NAMES)
    assert settings.target == "vertex"


def test_parts_without_their_feature_are_null_and_still_there(made: Callable[..., Made], tmp_path: Path):
    least = made(MINIMAL)
    parts = leaves(json.loads(least.outputs())["sdk_config"]["value"])
    assert set(parts) == {*config.SDK_CONFIG, "schema_version"}
    absent = {config.SDK_CONFIG[part] for part, value in parts.items() if value is None}
    assert absent == {
        "scheduler",
        "reward_account",
        "kms_key",
        "reward_uri",
        "endpoint",
        "network_attachment",
    }
    assert set(least.settings(tmp_path).given()) == set(config.NAMES) - absent


def test_folder_whole_output_and_output_alone_give_the_same(
    made: Callable[..., Made], tmp_path: Path, terraform: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = made(COMPLETE)
    monkeypatch.setenv("PATH", str(terraform.parent), prepend=":")
    alone = tmp_path / "sdk_config.json"
    alone.write_text(whole.space.run("output", "-json", "sdk_config", at=COMPLETE).out, encoding="utf-8")
    folder = whole.space.folder / COMPLETE
    assert config.from_terraform(folder) == whole.settings(tmp_path) == config.from_terraform(alone)


def test_a_project_can_be_provisioned_for_tests_of_what_comes_after(
    tmp_path: Path, terraform: Path, monkeypatch: pytest.MonkeyPatch
):
    found = core.provision(tmp_path / "terraform", ".", "-var-file=environments/prod.tfvars")
    monkeypatch.setenv("PATH", str(terraform.parent), prepend=":")
    settings = config.from_terraform(tmp_path / "terraform")
    assert (settings.project, settings.kms_key) == (found["project"], found["kms_key"])
    assert settings.project == "acme-tuning-prod"


# Roles


Given = tuple[str, str, str]
"""Who, which role, on what: `project`, the setting that names it, or its own name."""

BEYOND = {
    r"group:\S+ roles/(aiplatform|logging|monitoring)\.viewer project": "people look at jobs, logs and metrics as themselves",
    r"group:\S+ roles/iam\.serviceAccountTokenCreator submitter": "people act as the submitter",
    r"principalSet:\S+ roles/iam\.workloadIdentityUser submitter": "CI acts as the submitter",
    r"group:cloud-storage-analytics@google\.com roles/storage\.objectCreator \S+": "Google delivers access logs",
    r"serviceAccount:\S+@gcp-sa-logging\S+ roles/bigquery\.dataEditor \S+": "the sink writes logs to its dataset",
    r"serviceAccount:\S+@gcp-sa-aiplatform\S+ projects/\S+/roles/vt_network_attacher project": "jobs join the network",
    r"serviceAccount:bq-\S+ roles/cloudkms\.cryptoKeyEncrypterDecrypter kms_key": "the dataset of logs is encrypted",
    r"serviceAccount:\S+@gcp-sa-pubsub\S+ roles/cloudkms\.cryptoKeyEncrypterDecrypter kms_key": "the budget's topic is encrypted",
}
"""What Terraform grants and the package does not ask for, and why."""


def given(resources: list[policy.Planned], settings: Config) -> Iterator[Given]:
    """The grants of a state, in the catalog's words."""
    for one in resources:
        if one.kind.endswith("_iam_member"):
            yield str(one.values["member"]), str(one.values["role"]), _on(one, settings)


def _on(grant: policy.Planned, settings: Config) -> str:
    kind = grant.kind.removeprefix("google_").removesuffix("_iam_member")
    if kind == "project":
        return requirements.PROJECT
    named = {
        "kms_crypto_key": "crypto_key_id",
        "storage_bucket": "bucket",
        "service_account": "service_account_id",
    }
    name = str(
        grant.values[
            named.get(kind) or next(n for n in ("repository", "name", "dataset_id") if n in grant.values)
        ]
    )
    name = name if kind == "kms_crypto_key" else name.rpartition("/")[2]
    for setting in {one.on for one in requirements.grants(dict.fromkeys(config.NAMES, "any"))} | {
        "submitter"
    }:
        value = str(getattr(settings, setting, ""))
        if name == value or (kind == "artifact_registry_repository" and value.endswith(f"/{name}")):
            return setting
        if kind == "cloud_run_v2_service" and value.startswith(f"https://{name}-"):
            return setting
    return name


def wanted(settings: Config, grant: requirements.Grant) -> Given:
    agents = requirements.agents()
    if grant.to in agents:
        return agents[grant.to].member(settings.project_number or ""), grant.role, grant.on
    return f"serviceAccount:{getattr(settings, grant.to)}", grant.role, grant.on


@pytest.mark.parametrize("example", [MINIMAL, COMPLETE])
def test_whatever_the_package_asks_for_is_granted_and_little_more(
    example: str, made: Callable[..., Made], tmp_path: Path
):
    project = made(example)
    settings = project.settings(tmp_path)
    granted = set(given(project.resources(), settings))
    rows = requirements.grants(settings.given())
    late = {name for name, agent in requirements.agents().items() if agent.late}
    asked = {wanted(settings, row): row for row in rows if example == COMPLETE or row.to not in late}
    assert [row for key, row in asked.items() if key not in granted] == []
    beyond = {" ".join(one) for one in granted - set(asked)}
    assert [one for one in beyond if not any(re.fullmatch(allowed, one) for allowed in BEYOND)] == []
    if example == COMPLETE:
        assert [allowed for allowed in BEYOND if not any(re.fullmatch(allowed, one) for one in beyond)] == []


def test_before_the_late_agents_exist_only_their_grants_are_missing(
    made: Callable[..., Made], tmp_path: Path
):
    project = made(COMPLETE, "-var=tuning_agents_exist=false")
    settings = project.settings(tmp_path)
    granted = set(given(project.resources(), settings))
    missing = [row for row in requirements.grants(settings.given()) if wanted(settings, row) not in granted]
    assert missing
    assert {row.input for row in missing} == {"tuning_agents"}
    assert all(requirements.agents()[row.to].late for row in missing)


@pytest.mark.parametrize("example", [MINIMAL, COMPLETE])
def test_the_services_that_the_package_needs_are_on(example: str, made: Callable[..., Made], tmp_path: Path):
    project = made(example)
    on = {one.values["service"] for one in project.resources() if one.kind == "google_project_service"}
    needed = requirements.services(project.settings(tmp_path).given())
    assert [service.name for service in needed if service.name not in on] == []


def test_what_was_made_keeps_to_the_policy_too(made: Callable[..., Made], schema: Mapping[str, Any]):
    """Names of members are known only now."""
    found = checks.policies(made(COMPLETE).space, COMPLETE, schema, policy.Asked(key=True, budget=True))
    assert "\n".join(map(str, found)) == ""


# What Google is asked by the clock


def clock(project: Made) -> policy.Planned:
    """The one job of Cloud Scheduler."""
    (job,) = [one for one in project.resources() if one.kind == "google_cloud_scheduler_job"]
    return job


def test_the_clock_sends_what_googles_client_knows_as_a_pipeline_job(
    made: Callable[..., Made], tmp_path: Path
):
    project = made(COMPLETE)
    job = clock(project)
    body = base64.b64decode(job.get("http_target", "body")[0])
    message = json_format.Parse(body, PipelineJob.pb()())
    settings = project.settings(tmp_path)
    assert message.service_account == settings.service_account
    assert message.runtime_config.gcs_output_directory.startswith(f"gs://{settings.pipelines_bucket}/")
    assert message.encryption_spec.kms_key_name == settings.kms_key
    assert dict(message.labels) == dict(settings.labels)
    (account,) = job.get("http_target", "oauth_token", "service_account_email")
    assert account == settings.scheduler


@pytest.fixture
def provisioned(
    made: Callable[..., Made],
    start_emulator: Callable[..., RunningEmulator],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Made, RunningEmulator]:
    """A project that Terraform has made, and the emulator that is it; `connect()` finds both."""
    project = made(COMPLETE)
    settings = replace(project.settings(tmp_path), target="local")
    settings.write(tmp_path / config.FILE)
    emulator = start_emulator("--config", str(tmp_path / config.FILE))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VERTEX_TUNING_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
    return project, emulator


def test_what_the_clock_sends_starts_the_pipeline_that_was_pushed(
    provisioned: tuple[Made, RunningEmulator], tmp_path: Path
):
    """To the letter: the body, its address, and the registry that Terraform made."""
    project, emulator = provisioned
    (target,) = clock(project).values["http_target"]
    path = target["uri"].partition("googleapis.com")[2]
    body = json.loads(base64.b64decode(target["body"]))
    registry, package, tag = body["templateUri"].rsplit("/", 2)
    status, answer = emulator.call(target["http_method"], path, body)
    assert status == 400, "nothing was pushed yet"
    assert body["templateUri"] in answer["error"]["message"]
    file = tmp_path / "pipeline.yaml"
    file.write_text(small.text(small.told_by_the_clock), encoding="utf-8")
    with connect() as client:
        template = client.pipelines.push(file, tags=[tag])
        assert (template.registry, template.package) == (registry, package)
        made = emulator.call(target["http_method"], path, body)
        run = client.pipelines.get(made["name"]).succeed(timeout=120)
        settings = client.connection.config
    assert run.resource.service_account == settings.service_account
    assert run.labels == dict(settings.labels)
    assert run.resource.encryption_spec.kms_key_name == settings.kms_key
    assert run.resource.template_uri == template.uri
    assert run.resource.template_metadata.version == template.version
    steps = {task.name: task for task in run.tasks}
    assert steps["number"].parameters == {"Output": 3}, "a number still"
    (data,) = steps["write"].outputs["data"]
    assert data["uri"].startswith(f"gs://{settings.pipelines_bucket}/weekly/")
