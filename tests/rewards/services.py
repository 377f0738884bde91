"""Reward services for tests: they answer as they are told."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[int, str], tuple[int, bytes] | None]
"""How often it was asked about an answer, and the answer, to a status and a body; None: the line breaks."""


class _Quiet(ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:
        """Whoever asked has gone: what a test wants to know it asks itself."""


class Service:
    """A reward service that answers as it is told: by how often it was asked for this answer."""

    def __init__(self, answer: Answer) -> None:
        self.asked: list[tuple[float, str]] = []
        """When, and about which answer."""
        self.requests: list[tuple[str, str]] = []
        """Path and Host of each."""
        self.told: list[dict[str, int]] = []
        """The `metadata` of each."""
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                text = asked["response"]["parts"][0]["text"]
                service.told.append(asked["metadata"])
                service.asked.append((time.monotonic(), text))
                service.requests.append((self.path, self.headers["Host"]))
                found = answer(sum(said == text for _, said in service.asked), text)
                if found is None:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(found[0])
                self.end_headers()
                self.wfile.write(found[1])

            def log_message(self, *_: Any) -> None:
                pass

        self.server = _Quiet(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.port = self.server.server_port
        self.uri = f"http://127.0.0.1:{self.port}/score"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
