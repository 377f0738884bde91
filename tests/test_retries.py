"""What Google's clients raise becomes one kind of error; what may pass is tried again, and nothing else is."""

from __future__ import annotations

import importlib
import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import httpcore
import httpx
import pytest
import requests
import urllib3
from google import genai
from google.api_core import exceptions as api_core
from google.auth.exceptions import DefaultCredentialsError, ReauthFailError, RefreshError, TransportError
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.genai import errors as genai_errors
from google.genai import types
from google.oauth2.credentials import Credentials
from google.protobuf.json_format import ParseError

from vertex_tuning import ServiceError, SpecError, retries
from vertex_tuning.retries import ATTEMPTS, RETRYABLE, again, is_passing, translated

CODES = [400, 403, 404, 408, 409, 412, 418, 429, 499, 500, 501, 502, 503, 504]


class Service:
    """A server that answers as a test says: status and body, one per request, the last one for ever."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes] | None] = []
        self.requests = 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if (
                    "fields=name" in self.path
                ):  # the storage client looks after its cache, in a thread of its own
                    return
                service.requests += 1
                answer = service.answers[min(service.requests, len(service.answers)) - 1]
                if answer is None:  # the connection breaks
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                status, body = answer
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def says(self, *answers: tuple[int, object] | None) -> None:
        self.requests = 0
        self.answers = [
            answer
            and (answer[0], answer[1] if isinstance(answer[1], bytes) else json.dumps(answer[1]).encode())
            for answer in answers
        ]


@pytest.fixture(scope="module")
def running() -> Iterator[Service]:
    made = Service()
    yield made
    made.server.shutdown()
    made.thread.join()
    made.server.server_close()


@pytest.fixture
def service(running: Service) -> Service:
    return running


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited between the tries; nobody really waits."""
    waits: list[float] = []
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=waits.append))
    return waits


@pytest.fixture(scope="module")
def ask_genai(running: Service):
    options = types.HttpOptions(base_url=running.address, client_args={"trust_env": False})
    client = genai.Client(
        vertexai=True, project="p", location="l", credentials=Credentials("token"), http_options=options
    )
    return lambda: client.tunings.get(name="tuningJobs/1").state


@pytest.fixture(scope="module")
def ask_storage(running: Service):
    options = {"api_endpoint": running.address}
    client = storage.Client(project="p", credentials=Credentials("token"), client_options=options)
    client._http.trust_env = False
    return lambda: client.get_bucket("b", retry=None).name


CLIENTS = ["ask_genai", "ask_storage"]
GOOD = {"name": "tuningJobs/1", "state": "JOB_STATE_RUNNING"}


def refusal(code: int, status: str = "") -> tuple[int, object]:
    return code, {"error": {"code": code, "message": f"because of {code}", "status": status}}


@pytest.fixture(params=CLIENTS)
def ask(request: pytest.FixtureRequest):
    return request.getfixturevalue(request.param)


# Through real clients


def test_an_answer_is_handed_on(service, ask, slept):
    service.says((200, GOOD))
    assert again(ask)
    assert (service.requests, slept) == (1, [])


@pytest.mark.parametrize("code", sorted(RETRYABLE))
def test_passing_trouble_is_waited_out(service, ask, slept, code):
    service.says(refusal(code), None, refusal(code), (200, GOOD))
    assert again(ask)
    assert (service.requests, len(slept)) == (4, 3)


@pytest.mark.parametrize("code", sorted(RETRYABLE))
def test_trouble_that_does_not_pass_is_an_error_after_some_tries(service, ask, slept, code):
    service.says(refusal(code))
    with pytest.raises(ServiceError) as caught:
        again(ask)
    assert (caught.value.rule, caught.value.code) == ("VT503", code)
    assert f"because of {code}" in caught.value.fault.what
    assert service.requests == ATTEMPTS
    assert len(slept) == ATTEMPTS - 1
    assert all(0 <= wait <= 0.5 * 2**number for number, wait in enumerate(slept))


