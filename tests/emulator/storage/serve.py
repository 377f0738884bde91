"""Cloud Storage alone as a process, to be killed: `python serve.py DATA_DIR`; its first line is its port."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import uvicorn

from vertex_tuning.emulator.settings import Settings
from vertex_tuning.emulator.state import Database
from vertex_tuning.emulator.storage import Storage

if __name__ == "__main__":
    data_dir = Path(sys.argv[1])
    storage = Storage(Settings(data_dir=data_dir), Database(data_dir / "emulator.sqlite"))
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(storage.app, http="httptools", lifespan="off", log_level="critical")
    uvicorn.Server(config).run([listener])
