"""`vertex-tuning doctor`, as people and machines read it."""

from __future__ import annotations

import json
import signal
import subprocess
import time

import pytest

from tests.cli.terminals import COMMAND
from tests.doctor.gates import SILENT, Gate
from tests.projects import KEY, PROJECT, settle
from vertex_tuning.doctor import CHECKS

DISABLED = '[keys.kms_key]\nstate = "DISABLED"\n'
ENABLES = f"gcloud kms keys versions enable 1 --key=vt-data --keyring=vt-us-central1 --location=us-central1 --project={PROJECT}"


@pytest.fixture
def doctor(command, start_emulator, tmp_path):
    """Runs `doctor` on a project: `doctor(SEED, "--json")`."""

    def run(seed="", *arguments, **variables):
        emulator = settle(tmp_path, start_emulator, seed)
        return command("doctor", *arguments, **{"VERTEX_TUNING_EMULATOR": emulator.address, **variables})

    return run


def test_a_sound_project_takes_one_line_for_each_check(doctor):
    done = doctor()
    assert (done.status, done.err) == (0, "")
    head, *lines, empty, summary = done.out.splitlines()
    assert (head, empty) == (f"{PROJECT}, us-central1", "")
    assert [line.split()[0] for line in lines] == [check.name for check in CHECKS]
    assert all(line.split()[1] == "ok" for line in lines)
    assert "fault" not in summary


def test_every_single_thing_is_told_on_wish(doctor):
    done = doctor("", "--verbose")
    assert "gs://demo-tuning-vt-artifacts: in us-central1" in done.out
    assert len(done.out.splitlines()) > 30


def test_a_fault_is_told_with_what_why_and_the_way_out(doctor):
    done = doctor(DISABLED)
    assert done.status == 1
    at = done.out.index("FAULT")
    told = [line.strip() for line in done.out[at:].splitlines()[:3]]
    assert told == [
        f"FAULT  VT151  {KEY}: its primary version is DISABLED",
        "Neither can anything be encrypted with it, nor can what was be read.",
        f"Fix: {ENABLES}",
    ]
    assert done.out.splitlines()[-1].startswith("1 fault, ")


def test_the_script_of_what_mends_it_is_one_for_a_shell(doctor):
    done = doctor(DISABLED + "[agents]\ntuning = false\n", "--fix-script")
    assert done.status == 1
    lines = [line for line in done.out.splitlines() if not line.startswith("#")]
    assert lines == [ENABLES, "vertex-tuning init --make-agents"]
    subprocess.run(["bash", "-n"], input=done.out, text=True, check=True)


def test_what_terraform_is_to_be_told_can_be_had_alone(doctor):
    done = doctor("[agents]\ntuning = false\n", "--terraform")
    assert (done.status, done.out) == (0, "tuning_agents = { exist = true }\n")


def test_what_no_input_of_terraform_mends_is_remarked_where_inputs_are_asked_for(doctor):
    done = doctor("[accounts.scheduler]\ndisabled = true\n[buckets.bucket]\nexists = false\n", "--terraform")
    assert done.status == 1
    assert all(line.startswith("#") for line in done.out.splitlines())
    assert done.out.count("# An apply without changes mends:\n#   VT130 gs://demo-tuning-vt-datasets: ") == 1
    assert done.out.count("# terraform/ does not mend:\n#   VT141 vt-scheduler@") == 1


def test_a_sound_project_asks_for_no_input_of_terraform(doctor):
    done = doctor("", "--terraform")
    assert (done.status, done.out) == (0, "# nothing\n")


def test_warnings_are_an_exit_status_only_where_that_is_asked_for(command, start_emulator, tmp_path, env):
    seed = "[agents]\ntuning = false\n"
    env["VERTEX_TUNING_EMULATOR"] = settle(tmp_path, start_emulator, seed).address
    assert command("doctor").status == 0
    assert command("doctor", "--strict").status == 1