@pytest.mark.parametrize("code", [code for code in CODES if code not in RETRYABLE])
def test_a_refusal_is_not_repeated(service, ask, slept, code):
    service.says(refusal(code))
    with pytest.raises(ServiceError) as caught:
        again(ask)
    assert (caught.value.rule, caught.value.code) == ("VT501", code)
    assert f"because of {code}" in caught.value.fault.what
    assert (service.requests, slept) == (1, [])
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("code", "status", "fix"),
    [
        (401, "UNAUTHENTICATED", "gcloud auth application-default login"),
        (403, "PERMISSION_DENIED", "roles/aiplatform.user"),
        (404, "NOT_FOUND", "see that the name, the project and the location are right"),
        (429, "RESOURCE_EXHAUSTED", "ask for more quota"),
    ],
)
def test_an_error_has_the_canonical_status_and_what_to_do(service, ask_genai, slept, code, status, fix):
    service.says(refusal(code, status))
    with pytest.raises(ServiceError) as caught:
        again(ask_genai)
    assert (caught.value.status, caught.value.fault.what) == (status, f"because of {code}")
    assert fix in caught.value.fault.fix


def test_a_connection_that_breaks_is_no_answer(service, ask, slept):
    service.says(None)
    with pytest.raises(ServiceError) as caught:
        again(ask)
    assert (caught.value.rule, caught.value.code) == ("VT502", 0)
    assert service.requests >= ATTEMPTS


def test_a_token_that_is_refused_and_cannot_be_renewed_is_told_with_the_way_to_a_good_one(
    service, ask, slept
):
    service.says(refusal(401))
    with pytest.raises(ServiceError) as caught:
        again(ask)
    assert (caught.value.rule, caught.value.code) == ("VT501", 401)
    assert caught.value.fault.fix == "gcloud auth application-default login"
    assert (service.requests, slept) == (1, [])


def test_an_answer_that_cannot_be_read_is_tried_again(service, ask, slept):
    service.says((200, b"<html>proxy</html>"), (200, GOOD))
    assert again(ask)
    service.says((200, b"<html>proxy</html>"))
    with pytest.raises(ServiceError) as caught:
        again(ask)
    assert caught.value.rule in ("VT502", "VT503")
    assert service.requests == ATTEMPTS


def test_the_page_of_a_proxy_is_cut_short(service, ask, slept):
    service.says((502, b"<html>" + b"x" * 1_000_000))
    with pytest.raises(ServiceError) as caught:
        again(ask)
    assert (caught.value.rule, caught.value.code) == ("VT503", 502)
    assert caught.value.status in ("", "UNAVAILABLE", "INTERNAL")
    assert len(str(caught.value)) < 3_000


def test_nobody_there_is_no_answer(slept):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        for get in (httpx.get, requests.get):
            with pytest.raises(ServiceError) as caught:
                again(lambda get=get: get(address))
            assert (caught.value.rule, caught.value.code) == ("VT502", 0)
            assert caught.value.fault.fix == "see that the network and the address are right"
    assert len(slept) == 2 * (ATTEMPTS - 1)


# What each client may raise


def became(error: Exception) -> ServiceError:
    with pytest.raises(ServiceError) as caught, translated():
        raise error
    assert caught.value.__cause__ is error
    return caught.value


CALL_ERRORS = [
    kind
    for kind in vars(api_core).values()
    if isinstance(kind, type) and issubclass(kind, api_core.GoogleAPICallError)
]


@pytest.mark.parametrize("kind", CALL_ERRORS)
def test_every_exception_of_api_core_has_its_code(kind):
    error = became(kind("because"))
    code = int(kind.code or 500)
    assert error.code == code
    assert error.rule == ("VT503" if code in RETRYABLE else "VT501")
    assert error.status == getattr(kind.grpc_status_code, "name", "")


def test_where_googles_client_gave_up_the_reason_counts_and_it_is_not_tried_once_more(slept):
    unavailable = api_core.ServiceUnavailable("busy")
    error = became(api_core.RetryError("Timeout of 120.0s exceeded", unavailable))
    assert (error.rule, error.code, error.status) == ("VT503", 503, "UNAVAILABLE")
    assert became(api_core.RetryError("Timeout", requests.ConnectionError("no route"))).rule == "VT502"
    assert became(api_core.RetryError("Timeout", None)).rule == "VT502"
    calls = []

    def gives_up() -> None:
        calls.append(1)
        raise api_core.RetryError("Timeout", unavailable)

    with pytest.raises(ServiceError):
        again(gives_up)
    assert (len(calls), slept) == (1, [])


def response(code: int) -> requests.Response:
    made = requests.Response()
    made.status_code = code
    return made


