"""Cloud Storage alone, under uvicorn in a thread, and Google's own client for it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage as gcs

from vertex_tuning.emulator.settings import Settings
from vertex_tuning.emulator.state import Database
from vertex_tuning.emulator.storage import Storage


class Server:
    """A server that can be stopped and started again on its data folder and port."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.port = 0
        self.clients: list[gcs.Client] = []
        self.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.db = Database(self.data_dir / "emulator.sqlite")
        self.storage = Storage(Settings(data_dir=self.data_dir), self.db)
        # The protocol is named, or asyncio leaves Nagle on for what is accepted.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen()
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            self.storage.app, http="httptools", lifespan="off", log_level="warning", proxy_headers=False
        )
        self._server = uvicorn.Server(config)
        self._listener = listener
        self._thread = threading.Thread(target=self._server.run, args=([listener],))
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join()
        self._listener.close()
        self.storage.executor.shutdown()
        self.db.close()

    def restart(self) -> None:
        self.stop()
        self.start()

    def client(self, project: str = "vertex-tuning-local") -> gcs.Client:
        client = gcs.Client(
            project=project,
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": self.address},
        )
        self.clients.append(client)
        return client

    def files(self) -> list[Path]:
        """Every blob on disk, samples apart."""
        seeded = {
            row[0]
            for row in self.db.sql.execute(
                "SELECT blob FROM storage_objects WHERE bucket IN"
                " (SELECT name FROM storage_buckets WHERE frozen = 1)"
            )
        }
        return [path for path in (self.data_dir / "objects").glob("*/*") if path.name not in seeded]


@pytest.fixture(scope="module")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("storage"))
    yield server
    server.stop()


@pytest.fixture
def server(one_server: Server) -> Iterator[Server]:
    """A server with nothing in it but the samples."""
    yield one_server
    while one_server.clients:
        one_server.clients.pop().close()
    one_server.storage.reset()


@pytest.fixture
def client(server: Server) -> gcs.Client:
    return server.client()


@pytest.fixture
def bucket(client: gcs.Client) -> gcs.Bucket:
    return client.create_bucket("bkt", location="us-central1")
