"""Code rewards behind walls: what means no good leaves the host as it was, whoever we are; what means well is paid."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

import vertex_tuning
from tests.rewards import hostile
from vertex_tuning import RewardError, rewards
from vertex_tuning.rewards.sandbox import Sandbox

GIB = 1 << 30
SOMEBODY = 54321
DRIVER = """
import json, os, sys
from vertex_tuning.rewards.sandbox import Sandbox
sandbox = Sandbox()
cases = json.load(open(sys.argv[1]))
for case in cases:
    row, turn = {"references": {"answer": "4"}}, {"parts": [{"text": "4"}]}
    found = sandbox.evaluate(case["code"], row, turn, seconds=case["seconds"], memory=1 << 30)
    print(json.dumps(found), flush=True)
sandbox.close()
"""


@pytest.fixture
def port():
    """A server that notes who came."""
    server = socket.create_server(("127.0.0.1", 0))
    came: list[Any] = []

    def accept() -> None:
        while True:
            try:
                came.append(server.accept()[1])
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    yield server.getsockname()[1]
    server.close()
    assert not came


@pytest.fixture
def place():
    """A folder that anybody may read, with the package and a file of ours in it."""
    folder = Path(tempfile.mkdtemp(prefix="vertex-tuning-walls-"))
    folder.chmod(0o755)
    source = Path(vertex_tuning.__file__).parent
    target = folder / "vertex_tuning"
    for part in ("rewards", "catalog"):
        shutil.copytree(source / part, target / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__init__.py", "errors.py"):
        shutil.copy(source / name, target / name)
    (folder / "driver.py").write_text(DRIVER, encoding="utf-8")
    (folder / "home").mkdir()
    (folder / "home" / "canary").write_text("sings", encoding="ascii")
    yield folder
    shutil.rmtree(folder)


def interpreter_for_anybody() -> str:
    """A Python that another user may start: ours may lie in root's own folder."""
    for path in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        real = Path(path).resolve()
        if real.exists() and all(parent.stat().st_mode & 0o001 for parent in real.parents):
            asked = [path, "-c", "import sys; print(sys.version_info >= (3, 11))"]
            if subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() == "True":
                return path
    pytest.fail("there is no Python that another user may start: install Debian's python3")


USERS = ["ourselves", "an ordinary user"] if os.geteuid() == 0 else ["ourselves"]