@pytest.mark.parametrize(
    ("error", "rule", "code"),
    [
        (genai_errors.ClientError(404, {"message": "m", "status": "NOT_FOUND"}), "VT501", 404),
        (genai_errors.ServerError(503, {"error": {"message": "m"}}), "VT503", 503),
        (genai_errors.APIError(None, {}), "VT503", 500),
        (genai_errors.UnknownApiResponseError("?"), "VT503", 0),
        (httpx.ConnectError("refused"), "VT502", 0),
        (httpx.ReadTimeout("slow"), "VT502", 0),
        (httpx.RemoteProtocolError("torn"), "VT502", 0),
        (httpx.HTTPStatusError("m", request=None, response=httpx.Response(404)), "VT501", 404),
        (httpcore.ConnectError("refused"), "VT502", 0),
        (httpcore.ReadTimeout("slow"), "VT502", 0),
        (requests.ConnectionError("refused"), "VT502", 0),
        (requests.exceptions.ChunkedEncodingError("torn"), "VT502", 0),
        (requests.Timeout("slow"), "VT502", 0),
        (requests.HTTPError("m", response=response(403)), "VT501", 403),
        (requests.HTTPError("m", response=response(503)), "VT503", 503),
        (urllib3.exceptions.ProtocolError("torn"), "VT502", 0),
        (InvalidResponse(response(416), "m"), "VT501", 416),
        (InvalidResponse(response(429), "m"), "VT503", 429),
        (DataCorruption(response(200), "checksum"), "VT503", 0),
        (ParseError("not JSON"), "VT503", 0),
        (json.JSONDecodeError("Expecting value", "<html>", 0), "VT503", 0),
        (TransportError("no route"), "VT502", 0),
        (RefreshError("busy", retryable=True), "VT502", 0),
        (RefreshError("invalid_grant"), "VT501", 401),
        (DefaultCredentialsError("none found"), "VT501", 401),
        (ReauthFailError(), "VT501", 401),
        (ConnectionResetError(104, "reset"), "VT502", 0),
        (TimeoutError(), "VT502", 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_what_a_client_raises_is_one_of_ours(error, rule, code):
    found = became(error)
    assert (found.rule, found.code) == (rule, code)
    assert found.fault.what.strip(": ")
    assert is_passing(found) == (code == 0 or code in RETRYABLE)


def test_bad_credentials_are_told_with_the_way_to_good_ones(slept):
    calls = []

    def ask() -> None:
        calls.append(1)
        raise RefreshError("invalid_grant: Token has been revoked.")

    with pytest.raises(ServiceError, match="Token has been revoked") as caught:
        again(ask)
    assert (len(calls), slept) == (1, [])
    assert (caught.value.status, caught.value.fault.fix) == (
        "UNAUTHENTICATED",
        "gcloud auth application-default login",
    )


def test_a_class_of_somebody_elses_counts_as_what_it_is():
    class Ours(requests.ConnectionError):
        pass

    assert became(Ours("x")).rule == "VT502"


@pytest.mark.parametrize(
    "error",
    [ValueError("x"), KeyError("x"), FileNotFoundError("x"), SpecError("VT301", "x"), StopIteration()],
)
def test_what_is_no_answer_of_a_service_stays_what_it_is(error, slept):
    calls = []

    def ask() -> None:
        calls.append(1)
        raise error

    with pytest.raises(type(error)) as caught:
        again(ask)
    assert caught.value is error
    assert (len(calls), slept) == (1, [])


def test_an_interrupt_is_not_held_up(slept):
    def ask() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        again(ask)
    assert slept == []


def test_waits_grow_and_have_an_end(monkeypatch, slept):
    monkeypatch.setattr("vertex_tuning.retries.ATTEMPTS", 200)
    with pytest.raises(ServiceError):
        again(lambda: (_ for _ in ()).throw(ConnectionError("x")))
    assert len(slept) == 199
    assert max(slept) <= 30
    assert max(slept[-100:]) > max(slept[:3])


def test_to_look_at_an_exception_loads_no_client():
    code = (
        "import sys\nfrom vertex_tuning.retries import translated\n"
        "try:\n    with translated(): raise ConnectionError('x')\n"
        "except Exception as error: print(error.rule, *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    rule, *modules = done.stdout.split()
    assert rule == "VT502"
    assert not {"google.api_core", "google.auth", "google.genai", "httpx", "requests", "urllib3"} & set(
        modules
    )


def test_every_class_that_is_known_by_name_exists():
    """They are known by name so that nobody loads them; a name that changes would be passed over in silence."""
    source = Path(retries.__file__).read_text(encoding="utf-8")
    names = set(re.findall(r'"((?:builtins|google|httpcore|httpx|json|requests|urllib3)\.[\w.]+)"', source))
    assert len(names) > 12
    for name in names:
        module, _, kind = name.rpartition(".")
        found = getattr(importlib.import_module(module), kind)
        assert f"{found.__module__}.{found.__qualname__}" == name
