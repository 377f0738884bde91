"""Google's own clients, which know of nothing but the environment, find a project where they thought Google was."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.emulator.project.settings import (
    ATTACHMENT,
    IMAGES,
    KEY,
    LOCATION,
    NUMBER,
    PROJECT,
    REWARD,
    RUNNER,
    SETTINGS,
)

DISCOVERED = f"""
import json
import google.auth, httplib2
from google.auth.transport.requests import AuthorizedSession
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

class Http:
    # httplib2 goes through no proxy without PySocks; requests does.
    session = AuthorizedSession(google.auth.default()[0])

    def request(self, uri, method="GET", body=None, headers=None, **_):
        answer = self.session.request(method, uri, data=body, headers=headers)
        return httplib2.Response({{**answer.headers, "status": str(answer.status_code)}}), answer.content

def service(name, version, **options):
    return build(name, version, http=Http(), static_discovery=True, cache_discovery=False, **options)

project = "projects/{PROJECT}"
usage = service("serviceusage", "v1").services()
iam = service("iam", "v1").projects().serviceAccounts()
keys = service("cloudkms", "v1").projects().locations().keyRings().cryptoKeys()
registry = service("artifactregistry", "v1").projects().locations().repositories()
run = service("run", "v2").projects().locations().services()
there = service("run", "v2", client_options={{"api_endpoint": "https://{LOCATION}-run.googleapis.com"}})
network = service("compute", "v1").networkAttachments()
found = {{
    "number": service("cloudresourcemanager", "v1").projects().get(projectId="{PROJECT}").execute()["projectNumber"],
    "on": usage.batchGet(parent=project, names=[project + "/services/run.googleapis.com"]).execute()["services"][0]["state"],
    "account": iam.get(name=project + "/serviceAccounts/{RUNNER}").execute()["email"],
    "acts": [one["role"] for one in iam.getIamPolicy(resource=project + "/serviceAccounts/{RUNNER}").execute()["bindings"]],
    "key": keys.get(name="{KEY}").execute()["primary"]["state"],
    "encrypts": [one["role"] for one in keys.getIamPolicy(resource="{KEY}").execute()["bindings"]],
    "registry": registry.get(name="{IMAGES}").execute()["format"],
    "reward": run.get(name="{REWARD}").execute()["uri"],
    "regional": there.projects().locations().services().get(name="{REWARD}").execute()["uri"],
    "attachment": network.get(project="{PROJECT}", region="{LOCATION}", networkAttachment="vt-psc").execute()["name"],
}}
names, request = [], usage.list(parent=project, filter="state:ENABLED", pageSize=4)
while request is not None:
    answer = request.execute()
    names += [one["config"]["name"] for one in answer["services"]]
    request = usage.list_next(request, answer)
found["services"] = len(names)
try:
    keys.get(name="{KEY}-none").execute()
except HttpError as error:
    found["missing"] = error.status_code
print(json.dumps(found))
"""

GENERATED = f"""
import json, sys
from google.cloud import resourcemanager_v3
from google.iam.v1 import iam_policy_pb2, policy_pb2

client = resourcemanager_v3.ProjectsClient(transport=sys.argv[1])
name = "projects/{PROJECT}"
policy = client.get_iam_policy(request=iam_policy_pb2.GetIamPolicyRequest(resource=name))
policy.bindings.append(policy_pb2.Binding(role="roles/viewer", members=["user:" + sys.argv[1] + "@example.com"]))
client.set_iam_policy(request={{"resource": name, "policy": policy}})
again = client.get_iam_policy(resource=name)
allowed = client.test_iam_permissions(resource=name, permissions=["resourcemanager.projects.get"])
viewers = [member for one in again.bindings if one.role == "roles/viewer" for member in one.members]
print(json.dumps([client.get_project(name=name).name, viewers, list(allowed.permissions)]))
"""


def run(emulator, program: str, *arguments: str):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *arguments],
        env=emulator.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_clients_that_are_built_of_discovery_documents(healthy):
    found = run(healthy, DISCOVERED)
    assert found == {
        "number": NUMBER,
        "on": "ENABLED",
        "account": RUNNER,
        "acts": ["roles/iam.serviceAccountTokenCreator", "roles/iam.serviceAccountUser"],
        "key": "ENABLED",
        "encrypts": ["roles/cloudkms.cryptoKeyEncrypterDecrypter"],
        "registry": "DOCKER",
        "reward": SETTINGS.reward_uri,
        "regional": SETTINGS.reward_uri,
        "attachment": ATTACHMENT.rpartition("/")[2],
        "services": found["services"],
        "missing": 404,
    }
    assert found["services"] > 10


def test_a_generated_client_changes_policies_over_rest_and_grpc(start_project):
    running = start_project()
    permissions = ["resourcemanager.projects.get"]
    name, viewers, allowed = run(running, GENERATED, "rest")
    assert (name, viewers, allowed) == (f"projects/{NUMBER}", ["user:rest@example.com"], permissions)
    name, viewers, allowed = run(running, GENERATED, "grpc")
    assert sorted(viewers) == ["user:grpc@example.com", "user:rest@example.com"]
    assert (name, allowed) == (f"projects/{NUMBER}", permissions)
