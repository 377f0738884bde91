"""Many calls in one request: `/batch/storage/v1`, multipart/mixed of HTTP requests.

Source: Cloud Storage documentation, "Batch requests" (2026-09).
"""

from __future__ import annotations

import email
import re
import secrets
from email.message import Message
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.responses import Response

from vertex_tuning.emulator.storage.bodies import boundary_of
from vertex_tuning.emulator.storage.call import Call
from vertex_tuning.emulator.storage.errors import StorageError, invalid

if TYPE_CHECKING:
    from starlette.types import Receive

_MAX_CALLS = 1000
"""Google's own client sends up to this many."""
_MAX_BODY = 10 << 20
_REQUEST_LINE = re.compile(rb"([A-Z]+) (\S+)(?: HTTP/1\.[01])?")
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")


async def batch(call: Call) -> Response:
    """Answer every call of a batch, in order; one that fails does not stop the others."""
    content_type = call.headers.get("content-type", "")
    boundary_of(content_type)
    head = f"content-type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    message = email.message_from_bytes(head + await call.read(_MAX_BODY))
    parts = [part for part in message.walk() if not part.is_multipart()]
    if not message.is_multipart() or not parts:
        raise invalid("Failed to parse batch request, no inner requests found.")
    if len(parts) > _MAX_CALLS:
        raise invalid(f"The batch request must not contain more than {_MAX_CALLS} calls.")
    boundary = f"batch_{secrets.token_hex(16)}"
    answers = [f"--{boundary}\r\n".encode() + await _answer(call, part) for part in parts]
    body = b"".join([*answers, f"--{boundary}--\r\n".encode()])
    return Response(body, media_type=f"multipart/mixed; boundary={boundary}")


async def _answer(outer: Call, part: Message[str, str]) -> bytes:
    """One part of the answer."""
    head = ["Content-Type: application/http"]
    if id := part.get("content-id"):
        # A fold in the header must not become a header of the answer.
        id = re.sub(r"[\r\n]+", "", id)
        head.append(
            f"Content-ID: <response-{id.removeprefix('<')}" if id[:1] == "<" else f"Content-ID: response-{id}"
        )
    try:
        response = await outer.storage.app.answer(_inner(outer, part))
    except StorageError as error:
        response = outer.reply(error.to_json(), error.status)
    phrase = (
        HTTPStatus(response.status_code).phrase if response.status_code != 499 else "Client Closed Request"
    )
    inner = [f"HTTP/1.1 {response.status_code} {phrase}"]
    inner += [f"{key.decode()}: {value.decode('latin-1')}" for key, value in response.raw_headers]
    lines = [*head, "", *inner, "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace") + bytes(response.body) + b"\r\n"


def _inner(outer: Call, part: Message[str, str]) -> Call:
    """The call that a part holds."""
    raw = part.get_payload(decode=True)
    if not isinstance(raw, bytes):
        raise invalid("Failed to parse an inner request: it must be application/http.")
    head, *rest = _BLANK_LINE.split(raw.lstrip(), maxsplit=1)
    line, *fields = head.splitlines()
    match = _REQUEST_LINE.fullmatch(line.strip())
    if match is None:
        raise invalid("Failed to parse the request line of an inner request.")
    target = urlsplit(match[2].decode("ascii", "replace"))
    if not target.path.startswith("/storage/v1/") or "alt=media" in target.query:
        raise invalid("A batch takes calls of the JSON API only; content cannot be sent or read in one.")
    headers = {b"host": outer.host.encode("latin-1")}
    for field in fields:
        key, _, value = field.partition(b":")
        if key.strip().lower() != b"host":
            headers[key.strip().lower()] = value.strip()
    body = rest[0] if rest else b""
    scope = {
        "method": match[1].decode(),
        "raw_path": target.path.encode(),
        "query_string": target.query.encode(),
        "headers": list(headers.items()),
        "scheme": outer.scheme,
    }
    return Call.of(outer.storage, scope, _receive(body))


def _receive(body: bytes) -> Receive:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
