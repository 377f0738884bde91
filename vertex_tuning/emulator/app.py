"""The application: what an emulator consists of, and who answers which request."""

from __future__ import annotations

import asyncio
import errno
import gzip
import html
import json
import logging
import sqlite3
import uuid
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from vertex_tuning.emulator import guard, routes
from vertex_tuning.emulator.api import Call, Route, read
from vertex_tuning.emulator.batches import BatchJobs
from vertex_tuning.emulator.clock import CLOCK
from vertex_tuning.emulator.custom_jobs import CustomJobs
from vertex_tuning.emulator.jobs import TuningJobs
from vertex_tuning.emulator.keys import Keys
from vertex_tuning.emulator.pipelines import PipelineJobs, Schedules, Templates
from vertex_tuning.emulator.project import Project, provision
from vertex_tuning.emulator.serving import Generation
from vertex_tuning.emulator.state import Database
from vertex_tuning.emulator.status import ApiError, Code
from vertex_tuning.emulator.storage import Storage
from vertex_tuning.emulator.weights import WeightsStore
from vertex_tuning.emulator.wire import Wire, parse_json
from vertex_tuning.emulator.workers.grpc_child import GrpcChild

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from vertex_tuning.emulator.settings import Settings

log = logging.getLogger(__name__)

# `v2` is Cloud Run's, `v3` Resource Manager's.
_VERSIONS = {"v1": "v1", "v1beta1": "v1beta1", "ui": "v1beta1", "v2": "v2", "v3": "v3"}
_STORAGE_ROOTS = frozenset({"storage", "upload", "download", "batch", "resumable"})
# First path segments that are never a bucket's name on the plain address.
_OTHER_ROOTS = ("apis", "compute", "emulator", "token", routes.TEMPLATES_ROOT, "favicon.ico", "")
RESERVED_ROOTS = frozenset({*_VERSIONS, *_STORAGE_ROOTS, *_OTHER_ROOTS})


