"""`emulator start`, `status`, `env`, `reset`, `stop`, and the weights of its stand-ins."""

from __future__ import annotations

import json
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import interrupt
from tests.cli.terminals import COMMAND
from vertex_tuning import training
from vertex_tuning.emulator import environment


def answers(address: str) -> bool:
    with socket.socket() as found:
        return found.connect_ex(("127.0.0.1", int(address.rpartition(":")[2]))) == 0


@pytest.fixture
def detached(cli, alone) -> Iterator[dict]:
    """What `start --detach --json` said; stopped at the end."""
    done = cli("emulator", "start", "--port", "0", "--detach", "--stand-in", "tiny-0.1m", "--json")
    assert done.status == 0, done.out
    yield done.json
    cli("emulator", "stop")


# Life


def test_a_life_from_start_to_stop(cli, detached, home):
    address = detached["address"]
    assert answers(address)
    status = cli("emulator", "status", "--json").json
    assert status["ready"] is True
    assert status["address"] == address
    assert status["pid"] == detached["pid"]
    assert status["data_dir"] == str(home / "emulator")
    assert status["jobs"] == {}
    said = cli("emulator", "status").out
    assert address in said
    assert f"pid {status['pid']}" in said
    stopped = cli("emulator", "stop", "--json").json
    assert stopped == {"stopped": True, "pid": detached["pid"], "data_dir": str(home / "emulator")}
    assert not answers(address)
    for words in ("stop", "status", "env", "reset"):
        done = cli("emulator", words, "--json")
        assert (done.status, done.err) == (1, "")
        assert done.json["error"]["rule"] == "VT405"
        fix = done.json["error"]["fix"]
        if words == "stop":
            assert "there is nothing to stop" in done.json["error"]["what"]
            assert "emulator stop --data-dir DIR" in fix
        else:
            assert fix == "vertex-tuning emulator start --detach"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            [],
            "cannot be tuned or asked. To fetch them: vertex-tuning emulator models pull smollm2-135m-instruct",
        ),
        (
            ["--simulate"],
            "cannot be asked. To fetch them: vertex-tuning emulator models pull smollm2-135m-instruct",
        ),
        (["--stand-in", "gemma"], "emulator models pull gemma-3-270m --accept-terms"),
        (["--stand-in", "tiny-0.1m"], None),
    ],
    ids=["stand-in", "simulated", "family", "built in"],
)
def test_weights_that_are_not_here_are_told_with_the_command_that_fetches_them(
    cli, alone, tmp_path, options, words
):
    weights = tmp_path / "weights"
    start = ["emulator", "start", "--port", "0", "--detach", "--weights-dir", str(weights), *options]
    try:
        done = cli(*start)
        assert done.status == 0, "starting stays allowed"
        assert words in done.err if words else done.err == ""
    finally:
        cli("emulator", "stop")


@pytest.mark.parametrize("how", [["start", "--detach"], ["start"], ["exec", "--", "true"]], ids=" ".join)
def test_maps_that_make_no_sense_are_all_told_before_anything_starts(command, alone, tmp_path, how):
    wrong = ["--map", "x", "--map", "a.run.app=http://10.0.0.1:1"]
    done = command("emulator", how[0], "--json", *wrong, *how[1:])
    assert done.status == 1
    assert [fault["rule"] for fault in done.json["faults"]] == ["VT940", "VT941"]
    assert not (tmp_path / "home").exists()


def test_a_map_does_not_lead_to_the_emulator_itself(command, alone):
    done = command(
        "emulator", "start", "--port", "18099", "--map", "a.run.app=http://127.0.0.1:18099", "--json"
    )
    assert (done.status, done.json["error"]["rule"]) == (1, "VT942")


@pytest.mark.parametrize("how", [["start", "--detach"], ["start"], ["exec", "--", "true"]], ids=" ".join)
def test_seeds_that_make_no_sense_are_told_before_anything_starts(command, alone, tmp_path, how):
    (tmp_path / "seed.toml").write_text("[services]\na = 1\n[agents]\nb = true\n", encoding="utf-8")
    wrong = ["--seed", str(tmp_path / "seed.toml")]
    done = command("emulator", how[0], "--json", *wrong, *how[1:])
    assert done.status == 1
    assert [fault["rule"] for fault in done.json["faults"]] == ["VT414", "VT414"]
    (tmp_path / "settings.toml").write_text('projekt = "p"\n', encoding="utf-8")
    done = command("emulator", how[0], "--json", "--config", str(tmp_path / "settings.toml"), *how[1:])
    assert (done.status, done.json["error"]["rule"]) == (1, "VT102")
    assert not (tmp_path / "home").exists()


