"""A reward as a service: what `reward serve` runs, here and in Cloud Run."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from vertex_tuning.rewards import Score

_MOST = 32 * 1024 * 1024


class Scorer(Protocol):
    """A reward, or what answers like one."""

    def score(self, example: dict[str, Any], response: Any, /) -> Score:
        """What an answer is worth."""


class Server(ThreadingHTTPServer):
    """Answers `{"example": ..., "response": ...}` with `{"reward": ...}`."""

    daemon_threads = True
    request_queue_size = 1024
    """Who calls at once waits for a turn: beyond so many (the usual 5, in http.server) the kernel breaks lines off."""

    def __init__(self, host: str, port: int, reward: Scorer) -> None:
        super().__init__((host, port), _Handler)
        self.reward = reward


class _Handler(BaseHTTPRequestHandler):
    server: Server
    server_version = "vertex-tuning"
    sys_version = ""
    timeout = 60

    def do_GET(self) -> None:
        """For whoever asks whether it is there."""
        self._answer(200, {"ready": True})

    def do_POST(self) -> None:
        """One answer to score."""
        length = int(self.headers.get("Content-Length") or 0)
        if not 0 < length <= _MOST:
            self._answer(413 if length else 400, {"error": "a JSON body with example and response is due"})
            return
        try:
            asked: Any = json.loads(self.rfile.read(length))
            example, response = asked["example"], asked["response"]
            if not isinstance(example, dict) or not isinstance(response, dict):
                raise TypeError
        except (ValueError, KeyError, TypeError, RecursionError):
            self._answer(
                400, {"error": 'not as it should be: {"example": {...}, "response": {"parts": [...]}}'}
            )
            return
        score = self.server.reward.score(example, response)
        if score.failure is not None:
            self._answer(422, {"error": f"{score.failure.rule}: {score.failure.message}"})
            return
        aux = {name: part.reward for name, part in score.parts.items()}
        more = {"user_requested_aux_info": json.dumps(aux)} if aux else {}
        self._answer(200, {"reward": score.reward, **more})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: one line a call would bury what matters."""