class Emulator:
    """One emulator: its parts, and the ASGI application over them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.db = Database(settings.data_dir / "emulator.sqlite")
        if settings.simulate is not None:
            CLOCK.quicken(settings.simulate, self.db.last_time())
        self.wire = Wire(strict=settings.strict)
        self.keys = Keys(settings)
        self.project: Project = Project(settings, self.db)
        self.storage = Storage(settings, self.db, self.project)
        self.weights = WeightsStore(settings.weights_dir)
        self.jobs = TuningJobs(self)
        self.custom_jobs = CustomJobs(self)
        self.pipelines = PipelineJobs(self)
        self.schedules = Schedules(self)
        self.templates = Templates(self)
        self.generation = Generation(self)
        self.batches = BatchJobs(self)
        self.grpc = GrpcChild(self)
        self.record: dict[str, Any] = {}
        """What `run.json` holds; filled once the port is open."""
        self._guard = guard.Guard(settings.token)
        provision.settle(self)
        self._resetting = asyncio.Lock()

    @property
    def address(self) -> str:
        """`http://127.0.0.1:PORT`, once the port is open."""
        return str(self.record.get("address", ""))

    async def start(self) -> None:
        """Take up the work that a former process left."""
        await self.jobs.start()
        await self.batches.start()
        await self.custom_jobs.start()
        await self.pipelines.start()
        await self.schedules.start()

    async def stop(self) -> None:
        """End the children and close the database; what runs goes on at the next start."""
        await self.schedules.stop()
        await self.pipelines.stop()
        await self.custom_jobs.stop()
        await self.batches.stop()
        await self.jobs.stop()
        await self.generation.stop()
        await self.grpc.stop()
        await self.storage.stop()
        self.db.close()

    async def reset(self) -> None:
        """Forget every resource and object; what is there from the start comes back. Who asks for something meanwhile waits."""
        async with self._resetting:
            await self.batches.reset()
            await self.pipelines.reset()
            await self.custom_jobs.reset()
            await self.jobs.reset()
            await self.generation.reset()
            with self.db.transaction() as sql:
                sql.execute("DELETE FROM resources")
                sql.execute("DELETE FROM events")
            await asyncio.to_thread(self.storage.reset)
            await asyncio.to_thread(provision.settle, self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; of a fault of ours the wire is told nothing but an incident id."""
        if scope["type"] != "http":
            return
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            app = self._app_for(scope)
            await app(scope, receive, noting)
        except ClientDisconnect:
            return
        except _NoSuchUrl as error:
            await error.page()(scope, receive, send)
        except ApiError as error:
            body = error.body()
            await _json(scope, body, body["error"]["code"])(scope, receive, send)
        except Exception as error:
            if begun:
                raise  # the connection is cut, so that nobody takes half an answer for a whole one
            await _json(scope, _incident(error, scope).body(), 500)(scope, receive, send)

    async def _until_reset(self) -> None:
        """Wait for the end of a reset: what was begun in its midst would be half forgotten, and a process of it left."""
        if self._resetting.locked():
            async with self._resetting:
                pass

    async def _storage(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._until_reset()
        await self.storage.app(scope, receive, send)

    def _app_for(self, scope: Scope) -> ASGIApp:
        host = self._guard.check(scope)
        root = _path(scope)[1:].partition("/")[0]
        served = guard.SERVED_HOSTS.fullmatch(host)
        if served is None:
            storage = root in _STORAGE_ROOTS or root not in RESERVED_ROOTS
        else:
            storage = served["storage"] is not None
        return self._storage if storage else self._api

    async def _api(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = _path(scope)
        root, _, rest = path[1:].partition("/")
        version = _VERSIONS.get(root, "")
        host = guard.without_port(_header(scope, b"host").lower())
        served = guard.SERVED_HOSTS.fullmatch(host)
        name = "" if served is None else "project" if served["project"] else "vertex"
        if served is not None and served["registry"]:
            name, version = "templates", ""
            path = f"/{routes.TEMPLATES_ROOT}/{served['registry']}{path}"
        route, match = _TABLES[name].find(scope["method"], unquote(rest if version else path[1:]), version)
        if served is not None and name == "vertex" and "location" in match:
            place = served["location"] or served["multi"] or served["dedicated"]
            _check_location(host, place, match["location"])
        if "project" in match and route.service:
            self.project.check_on(match["project"], route.service)
        request = Request(scope, receive)
        call = Call(self, request, version, match, _query(scope["query_string"]))
        if route.request is not None:
            noted: list[str] = []
            call.body = self.wire.parse(route.request, await _json_body(request), version, noted=noted)
            if noted:
                log.info("%s: fields that Google's documents lack, taken: %s", path, ", ".join(noted))
        if root != "emulator":
            await self._until_reset()
        answer = await route.handler(call)
        if not isinstance(answer, Response):
            if route.response is not None:
                answer = self.wire.render(route.response, answer, version)
            answer = _json(scope, answer)
        await answer(scope, receive, send)


class _Table:
    """Routes, found by the number of segments of the path before anything is matched."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes: defaultdict[int, list[Route]] = defaultdict(list)
        for route in routes:
            self._routes[route.pattern.pattern.replace("[^/:]+", "").count("/")].append(route)

    def find(self, method: str, path: str, version: str) -> tuple[Route, dict[str, str]]:
        allowed = set()
        for route in self._routes.get(path.count("/"), ()):
            match = route.pattern.fullmatch(path)
            if match is not None and (version in route.versions or not version):
                if route.method == method:
                    return route, match.groupdict()
                allowed.add(route.method)
        raise _NoSuchUrl(f"/{version}/{path}" if version else f"/{path}", method, sorted(allowed))


class _NoSuchUrl(ApiError):
    """A path that there is not, or not for this verb. Google's front end answers both with a page instead of JSON."""

    def __init__(self, path: str, method: str, allowed: list[str]) -> None:
        words = f"The requested URL {path} was not found on this server."
        if allowed:
            words += f" It is there for {', '.join(allowed)}, and not for {method}."
        super().__init__(Code.NOT_FOUND, words)

    def page(self) -> Response:
        title = "Error 404 (Not Found)"
        text = (
            f"<!DOCTYPE html><html lang=en><title>{title}</title><p><b>404.</b> {html.escape(self.message)}"
        )
        return Response(text, status_code=404, media_type="text/html")


_TABLES = {
    "": _Table(routes.ALL),
    "vertex": _Table(routes.VERTEX),
    "project": _Table(routes.PROJECT),
    "templates": _Table(routes.TEMPLATES),
}
"""What a host answers: the plain address everything, a Google host what is Google's there."""


def _check_location(host: str, host_location: str | None, location: str) -> None:
    """A regional host serves its region alone, as Google's do."""
    served = host_location or "global"
    if served != location:
        raise ApiError(
            Code.INVALID_ARGUMENT,
            f"{host} serves resources in '{served}' only, and the resource's location is '{location}'.",
        )


async def _json_body(request: Request) -> Any:
    body = await read(request)
    return parse_json(body) if body.strip() else {}


def _incident(error: Exception, scope: Scope) -> ApiError:
    incident = uuid.uuid4().hex[:12]
    log.exception("incident %s: %s %s", incident, scope["method"], scope["path"])
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or (isinstance(error, sqlite3.Error) and error.sqlite_errorcode == sqlite3.SQLITE_FULL):
        return ApiError(
            Code.INTERNAL,
            "No space is left in the emulator's data folder. Free some, or start it with another --data-dir.",
            rule="VT409",
        )
    return ApiError(
        Code.INTERNAL,
        f"Internal error encountered. The emulator's log has it as incident {incident}.",
        rule="VT410",
    )


def _path(scope: Scope) -> str:
    return str(scope["raw_path"].decode("latin-1"))


def _header(scope: Scope, wanted: bytes) -> str:
    return next((str(value.decode("latin-1")) for name, value in scope["headers"] if name == wanted), "")


def _query(raw: bytes) -> dict[str, str]:
    pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True)
    return {key: value for key, value in pairs if not key.startswith("$")}


def _json(scope: Scope, body: Any, status: int = 200) -> Response:
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {"vary": "Origin, X-Origin, Referer"}
    # Packed for whoever can unpack it, as Google does; the wire is short here, so little effort will do.
    if "gzip" in _header(scope, b"accept-encoding").lower().replace(" ", "").split(","):
        content = gzip.compress(content, 1, mtime=0)
        headers["content-encoding"] = "gzip"
    return Response(content, status, headers, media_type="application/json; charset=UTF-8")
