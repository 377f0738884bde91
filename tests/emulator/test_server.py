"""The server process: its answers, its data folder, its port, its end."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from vertex_tuning.emulator.app import Emulator
from vertex_tuning.emulator.settings import Settings

JOBS = "/v1beta1/projects/p/locations/us-central1/tuningJobs"


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def start_failing(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "vertex_tuning.emulator", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def raw(emulator, data: bytes) -> bytes:
    """All that comes back on a connection of its own until the server closes it."""
    with socket.create_connection(("127.0.0.1", emulator.port), 60) as connection:
        connection.sendall(data)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer


# Requests


def test_an_emulator_answers_at_the_address_it_printed(emulator):
    status = emulator.call("GET", "/emulator/status")
    assert status["ready"]
    assert status["address"] == emulator.address
    assert status["pid"] == emulator.record["pid"] == emulator.process.pid
    assert status["data_dir"] == str(emulator.data_dir)


def test_an_unknown_path_is_not_found_in_googles_form(emulator):
    """Google's front end answers with a page; what comes of it in a client is part of the wire."""
    code, page = emulator.call("GET", "/v1/projects/p/locations/us-central1/nothings")
    assert code == 404
    assert "/v1/projects/p/locations/us-central1/nothings was not found" in page


def test_a_method_that_a_path_does_not_have_is_not_found_as_by_googles_front_end(emulator):
    code, page = emulator.call("DELETE", f"{JOBS}/1")
    assert code == 404
    assert "It is there for GET, and not for DELETE." in page


def test_a_body_that_is_not_json_is_an_invalid_argument(emulator):
    answer = raw(
        emulator,
        b"POST " + JOBS.encode() + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Content-Length: 7\r\n\r\n{'a': 1",
    )
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 400 " in head.splitlines()[0]
    assert json.loads(body)["error"]["status"] == "INVALID_ARGUMENT"


def test_a_body_without_end_is_refused_before_it_fills_the_memory(emulator):
    connection = http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=60)
    chunks = (b" " * 1_000_000 for _ in range(40))
    # The answer may come before the end of the question.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.request(
            "POST", JOBS, body=chunks, headers={"Transfer-Encoding": "chunked"}, encode_chunked=True
        )
    response = connection.getresponse()
    assert response.status == 400
    assert "exceeds the limit" in json.loads(response.read())["error"]["message"]
    connection.close()


@pytest.mark.parametrize(
    "query", ["?$alt=json;enum-encoding=int", "?%24alt=json%3Benum-encoding%3Dint", "?alt=json"]
)
def test_the_query_of_generated_clients_is_taken(emulator, query):
    assert emulator.call("GET", JOBS + query) == emulator.call("GET", JOBS)


def test_an_escaped_path_is_the_same_path(emulator):
    code, body = emulator.call("GET", "/v1/projects/p/locations/us-central1/models/7%401")
    assert code == 404
    assert "models/7" in body["error"]["message"]
    assert "%40" not in body["error"]["message"]


def test_the_ui_prefix_is_v1beta1(emulator):
    assert emulator.call("GET", JOBS.replace("/v1beta1/", "/ui/")) == emulator.call("GET", JOBS)


def test_a_connection_serves_many_requests(emulator):
    connection = http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=60)
    connection.connect()
    ours = connection.sock.getsockname()
    for _ in range(5):
        connection.request("GET", JOBS)
        assert connection.getresponse().read()
        assert connection.sock.getsockname() == ours
    connection.close()


def test_requests_sent_in_one_go_are_answered_in_order(emulator):
    paths = [JOBS, f"{JOBS}/none", "/emulator/status"]
    data = b"".join(
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{'Connection: close' if path == paths[-1] else 'X-A: b'}\r\n\r\n".encode()
        for path in paths
    )
    answer = raw(emulator, data)
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"200", b"404", b"200"]


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"NONSENSE\r\n\r\n",
        b"C\r\n\r\n",
        b"GET  HTTP/9\r\n\r\n",
    ],
    ids=["tls", "word", "c", "version"],
)
def test_what_is_not_http_is_told_so_and_harms_nobody(emulator, nonsense):
    assert raw(emulator, nonsense + b"\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert emulator.call("GET", "/emulator/status")["ready"]


async def test_a_fault_of_ours_shows_an_incident_and_no_traceback(tmp_path, caplog):
    emulator = Emulator(Settings(data_dir=tmp_path, port=0))
    emulator.db.sql.execute("DROP TABLE resources")
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": JOBS,
        "raw_path": JOBS.encode(),
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "state": {},
    }
    await emulator(scope, receive, send)
    emulator.db.close()
    assert sent[0]["status"] == 500
    message = json.loads(sent[1]["body"])["error"]["message"]
    incident = re.search(r"incident (\w{12})", message)
    assert incident
    assert "resources" not in message
    assert incident[1] in caplog.text
    assert "no such table" in caplog.text


def test_the_event_log_can_be_read_on_from_where_one_was(start_emulator):
    emulator = start_emulator()
    for name in ("a", "b"):
        emulator.call("POST", "/v1/projects/p/locations/us-central1/endpoints", {"displayName": name})
    events = emulator.call("GET", "/emulator/events")["events"]
    assert len(events) >= 2
    assert [event["id"] for event in events] == sorted(event["id"] for event in events)
    rest = emulator.call("GET", f"/emulator/events?after={events[0]['id']}")["events"]
    assert rest == events[1:]
    own = emulator.call("GET", f"/emulator/events?resource={events[0]['resource']}")["events"]
    assert {event["resource"] for event in own} == {events[0]["resource"]}
    assert emulator.call("GET", "/emulator/events?after=-1")[0] == 400