def test_json_has_everything(doctor):
    done = doctor(DISABLED, "--json")
    assert (done.status, done.err) == (1, "")
    body = json.loads(done.out)
    assert (body["project"], body["ok"], body["commands"]) == (PROJECT, False, [ENABLES])
    assert {row["status"] for row in body["findings"]} == {"ok", "fault"}


def test_what_may_not_be_seen_is_no_fault_and_what_would_let_one_look_stands_at_the_end(
    command, start_emulator, tmp_path
):
    gate = Gate(settle(tmp_path, start_emulator).address, lambda path: 403 if "/cryptoKeys/" in path else 200)
    try:
        done = command("doctor", VERTEX_TUNING_EMULATOR=gate.address)
        strict = command("doctor", "--strict", VERTEX_TUNING_EMULATOR=gate.address)
    finally:
        gate.close()
    assert (done.status, strict.status) == (0, 1)
    assert "roles/cloudkms.viewer" in done.out.splitlines()[-2]
    assert "not seen" in done.out.splitlines()[-1]


def test_an_address_that_nobody_answers_at_is_help_and_no_traceback(command):
    done = command("doctor", VERTEX_TUNING_EMULATOR="http://127.0.0.1:9")
    assert (done.status, done.out, done.rule) == (1, "", "VT406")


def test_no_credentials_is_help_and_no_traceback(alone, command, tmp_path):
    alone["HOME"] = str(tmp_path)
    # No metadata server either: this machine is none of Google's.
    done = command("doctor", "--target", "vertex", "--project", "p", NO_GCE_CHECK="true")
    assert (done.status, done.out, done.rule) == (1, "", "VT107")
    assert "gcloud auth application-default login" in done.err


def test_credentials_that_lead_nowhere_are_a_finding(alone, command, tmp_path):
    """A key that is well formed, and a token service that nobody answers for."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    private = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "k",
        "private_key": private.decode(),
        "client_email": "a@p.iam.gserviceaccount.com",
        "token_uri": "http://127.0.0.1:9/token",
    }
    path = tmp_path / "account.json"
    path.write_text(json.dumps(account), encoding="utf-8")
    done = command("doctor", "--target", "vertex", "--project", "p", GOOGLE_APPLICATION_CREDENTIALS=str(path))
    assert done.status == 1
    assert "VT126" in done.out
    assert "nothing was looked at" in done.out


def test_ctrl_c_ends_it_at_once(running, env, start_emulator, tmp_path):
    gate = Gate(
        settle(tmp_path, start_emulator).address, lambda path: SILENT if "/cryptoKeys/" in path else 200
    )
    try:
        env["VERTEX_TUNING_EMULATOR"] = gate.address
        process = running("doctor", argv=(COMMAND,))
        deadline = time.monotonic() + 30
        while not any("/cryptoKeys/" in line for line in gate.asked) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=5)
    finally:
        gate.close()
    assert process.returncode == 130
    assert "Traceback" not in err
    assert out == ""


def test_on_a_terminal_prose_keeps_to_its_column_and_commands_stay_whole(
    terminal, env, start_emulator, tmp_path
):
    env["VERTEX_TUNING_EMULATOR"] = settle(tmp_path, start_emulator, DISABLED).address
    shown = terminal("doctor", cwd=tmp_path, columns=80)
    assert shown.end() == 1
    lines = shown.text[shown.text.index(f"{PROJECT}, us-central1") :].splitlines()
    assert any(line.endswith(f"Fix: {ENABLES}") for line in lines)
    (policy,) = [number for number, line in enumerate(lines) if line.startswith("Policy")]
    assert max(map(len, lines[policy : policy + 2])) <= 80
    assert lines[policy + 1].index("that everybody has") >= len("Policy       ok     ")


def test_how_far_it_is_is_shown_on_a_terminal_and_wiped(terminal, env, start_emulator, tmp_path):
    env["VERTEX_TUNING_EMULATOR"] = settle(tmp_path, start_emulator).address
    shown = terminal("doctor", cwd=tmp_path)
    assert shown.end() == 0
    assert "of 16 checks" in shown.raw