def test_an_emulator_is_the_project_of_its_settings(cli, alone, tmp_path):
    (tmp_path / "settings.toml").write_text(
        'project = "demo"\nproject_number = "77"\nlocation = "europe-west1"\nbucket = "demo-data"\n',
        encoding="utf-8",
    )
    (tmp_path / "seed.toml").write_text("[buckets.bucket]\nlocation = 'EU'\n", encoding="utf-8")
    files = ["--config", str(tmp_path / "settings.toml"), "--seed", str(tmp_path / "seed.toml")]
    address = cli("emulator", "start", "--port", "0", "--detach", "--json", *files).json["address"]
    try:
        status = cli("emulator", "status", "--json").json
        assert (status["project"], status["location"]) == ("demo", "europe-west1")
        ask = ["curl", "-sf", f"{address}/storage/v1/b/demo-data"]
        bucket = json.loads(subprocess.run(ask, check=True, capture_output=True).stdout)
        assert (bucket["location"], bucket["projectNumber"]) == ("EU", "77")
        assert cli("emulator", "reset", "--json").status == 0
        assert subprocess.run(ask, check=True, capture_output=True).stdout
    finally:
        cli("emulator", "stop")


def test_status_counts_jobs_by_their_state(cli, job):
    assert cli("emulator", "status", "--json").json["jobs"]["JOB_STATE_SUCCEEDED"] >= 1
    assert " succeeded" in cli("emulator", "status").out


def test_a_second_start_on_the_same_folder_harms_nobody(cli, detached):
    done = cli("emulator", "start", "--port", "0", "--detach")
    assert (done.status, done.out, done.rule) == (1, "", "VT402")
    assert "vertex-tuning emulator status" in done.err
    assert cli("emulator", "status", "--json").json["pid"] == detached["pid"]


@pytest.mark.parametrize("how", [["--detach"], []], ids=["detached", "here"])
def test_what_keeps_it_from_starting_is_said(cli, command, emulator, tmp_path, how):
    (tmp_path / "file").touch()
    start = ["emulator", "start", *how, "--json"]
    wrong = {
        "VT401": ["--port", str(emulator.port), "--data-dir", "new"],
        "VT402": ["--port", "0", "--data-dir", str(emulator.data_dir)],
        "VT403": ["--port", "0", "--data-dir", "file"],
        "VT404": ["--port", "0", "--data-dir", "new", "--host", "192.0.2.1"],
        "VT701": ["--port", "0", "--data-dir", "new", "--stand-in", "nonsense"],
    }
    for rule in wrong if how else ("VT401", "VT403"):
        options = wrong[rule]
        done = (cli if how else command)(*start, *options)
        assert (done.status, done.err) == (1, "")
        assert done.json["error"]["rule"] == rule
        assert done.json["error"]["fix"]
        assert "\n" not in done.json["error"]["what"]


def test_reset_makes_it_as_new(cli, detached):
    bucket = detached["address"] + "/storage/v1/b?project=p"
    make = ["curl", "-sf", "-H", "content-type: application/json", "-d", '{"name": "mine"}', bucket]
    subprocess.run(make, check=True, capture_output=True)
    assert cli("emulator", "reset", "--json").json == {"reset": True, "address": detached["address"]}
    listed = subprocess.run(["curl", "-sf", bucket], check=True, capture_output=True, text=True).stdout
    assert "mine" not in listed


def test_a_simulation_says_what_it_is(cli, alone):
    assert cli("emulator", "start", "--simulate", "--detach", "--port", "0").status == 0
    assert "simulates  3,600 times as fast as the clock" in cli("emulator", "status").out
    assert cli("emulator", "status", "--json").json["simulate"] == 3600
    assert cli("emulator", "stop").status == 0


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["words", "json"])
def test_in_the_foreground_it_serves_until_ctrl_c(running, alone, options):
    process = running("emulator", "start", "--port", "0", *options)
    line = process.stdout.readline()
    address = json.loads(line)["address"] if options else line.split("at ")[1].split()[0]
    assert answers(address)
    interrupt(process)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert [line for line in said.splitlines() if not line.startswith("The weights of ")] == []
    assert not (options and said)
    assert not answers(address)


def test_a_folder_is_named_where_it_is_not_the_users_own(cli, alone, tmp_path):
    started = cli("emulator", "start", "--port", "0", "--detach", "--data-dir", "mine", "--json").json
    try:
        assert started["data_dir"] == str(tmp_path / "mine")
        assert cli("emulator", "status").rule == "VT405"
        assert cli("emulator", "status", "--data-dir", "mine", "--json").json["pid"] == started["pid"]
    finally:
        assert cli("emulator", "stop", "--data-dir", "mine").status == 0


