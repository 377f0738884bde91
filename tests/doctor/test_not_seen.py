"""Whoever may not look learns so, and who could; nobody's project is called broken for it. Nothing hangs, nothing raises."""

from __future__ import annotations

import time

import pytest

from tests.doctor.gates import OFF, SILENT
from tests.projects import PROJECT
from vertex_tuning import Diagnosis, connect
from vertex_tuning.doctor import Status, examining, missing_agents, seeing
from vertex_tuning.errors import ServiceError


def look() -> Diagnosis:
    with connect() as client:
        return client.doctor()


def test_policies_that_may_not_be_read_are_no_fault(gate):
    gate(lambda path: 403 if "getIamPolicy" in path or path.endswith("Version=3") else 200)
    found = look()
    assert (found.ok, found.warnings) == (True, ())
    assert {finding.check for finding in found.unseen} >= {"Buckets", "Roles", "Agents", "Reward", "Policy"}
    assert {finding.rule for finding in found.unseen} == {"VT127"}
    lines = {line for finding in found.unseen for line in finding.cure.commands}
    assert lines == {
        f"gcloud projects add-iam-policy-binding {PROJECT} --member=user:YOU --role=roles/iam.securityReviewer --condition=None"
    }
    assert found.commands() == []


def test_a_policy_of_the_project_that_may_not_be_read_hides_nothing_that_a_bucket_tells(gate):
    """A role that the bucket's own policy gives is there, whatever the project's says; one that it lacks may be."""
    seed = '[[grants.remove]]\nrole = "roles/storage.objectViewer"\nmember = "service_account"\non = "bucket"'
    gate(lambda path: 403 if f"projects/{PROJECT}:getIamPolicy" in path else 200, seed)
    found = look()
    assert found.ok
    roles = [finding for finding in found.unseen if finding.check == "Roles"]
    assert any("gs://demo-tuning-vt-datasets" in finding.where for finding in roles)
    assert not any("gs://demo-tuning-vt-artifacts" in finding.where for finding in roles)


@pytest.mark.parametrize(
    ("part", "check", "role"),
    [
        ("/storage/v1/b/demo-tuning-vt-datasets", "Buckets", "roles/storage.bucketViewer"),
        ("/cryptoKeys/", "Key", "roles/cloudkms.viewer"),
        ("/v2/", "Reward", "roles/run.viewer"),
        ("/quotaInfos", "Quotas", "roles/cloudquotas.viewer"),
        ("services:batchGet", "APIs", "roles/serviceusage.serviceUsageViewer"),
        ("/endpoints/", "Endpoint", "roles/aiplatform.viewer"),
        ("/networkAttachments/", "Network", "roles/compute.networkViewer"),
        ("/repositories/", "Registries", "roles/artifactregistry.reader"),
    ],
)
def test_who_may_look_is_said_for_each_service(gate, part, check, role):
    gate(lambda path: 403 if part in path else 200)
    found = look()
    assert (found.ok, found.warnings) == (True, ())
    assert any(role in line for one in found.unseen if one.check == check for line in one.cure.commands)


def test_an_api_that_is_off_is_found_out_where_their_list_may_not_be_seen(gate):
    fates = {"services:batchGet": 403, "/cryptoKeys/": OFF}
    gate(lambda path: next((fate for part, fate in fates.items() if part in path), 200))
    found = look()
    assert [(finding.rule, finding.where) for finding in found.faults] == [
        ("VT122", "cloudkms.googleapis.com")
    ]
    assert f"gcloud services enable cloudkms.googleapis.com --project={PROJECT}" in found.commands()


def test_service_usage_itself_may_be_off(gate):
    gate(lambda path: OFF if "services:batchGet" in path else 200)
    assert [(finding.rule, finding.where) for finding in look().faults] == [
        ("VT122", "serviceusage.googleapis.com")
    ]


def test_a_project_that_may_not_be_seen_may_not_be_there(gate):
    """Google says as much of all that is in it; it is told once."""
    gate(lambda path: 403)
    found = look()
    assert [(finding.rule, finding.where) for finding in found.faults] == [("VT123", f"project {PROJECT}")]
    assert {finding.check for finding in found.findings} == {"Credentials", "Project"}
    assert (found.warnings, found.unseen) == ((), ())


def test_credentials_that_are_not_taken_are_told_once(gate):
    gate(lambda path: 401)
    found = look()
    assert [finding.rule for finding in found.findings] == ["VT120"]
    assert found.commands() == ["gcloud auth application-default login"]


def test_where_nobody_answers_it_is_told_once_and_soon(gate, monkeypatch):
    monkeypatch.setattr(seeing, "PATIENCE", 0.3)
    gate(lambda path: SILENT)
    began = time.monotonic()
    found = look()
    assert [(finding.rule, finding.status) for finding in found.findings] == [("VT126", Status.FAULT)]
    assert time.monotonic() - began < 10


def test_a_service_that_does_not_answer_holds_up_no_other(gate, monkeypatch):
    monkeypatch.setattr(seeing, "PATIENCE", 0.3)
    gate(lambda path: SILENT if "/cryptoKeys/" in path else 200)
    found = look()
    assert found.ok
    assert {(finding.check, finding.rule) for finding in found.unseen} == {("Key", "VT126")}


def test_passing_trouble_is_borne(gate):
    seen: set[str] = set()

    def once(path: str) -> int:
        new = path not in seen
        seen.add(path)
        return 503 if new and "/storage/" in path else 200

    gate(once)
    found = look()
    assert (found.faults, found.warnings, found.unseen) == ((), (), ())


def test_everything_is_asked_once(gate):
    asked = gate(lambda path: 200).asked
    look()
    ours = [line for line in asked if "/emulator/" not in line]
    assert len(ours) == len(set(ours)) > 30


def test_nothing_is_asked_that_could_change_anything(gate):
    asked = gate(lambda path: 200).asked
    look()
    verbs = ("getIamPolicy", "testIamPermissions")
    assert [
        line for line in asked if not line.startswith("GET ") and not line.split("?")[0].endswith(verbs)
    ] == []


def test_progress_is_told_from_none_to_all(gate):
    gate(lambda path: 200)
    told: list[tuple[int, int]] = []
    with connect() as client:
        client.doctor(progress=lambda done, total: told.append((done, total)))
    total = len(examining.CHECKS)
    assert [done for done, _ in told] == list(range(total + 1))
    assert {all_ for _, all_ in told} == {total}


def test_which_agents_are_missing_cannot_be_told_without_the_policy(gate):
    gate(lambda path: 403 if f"projects/{PROJECT}:getIamPolicy" in path else 200)
    with connect() as client, pytest.raises(ServiceError, match="cannot be seen") as caught:
        missing_agents(client.connection)
    assert "add-iam-policy-binding" in caught.value.fault.fix
    assert "--role=roles/iam.securityReviewer" in caught.value.fault.fix