def test_reset_forgets_everything_but_what_was_there_from_the_start(start_emulator):
    emulator = start_emulator()
    fresh = emulator.call("GET", "/storage/v1/b?project=p")
    emulator.call("POST", "/v1/projects/p/locations/us-central1/endpoints", {"displayName": "e"})
    emulator.call("POST", "/storage/v1/b?project=p", {"name": "mine"})
    assert emulator.call("POST", "/emulator/reset") == {}
    assert emulator.call("GET", "/v1/projects/p/locations/us-central1/endpoints") == {}
    assert emulator.call("GET", "/storage/v1/b?project=p") == fresh
    assert emulator.call("GET", "/emulator/events")["events"] == []


# The process


def test_the_server_carries_no_weight_that_its_children_are_for(start_emulator):
    """One of its own: the measures of an evaluation, which a test before may have asked for, bring numpy."""
    emulator = start_emulator()
    assert emulator.call("GET", "/emulator/status")["resident_bytes"] > 0
    loaded = Path(f"/proc/{emulator.process.pid}/maps").read_text(encoding="utf-8")
    for heavy in ("/torch/", "/numpy/", "/grpc/", "/google/_upb/", "/tokenizers/", "/pydantic_core/"):
        assert heavy not in loaded, heavy


def test_the_record_is_for_its_owner_alone_and_goes_with_the_server(start_emulator):
    emulator = start_emulator()
    path = emulator.data_dir / "run.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(emulator.data_dir.stat().st_mode) == 0o700
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record == emulator.record
    assert {
        "address",
        "pid",
        "data_dir",
        "project",
        "location",
        "token",
        "version",
        "started",
    } <= record.keys()
    assert emulator.stop() == 0
    assert not path.exists()


def test_a_second_emulator_on_the_same_folder_is_refused(emulator):
    code, words = start_failing("--port", "0", "--data-dir", str(emulator.data_dir))
    assert code == 1
    assert "VT402" in words
    assert emulator.address in words, "where the other one is"
    assert "--data-dir" in words
    assert emulator.call("GET", "/emulator/status")["ready"]


def test_a_port_in_use_is_named_with_who_holds_it_and_the_way_out(emulator, tmp_path):
    code, words = start_failing("--port", str(emulator.port), "--data-dir", str(tmp_path))
    assert code == 1
    assert "VT401" in words
    assert str(emulator.port) in words
    assert f"pid {emulator.process.pid}" in words
    assert "--port 0" in words


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["--host", "no-such-host.invalid"], "VT404"),
        (["--host", "192.0.2.1"], "VT404"),
        (["--stand-in", "no-such-model"], "VT701"),
    ],
    ids=["name", "address", "stand-in"],
)
def test_what_cannot_work_is_said_in_a_sentence(tmp_path, arguments, rule):
    code, words = start_failing("--port", "0", "--data-dir", str(tmp_path), *arguments)
    assert code == 1
    assert words.startswith(rule)


def test_a_data_folder_that_cannot_be_one_is_refused(tmp_path):
    (tmp_path / "file").write_text("", encoding="ascii")
    code, words = start_failing("--port", "0", "--data-dir", str(tmp_path / "file"))
    assert (code, words[:5]) == (1, "VT403")
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "emulator.sqlite").write_bytes(b"not a database at all" * 100)
    code, words = start_failing("--port", "0", "--data-dir", str(damaged))
    assert (code, words[:5]) == (1, "VT403")
    assert (damaged / "emulator.sqlite").read_bytes().startswith(b"not a database")


def test_a_crash_leaves_no_process_behind_and_does_not_stand_in_the_way(start_emulator):
    emulator = start_emulator()
    bucket = emulator.call("POST", "/storage/v1/b?project=p", {"name": "kept"})
    # The gRPC child is started by the first connection that wants it.
    program = (
        "from google.cloud import resourcemanager_v3 as r; r.ProjectsClient().get_project(name='projects/p')"
    )
    subprocess.run([sys.executable, "-c", program], env=emulator.environment, timeout=120, check=True)
    child = emulator.call("GET", "/emulator/status")["workers"]["grpc"]["pid"]
    assert is_alive(child)
    emulator.kill()
    until(lambda: not is_alive(child), "the gRPC child outlived the server")
    assert (emulator.data_dir / "run.json").exists()
    again = start_emulator(data_dir=emulator.data_dir)
    kept = again.call("GET", "/storage/v1/b/kept")
    assert kept == bucket | {"selfLink": kept["selfLink"]}  # the port is another one


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(start_emulator, number):
    emulator = start_emulator()
    idle = socket.create_connection(("127.0.0.1", emulator.port), 60)
    emulator.process.send_signal(number)
    assert emulator.process.wait(60) == 0
    with idle:
        assert idle.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", emulator.port), 5)
    with sqlite3.connect(emulator.data_dir / "emulator.sqlite") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()


def test_it_ends_when_its_starter_is_gone(start_emulator):
    emulator = start_emulator()
    emulator.process.stdin.close()
    assert emulator.process.wait(60) == 0


def test_a_temporary_folder_goes_with_its_emulator(start_emulator, tmp_path):
    emulator = start_emulator("--temporary")
    assert emulator.stop() == 0
    assert not emulator.data_dir.exists()


def test_a_folder_with_something_in_it_is_never_temporary(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work", encoding="ascii")
    code, words = start_failing("--port", "0", "--data-dir", str(tmp_path), "--temporary")
    assert (code, words[:5]) == (1, "VT403")
    assert (tmp_path / "thesis.txt").read_text(encoding="ascii") == "years of work"


def test_one_json_line_says_that_it_is_ready(emulator):
    assert emulator.record["address"].startswith("http://127.0.0.1:")
    assert emulator.record["pid"] == emulator.process.pid
    assert os.get_blocking(emulator.process.stdout.fileno())
