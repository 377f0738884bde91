"""What the benchmarks share: figures and how they are shown, child processes, an emulator, and what machine this is."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.running import RunningEmulator

ROOT = Path(__file__).resolve().parent.parent
CHILDREN = Path(__file__).resolve().parent / "children"
CORES = len(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table: what was measured, and beside it what a user would pick instead."""

    what: str
    ours: float
    unit: str
    beside: str = ""
    """What `other` is; empty where there is nothing to hold it against."""
    other: float | None = None
    """In the same unit, from the same run."""
    more_is_better: bool = False
    paired_ratio: float | None = None
    """Where both took turns: the median of the ratios of the turns, which a machine of changing speed disturbs less."""
    goal: str = ""
    reached: bool | None = None

    @property
    def ratio(self) -> float | None:
        """How many times better ours is."""
        if self.paired_ratio is not None:
            return self.paired_ratio
        if self.other is None or not self.ours or not self.other:
            return None
        return self.ours / self.other if self.more_is_better else self.other / self.ours

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {**asdict(self), "ratio": self.ratio}


@dataclass(frozen=True, slots=True)
class Result:
    """What a benchmark found."""

    figures: list[Figure]
    details: dict[str, Any]
    """Every single measurement, and what it was made with."""


def say(words: str) -> None:
    """Progress, on standard error."""
    print(words, file=sys.stderr, flush=True)


def number(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


# Child processes


@dataclass(frozen=True, slots=True)
class Ended:
    """A child process that has ended well."""

    seconds: float
    """From its start to its end."""
    cpu_seconds: float
    """User and system time, of the process and of the children that it waited for."""
    output: str


def run(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Ended:
    """Run a program to its end.

    Raises:
        RuntimeError: It failed; with what it said.
    """
    with tempfile.TemporaryFile() as words:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=words, env=environment)
        assert process.stdout is not None
        with process.stdout as stream:
            output = stream.read().decode()
        # wait4 tells what this child used; getrusage would tell it of all children together.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            words.seek(0)
            said = words.read().decode(errors="replace").strip()[-4000:]
            raise RuntimeError(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{said}")
    return Ended(seconds, usage.ru_utime + usage.ru_stime, output)


def child(program: str, given: Any, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run one of `children/`.

    Args:
        program: Name of the file.
        given: What it is told, as JSON in its one argument.
        environment: Its environment; None: as ours.

    Returns:
        The JSON object in the last line that it prints.
    """
    command: list[str | Path] = [sys.executable, "-W", "ignore", CHILDREN / program, json.dumps(given)]
    found: dict[str, Any] = json.loads(run(command, environment).output.splitlines()[-1])
    return found


# An emulator


@contextlib.contextmanager
def emulator() -> Iterator[RunningEmulator]:
    """An emulator on the tiny model, which `connect("local")` finds; nothing of the user's is touched."""
    with tempfile.TemporaryDirectory(prefix="vertex-tuning-bench-", ignore_cleanup_errors=True) as folder:
        running = RunningEmulator(Path(folder) / "emulator")
        with variables(VERTEX_TUNING_EMULATOR=running.address, VERTEX_TUNING_HOME=f"{folder}/home"):
            try:
                yield running
            finally:
                running.stop()


@contextlib.contextmanager
def variables(**values: str) -> Iterator[None]:
    """Environment variables, for a while."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


# The machine


def machine() -> dict[str, Any]:
    """Where this was measured."""
    facts: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines():
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    model = facts.get("model name", platform.machine())
    if "cpu family" in facts:
        # Of a virtual machine's processor, often nothing but the maker is told.
        model += f" (family {facts['cpu family']}, model {facts['model']})"
    cards = _cards()
    return {
        "cpu": model,
        **({"gpus": cards} if cards else {}),
        "cores": CORES,
        "avx512_bf16": "avx512_bf16" in facts.get("flags", "").split(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _cards() -> list[str]:
    """Names of the GPUs, as their driver has them: `NVIDIA H100 80GB HBM3`."""
    if shutil.which("nvidia-smi") is None:
        return []
    asked = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False)
    return told.stdout.split("\n")[:-1] if told.returncode == 0 else []
