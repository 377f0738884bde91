"""What runs in the container of a custom job: `python -m vertex_tuning._task gs://BUCKET/FOLDER/order.json gs://OTHER/FOLDER`.

Training sees local paths only. So this fetches what the order names, starts `python -m vertex_tuning.training` on every device
that is there, and puts into the bucket what comes of it: events as they happen, checkpoints as they are made. A machine that is
taken away (Spot) leaves its state behind; the next one goes on from there.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vertex_tuning.config import load
from vertex_tuning.connection import Connection
from vertex_tuning.data.folders import download_folder
from vertex_tuning.places import open_connection
from vertex_tuning.retries import again

if TYPE_CHECKING:
    from types import FrameType

EVENTS, OUTPUT, ORDER = "events.jsonl", "output", "order.json"
STATE = "resume.safetensors"
"""Where an interrupted run goes on: of no use to anybody when it is done."""
DEVICES = Path("/dev")
_EVERY = 2.0
"""Seconds between two writes of the same object; Cloud Storage takes one per second."""
_STOPPED = 143


def main() -> int:
    """Run an order; exit status 1 where training failed."""
    parser = argparse.ArgumentParser(prog="python -m vertex_tuning._task", description=__doc__)
    parser.add_argument("order", metavar="gs://BUCKET/FOLDER/order.json")
    parser.add_argument("base", metavar="gs://OTHER/FOLDER", help="where to put what comes of it")
    given = parser.parse_args()
    with open_connection(load()) as connection:
        return _Run(connection, given.order, given.base, Path.cwd() / "run").go()


class _Run:
    def __init__(self, connection: Connection, order: str, base: str, folder: Path) -> None:
        self._order = order
        self._base = base.rstrip("/")
        self._folder = folder
        self._output = folder / OUTPUT
        self._client = connection.storage
        self._child: subprocess.Popen[str] | None = None
        self._stopped = False
        self._events: list[str] = []
        self._sent: dict[str, tuple[int, int]] = {}
        self._dirty = threading.Event()
        self._done = threading.Event()

    def go(self) -> int:
        """Fetch, train, send."""
        signal.signal(signal.SIGTERM, self._stop)
        self._folder.mkdir(parents=True, exist_ok=True)
        order = self._fetched()
        path = self._folder / "config.json"
        path.write_text(json.dumps(order["config"]), encoding="utf-8")
        sender = threading.Thread(target=self._send_now_and_then, daemon=True)
        sender.start()
        status = self._train(command(order, path))
        self._done.set()
        self._dirty.set()
        sender.join()
        last = json.loads(self._events[-1]) if self._events else {}
        # Of several processes on TPUs, the launcher does not tell how they ended.
        finished = status == 0 and not self._stopped and last.get("event") == "done"
        self._send_output(without={STATE} if finished else set())
        if finished:
            self._forget_state()
        self._send_events()
        if last.get("event") == "failed":
            sys.stderr.write(f"{last['message']}\n")
        return _STOPPED if self._stopped else int(not finished)

    def _fetched(self) -> dict[str, Any]:
        """The order, with everything that lies in a bucket at a local path; and what an earlier machine left."""
        download_folder(self._client, self._order, self._folder / ORDER)
        text = (self._folder / ORDER).read_text(encoding="utf-8")
        if self._order != f"{self._base}/{ORDER}":  # beside the weights, where their lineage is looked for
            again(lambda: self._blob(ORDER).upload_from_string(text, "application/json", retry=None))
        order: dict[str, Any] = json.loads(text)
        for name, value in order["config"].items():
            if isinstance(value, str) and value.startswith("gs://"):
                target = self._folder / "input" / name / value.rstrip("/").rpartition("/")[2]
                if not download_folder(self._client, value, target):
                    sys.exit(f"{name}: there is nothing at {value}")
                order["config"][name] = str(target)
        if download_folder(self._client, f"{self._base}/{OUTPUT}", self._output):
            sys.stderr.write("An earlier machine left its state: going on from there.\n")
            download_folder(self._client, f"{self._base}/{EVENTS}", self._folder / EVENTS)
            self._events = _lines(self._folder / EVENTS)
        order["config"]["output"] = str(self._output)
        order["config"].setdefault("threads", _processors())
        return order

    # Training

    def _train(self, command: list[str]) -> int:
        self._child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._child.stdout is not None
        for line in self._child.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            if event := _event(line):
                self._events.append(json.dumps(event))
                self._dirty.set()
        return self._child.wait()

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopped = True
        if self._child is not None:
            self._child.terminate()

    # Sending

    def _send_now_and_then(self) -> None:
        kept = 0
        while self._dirty.wait() and not self._done.is_set():
            self._dirty.clear()
            self._send_events()
            checkpoints = sum('"event": "checkpoint"' in line for line in self._events)
            if checkpoints != kept:
                kept = checkpoints
                self._send_output(without=set())
            self._done.wait(_EVERY)

    def _send_events(self) -> None:
        text = "".join(f"{line}\n" for line in list(self._events))
        blob = self._blob(EVENTS)
        again(lambda: blob.upload_from_string(text, content_type="application/jsonl", retry=None))

    def _send_output(self, *, without: set[str]) -> None:
        """Every file of the output that is new, or not what was sent."""
        for path in sorted(self._output.rglob("*")):
            inside = path.relative_to(self._output)
            if (
                not path.is_file()
                or path.name in without
                or any(part.startswith(".") for part in inside.parts)
            ):
                continue
            if path.name.startswith(f"{STATE}."):  # being written
                continue
            stat = path.stat()
            mark = (stat.st_size, stat.st_mtime_ns)
            if self._sent.get(str(inside)) != mark:
                blob = self._blob(f"{OUTPUT}/{inside.as_posix()}")
                again(lambda blob=blob, path=path: blob.upload_from_filename(str(path), retry=None))  # type: ignore[misc]
                self._sent[str(inside)] = mark

    def _forget_state(self) -> None:
        blob = self._blob(f"{OUTPUT}/{STATE}")
        again(lambda: blob.exists(retry=None) and blob.delete(retry=None))

    def _blob(self, name: str) -> Any:
        bucket, _, folder = self._base.removeprefix("gs://").partition("/")
        return self._client.bucket(bucket).blob(f"{folder}/{name}")


def command(order: dict[str, Any], config: Path) -> list[str]:
    """Training on every device: `torchrun` for several GPUs, `accelerate` for several TPU chips."""
    module = ["vertex_tuning.training", "--method", order["method"], "--config", str(config)]
    if order["kind"] == "tpu" and order["chips"] > 1:
        launch = ["accelerate.commands.launch", "--tpu", "--num_processes", str(order["chips"]), "--module"]
        return [sys.executable, "-m", *launch, "vertex_tuning.training.__main__", *module[1:]]
    # As many as were paid for; where the job is rehearsed there may be fewer, or none.
    gpus = min(order["chips"], len(list(DEVICES.glob("nvidia[0-9]*")))) if order["kind"] == "gpu" else 0
    if gpus > 1:
        run = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(gpus), "-m"]
        return [sys.executable, "-m", *run, *module]
    return [sys.executable, "-m", *module]


def _event(line: str) -> dict[str, Any] | None:
    """An event of training, or None: libraries print too."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "event" in found else None


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    sys.exit(main())
