"""Who answers which path of Cloud Storage."""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.responses import Response

from vertex_tuning.emulator.storage import batch, json_api, upload_api, xml_api
from vertex_tuning.emulator.storage.call import Call, Disconnected, decoded, json_response
from vertex_tuning.emulator.storage.errors import StorageError, from_disk, not_emulated
from vertex_tuning.emulator.storage.media import RangeError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from vertex_tuning.emulator.storage import Storage

log = logging.getLogger(__name__)

Handler = Callable[[Call], Awaitable[Response]]

_BUCKET = "/storage/v1/b/{}"
_OBJECT = "/storage/v1/b/{}/o/{}"
ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/storage/v1/b", json_api.list_buckets),
    ("POST", "/storage/v1/b", json_api.insert_bucket),
    ("GET", _BUCKET, json_api.get_bucket),
    ("PATCH", _BUCKET, json_api.patch_bucket),
    ("PUT", _BUCKET, json_api.update_bucket),
    ("DELETE", _BUCKET, json_api.delete_bucket),
    ("GET", _BUCKET + "/iam", json_api.get_policy),
    ("PUT", _BUCKET + "/iam", json_api.set_policy),
    ("GET", _BUCKET + "/iam/testPermissions", json_api.test_permissions),
    ("GET", _BUCKET + "/storageLayout", json_api.storage_layout),
    ("GET", "/storage/v1/projects/{}/serviceAccount", json_api.service_account),
    ("GET", _BUCKET + "/o", json_api.list_objects),
    ("GET", _OBJECT, json_api.get_object),
    ("PATCH", _OBJECT, json_api.patch_object),
    ("PUT", _OBJECT, json_api.update_object),
    ("DELETE", _OBJECT, json_api.delete_object),
    ("POST", _OBJECT + "/compose", json_api.compose_object),
    ("POST", _OBJECT + "/copyTo/b/{}/o/{}", json_api.copy_object),
    ("POST", _OBJECT + "/rewriteTo/b/{}/o/{}", json_api.rewrite_object),
    ("POST", _OBJECT + "/moveTo/o/{}", json_api.move_object),
    ("GET", "/download" + _OBJECT, json_api.download),
    ("POST", "/upload/storage/v1/b/{}/o", upload_api.upload),
    ("PUT", "/upload/storage/v1/b/{}/o", upload_api.upload),
    ("DELETE", "/upload/storage/v1/b/{}/o", upload_api.upload),
    ("POST", "/resumable/upload/storage/v1/b/{}/o", upload_api.upload),
    ("PUT", "/resumable/upload/storage/v1/b/{}/o", upload_api.upload),
    ("DELETE", "/resumable/upload/storage/v1/b/{}/o", upload_api.upload),
    ("POST", "/batch/storage/v1", batch.batch),
]
_COMPILED = [
    (method, re.compile("([^/]+)".join(re.escape(part) for part in path.split("{}"))), handler)
    for method, path, handler in ROUTES
]
_JSON_ROOTS = (
    "/storage/v1/",
    "/upload/storage/",
    "/resumable/upload/",
    "/download/storage/",
    "/batch/storage",
)
_GOOGLE_HOST = ".storage.googleapis.com"


class StorageApp:
    """Cloud Storage as an ASGI application."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            response = await self.answer(Call.of(self._storage, scope, receive))
        except Disconnected:
            return
        except StorageError as error:
            response = rendered(error, scope["method"], xml=False)
        await response(scope, receive, send)

    async def answer(self, call: Call) -> Response:
        """The response to a request; errors are rendered for the API in use."""
        bucket = _virtual_host(call)
        xml = bucket is not None or not call.path.startswith(_JSON_ROOTS)
        try:
            try:
                if xml:
                    return await xml_api.answer(call, bucket)
                return await self._json(call)
            except (OSError, sqlite3.OperationalError) as error:
                raise from_disk(error) from error
        except Disconnected:
            raise
        except StorageError as error:
            if error.status >= 500:
                log.warning(
                    "storage: %s %s: %s", call.method, call.path, error.message, exc_info=error.__cause__
                )
            return rendered(error, call.method, xml=xml)
        except Exception:
            log.exception("storage: %s %s", call.method, call.path)
            failed = StorageError(500, "backendError", "The emulator failed; its log says how.")
            return rendered(failed, call.method, xml=xml)

    async def _json(self, call: Call) -> Response:
        allowed = False
        method = call.method
        if method == "POST" and "x-http-method-override" in call.headers:
            method = call.headers["x-http-method-override"].upper()
        for wanted, pattern, handler in _COMPILED:
            if match := pattern.fullmatch(call.path):
                if wanted == method:
                    call.names = tuple(decoded(part) for part in match.groups())
                    return await handler(call)
                allowed = True
        if allowed:
            raise StorageError(405, "methodNotAllowed", "Method Not Allowed")
        for pattern, what in _ABSENT:
            if pattern.fullmatch(call.path):
                raise not_emulated(what)
        raise StorageError(404, "notFound", "Not Found")


_ABSENT = [
    (re.compile(path), what)
    for path, what in (
        (r"/storage/v1/b/[^/]+/(acl|defaultObjectAcl)(/.*)?", "access control lists"),
        (r"/storage/v1/b/[^/]+/o/[^/]+/acl(/.*)?", "access control lists"),
        (r"/storage/v1/b/[^/]+/o/[^/]+/(restore|bulkRestore)", "soft delete"),
        (r"/storage/v1/b/[^/]+/(o/)?restore", "soft delete"),
        (r"/storage/v1/b/[^/]+/notificationConfigs(/.*)?", "Pub/Sub notifications"),
        (r"/storage/v1/b/[^/]+/lockRetentionPolicy", "locked retention policies"),
        (r"/storage/v1/b/[^/]+/(managedFolders|folders|anywhereCaches)(/.*)?", "folders and caches"),
        (r"/storage/v1/b/[^/]+/operations(/.*)?", "long-running operations"),
        (r"/storage/v1/projects/[^/]+/hmacKeys(/.*)?", "HMAC keys"),
    )
]


def _virtual_host(call: Call) -> str | None:
    """The bucket of `{bucket}.storage.googleapis.com`."""
    host = call.host.rsplit(":", 1)[0].lower()
    return host.removesuffix(_GOOGLE_HOST) if host.endswith(_GOOGLE_HOST) else None


def rendered(error: StorageError, method: str, *, xml: bool) -> Response:
    """An error as a response."""
    headers = {"content-range": f"bytes */{error.size}"} if isinstance(error, RangeError) else {}
    if error.status == 304 or method == "HEAD":
        return Response(status_code=error.status, headers=headers)
    if xml:
        return Response(error.to_xml(), error.status, headers, media_type="application/xml; charset=UTF-8")
    return json_response(error.to_json(), error.status, headers)