def test_beyond_loopback_it_wants_a_token_and_tells_it(cli, alone, env):
    started = cli("emulator", "start", "--port", "0", "--detach", "--host", "0.0.0.0")
    try:
        token = started.out.splitlines()[1].rpartition(" ")[2]
        assert cli("emulator", "status").status == 0
        found = cli("emulator", "env", "--format", "json").json["set"]
        assert found["VERTEX_TUNING_EMULATOR_TOKEN"] == token
        assert f":{token}@" in found["HTTPS_PROXY"]
    finally:
        assert cli("emulator", "stop").status == 0


# Where it is


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:9", "http://127.0.0.1:99999", "http://[::1", "nonsense", "http://127.0.0.1:x"],
)
@pytest.mark.parametrize(
    "words", [["emulator", "status"], ["emulator", "stop"], ["emulator", "reset"]], ids=" ".join
)
def test_an_emulator_that_is_not_there_is_said_with_the_way_out(cli, address, words):
    done = cli(*words, "--json", VERTEX_TUNING_EMULATOR=address)
    assert (done.status, done.err) == (1, "")
    assert done.json["error"]["rule"] == "VT406"
    assert "emulator start" in done.json["error"]["fix"]


@pytest.mark.parametrize(
    "words",
    [
        ["jobs", "list"],
        ["jobs", "show", "1"],
        ["models", "list"],
        ["models", "generate", "gemini-2.5-flash", "hi"],
    ],
    ids=" ".join,
)
def test_commands_that_need_it_say_so_too(cli, words):
    done = cli(*words, "--json", VERTEX_TUNING_EMULATOR="http://127.0.0.1:9")
    assert (done.status, done.err) == (1, "")
    assert done.json["error"]["rule"] == "VT406"


@pytest.mark.parametrize(
    "words", [["jobs", "list"], ["models", "list"], ["models", "show", "1"]], ids=" ".join
)
def test_the_cloud_is_asked_for_by_name_alone(cli, words, env):
    pointed = cli(*words, "--target", "vertex")
    assert (pointed.rule, "--target local" in pointed.err) == ("VT105", True)
    del env["VERTEX_TUNING_EMULATOR"]
    assert cli(*words, "--target", "vertex").rule == "VT104"  # and with no project
    assert cli(*words, VERTEX_TUNING_TARGET="vertex").rule == "VT104"


def test_stop_ends_no_process_that_is_not_an_emulator_of_this_machine(cli, emulator, tmp_path):
    """The number of a process says nothing on another machine."""
    program = (
        "import http.server, json, os, sys\n"
        "class Far(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        body = json.dumps({'pid': int(sys.argv[1]), 'data_dir': sys.argv[2], 'address': 'far'}).encode()\n"
        "        self.send_response(200); self.send_header('content-length', str(len(body))); self.end_headers()\n"
        "        self.wfile.write(body)\n"
        "    def log_message(self, *_): pass\n"
        "server = http.server.HTTPServer(('127.0.0.1', 0), Far)\n"
        "print(server.server_port, flush=True)\n"
        "server.serve_forever()\n"
    )
    with subprocess.Popen(["sleep", "1000"]) as victim:
        for folder in (tmp_path / "nothing", emulator.data_dir):
            argv = [str(Path(COMMAND).parent / "python"), "-c", program, str(victim.pid), str(folder)]
            with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as far:
                port = far.stdout.readline().strip()
                done = cli("emulator", "stop", VERTEX_TUNING_EMULATOR=f"http://127.0.0.1:{port}")
                far.kill()
            assert done.status == 1
            assert done.rule in ("VT405", "VT408")
        assert victim.poll() is None
        victim.kill()


# The environment


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_environment_is_for_a_shell_to_evaluate(command, emulator, shell):
    script = 'set -eu; eval "$(vertex-tuning emulator env)"; env'
    done = command("-c", script, argv=[shell], ALL_PROXY="http://elsewhere", CLOUDSDK_CORE_ACCOUNT="me")
    assert (done.status, done.err) == (0, "")
    found = dict(line.partition("=")[::2] for line in done.out.splitlines())
    wanted = emulator.call("GET", "/emulator/environment")["set"]
    assert found.items() >= wanted.items()
    assert not {"ALL_PROXY", "CLOUDSDK_CORE_ACCOUNT", "HTTP_PROXY"} & found.keys()


def test_the_environment_as_json_and_as_dotenv_says_the_same(cli, emulator):
    found = cli("emulator", "env", "--format", "json").json
    assert found == cli("emulator", "env", "--json").json
    assert found["set"] == emulator.call("GET", "/emulator/environment")["set"]
    lines = cli("emulator", "env", "--format", "dotenv").out.splitlines()
    assert {line.partition("=")[0] for line in lines} == {*found["set"], *found["unset"]}
    assert dict(line.partition("=")[::2] for line in lines if not line.endswith("=")) == found["set"]


