"""The application: what an emulator consists of, and who answers which request."""

from __future__ import annotations

import json
import logging
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from starlette.requests import Request
from starlette.responses import Response

from vertex_tuning.emulator import guard
from vertex_tuning.emulator.api import Call, Route
from vertex_tuning.emulator.jobs import TuningJobs
from vertex_tuning.emulator.routes import ALL
from vertex_tuning.emulator.state import Database
from vertex_tuning.emulator.status import ApiError, Code
from vertex_tuning.emulator.storage import Storage
from vertex_tuning.emulator.wire import Wire

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from vertex_tuning.emulator.settings import Settings

log = logging.getLogger(__name__)

MAX_JSON_BODY = 32 * 1024 * 1024
# `v3` is Resource Manager's.
_VERSIONS = {"v1": "v1", "v1beta1": "v1beta1", "ui": "v1beta1", "v3": "v3"}
_STORAGE_ROOTS = frozenset({"storage", "upload", "download", "batch"})
# First path segments that are never a bucket's name on the plain address.
RESERVED_ROOTS = frozenset({*_VERSIONS, *_STORAGE_ROOTS, "emulator", "token", "favicon.ico", ""})


def _part(module: str, name: str) -> Any:
    # A part whose owner has not built it yet is left out; goes when all parts are there.
    import importlib

    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        return lambda *_: _Absent()


class _Absent:
    pid = None

    async def nothing(self) -> None: ...

    start = stop = reset = nothing


class Emulator:
    """One emulator: its parts, and the ASGI application over them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        self.db = Database(settings.data_dir / "emulator.sqlite")
        self.wire = Wire()
        self.storage = Storage(settings, self.db)
        self.weights = _part("vertex_tuning.emulator.weights", "WeightsStore")(settings.weights_dir)
        self.jobs = TuningJobs(self)
        self.generation = _part("vertex_tuning.emulator.serving", "Generation")(self)
        self.address = ""
        """`http://127.0.0.1:PORT`, known once the port is open."""
        self._guard = guard.Guard(settings.token)

    async def start(self) -> None:
        """Take up the work that a former process left."""
        await self.jobs.start()

    async def stop(self) -> None:
        """End the children and close the database; what runs goes on at the next start."""
        await self.jobs.stop()
        await self.generation.stop()
        self.db.close()

    async def reset(self) -> None:
        """Forget every resource and object; what is there from the start comes back."""
        await self.jobs.reset()
        await self.generation.reset()
        with self.db.transaction() as sql:
            sql.execute("DELETE FROM resources")
            sql.execute("DELETE FROM events")
        self.storage.reset()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            app = self._dispatch(scope)
        except ApiError as error:
            app = _json(error.body(), error.code.http)
        await app(scope, receive, send)

    def _dispatch(self, scope: Scope) -> ASGIApp:
        host = self._guard.check(dict(scope["headers"]))
        raw_path = scope["raw_path"].decode("latin-1")
        root = raw_path[1:].partition("/")[0]
        if guard.is_served(host):
            if "storage" in host or host == "www.googleapis.com" or root == "batch":
                return self.storage.app
            return self._api
        if root in _STORAGE_ROOTS or root not in RESERVED_ROOTS:
            return self.storage.app
        return self._api

    async def _api(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ApiError as error:
            response = _json(error.body(), error.code.http)
        except Exception:
            incident = uuid.uuid4().hex[:12]
            log.exception("incident %s: %s %s", incident, request.method, scope["path"])
            error = ApiError(
                Code.INTERNAL, f"Internal error encountered. The log has it as incident {incident}."
            )
            response = _json(error.body(), error.code.http)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        scope = request.scope
        path = scope["raw_path"].decode("latin-1").partition("?")[0]
        root, _, rest = path[1:].partition("/")
        version = _VERSIONS.get(root, "")
        route, match = _find(request.method, unquote(rest) if version else unquote(path[1:]), version)
        call = Call(
            emulator=self,
            request=request,
            version=version,
            path=match,
            query=_query(scope["query_string"]),
        )
        self._check_location(call)
        if route.request is not None:
            call.body = self.wire.parse(route.request, await self._json_body(request), version)
        answer = await route.handler(call)
        if isinstance(answer, Response):
            return answer
        if route.response is not None:
            answer = self.wire.render(route.response, answer, version)
        return _json(answer)

    def _check_location(self, call: Call) -> None:
        """A regional host serves its region alone, as Google's do."""
        location = call.path.get("location")
        if location is None:
            return
        host = guard.without_port(call.request.headers.get("host", "").lower())
        found = guard.SERVED_HOSTS.fullmatch(host)
        if found is None or "aiplatform" not in host:
            return
        served = found["location"] or found["multi"] or "global"
        if served != location:
            raise ApiError(
                Code.INVALID_ARGUMENT,
                f"The location of the host ({served}) and of the resource ({location}) differ: "
                f"{host} serves resources in '{served}' only.",
            )

    async def _json_body(self, request: Request) -> Any:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_JSON_BODY:
                raise ApiError(
                    Code.INVALID_ARGUMENT, f"Request payload size exceeds the limit: {MAX_JSON_BODY} bytes."
                )
        return self.wire.parse_json(bytes(body)) if body.strip() else {}


def _find(method: str, path: str, version: str) -> tuple[Route, dict[str, str]]:
    known = False
    for route in ALL:
        match = route.pattern.fullmatch(path)
        if match is None:
            continue
        known = True
        if route.method == method and (version in route.versions or not version):
            return route, match.groupdict()
    if known:
        raise ApiError(Code.UNIMPLEMENTED, f"The emulator does not serve {method} for /{version}/{path}.")
    raise ApiError(
        Code.NOT_FOUND,
        f"The requested URL /{version + '/' if version else ''}{path} was not found on this server.",
    )


def _query(raw: bytes) -> dict[str, str]:
    pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True)
    return {key: value for key, value in pairs if not key.startswith("$")}


def _json(body: Any, status: int = 200) -> Response:
    return Response(
        json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(),
        status_code=status,
        media_type="application/json; charset=UTF-8",
    )
