"""Five thousand requests made from Google's schema: whatever is asked, the answer is never a fault of the emulator's.

What is not served is refused by name, and that is no 5xx either: to a caller it is a precondition that does not hold here.
"""

from __future__ import annotations

import collections
import http.client
import json
import math
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conformance import generated
from tests.running import RunningEmulator
from vertex_tuning.emulator import routes
from vertex_tuning.emulator.api import Route

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")]

AT_LEAST = 5_000
_ASKS_A_MODEL = ("generateContent", "streamGenerateContent", "chat/completions", "redict", "optimizePrompt")
"""A model takes its time to answer: of these routes there are several, and fewer requests to each will do."""
_FEWER = 40
ROUTES = [route for route in routes.VERTEX if route.request is not None or route.method != "POST"]


def _asks_a_model(route: Route) -> bool:
    return any(word in route.pattern.pattern for word in _ASKS_A_MODEL)


_QUICK = [route for route in ROUTES if not _asks_a_model(route)]
EACH = math.ceil(AT_LEAST / len(_QUICK))


class Client:
    """Sends requests one after the other, and counts the answers."""

    def __init__(self, running: RunningEmulator) -> None:
        self.running = running
        self.statuses: collections.Counter[int] = collections.Counter()
        self._line: http.client.HTTPConnection | None = None

    def send(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, str, bytes]:
        """Status, content type and body of the answer."""
        url = urllib.parse.quote(path, safe="/:@")
        if query:
            url += f"?{urllib.parse.urlencode(query)}"
        data = None if body is None else json.dumps(body).encode()
        if self._line is None:
            self._line = http.client.HTTPConnection("127.0.0.1", self.running.port, timeout=60)
        self._line.request(method, url, data, {"Content-Type": "application/json"})
        response = self._line.getresponse()
        found = response.status, response.headers.get_content_type(), response.read()
        self.statuses[found[0]] += 1
        return found


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """To a simulation, and at the end: were there as many as promised, and does its log know of no incident?"""
    running = RunningEmulator(tmp_path_factory.mktemp("generated"), "--simulate")
    client = Client(running)
    yield client
    alive = running.process.poll() is None
    running.stop()
    assert alive
    log = (running.data_dir / "logs" / "server.log").read_text(encoding="utf-8")
    assert "incident" not in log, log[log.index("incident") - 200 :][:3000]


@pytest.fixture(scope="module")
def world(client: Client) -> generated.World:
    """A data set, and a job that was gone through with it, so that some requests meet what is there."""
    running, bucket = client.running, "generated-requests"
    running.call("POST", "/storage/v1/b?project=vertex-tuning-local", {"name": bucket, "location": "US"})
    turns = [{"role": role, "parts": [{"text": role}]} for role in ("user", "model")]
    row = json.dumps({"contents": turns}).encode() + b"\n"
    upload = http.client.HTTPConnection("127.0.0.1", running.port)
    upload.request("POST", f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name=rows.jsonl", row * 20)
    assert upload.getresponse().status == 200
    uri = f"gs://{bucket}/rows.jsonl"
    spec = {"trainingDatasetUri": uri, "hyperParameters": {"epochCount": 1}}
    body = {"baseModel": "gemini-2.5-flash", "supervisedTuningSpec": spec}
    job = running.call("POST", f"/v1/{generated.PLACE}/tuningJobs", body)
    while job["state"] != "JOB_STATE_SUCCEEDED":
        assert job["state"] in ("JOB_STATE_PENDING", "JOB_STATE_RUNNING"), job
        job = running.call("GET", f"/v1/{job['name']}")
    names = [job["name"], job["tunedModel"]["model"].partition("@")[0], job["tunedModel"]["endpoint"]]
    return generated.World(uri, *(name.rpartition("/")[2] for name in names))


@pytest.mark.parametrize(
    "route", ROUTES, ids=lambda route: f"{route.method} {route.pattern.pattern.replace('[^/:]+', '')}"
)
def test_no_request_is_answered_by_a_fault_of_ours(
    client: Client, world: generated.World, route: Route
) -> None:
    @settings(
        max_examples=_FEWER if _asks_a_model(route) else EACH,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def send(data: st.DataObject) -> None:
        path, query, body = data.draw(generated.requests(world, route))
        status, kind, answer = client.send(route.method, path, query, body)
        if status >= 400 and kind == "application/json":
            error = json.loads(answer)["error"]
            assert error["code"] == status
            assert error["message"]
            assert error["status"]
        assert status < 500, (path, query, body, answer)

    send()


def test_there_were_as_many_as_promised(client: Client) -> None:
    """And not all of them were refused, nor all taken."""
    total = sum(client.statuses.values())
    print(f"{total} requests: {dict(sorted(client.statuses.items()))}")
    assert total >= AT_LEAST
    assert client.statuses[200] > total / 20
    assert client.statuses[400] > total / 20
