"""A process that is killed while it speaks takes no other's words with it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from vertex_tuning.emulator.workers.process import Worker

CHILD = """
import os
from vertex_tuning.emulator.workers.channel import Channel

channel = Channel()
pid = os.fork()
if pid == 0:
    os.write(channel._out, b'{"half": "a mess')
    os._exit(9)
os.waitpid(pid, 0)
channel.send({"whole": True})
"""


async def test_what_comes_after_half_a_line_is_heard(tmp_path: Path) -> None:
    (tmp_path / "torn_line_child.py").write_text(CHILD)
    heard: list[dict[str, Any]] = []
    ended = asyncio.Event()
    worker = Worker(
        "torn_line_child",
        "child",
        log_path=tmp_path / "child.log",
        on_message=heard.append,
        on_exit=lambda _: ended.set(),
        environment={"PYTHONPATH": str(tmp_path)},
    )
    await worker.start()
    await ended.wait()
    assert heard == [{"whole": True}]
