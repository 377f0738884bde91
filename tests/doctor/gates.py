"""What an emulator never does, for nobody is refused there: answers that Google gives to people who may not look."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SILENT = 0
"""No answer at all."""
OFF = 1
"""The service is off, in the words of Google."""


class Gate:
    """Passes requests on to an emulator, but for those that meet another fate: a status, `SILENT` or `OFF`; 200 is passed on."""

    def __init__(self, far: str, fate: Callable[[str], int]) -> None:
        self.asked: list[str] = []
        gate = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                gate.asked.append(f"{self.command} {self.path}")
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status = 200 if self.path.startswith("/emulator/") else fate(f"{self.command} {self.path}")
                if status == SILENT:
                    time.sleep(60)
                    return
                found = (status, _refusal(status)) if status != 200 else self._passed_on(body)
                self.send_response(403 if found[0] == OFF else found[0])
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(found[1])))
                self.end_headers()
                self.wfile.write(found[1])

            do_POST = do_GET

            def _passed_on(self, body: bytes) -> tuple[int, bytes]:
                headers = {"Content-Type": "application/json"}
                asked = urllib.request.Request(far + self.path, body or None, headers, method=self.command)
                opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
                try:
                    with opener.open(asked, timeout=60) as answer:
                        return answer.status, answer.read()
                except urllib.error.HTTPError as error:
                    with error:
                        return error.code, error.read()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _refusal(status: int) -> bytes:
    names = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 503: "UNAVAILABLE", OFF: "PERMISSION_DENIED"}
    error = {"code": 403 if status == OFF else status, "message": "No.", "status": names[status]}
    if status == OFF:
        reason = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED"}
        error["details"] = [{**reason, "domain": "googleapis.com"}]
    return json.dumps({"error": error}).encode()
