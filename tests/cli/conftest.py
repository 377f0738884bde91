"""The command, run as users run it, on the session's emulator."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.cli.terminals import COMMAND, PATIENCE, Done, Terminal
from tests.running import RunningEmulator
from vertex_tuning import TuningJob, connect
from vertex_tuning.cli import main

BASE = "gemini-2.5-flash"


def rows(count: int = 100, *, tag: str = "") -> list[dict[str, Any]]:
    """Rows that a tiny model can learn; another tag makes another data set."""
    pairs = [("hot", "cold"), ("up", "down"), ("big", "small"), ("old", "new"), ("wet", "dry")]
    return [
        {
            "contents": [
                {"role": "user", "parts": [{"text": f"{number}. Opposite of {word}?{tag}"}]},
                {"role": "model", "parts": [{"text": answer}]},
            ]
        }
        for number, (word, answer) in enumerate((pairs * count)[:count])
    ]


def write_rows(path: Path, data: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in data), encoding="utf-8")
    return path


@pytest.fixture
def train(tmp_path: Path) -> Path:
    """A file that can be tuned on; no other test has the same."""
    return write_rows(tmp_path / "train.jsonl", rows(tag=f" {tmp_path.name}"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def env(emulator: RunningEmulator, home: Path) -> dict[str, str]:
    """The environment of a command; a test may change it."""
    path = f"{Path(COMMAND).parent}{os.pathsep}{os.environ['PATH']}"
    of_the_terminal = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM"}
    return {
        **{name: value for name, value in os.environ.items() if name not in of_the_terminal},
        "PATH": path,
        "VERTEX_TUNING_HOME": str(home),
        "VERTEX_TUNING_EMULATOR": emulator.address,
    }


@pytest.fixture
def alone(env: dict[str, str]) -> dict[str, str]:
    """The environment of a command that is pointed at no emulator."""
    del env["VERTEX_TUNING_EMULATOR"]
    return env


@pytest.fixture
def command(env: dict[str, str], tmp_path: Path) -> Callable[..., Done]:
    """Runs the command as a process of its own: `command("jobs", "list")`."""

    def run(
        *arguments: str, input: str | None = None, argv: Sequence[str] = (COMMAND,), **variables: str
    ) -> Done:
        done = subprocess.run(
            [*argv, *arguments],
            env=env | variables,
            cwd=tmp_path,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=PATIENCE,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def cli(
    env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """Runs the command in this process, which is quicker: `cli("jobs", "list")`."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **variables: str) -> Done:
        with pytest.MonkeyPatch.context() as patch:
            for name in ("VERTEX_TUNING_EMULATOR", "VERTEX_TUNING_HOME", "PATH"):
                patch.delenv(name, raising=False)
            for name, value in (env | variables).items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main(arguments)
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return Done(int(ended.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def terminal(env: dict[str, str]) -> Iterator[Callable[..., Terminal]]:
    """Runs the command on a terminal: `terminal("jobs", "watch", NAME)`."""
    opened: list[Terminal] = []

    def open_(
        *arguments: str, argv: Sequence[str] = (COMMAND,), columns: int = 120, **options: Any
    ) -> Terminal:
        opened.append(Terminal([*argv, *arguments], env, columns=columns, **options))
        return opened[-1]

    yield open_
    for item in opened:
        item.close()


@pytest.fixture
def running(env: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the command without a terminal and leaves it running: `running("jobs", "watch", NAME)`."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, argv: Sequence[str] = (COMMAND,), **options: Any) -> subprocess.Popen[str]:
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        process = subprocess.Popen(
            [*argv, *arguments],
            env=env,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            **options,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=60)


@pytest.fixture(scope="session")
def tuning(emulator: RunningEmulator, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """What one `tune supervised` said, from a file to a model with two checkpoints that is not to be changed."""
    folder = tmp_path_factory.mktemp("tuning")
    path = write_rows(folder / "train.jsonl", rows(tag=f" {folder}"))
    options = ["--epochs", "2", "--name", "opposites", "--label", "team=a", "--label", "stage=test"]
    done = subprocess.run(
        [COMMAND, "tune", "supervised", str(path), "--base-model", BASE, *options],
        env={
            **os.environ,
            "VERTEX_TUNING_HOME": str(folder / "home"),
            "VERTEX_TUNING_EMULATOR": emulator.address,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def tuned(tuning: Done) -> str:
    """Name of that model."""
    assert tuning.status == 0, tuning.err
    return tuning.out.splitlines()[0].split()[-1]


@pytest.fixture(scope="session")
def job(tuning: Done, tuned: str) -> str:
    """Name of the job that made it."""
    return next(line for line in tuning.err.splitlines() if "/tuningJobs/" in line)


@pytest.fixture
def long_job(
    emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TuningJob]:
    """A job that takes its time; cancelled at the end."""
    from vertex_tuning import SupervisedTuning

    monkeypatch.setenv("VERTEX_TUNING_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
    with connect("local") as client:
        spec = SupervisedTuning(base_model=BASE, training=rows(200, tag=f" {tmp_path}"), epochs=50)
        found = client.tune(spec)
        yield found
        if not found.refresh().ended:
            found.cancel()
            found.wait()


def interrupt(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
