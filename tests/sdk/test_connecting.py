"""`connect()`: to the emulator that runs, to one of its own, to Vertex AI; and never to the wrong one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import RunningEmulator
from tests.sdk.conftest import rows
from vertex_tuning import ConfigurationError, EmulatorError, SpecError, SupervisedTuning, connect


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("VERTEX_TUNING_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_an_emulator_of_ones_own_is_gone_with_the_client():
    with connect("local", stand_in="tiny-0.1m") as client:
        record = client.connection._held.record
        assert is_alive(record["pid"])
        assert client.models.base("gemini-2.5-flash").generate("hi", max_output_tokens=2).answer_tokens > 0
    assert not is_alive(record["pid"])
    assert not Path(record["data_dir"]).exists()


def test_an_emulator_of_ones_own_does_not_outlive_a_program_that_forgot_it():
    program = (
        "from vertex_tuning import connect\n"
        "client = connect('local', stand_in='tiny-0.1m')\n"
        "print(client.connection._held.record['pid'], client.connection._held.record['data_dir'])\n"
        "import os; os.kill(os.getpid(), 9) if {how!r} == 'killed' else None\n"
    )
    for how in ("left", "killed"):
        done = subprocess.run(
            [sys.executable, "-c", program.replace("{how!r}", repr(how))],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if how == "killed":
            continue  # its words were not flushed; that nothing stays is the kernel's promise of the closed pipe
        pid, folder = done.stdout.split()
        assert not is_alive(int(pid))
        assert not Path(folder).exists()


def test_the_users_own_emulator_is_found(home):
    (home / "emulator").mkdir(parents=True)
    running = RunningEmulator(home / "emulator", "--project", "theirs", "--location", "europe-west4")
    try:
        with connect("local") as client:
            assert client.connection.address == running.address
            assert client.connection.project == "theirs"
            assert client.connection.location == "europe-west4"
            assert client.connection._held is None
        with connect("local", project="mine") as client:
            assert client.connection.project == "mine"
    finally:
        assert running.stop() == 0


def test_an_emulator_that_serves_by_another_stand_in_is_not_the_one_that_was_asked_for(emulator, monkeypatch):
    monkeypatch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
    with connect("local", stand_in="tiny-0.1m") as client:
        assert client.connection.address == emulator.address
    with connect("local", stand_in="tiny-0.5m") as client:
        assert client.connection.address != emulator.address


def test_a_record_of_an_emulator_that_is_gone_is_passed_over(home):
    (home / "emulator").mkdir(parents=True)
    (home / "emulator" / "run.json").write_text(
        '{"address": "http://127.0.0.1:9", "pid": 1}', encoding="utf-8"
    )
    with connect("local", stand_in="tiny-0.1m") as client:
        assert client.connection._held is not None


@pytest.mark.parametrize(
    "address", ["http://10.0.0.1:8085", "http://example.com", "https://localhost.evil.example"]
)
def test_an_address_that_is_not_loopback_is_refused(monkeypatch, address):
    monkeypatch.setenv("VERTEX_TUNING_EMULATOR", address)
    with pytest.raises(ConfigurationError) as caught:
        connect("local")
    assert caught.value.rule == "VT106"


def test_an_emulator_that_is_not_there_is_said_with_the_way_out(monkeypatch):
    monkeypatch.setenv("VERTEX_TUNING_EMULATOR", "http://127.0.0.1:9")
    with pytest.raises(EmulatorError) as caught:
        connect("local")
    assert caught.value.rule == "VT406"
    assert "emulator start" in caught.value.fault.fix


def test_the_cloud_is_out_of_reach_while_the_emulators_variables_are_set(monkeypatch, emulator):
    monkeypatch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
    with pytest.raises(ConfigurationError) as caught:
        connect("vertex", project="p", bucket="b")
    assert caught.value.rule == "VT105"


def test_the_cloud_needs_a_project_and_credentials(monkeypatch, tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        connect("vertex")
    assert caught.value.rule == "VT104"
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    with pytest.raises(ConfigurationError) as caught:
        connect("vertex", project="p")
    assert caught.value.rule == "VT107"
    assert "gcloud auth" in caught.value.fault.fix


def test_the_cloud_is_asked_at_its_own_addresses(monkeypatch, emulator):
    """With a key file, and nothing sent: what Google's clients were aimed at."""
    key = emulator.environment["GOOGLE_APPLICATION_CREDENTIALS"]
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", key)
    with connect("vertex", project="p", location="europe-west4") as client:
        where = client.connection
        assert where.address is None
        assert (
            where.genai._api_client._http_options.base_url
            == "https://europe-west4-aiplatform.googleapis.com/"
        )
        assert where.service_in("ModelService", "eu").api_endpoint == "aiplatform.eu.rep.googleapis.com"
        assert where.storage._connection.API_BASE_URL == "https://storage.googleapis.com"
        with pytest.raises(ConfigurationError) as caught:
            client.upload(rows())
        assert caught.value.rule == "VT108"


def test_an_emulator_that_cannot_start_says_why():
    with pytest.raises(EmulatorError) as caught:
        connect("local", stand_in="no-such-model")
    assert caught.value.rule == "VT407"
    assert "VT701" in str(caught.value)


def test_a_proxy_of_the_environment_is_not_the_way_to_loopback(monkeypatch, emulator):
    monkeypatch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with connect("local") as client:
        client.upload(rows(3, tag=" proxy"))
        client.jobs.list(limit=1)
        assert client.connection.service_in("ModelService", "us-central1").list_models(
            parent=f"projects/{client.connection.project}/locations/us-central1"
        )


def test_several_clients_live_side_by_side(emulator, monkeypatch):
    monkeypatch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
    with connect("local", project="a") as one, connect("local", project="b") as other:
        job = one.tune(SupervisedTuning(base_model="gemini-2.5-flash", training=rows(tag=" a"), epochs=1))
        assert job.name in {found.name for found in one.jobs.list()}
        assert job.name not in {found.name for found in other.jobs.list()}
        job.wait()


def test_a_base_model_that_there_is_not(client_here):
    with pytest.raises(SpecError) as caught:
        client_here.models.base("gemini-2.5-flsh")
    assert caught.value.rule == "VT301"
    assert "gemini-2.5-flash" in caught.value.fault.fix


@pytest.fixture
def client_here(emulator, monkeypatch):
    monkeypatch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
    with connect("local") as client:
        yield client


def test_nothing_of_it_is_global(client_here):
    """No variable of the environment is set, and `aiplatform.init` is never called."""
    before = dict(os.environ)
    client_here.jobs.list(limit=1)
    assert dict(os.environ) == before
    config = sys.modules.get("google.cloud.aiplatform.initializer")
    if config is not None:
        assert config.global_config._api_endpoint is None
