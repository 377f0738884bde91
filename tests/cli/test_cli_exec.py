"""`emulator exec`: a command with an emulator of its own, of which nothing is left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import interrupt
from tests.cli.terminals import COMMAND

EXEC = ["emulator", "exec", "--stand-in", "tiny-0.1m"]
MARK = "VERTEX_TUNING_TEST_MARK"

# Root runs the tests too: as root in a namespace where that is some user's number, it is a user to the command.
_AS_USER = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]


def can(*argv: str) -> bool:
    return (
        bool(shutil.which(argv[0]))
        and subprocess.run([*argv, "true"], capture_output=True, check=False).returncode == 0
    )


def marked(mark: str) -> list[int]:
    """Processes that live and have the mark in their environment: those of the command, and all that they started."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            state = (
                (path / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
            )
            if state != "Z" and f"{MARK}={mark}".encode() in (path / "environ").read_bytes().split(b"\0"):
                found.append(int(path.name))
        except OSError:
            continue
    return found


@pytest.fixture
def leaves_nothing(env, tmp_path) -> Iterator[None]:
    """Whatever a test does: no process, no file, no port is left of it."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    env.update({"TMPDIR": str(scratch), MARK: str(tmp_path)})
    tempfile.tempdir, former = str(scratch), tempfile.tempdir
    yield
    tempfile.tempdir = former
    deadline = time.monotonic() + 30
    while (left := marked(str(tmp_path))) or any(scratch.iterdir()):
        assert time.monotonic() < deadline, (left, list(scratch.iterdir()))
        time.sleep(0.05)


pytestmark = pytest.mark.usefixtures("leaves_nothing")


def until(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# What goes through


def test_arguments_input_output_and_status_are_the_commands_own(command):
    program = (
        "import sys; print(sys.argv[1:], sys.stdin.read()); print('aside', file=sys.stderr); sys.exit(7)"
    )
    arguments = ["--json", "-x", "--", "--help", "a b", "*", "", "--stand-in=x"]
    done = command(*EXEC, "--", sys.executable, "-c", program, *arguments, input="said")
    assert (done.status, done.out, done.err) == (7, f"{arguments} said\n", "aside\n")


def test_two_dashes_may_be_left_out_and_open_files_stay_open(command):
    done = command("-c", f"{COMMAND} emulator exec cat <(echo through)", argv=["bash"])
    assert (done.status, done.out, done.err) == (0, "through\n", "")


def test_a_command_that_a_signal_killed_has_the_status_that_a_shell_gives(command):
    assert command(*EXEC, "--", "sh", "-c", "kill -9 $$").status == 128 + signal.SIGKILL


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name
)
def test_a_signal_goes_to_the_command_once_which_may_end_in_its_own_way(running, tmp_path, number):
    script = (
        f"trap 'echo got >> {tmp_path}/got; exit 5' {number.name[3:]}\n"
        f"touch {tmp_path}/ready; while :; do sleep 0.05; done"
    )
    process = running(*EXEC, "--", "sh", "-c", script)
    until((tmp_path / "ready").exists)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (5, "")
    assert (tmp_path / "got").read_text(encoding="ascii") == "got\n"


def test_a_signal_that_comes_early_ends_it(running):
    """While the emulator starts, there is nobody yet to pass it on to."""
    process = running(*EXEC, "--", "sleep", "1000")
    time.sleep(0.4)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) in (128 + signal.SIGTERM, -signal.SIGTERM)


def test_ctrl_c_on_a_terminal_reaches_the_command_once(terminal, tmp_path):
    script = f"trap 'echo got >> {tmp_path}/got; exit 6' INT; echo ready; while :; do sleep 0.05; done"
    shown = terminal(*EXEC, "--", "sh", "-c", script)
    shown.until("ready")
    shown.type("\x03")
    assert shown.end() == 6
    assert (tmp_path / "got").read_text(encoding="ascii") == "got\n"


def test_a_command_on_a_terminal_can_ask(terminal):
    shown = terminal(*EXEC, "--", "sh", "-c", "read -r answer; echo it was $answer")
    time.sleep(0.2)
    shown.type("blue\n")
    assert shown.end() == 0
    assert "it was blue" in shown.text


# What is there, and is gone


def test_the_command_finds_its_own_emulator_and_what_it_leaves_running_is_ended(command, emulator):
    script = (
        "sleep 1000 & setsid sleep 1000 & (setsid sh -c 'sleep 1000' &); vertex-tuning emulator status --json"
    )
    done = command(*EXEC, "--project", "mine", "--", "sh", "-c", script)
    assert (done.status, done.err) == (0, "")
    status = done.json
    assert status["address"] != emulator.address
    assert status["stand_in"] == "tiny-0.1m"
    assert status["project"] == "mine"
    assert not Path(status["data_dir"]).exists()
    assert not Path(f"/proc/{status['pid']}").exists()


def test_a_program_talks_to_it_through_googles_clients(command):
    program = (
        "from google import genai\n"
        "client = genai.Client()\n"
        "answer = client.models.generate_content(model='gemini-2.5-flash', contents='hi')\n"
        "print(answer.candidates[0].finish_reason.value)"
    )
    done = command(*EXEC, "--", sys.executable, "-W", "ignore", "-c", program)
    assert done.status == 0, done.err
    assert done.out.strip() in ("STOP", "MAX_TOKENS")


def test_what_its_children_leave_in_their_scratch_folder_goes_with_it(command):
    """Torch leaves caches there."""
    program = (
        "import json, os, pathlib, urllib.request as r\n"
        "url = os.environ['VERTEX_TUNING_EMULATOR'] + '/emulator/status'\n"
        "status = json.load(r.build_opener(r.ProxyHandler({})).open(url))\n"
        "words = pathlib.Path(f'/proc/{status[\"pid\"]}/environ').read_bytes().decode().split(chr(0))\n"
        "(scratch,) = [word[7:] for word in words if word.startswith('TMPDIR=')]\n"
        "(pathlib.Path(scratch) / 'left').touch()\n"
        "print(pathlib.Path(scratch).relative_to(status['data_dir']))"
    )
    done = command(*EXEC, "--", sys.executable, "-c", program)
    assert (done.status, done.out) == (0, "tmp\n")


@pytest.mark.parametrize("user", ["same", "other"])
def test_one_within_another_has_an_emulator_of_its_own(command, user):
    """As root and as a user: the kernel has different ways for them."""
    prefix = [] if user == "same" else _AS_USER
    if prefix and not can(*prefix):
        pytest.skip("no user namespaces here")
    show = "vertex-tuning emulator status --json"
    inner = f"{show}; id -u"
    done = command(
        "--",
        "sh",
        "-c",
        f"{show}; {COMMAND} emulator exec -- sh -c '{inner}'",
        argv=[*prefix, COMMAND, *EXEC],
    )
    assert done.status == 0, done.err
    outer, rest = json.JSONDecoder().raw_decode(done.out)
    inside, _ = json.JSONDecoder().raw_decode(done.out[rest:].lstrip())
    assert outer["pid"] != inside["pid"]
    assert outer["data_dir"] != inside["data_dir"]
    assert done.out.split()[-1] == ("1000" if prefix else str(os.geteuid()))


@pytest.mark.parametrize("user", ["same", "other"])
def test_the_network_of_the_command_is_loopback_alone_unless_shared(command, user):
    prefix = [] if user == "same" else _AS_USER
    if not can(
        *prefix,
        *(["unshare", "--net"] if os.geteuid() == 0 and not prefix else ["unshare", "--user", "--net"]),
    ):
        pytest.skip("no network namespaces here")
    look = "cat /proc/net/dev"
    done = command("--", "sh", "-c", look, argv=[*prefix, COMMAND, *EXEC])
    assert [line.split(":")[0].strip() for line in done.out.splitlines()[2:]] == ["lo"]
    if prefix:
        return
    here = Path("/proc/net/dev").read_text(encoding="ascii").count(":")
    shared = command("--share-network", "--", "sh", "-c", look, argv=[COMMAND, *EXEC])
    assert shared.out.count(":") == here


def test_a_crash_of_the_runner_leaves_nothing_either(running, tmp_path):
    process = running(*EXEC, "--", "sh", "-c", f"touch {tmp_path}/ready; exec sleep 1000")
    until((tmp_path / "ready").exists)
    process.kill()  # the rest is for `leaves_nothing` to see


# What cannot be


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("no-such-command", 127),
        ("./no-such-file", 127),
        ("", 127),
        ("./plain", 126),
        ("./odd", 126),
    ],
)
def test_what_cannot_be_run_has_the_status_that_a_shell_gives(command, tmp_path, name, status):
    (tmp_path / "plain").write_text("echo hi\n", encoding="ascii")
    (tmp_path / "odd").write_bytes(b"\0\1\2\3")
    (tmp_path / "odd").chmod(0o755)
    mine = ["emulator", "exec", "--json", "--", name]
    its = ["emulator", "exec", "--", name, "--json"]
    done = command(*(mine if status == 126 else its))
    assert (done.status, done.rule) == (status, "VT411")
    if status == 126:
        assert done.err == ""
        assert done.json["error"]["fix"].startswith("see that it is a program")


def test_an_emulator_that_cannot_start_is_a_fault_and_runs_nothing(command, tmp_path):
    done = command("emulator", "exec", "--stand-in", "nonsense", "--", "touch", "ran")
    assert (done.status, done.out, done.rule) == (1, "", "VT701")
    assert not (tmp_path / "ran").exists()


def test_ctrl_c_without_a_terminal_is_for_all_that_the_command_started(running, tmp_path):
    script = f"sleep 1000 & touch {tmp_path}/ready; wait; exit 9"
    process = running(*EXEC, "--", "bash", "-c", script)
    until((tmp_path / "ready").exists)
    interrupt(process)
    assert process.wait(60) == 128 + signal.SIGINT


def test_a_reward_in_the_cloud_is_rehearsed_with_a_service_of_the_commands_own(command, tmp_path):
    (tmp_path / "reward.json").write_text(
        '{"stringMatchRewardScorer": {"correctAnswerReward": 1, '
        '"stringMatchExpression": {"matchOperation": "EXACT_MATCH", "expression": "4"}}}',
        encoding="utf-8",
    )
    (tmp_path / "program.py").write_text(
        "import subprocess\n"
        "from vertex_tuning import connect, rewards\n"
        f"serve = [{COMMAND!r}, 'reward', 'serve', 'reward.json', '--port', '9177']\n"
        "with subprocess.Popen(serve, stdout=subprocess.PIPE) as service, connect('local') as client:\n"
        "    service.stdout.readline()\n"
        "    reward = rewards.cloud_run('https://my-reward-abc-uc.a.run.app')\n"
        "    row = {'contents': [{'role': 'user', 'parts': [{'text': '2 + 2?'}]}]}\n"
        "    print(client.validate_reward(reward, row, '4').reward)\n"
        "    service.terminate()\n",
        encoding="utf-8",
    )
    mapped = ("--map", "my-reward-abc-uc.a.run.app=http://127.0.0.1:9177")
    done = command(*EXEC, *mapped, "--", sys.executable, "program.py")
    assert (done.status, done.out) == (0, "1.0\n"), done.err


def test_rows_with_pictures_are_left_out_where_that_is_asked(command, tmp_path):
    def row(*more: dict) -> dict:
        asked = {"role": "user", "parts": [{"text": "Say red."}, *more]}
        return {"contents": [asked, {"role": "model", "parts": [{"text": "red"}]}]}

    picture = {"fileData": {"mimeType": "image/png", "fileUri": "gs://b/a.png"}}
    rows = [row(), row(picture), *[row()] * 6]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    (tmp_path / "program.py").write_text(
        "from vertex_tuning import SupervisedTuning, connect\n"
        "with connect('local') as client:\n"
        "    spec = SupervisedTuning(base_model='gemini-2.5-flash', training='rows.jsonl', epochs=1)\n"
        "    print(client.tune(spec).wait().state)\n",
        encoding="utf-8",
    )
    for options, state in (((), "FAILED"), (("--drop-media",), "SUCCEEDED")):
        done = command(*EXEC, *options, "--", sys.executable, "program.py")
        assert (done.status, done.out.rpartition("_")[2]) == (0, f"{state}\n"), (done.out, done.err)


def test_custom_jobs_of_images_of_ones_own_are_run_where_that_was_said(command):
    program = (
        "import os\n"
        "from google.cloud import aiplatform_v1\n"
        "client = aiplatform_v1.JobServiceClient(client_options={'api_endpoint': 'us-central1-aiplatform.googleapis.com'})\n"
        "container = {'image_uri': 'gcr.io/mine/trainer:2', 'command': ['true']}\n"
        "pool = {'machine_spec': {'machine_type': 'n1-standard-4'}, 'replica_count': 1, 'container_spec': container}\n"
        "job = {'display_name': 'own', 'job_spec': {'worker_pool_specs': [pool]}}\n"
        "parent = f\"projects/{os.environ['GOOGLE_CLOUD_PROJECT']}/locations/us-central1\"\n"
        "try:\n"
        "    print(client.create_custom_job(parent=parent, custom_job=job).state.name)\n"
        "except Exception as refused:\n"
        "    print(refused)\n"
    )
    run = ("--", sys.executable, "-W", "ignore", "-c", program)
    done = command(*EXEC, "--local-image", "gcr.io/mine/*", *run)
    assert (done.status, done.out) == (0, "JOB_STATE_PENDING\n"), done.err
    done = command(*EXEC, "--local-image", "gcr.io/mine/*", "--no-local-code", *run)
    assert "--no-local-code" in done.out
