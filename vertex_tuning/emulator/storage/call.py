"""One request to Cloud Storage, and the answers it may get."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote_to_bytes

from starlette.datastructures import Headers
from starlette.responses import Response

from vertex_tuning.emulator.storage.errors import StorageError, invalid, not_emulated
from vertex_tuning.emulator.storage.fields import selected
from vertex_tuning.emulator.storage.preconditions import Preconditions
from vertex_tuning.emulator.storage.resources import Json

if TYPE_CHECKING:
    from starlette.types import Receive, Scope

    from vertex_tuning.emulator.storage import Storage

_MAX_JSON = 8 << 20


class Disconnected(Exception):
    """The caller went away before the body was complete; nobody is left to answer."""


@dataclass(slots=True)
class Call:
    """One request."""

    storage: Storage
    method: str
    path: str
    """As sent: percent-encoded."""
    query: dict[str, str]
    """Query parameters; of one that repeats, the last."""
    headers: Headers
    scheme: str
    receive: Receive
    names: tuple[str, ...] = ()
    """The variables of the route's path, decoded."""
    pairs: list[tuple[str, str]] = field(default_factory=list)
    """Query parameters, all of them."""
    _ended: bool = field(default=False, init=False)

    @classmethod
    def of(cls, storage: Storage, scope: Scope, receive: Receive) -> Call:
        """From an ASGI scope."""
        raw = scope.get("raw_path") or scope["path"].encode()
        pairs = _pairs(scope.get("query_string", b"").decode("ascii", "replace"))
        return cls(
            storage,
            scope["method"],
            raw.decode("ascii", "replace"),
            dict(pairs),
            Headers(raw=scope["headers"]),
            scope.get("scheme", "http"),
            receive,
            pairs=pairs,
        )

    @property
    def host(self) -> str:
        """As the caller spelled it, port included."""
        return self.headers.get("host", "storage.googleapis.com")

    @property
    def base(self) -> str:
        """Where links lead: the address at which the caller found us. Forwarding headers are not believed."""
        return f"{self.scheme}://{self.host}"

    def query_all(self, name: str) -> list[str]:
        """Every value of a parameter that may repeat."""
        return [value for key, value in self.pairs if key == name]

    @property
    def conditions(self) -> Preconditions:
        """The preconditions of the query."""
        return Preconditions.of_query(self.query)

    @property
    def generation(self) -> int | None:
        """The generation that was asked for."""
        text = self.query.get("generation")
        return None if text is None else as_generation(text, "generation")

    async def body(self) -> AsyncIterator[bytes]:
        """The body, as it comes."""
        while not self._ended:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            self._ended = not message.get("more_body", False)
            if chunk := message.get("body", b""):
                yield chunk

    async def read(self, limit: int = _MAX_JSON) -> bytes:
        """The whole of a short body."""
        parts: list[bytes] = []
        size = 0
        async for chunk in self.body():
            size += len(chunk)
            if size > limit:
                raise StorageError(413, "uploadTooLarge", "Request Entity Too Large.", xml="EntityTooLarge")
            parts.append(chunk)
        return b"".join(parts)

    async def json(self) -> Any:
        """The body as JSON; {} where there is none."""
        return parsed(await self.read())

    def reply(
        self, resource: Json | None, status: int = 200, headers: dict[str, str] | None = None
    ) -> Response:
        """A JSON answer, cut down to what `fields` asks for. None: no content."""
        if resource is None:
            return Response(status_code=204, headers=headers)
        wanted = self.query.get("fields")
        if wanted:
            resource = selected(resource, wanted)
        return json_response(resource, status, headers)


def json_response(resource: Json, status: int, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer."""
    content = json.dumps(resource, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(content, status, headers, media_type="application/json; charset=UTF-8")


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, errors="strict")
    except ValueError:
        raise invalid("The query is not valid UTF-8.", xml="InvalidURI") from None


def parsed(raw: bytes) -> Any:
    """JSON of a request, or 400."""
    if not raw.strip():
        return {}
    try:
        value = json.loads(raw)
        # Half of a surrogate pair can be written as an escape; as text it could never be sent back.
        if b"\\u" in raw:
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise StorageError(400, "parseError", "Parse Error") from None
    return value


def as_generation(text: str, name: str) -> int:
    """A generation that a caller names, or 400."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        raise invalid(f"Invalid value for {name}: {text!r}", location=name)
    return int(text)


def decoded(segment: str) -> str:
    """A segment of a path without its percent signs, or 400 where it is no UTF-8."""
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise invalid("The path is not valid UTF-8.", xml="InvalidURI") from None


def refuse_customer_keys(headers: Headers) -> None:
    """Customer-supplied encryption keys: to store in the clear what was to be encrypted would be a lie."""
    for name in ("x-goog-encryption-algorithm", "x-goog-copy-source-encryption-algorithm"):
        if name in headers:
            raise not_emulated("customer-supplied encryption keys (CSEK)")
