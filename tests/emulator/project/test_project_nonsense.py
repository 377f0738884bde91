"""Whatever is asked of a project: it is answered or refused, in Google's form, and never by a fault of ours."""

from __future__ import annotations

import hashlib
import json
import re
from urllib.parse import quote, urlencode

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.emulator.project.settings import LOCATION, NUMBER, PROJECT, RUNNER, SUBMITTER
from vertex_tuning.emulator import routes

TEMPLATE = b"pipelineInfo: {name: kept}\nroot: {dag: {}}\n"
NAMES = {
    "project": (PROJECT, NUMBER, "-", "other"),
    "location": (LOCATION, "global", "-"),
    "region": (LOCATION, "mars"),
    "account": (RUNNER, "1234", "service-1@gcp-sa-vertex-tune.iam.gserviceaccount.com"),
    "service": ("vt-reward", "aiplatform.googleapis.com", "pubsub.googleapis.com"),
    "ring": (f"vt-{LOCATION}",),
    "key": ("vt-data",),
    "repository": ("vt-images", "vt-pipelines"),
    "package": ("kept",),
    "digest": (hashlib.sha256(TEMPLATE).hexdigest(),),
    "tag": ("v1",),
    "attachment": ("vt-psc",),
    "quota": ("CustomModelTrainingCpusPerProjectPerRegion",),
}
FIELDS = ("policy", "bindings", "role", "members", "condition", "etag", "version", "options", "permissions")
VALUES = ("requestedPolicyVersion", "serviceIds", "roles/viewer", f"serviceAccount:{SUBMITTER}", "ACAB", "*")
WORDS = st.sampled_from([*FIELDS, *VALUES]) | st.text(max_size=4)
BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=10,
)
BINDINGS = st.fixed_dictionaries(
    {},
    optional={
        "role": st.just("roles/viewer") | BODIES,
        "members": st.lists(st.just("allUsers") | BODIES, max_size=2) | BODIES,
        "condition": st.dictionaries(WORDS, BODIES, max_size=2) | BODIES,
    },
)
POLICIES = st.fixed_dictionaries(
    {"bindings": st.lists(BINDINGS, min_size=1, max_size=2)},
    optional={"etag": BODIES, "version": st.sampled_from([1, 3, "3"]) | BODIES},
)
TAGGED = st.fixed_dictionaries({"version": st.just(f"sha256:{NAMES['digest'][0]}") | BODIES}) | BODIES
CHANGES = st.fixed_dictionaries({"policy": POLICIES})
QUERIES = st.dictionaries(
    st.sampled_from(
        [
            "pageSize",
            "pageToken",
            "filter",
            "names",
            "maxResults",
            "options.requestedPolicyVersion",
            "tagId",
            "x",
        ]
    ),
    st.sampled_from(["1", "3", "-1", "", "state:ENABLED", "projects/1/services/a", "WzEsIDJd"])
    | st.text(max_size=4),
    max_size=3,
)


def keep_a_template(emulator):
    """In the registry of the project, as kfp does it."""
    path = f"/{routes.TEMPLATES_ROOT}/{LOCATION}/{PROJECT}/vt-pipelines"
    files = {"content": TEMPLATE}
    answer = requests.post(emulator.address + path, data={"tags": "v1"}, files=files, timeout=60)
    assert answer.text == f"kept/sha256:{NAMES['digest'][0]}"


@pytest.mark.parametrize(
    "route",
    [*routes.PROJECT, *routes.TEMPLATES],
    ids=lambda route: f"{route.method} {route.pattern.pattern.replace('[^/:]+', '')}",
)
def test_no_request_is_answered_by_a_fault_of_ours(healthy, route):
    template = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"{\1}", route.pattern.pattern).replace("\\", "")
    bare = template == "token" or template.startswith(("compute/", routes.TEMPLATES_ROOT))
    version = "" if bare else f"/{route.versions[0]}"
    if "{package}" in template and route not in routes.TEMPLATES:
        keep_a_template(healthy)

    @settings(
        max_examples=150 if "setIamPolicy" in template else 25,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def send(data: st.DataObject) -> None:
        names = {
            name: quote(data.draw(st.sampled_from(NAMES[name]) | st.text(min_size=1, max_size=4)), safe="")
            for name in re.findall(r"{(\w+)}", template)
        }
        query = urlencode(data.draw(QUERIES), errors="replace")
        body = (
            data.draw(CHANGES if "setIamPolicy" in template else TAGGED if "/tags" in template else BODIES)
            if route.method in ("POST", "PATCH")
            else None
        )
        answer = healthy.call(route.method, f"{version}/{template.format(**names)}?{query}", body)
        if isinstance(answer, tuple):
            status, told = answer
            assert status < 500, (names, query, body, told)
            if isinstance(told, dict):
                assert told["error"]["code"] == status
                assert told["error"]["message"]
        else:
            assert json.dumps(answer)

    send()
