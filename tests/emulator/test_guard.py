"""Who may ask: forged requests, and what listens beyond loopback."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl

import pytest

from tests.running import RunningEmulator
from vertex_tuning.emulator import guard

STATUS = "/emulator/status"


def get(port: int, headers: dict[str, str], path: str = STATUS, method: str = "GET") -> tuple[int, dict]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    body = response.read()
    connection.close()
    is_json = response.headers.get_content_type() == "application/json"
    return response.status, json.loads(body) if is_json else body


def rule(body: dict) -> str:
    return body["error"]["details"][0]["reason"]


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:1",
        "localhost",
        "localhost:8085",
        "LOCALHOST",
        "[::1]",
        "[::1]:99",
        "app.localhost:80",
    ],
)
def test_loopback_is_answered_under_any_of_its_names_and_any_port(emulator, host):
    assert get(emulator.port, {"Host": host})[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8085",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
        "notlocalhost",
        "10.0.0.1",
        "",
        "aiplatform.googleapis.com.evil.example",
        "evil-aiplatform.googleapis.com.evil.example:443",
    ],
)
def test_a_name_that_was_rebound_to_us_is_refused(emulator, host):
    status, body = get(emulator.port, {"Host": host})
    assert status == 403
    assert rule(body) == "VT420"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "https://storage.googleapis.com"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize(
    "path", [STATUS, "/emulator/reset", "/storage/v1/b?project=p", "/a-bucket/an-object"]
)
def test_a_request_that_a_web_page_forged_is_refused(emulator, headers, method, path):
    status, body = get(emulator.port, headers, path, method)
    assert status == 403
    assert rule(body) == "VT421"


def test_a_page_of_the_emulators_own_may_ask(emulator):
    host = f"localhost:{emulator.port}"
    headers = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    assert get(emulator.port, headers)[0] == 200
    assert get(emulator.port, {"Host": host, "Sec-Fetch-Site": "none"})[0] == 200


def test_a_forged_host_is_refused_on_every_part(emulator):
    for path in (
        "/v1/projects/p/locations/us-central1/models",
        "/storage/v1/b?project=p",
        "/bucket/object",
        "/token",
    ):
        assert get(emulator.port, {"Host": "evil.example"}, path)[0] == 403


# What is served, and what is Google's


@pytest.mark.parametrize(
    "host",
    [
        "aiplatform.googleapis.com",
        "us-central1-aiplatform.googleapis.com",
        "europe-west4-aiplatform.googleapis.com",
        "aiplatform.us.rep.googleapis.com",
        "aiplatform.eu.rep.googleapis.com",
        "storage.googleapis.com",
        "my-bucket.storage.googleapis.com",
        "my.dotted_bucket.storage.googleapis.com",
        "www.googleapis.com",
        "oauth2.googleapis.com",
        "iamcredentials.googleapis.com",
        "cloudresourcemanager.googleapis.com",
        "iam.googleapis.com",
        "serviceusage.googleapis.com",
        "cloudquotas.googleapis.com",
        "cloudkms.googleapis.com",
        "cloudkms.europe-west6.rep.googleapis.com",
        "artifactregistry.googleapis.com",
        "us-central1-kfp.pkg.dev",
        "europe-kfp.pkg.dev",
        "run.googleapis.com",
        "us-central1-run.googleapis.com",
        "compute.googleapis.com",
        # Google's own tests of google-genai name these.
        "us-central1-autopush-aiplatform.sandbox.googleapis.com",
        "autopush-aiplatform.sandbox.googleapis.com",
        "autopush-aiplatform.us.rep.sandbox.googleapis.com",
    ],
)
def test_the_hosts_that_clients_need_are_served(host):
    assert guard.is_served(host)


@pytest.mark.parametrize(
    "host",
    [
        "generativelanguage.googleapis.com",
        "us-central1-aiplatform.mtls.googleapis.com",
        "storage.mtls.googleapis.com",
        "bigquery.googleapis.com",
        "accounts.google.com",
        "metadata.google.internal",
        "www.gstatic.com",
        "x-uc.a.run.app",
        "us-central1-docker.pkg.dev",
        "kfp.pkg.dev",
        "evilstorage.googleapis.com",
        "googleapis.com",
        "google.com",
    ],
)
def test_other_hosts_of_google_are_known_as_such_and_not_served(host):
    assert not guard.is_served(host)
    assert guard.is_google(host)


@pytest.mark.parametrize("host", ["pypi.org", "notgoogle.com", "googleapis.com.evil.example", "github.com"])
def test_everybody_elses_hosts_are_not_googles(host):
    assert not guard.is_served(host)
    assert not guard.is_google(host)


def test_a_google_host_answers_what_is_googles_there(emulator):
    jobs = "/v1/projects/p/locations/us-central1/tuningJobs"
    assert get(emulator.port, {"Host": "us-central1-aiplatform.googleapis.com"}, jobs)[0] == 200
    assert get(emulator.port, {"Host": "oauth2.googleapis.com"}, jobs)[0] == 404
    assert get(emulator.port, {"Host": "us-central1-aiplatform.googleapis.com"}, STATUS)[0] == 404
    assert get(emulator.port, {"Host": "us-central1-aiplatform.googleapis.com"}, "/token", "POST")[0] == 404
    assert get(emulator.port, {"Host": "oauth2.googleapis.com"}, "/token", "POST")[0] == 200


@pytest.mark.parametrize(
    ("host", "location", "status"),
    [
        ("us-central1-aiplatform.googleapis.com", "us-central1", 200),
        ("us-central1-aiplatform.googleapis.com", "europe-west4", 400),
        ("europe-west4-aiplatform.googleapis.com", "europe-west4", 200),
        ("aiplatform.googleapis.com", "global", 200),
        ("aiplatform.us.rep.googleapis.com", "us", 200),
        ("aiplatform.eu.rep.googleapis.com", "us", 400),
        ("localhost", "europe-west4", 200),
    ],
)
def test_a_regional_host_serves_its_region_alone(emulator, host, location, status):
    path = f"/v1/projects/p/locations/{location}/tuningJobs"
    assert get(emulator.port, {"Host": host}, path)[0] == status


# Beyond loopback


@pytest.fixture(scope="module")
def open_emulator(tmp_path_factory):
    running = RunningEmulator(tmp_path_factory.mktemp("open"), "--host", "0.0.0.0")
    yield running
    running.stop()


def test_beyond_loopback_every_call_needs_the_token(open_emulator):
    token = open_emulator.record["token"]
    assert len(token) >= 32
    paths = [
        STATUS,
        "/v1/projects/p/locations/us-central1/models",
        "/storage/v1/b?project=p",
        "/bucket/object",
    ]
    for path in paths:
        status, body = get(open_emulator.port, {}, path)
        assert status == 401, path
        assert body["error"]["status"] == "UNAUTHENTICATED"
        assert get(open_emulator.port, {"Authorization": "Bearer wrong"}, path)[0] == 401
        assert get(open_emulator.port, {"x-goog-api-key": "wrong"}, path)[0] == 401
        assert get(open_emulator.port, {"Host": "storage.googleapis.com"}, path)[0] == 401
    assert get(open_emulator.port, {"Authorization": f"Bearer {token}"})[0] == 200
    assert get(open_emulator.port, {"x-goog-api-key": token})[0] == 200
    # A page of another site is refused even if it knew the token.
    assert (
        get(open_emulator.port, {"Authorization": f"Bearer {token}", "Origin": "http://evil.example"})[0]
        == 403
    )


def connect(port: int, target: str, *headers: str) -> tuple[socket.socket, bytes]:
    connection = socket.create_connection(("127.0.0.1", port), 60)
    connection.sendall(
        "\r\n".join([f"CONNECT {target} HTTP/1.1", f"Host: {target}", *headers, "", ""]).encode()
    )
    return connection, connection.recv(65536)


def test_beyond_loopback_the_front_door_needs_the_token_too(open_emulator):
    token = open_emulator.record["token"]
    basic = base64.b64encode(f"any:{token}".encode()).decode()
    refused = [
        (),
        ("Proxy-Authorization: Bearer wrong",),
        ("Proxy-Authorization: Basic !!!",),
        (f"X-Something: {token}",),
        (f"Authorization: Bearer {token}",),
    ]
    for headers in refused:
        connection, answer = connect(open_emulator.port, "storage.googleapis.com:443", *headers)
        connection.close()
        assert answer.startswith(b"HTTP/1.1 407 VT422"), headers
        assert b"Proxy-Authenticate: Basic" in answer
    for header in (f"Proxy-Authorization: Bearer {token}", f"proxy-authorization: basic {basic}"):
        connection, answer = connect(open_emulator.port, "storage.googleapis.com:443", header)
        assert answer.startswith(b"HTTP/1.1 200")
        connection.close()


def test_inside_an_authorised_tunnel_google_programs_use_their_own_token(open_emulator):
    answer = open_emulator.call(
        "GET", "/emulator/environment", headers={"Authorization": f"Bearer {open_emulator.record['token']}"}
    )
    assert open_emulator.record["token"] in answer["set"]["HTTPS_PROXY"]
    basic = base64.b64encode(f"any:{open_emulator.record['token']}".encode()).decode()
    host = "us-central1-aiplatform.googleapis.com"
    connection, _ = connect(open_emulator.port, f"{host}:443", f"Proxy-Authorization: Basic {basic}")
    context = ssl.create_default_context(cafile=answer["set"]["SSL_CERT_FILE"])
    with context.wrap_socket(connection, server_hostname=host) as inside:
        inside.sendall(
            f"GET /v1/projects/p/locations/us-central1/models HTTP/1.1\r\nHost: {host}\r\n"
            "Authorization: Bearer emulator\r\nConnection: close\r\n\r\n".encode()
        )
        assert inside.recv(65536).startswith(b"HTTP/1.1 200")
