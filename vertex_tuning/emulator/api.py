"""How a route is written: a table per resource, a function per method.

    routes = Routes()

    @routes.post("projects/{project}/locations/{location}/tuningJobs", request="TuningJob", response="TuningJob")
    async def create(call: Call) -> dict[str, Any]: ...

The path stands after the version prefix, as in Google's discovery documents. `call.body` is the request, parsed by the
wire schema into canonical ProtoJSON; what is returned is rendered by it for the version that was asked.
A function may also return a Starlette response of its own (streams).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from vertex_tuning.emulator.status import ApiError, Code
from vertex_tuning.emulator.wire.text import parse_json

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from vertex_tuning.emulator.app import Emulator

Handler = Callable[["Call"], Awaitable["dict[str, Any] | Response"]]
H = TypeVar("H", bound=Handler)


MAX_BODY = 32 * 1024 * 1024


async def read(request: Request) -> bytes:
    """The body of a request.

    Raises:
        ApiError: 400, it is longer than `MAX_BODY`.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise ApiError(
                Code.INVALID_ARGUMENT, f"Request payload size exceeds the limit: {MAX_BODY} bytes."
            )
    return bytes(body)


@dataclass(slots=True)
class Call:
    """One request to one route."""

    emulator: Emulator
    request: Request
    version: str
    """`v1`, `v1beta1` (the `/ui` prefix is `v1beta1`), or that of a service that is not Vertex AI."""
    path: dict[str, str]
    """The variables of the path, unquoted."""
    query: dict[str, str]
    """Query parameters, without `$alt` and its kin."""
    body: dict[str, Any] = field(default_factory=dict)
    """The request as canonical ProtoJSON; empty where the route names no request."""

    @property
    def is_dedicated(self) -> bool:
        """Whether it came to an endpoint's own host."""
        return self.request.headers.get("host", "").partition(":")[0].endswith(".prediction.vertexai.goog")

    def query_all(self, name: str) -> list[str]:
        """Every value of a parameter that may repeat."""
        return self.request.query_params.getlist(name)

    async def json(self) -> dict[str, Any]:
        """The body, where the route names no message that it is parsed as.

        Raises:
            ApiError: 400, it is not a JSON object.
        """
        found = parse_json(await read(self.request) or b"{}")
        if not isinstance(found, dict):
            raise ApiError(Code.INVALID_ARGUMENT, "The request is not a JSON object.")
        return found

    @property
    def parent(self) -> str:
        """`projects/{number}/locations/{location}`, the project by number whatever the caller used."""
        number = self.emulator.settings.number_of(self.path["project"])
        return f"projects/{number}/locations/{self.path['location']}"


@dataclass(frozen=True, slots=True)
class Route:
    """A method, a path and who answers."""

    method: str
    pattern: re.Pattern[str]
    handler: Handler
    request: str | None
    """Message that the body is parsed as; None: no body is read."""
    response: str | None
    """Message that the answer is rendered as; None: sent as it is."""
    versions: tuple[str, ...]
    service: str
    """The service of Google's that has to be on; empty: none."""


_VARIABLE = re.compile(r"\{(\w+)\}")


class Routes:
    """The routes of one resource.

    Args:
        service: The service that has to be on in the project that a path names.
    """

    def __init__(self, service: str = "") -> None:
        self.all: list[Route] = []
        self._service = service

    def route(
        self,
        method: str,
        path: str,
        *,
        request: str | None = None,
        response: str | None = None,
        versions: tuple[str, ...] = ("v1", "v1beta1"),
    ) -> Callable[[H], H]:
        """Register a function for a method and a path with `{variables}` (one segment each, verbs apart)."""
        pattern = "".join(
            f"(?P<{part}>[^/:]+)" if index % 2 else re.escape(part)
            for index, part in enumerate(_VARIABLE.split(path))
        )

        def register(handler: H) -> H:
            self.all.append(
                Route(method, re.compile(pattern), handler, request, response, versions, self._service)
            )
            return handler

        return register

    def get(self, path: str, **options: Any) -> Callable[[H], H]:
        """`route("GET", ...)`."""
        return self.route("GET", path, **options)

    def post(self, path: str, **options: Any) -> Callable[[H], H]:
        """`route("POST", ...)`."""
        return self.route("POST", path, **options)

    def patch(self, path: str, **options: Any) -> Callable[[H], H]:
        """`route("PATCH", ...)`."""
        return self.route("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> Callable[[H], H]:
        """`route("DELETE", ...)`."""
        return self.route("DELETE", path, **options)
