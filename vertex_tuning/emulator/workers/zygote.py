"""The training child: imports everything, touches no tensor, and forks once per job.

A fork after a threaded tensor operation can hang for ever, because the threads of the pool are not in the fork; so this
process never computes. A job starts in well under a second, maps its own weights, and may be killed at any time.
"""

from __future__ import annotations

import contextlib
import gc
import os
import selectors
import signal
import sys
import time
import traceback
from typing import Any

from vertex_tuning.emulator.workers.channel import Channel

_SENT_IN_FULL = frozenset({"dataset", "split", "rewards", "checkpoint", "eval", "done", "failed"})
_STEP_EVERY = 0.05


def main() -> None:
    """Take orders until the server closes the line."""
    channel = Channel()
    # numpy's BLAS starts its threads when it is imported, and a fork would be left waiting for them.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    from peft import LoraConfig  # noqa: F401
    from transformers.models.llama.modeling_llama import LlamaForCausalLM  # noqa: F401

    from vertex_tuning.training import methods  # noqa: F401

    gc.collect()
    gc.freeze()
    channel.send({"ready": True, "pid": os.getpid()})
    Zygote(channel).serve()


class Zygote:
    """The jobs of this process."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._jobs: dict[int, str] = {}
        # A pipe that wakes the loop when a job has ended.
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)

    def serve(self) -> None:
        """Orders and ends of jobs, as they come."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_write)
        orders = selectors.DefaultSelector()
        orders.register(self._channel.fileno(), selectors.EVENT_READ, "order")
        orders.register(self._wake_read, selectors.EVENT_READ, "end")
        while True:
            for key, _ in orders.select():
                if key.data == "end":
                    os.read(self._wake_read, 4096)
                    self._reap()
                else:
                    messages = self._channel.receive()
                    if messages is None:
                        return  # jobs die with us: the kernel sees to it
                    for message in messages:
                        self._order(message)

    def _order(self, message: dict[str, Any]) -> None:
        if message["op"] == "run":
            self._run(message)
        elif message["op"] == "cancel":
            for pid, job in self._jobs.items():
                if job == message["job"]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)

    def _run(self, message: dict[str, Any]) -> None:
        pid = os.fork()
        if pid:
            self._jobs[pid] = message["job"]
            self._channel.send({"job": message["job"], "event": "started", "pid": pid})
            return
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._channel.forked()
            _train(self._channel, message)
            status = 0
        except BaseException:
            traceback.print_exc(file=sys.stderr)
        finally:
            sys.stderr.flush()
            os._exit(status)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            job = self._jobs.pop(pid, "")
            code = os.waitstatus_to_exitcode(status)
            self._channel.send(
                {"job": job, "event": "exit", "status": code, "signal": -code if code < 0 else None}
            )


def _train(channel: Channel, message: dict[str, Any]) -> None:
    from vertex_tuning.training import methods

    sent = 0.0

    def report(event: dict[str, Any]) -> None:
        # A tiny model takes hundreds of steps a second; nobody reads that many.
        nonlocal sent
        now = time.monotonic()
        if event["event"] in _SENT_IN_FULL or event["step"] == event["steps"] or now - sent >= _STEP_EVERY:
            sent = now
            channel.send({"job": message["job"], **event})

    methods.run(message["kind"], message["config"], report)


if __name__ == "__main__":
    main()