@pytest.mark.slow
@pytest.mark.parametrize("user", USERS)
def test_what_means_no_good_leaves_the_host_as_it_was(place, port, user):
    home = place / "home"
    canary = home / "canary"
    cases = hostile.cases(CANARY=canary, FOLDER=home, PORT=port, PID=os.getpid())
    assert len(cases) >= 40
    (place / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
    shared = sorted(Path("/dev/shm").iterdir()) if Path("/dev/shm").exists() else []
    python, more = sys.executable, {}
    if user != "ourselves":
        python, more = interpreter_for_anybody(), {"user": SOMEBODY, "group": SOMEBODY, "extra_groups": []}
        for path in (home, canary):
            os.chown(path, SOMEBODY, SOMEBODY)
    done = subprocess.run(
        [python, "-B", str(place / "driver.py"), str(place / "cases.json")],
        env={
            "PYTHONPATH": str(place),
            "HOME": str(home),
            "MY_SECRET": "x",
            "GOOGLE_API_KEY": "y",
            "PATH": os.environ["PATH"],
        },
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
        **more,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    wrong = {
        case.what: answer
        for case, answer in zip(hostile.ALL, found, strict=True)
        if not hostile.is_as_expected(case, answer)
    }
    assert not wrong, json.dumps(wrong, indent=1)
    assert canary.read_text(encoding="ascii") == "sings"
    assert [path.name for path in home.iterdir()] == ["canary"]
    assert (sorted(Path("/dev/shm").iterdir()) if Path("/dev/shm").exists() else []) == shared
    assert not Path("/x").exists()
    walls = str(place / "vertex_tuning" / "rewards" / "walls.py")
    left = [
        process for process in psutil.process_iter(["cmdline"]) if walls in (process.info["cmdline"] or [])
    ]
    # The kernel ends them with the driver; on a busy machine that takes a moment.
    assert not psutil.wait_procs(left, timeout=10)[1]


@pytest.fixture
def sandbox():
    made = Sandbox()
    yield made
    made.close()


def run(sandbox: Sandbox, code: str, **more: Any) -> dict[str, Any]:
    settings = {"seconds": 30, "memory": GIB, **more}
    return sandbox.evaluate(code, {"references": {"answer": "4"}}, {"parts": [{"text": "4"}]}, **settings)


def test_what_means_well_is_paid(sandbox):
    code = """
import re
from fractions import Fraction

def right(example, response):
    return re.fullmatch(r"\\d", response["parts"][0]["text"]) and response["parts"][0]["text"] == example["references"]["answer"]

def evaluate(example: dict, response: dict) -> float:
    return float(Fraction(1, 2)) if right(example, response) else -1.0
"""
    assert run(sandbox, code) == {"reward": 0.5}


def test_the_modules_of_the_service_that_are_there_can_be_used(sandbox):
    assert run(sandbox, "import numpy as np\ndef evaluate(e, r): return np.tanh(0.5)")[
        "reward"
    ] == pytest.approx(0.4621, abs=1e-3)


def test_one_call_knows_nothing_of_another(sandbox):
    code = "import sys\ndef evaluate(e, r):\n    sys.seen = getattr(sys, 'seen', 0) + 1\n    return sys.seen / 10"
    assert [run(sandbox, code)["reward"] for _ in range(3)] == [0.1, 0.1, 0.1]


def test_a_call_that_takes_too_long_ends_in_time_and_the_next_one_is_served(sandbox):
    start = time.monotonic()
    assert "longer than" in run(sandbox, "def evaluate(e, r):\n    while True: pass", seconds=1)["error"]
    assert time.monotonic() - start < 10
    assert run(sandbox, "def evaluate(e, r): return 1") == {"reward": 1.0}


def test_after_a_death_the_next_call_is_served(sandbox):
    assert run(sandbox, "def evaluate(e, r): return 1") == {"reward": 1.0}
    assert sandbox._process is not None
    sandbox._process.kill()
    sandbox._process.wait()
    assert run(sandbox, "def evaluate(e, r): return 1") == {"reward": 1.0}


# As a reward


def test_a_function_is_a_reward():
    def shorter_is_better(example, response):
        text = response["parts"][0]["text"]
        return max(0.0, 1.0 - len(text) / 10)

    reward = rewards.code(shorter_is_better, name="short")
    assert reward.score({}, "12345").reward == pytest.approx(0.5)
    again = rewards.from_json(reward.request())
    assert again == reward
    assert again.score({}, "1234567890123").reward == 0.0


def test_code_gets_the_part_that_was_extracted():
    code = "def evaluate(example, response): return float(response['parts'][0]['text'] == '4')"
    assert rewards.code(code, extract="<a>(.*?)</a>").score({}, "so <a>4</a>").reward == 1.0
    assert rewards.code(code).score({}, {"role": "model", "parts": [{"text": "4"}]}).reward == 1.0


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def evaluate(e, r): return float('nan')", "not a number"),
        ("def evaluate(e, r): raise KeyError('answer')", "KeyError: 'answer' (line 1)"),
        ("import nothing_of_that_name\ndef evaluate(e, r): return 1", "No module named"),
        ("x = 1", "defines no function evaluate"),
        ("def evaluate(e, r)\n  return 1", "SyntaxError"),
        ("def evaluate(e): return 1", "TypeError"),
    ],
)
def test_what_went_wrong_is_told_with_its_line(code, words):
    config = {"codeExecutionRewardScorer": {"pythonCodeSnippet": code}}
    score = rewards.from_json(config, strict=False).score({}, "x")
    assert score.failure is not None
    assert words in score.failure.message


def test_a_large_number_is_clipped():
    assert rewards.code("def evaluate(e, r): return 10**9").score({}, "x").reward == 1.0


def test_a_module_of_the_services_that_is_not_here_is_named_with_its_package():
    score = rewards.code("import statsmodels\ndef evaluate(e, r): return 1").score({}, "x")
    if score.failure is not None:  # somebody may have it
        assert "pip install statsmodels" in score.failure.message


def test_code_that_cannot_be_a_reward_is_refused_where_it_is_written():
    threshold = 3

    def needs_more(example, response):
        return threshold

    for source in ("x = 1", "def evaluate(:", needs_more, len, lambda e, r: 1.0):
        with pytest.raises(RewardError) as caught:
            rewards.code(source)
        assert {fault.rule for fault in caught.value.faults} == {"VT912"}


def test_without_walls_nothing_is_run(monkeypatch):
    """A path that is not there cannot be bound: the walls cannot be built."""
    from vertex_tuning.rewards import sandbox

    sandbox.shared().close()
    monkeypatch.setattr(sandbox, "_paths", lambda: ["/nowhere/at/all"])
    score = rewards.code("def evaluate(e, r): return 1").score({}, "x")
    assert score.failure is not None
    assert (score.failure.rule, score.failure.code) == ("VT924", 12)
    monkeypatch.undo()
    assert rewards.code("def evaluate(e, r): return 1").score({}, "x").reward == 1.0


def test_a_sandbox_outlives_the_thread_that_started_it(sandbox):
    """The kernel ends a child with the thread that made it: the next call starts another."""
    found: list[Any] = []
    for _ in range(3):
        thread = threading.Thread(target=lambda: found.append(run(sandbox, "def evaluate(e, r): return 1")))
        thread.start()
        thread.join()
    assert found == [{"reward": 1.0}] * 3
