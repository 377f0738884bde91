"""The emulator as a server: how soon it is ready, how fast it answers, how much memory it needs.

*Ready* is from the start of the process to its ready line. *Memory* is the resident set (RSS) of the process and of all that it
started, added up, before the first job or generation. *An answer* is `tuningJobs.get` of a job that has ended:
by plain HTTP on one connection that is kept alive, and the same by google-genai in a program that knows nothing of an
emulator and comes in through the front door (a proxy, with TLS); the difference is Google's client and the encryption.
"""

from __future__ import annotations

import http.client
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from benchmarks._measure import Figure, Result, child, emulator, say
from tests.running import RunningEmulator
from vertex_tuning import SupervisedTuning, connect

READY_SECONDS = 0.5
GET_MS = 2
MEMORY_MB = 80


def measure(*, quick: bool) -> Result:
    """Start, memory, and time of an answer."""
    starts = [_start() for _ in range(4 if quick else 11)][1:]  # the first one fills the page cache
    ready = statistics.median(starts)
    say(f"server: ready in {ready:.2f} s")
    with emulator() as running:
        running.call("GET", "/v1/projects/p/locations/us-central1/tuningJobs")
        memory = _memory(running.process.pid)
        say(f"server: {memory:.0f} MB")
        name = _ended_job()
        calls = 200 if quick else 2000
        plain = _plain(running.address, f"/v1beta1/{name}", calls)
        through = child("tunings_get.py", {"name": name, "calls": calls // 4}, running.environment)["ms"]
    plain_ms, through_ms = statistics.median(plain), statistics.median(through)
    say(f"server: tuningJobs.get in {plain_ms:.2f} ms, by google-genai in {through_ms:.2f} ms")
    return Result(
        [
            Figure(
                "emulator, from start to ready",
                ready,
                "s",
                goal=f"< {READY_SECONDS} s",
                reached=ready < READY_SECONDS,
            ),
            Figure(
                "emulator, memory of all processes before the first job (RSS)",
                memory,
                "MB",
                goal=f"< {MEMORY_MB} MB",
                reached=memory < MEMORY_MB,
            ),
            Figure(
                "`tuningJobs.get` by plain HTTP, median",
                plain_ms,
                "ms",
                "google-genai through the front door",
                through_ms,
                goal=f"< {GET_MS} ms",
                reached=plain_ms < GET_MS,
            ),
        ],
        {
            "ready_seconds": starts,
            "memory_mb": memory,
            "get_plain_ms": _summary(plain),
            "get_genai_ms": _summary(through),
        },
    )


def _start() -> float:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        started = time.perf_counter()
        running = RunningEmulator(Path(folder))
        seconds = time.perf_counter() - started
        running.stop()
    return seconds


def _memory(pid: int) -> float:
    root = psutil.Process(pid)
    processes = [root, *root.children(recursive=True)]
    return float(sum(process.memory_info().rss for process in processes)) / 1e6


def _ended_job() -> str:
    rows = [
        {
            "contents": [
                {"role": "user", "parts": [{"text": f"What comes after {number}?"}]},
                {"role": "model", "parts": [{"text": str(number + 1)}]},
            ]
        }
        for number in range(16)
    ]
    with connect("local") as client:
        spec = SupervisedTuning(base_model="gemini-2.5-flash", training=rows, epochs=1)
        return client.tune(spec).wait().name


def _plain(address: str, path: str, calls: int) -> list[float]:
    """Milliseconds of each call on one connection, from the request to the last byte of the answer."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc)
    found = []
    for _ in range(calls):
        started = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        found.append((time.perf_counter() - started) * 1000)
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status}")
    connection.close()
    return found


def _summary(values: list[float]) -> dict[str, Any]:
    hundredths = statistics.quantiles(values, n=100)
    return {"calls": len(values), "p50": hundredths[49], "p90": hundredths[89], "p99": hundredths[98]}