HARD = {
    "SPACE": "/my files/bundle.pem",
    "DOLLAR": "a$HOME`id`",
    "HASH": "a #b",
    "UNICODE": "/données/☃",
    "DOUBLE": 'say "hi"',
    "BACK": "a\\nb",
    "SINGLE": "it's",
    "EMPTY": "",
}


@pytest.mark.parametrize("form", ["shell", "dotenv"])
def test_values_of_any_kind_survive(form, tmp_path):
    path = tmp_path / "variables"
    path.write_text(environment.render(HARD, ["GONE"], form), encoding="utf-8")
    script = f"set -a; . {shlex.quote(str(path))}; exec {shlex.quote(str(Path(COMMAND).parent / 'python'))} -c '{_DUMP}'"
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=True, env={"GONE": "there"}
    )
    found = json.loads(done.stdout)
    # A shell reads a dotenv file as dotenv libraries do, but for a backslash in double quotes.
    wanted = {key: value for key, value in HARD.items() if form == "shell" or key not in ("BACK", "SINGLE")}
    assert found.items() >= wanted.items()
    assert not found.get("GONE")


_DUMP = "import json, os; print(json.dumps(dict(os.environ)))"


def test_a_bare_value_needs_no_quotes_which_docker_would_keep():
    assert environment.render({"A": "http://127.0.0.1:80"}, [], "dotenv") == "A=http://127.0.0.1:80"


# Weights


def test_stand_ins_are_listed_and_the_tiny_ones_are_always_there(cli):
    found = {item["name"]: item for item in cli("emulator", "models", "list", "--json").json}
    assert found["tiny-0.1m"]["ready"] is True
    assert found["gemma-3-270m"]["accept_terms"] is True
    assert found["gemma-3-270m"]["licence_url"].startswith("https://")
    said = cli("emulator", "models", "list")
    assert said.status == 0
    assert set(found) <= set(said.out.split())


def test_a_tiny_stand_in_is_pulled_without_a_network(cli, alone):
    done = cli("emulator", "models", "pull", "tiny-0.1m", PIP_INDEX_URL="http://127.0.0.1:9")
    assert (done.status, done.err) == (0, "")
    assert "tiny-0.1m is ready" in done.out
    found = cli("emulator", "models", "pull", "tiny-0.1m", "--json").json
    assert found["name"] == "tiny-0.1m"
    assert (Path(found["path"]) / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("name", "rule", "help"),
    [
        ("gemma-3-270m", "VT703", "--accept-terms"),
        ("nonsense", "VT701", "tiny-0.1m"),
        ("", "VT701", "tiny-0.1m"),
        ("tiny", "VT701", "a family of stand-ins"),
    ],
    ids=["terms", "unknown", "empty", "family"],
)
def test_a_stand_in_that_cannot_be_pulled_is_refused_with_the_way_out(cli, home, name, rule, help):
    done = cli("emulator", "models", "pull", name)
    assert (done.status, done.out, done.rule) == (1, "", rule)
    assert help in done.err
    found = cli("emulator", "models", "pull", name, "--json")
    assert (found.status, found.err, found.json["error"]["rule"]) == (1, "", rule)
    assert not (home / "weights").exists()


def test_a_model_of_ones_own_is_added_listed_and_forgotten(cli, alone, tmp_path):
    folder = tmp_path / "My-Model"
    shutil.copytree(Path(training.__file__).parent / "tiny" / "tiny-0.1m", folder)
    done = cli("emulator", "models", "add", str(folder))
    assert done.status == 0
    assert "emulator start --stand-in my-model" in done.out
    found = {item["name"]: item for item in cli("emulator", "models", "list", "--json").json}["my-model"]
    assert (found["ready"], found["folder"]) == (True, str(folder))
    again = cli(
        "emulator", "models", "add", str(folder), "--name", "other", "--max-tokens", "128", "--json"
    ).json
    assert (again["name"], again["max_tokens"], again["learning_rate"]) == ("other", 128, 5e-4)
    refused = cli("emulator", "models", "remove", "tiny-0.1m")
    assert (refused.status, refused.rule) == (1, "VT709")
    for name in ("my-model", "other"):
        assert cli("emulator", "models", "remove", name, "--json").json == {"name": name, "removed": True}
    assert "my-model" not in cli("emulator", "models", "list").out
    assert (folder / "model.safetensors").exists()


def test_a_folder_that_cannot_stand_in_is_refused_with_what_is_missing(cli, tmp_path):
    done = cli("emulator", "models", "add", str(tmp_path))
    assert (done.status, done.out, done.rule) == (1, "", "VT707")
    assert "config.json" in done.err
    started = cli("emulator", "start", "--detach", "--stand-in", str(tmp_path))
    assert started.status == 1
    assert "emulator models add" in started.err
