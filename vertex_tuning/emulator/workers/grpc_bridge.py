"""gRPC for clients that speak nothing else: each call becomes its REST form, and the server answers it.

The wheels of Google's clients carry, for every method, the message types and the rules by which it maps to
HTTP. So one function serves them all: parse the request, transcode it, ask the server at its plain address,
turn the JSON into the response. It lives in a process of its own because Google's generated types weigh more
than the server; those of a version are loaded when a call first needs them.
"""

from __future__ import annotations

import functools
import importlib
import json
import logging
import os
import re
import sys
import threading
import typing
from collections.abc import Iterable, Iterator
from concurrent import futures
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import grpc
import urllib3
from google.api_core import path_template, rest_helpers
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2, json_format
from google.rpc import error_details_pb2, status_pb2

from vertex_tuning.emulator.status import Code
from vertex_tuning.emulator.workers.channel import Channel

log = logging.getLogger(__name__)

_SERVICE = re.compile(r"google\.cloud\.(?P<api>aiplatform|resourcemanager)\.(?P<version>v\w+)\.(?P<name>\w+)")
_TYPE = re.compile(r"type\.googleapis\.com/google\.cloud\.aiplatform\.(v\w+)\.")
_STREAMS = frozenset({"StreamGenerateContent", "ServerStreamingPredict"})
_RAW = frozenset({"RawPredict", "StreamRawPredict", "ChatCompletions"})
"""Their bodies are not messages but bytes, which travel in a `google.api.HttpBody` here."""
_RAW_STREAMS = frozenset({"StreamRawPredict", "ChatCompletions"})
_PIECE = 65536
_MAX_MESSAGE = 64 * 1024 * 1024
_THREADS = 32
_DAY = 86_400.0
# One import at a time: two threads that import halves of one package wait for each other.
_IMPORT = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Method:
    """What is needed to carry one method over HTTP."""

    request: Any
    """Protobuf class of the request."""
    response: Any
    """Protobuf class of the response."""
    rules: list[dict[str, str]]
    """`google.api.http` bindings, as `path_template.transcode` takes them."""


class Bridge(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers gRPC calls by asking a server over HTTP.

    Args:
        address: The server's plain address.
        token: Shown on every call, where the server wants one.
    """

    def __init__(self, address: str, token: str | None) -> None:
        parts = urlsplit(address)
        self._pool = urllib3.HTTPConnectionPool(
            parts.hostname or "", parts.port, maxsize=_THREADS, retries=False
        )
        self._token = token

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """The handler of a method; messages stay bytes until its own thread looks at them."""
        service, _, name = str(details.method).removeprefix("/").partition("/")
        if name in _RAW_STREAMS:
            return grpc.unary_stream_rpc_method_handler(functools.partial(self._raw_stream, service, name))
        if name in _RAW:
            return grpc.unary_unary_rpc_method_handler(functools.partial(self._raw, service, name))
        if name in _STREAMS:
            return grpc.unary_stream_rpc_method_handler(functools.partial(self._stream, service, name))
        return grpc.unary_unary_rpc_method_handler(functools.partial(self._unary, service, name))

    def _unary(self, service: str, name: str, data: bytes, context: grpc.ServicerContext) -> bytes:
        method = self._method(service, name, context)
        return _pack(self._call(method, data, context).read(), method.response)

    def _stream(self, service: str, name: str, data: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        method = self._method(service, name, context)
        response = self._call(method, data, context, {"alt": "sse"})
        try:
            for line in _lines(response):
                if line.startswith(b"data:"):
                    yield _pack(line[5:], method.response)
        finally:
            response.close()

    def _raw(self, service: str, name: str, data: bytes, context: grpc.ServicerContext) -> bytes:
        return b"".join(self._raw_stream(service, name, data, context))

    def _raw_stream(
        self, service: str, name: str, data: bytes, context: grpc.ServicerContext
    ) -> Iterator[bytes]:
        """A message per piece of the answer."""
        method = self._method(service, name, context)
        response = self._call(method, data, context)
        try:
            if name not in _RAW_STREAMS:
                pieces: Iterable[bytes] = [response.read()]
            else:
                pieces = response.stream(_PIECE, decode_content=True)
            kind = response.headers.get("content-type", "")
            for piece in pieces:
                yield method.response(content_type=kind, data=piece).SerializeToString()
        finally:
            response.close()

    def _method(self, service: str, name: str, context: grpc.ServicerContext) -> _Method:
        found = _methods(service).get(name)
        if found is not None:
            return found
        context.abort(grpc.StatusCode.UNIMPLEMENTED, f"The emulator does not serve {service}/{name}.")
        raise AssertionError("abort raises")

    def _call(
        self,
        method: _Method,
        data: bytes,
        context: grpc.ServicerContext,
        extra: dict[str, str] | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """One HTTP call; the response is an answer, and not yet read."""
        message = method.request.FromString(data)
        _respell_masks(message)
        raw = message.http_body.data if "http_body" in message.DESCRIPTOR.fields_by_name else None
        if raw is not None:
            message.ClearField("http_body")
        try:
            http = path_template.transcode(method.rules, message)
        except ValueError:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "A part of the resource's name is missing.")
        parameters = json_format.MessageToDict(http["query_params"]) if http.get("query_params") else {}
        query = [*rest_helpers.flatten_query_params(parameters, strict=True), *(extra or {}).items()]
        # Newer versions of google-api-core quote variables already (`models/7%401`).
        target = quote(http["uri"], safe="/:@*~-._%") + (f"?{urlencode(query)}" if query else "")
        body = raw
        if body is None and http.get("body") is not None:
            body = json.dumps(json_format.MessageToDict(http["body"])).encode()
        try:
            response = self._pool.request(
                http["method"].upper(),
                target,
                body=body,
                headers=self._headers(context),
                preload_content=False,
                # Without a deadline gRPC gives one in the year 292471210647.
                timeout=urllib3.Timeout(read=min(context.time_remaining() or _DAY, _DAY)),
            )
        except urllib3.exceptions.HTTPError as error:
            context.abort(grpc.StatusCode.UNAVAILABLE, f"The emulator does not answer: {error}")
        if response.status >= 400:
            _abort(context, response.status, response.read())
        return response

    def _headers(self, context: grpc.ServicerContext) -> dict[str, str]:
        headers = {"content-type": "application/json"}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        # The host that the client called decides who answers, and for which location. gRPC's own interface
        # does not tell it; over HTTP it is the ":authority" of the call.
        host = context._rpc_event.call_details.host.decode("ascii")
        if host.partition(":")[0].endswith(".googleapis.com"):
            headers["host"] = host
        return headers


@functools.cache
def _methods(service: str) -> dict[str, _Method]:
    """The methods of a service, by name; empty where the installed wheels do not have it."""
    if service == "google.longrunning.Operations":
        return _OPERATIONS
    found = _SERVICE.fullmatch(service)
    if found is None:
        return {}
    package = f"google.cloud.{found['api']}_{found['version']}.services.{_snake(found['name'])}.transports"
    try:
        with _IMPORT:
            rules = importlib.import_module(f"{package}.rest_base")
            transports = importlib.import_module(f"{package}.grpc")
    except ImportError:
        return {}
    transport = _class_in(transports, "GrpcTransport")
    methods: dict[str, _Method] = {}
    for holder in vars(_class_in(rules, "RestTransport")).values():
        name = getattr(holder, "__name__", "").removeprefix("_Base")
        declared = getattr(transport, _snake(name), None)
        if not (hasattr(holder, "_get_http_options") and isinstance(declared, property)):
            continue
        # Declared as `-> Callable[[Request], Response]`.
        (request,), response = typing.get_args(typing.get_type_hints(declared.fget)["return"])
        methods[name] = _Method(_protobuf(request), _protobuf(response), holder._get_http_options())
    return methods


_OPERATIONS = {
    name: _Method(getattr(operations_pb2, f"{name}Request"), response, [{"method": verb, "uri": uri, **body}])
    for name, response, verb, uri, body in (
        ("GetOperation", operations_pb2.Operation, "get", "/v1/{name=**}", {}),
        ("WaitOperation", operations_pb2.Operation, "post", "/v1/{name=**}:wait", {"body": "*"}),
        ("ListOperations", operations_pb2.ListOperationsResponse, "get", "/v1/{name=**}/operations", {}),
        ("CancelOperation", empty_pb2.Empty, "post", "/v1/{name=**}:cancel", {"body": "*"}),
        ("DeleteOperation", empty_pb2.Empty, "delete", "/v1/{name=**}", {}),
    )
}
"""`google.longrunning.Operations`, which comes without HTTP rules of its own."""


def _respell_masks(request: Any) -> None:
    """Paths in camelCase, which `vertexai.preview.prompts` sends and the service takes, cannot be written as JSON."""
    for field, value in request.ListFields():
        if field.message_type is not None and field.message_type.full_name == "google.protobuf.FieldMask":
            value.paths[:] = [_snake(path) for path in value.paths]


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _protobuf(kind: Any) -> Any:
    """The protobuf class under a `proto-plus` one."""
    return kind.pb() if hasattr(kind, "pb") else kind


def _class_in(module: Any, suffix: str) -> Any:
    """The one class of a generated module with this suffix that the module itself defines."""
    return next(
        value
        for name, value in vars(module).items()
        if name.endswith(suffix) and isinstance(value, type) and value.__module__ == module.__name__
    )


def _pack(body: bytes, kind: Any) -> bytes:
    """JSON as a serialised message; what the wheel's types do not know is left out."""
    text = body.decode("utf-8") or "{}"
    for version in set(_TYPE.findall(text)):
        with _IMPORT:  # the type of an `Any` must be loaded before it can be packed
            importlib.import_module(f"google.cloud.aiplatform_{version}")
    message = json_format.ParseDict(json.loads(text), kind(), ignore_unknown_fields=True)
    return bytes(message.SerializeToString())


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    pending = b""
    for chunk in response.stream(65536, decode_content=True):
        *lines, pending = (pending + chunk).split(b"\n")
        yield from (line.rstrip(b"\r") for line in lines)
    yield pending


def _abort(context: grpc.ServicerContext, http_status: int, body: bytes) -> typing.NoReturn:
    """End a call with the status that an error body stands for, its details included."""
    try:
        error = json.loads(body)["error"]
        code = Code[error["status"]]
    except (ValueError, KeyError, TypeError):
        error = {"message": f"HTTP {http_status}: {body.decode('utf-8', 'replace')}"}
        code = Code.UNKNOWN
    status = status_pb2.Status(code=code.number, message=error["message"])
    for detail in error.get("details", ()):
        kind = getattr(error_details_pb2, str(detail.get("@type", "")).rpartition(".")[2], None)
        if kind is not None:
            fields = {key: value for key, value in detail.items() if key != "@type"}
            status.details.add().Pack(json_format.ParseDict(fields, kind(), ignore_unknown_fields=True))
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(getattr(grpc.StatusCode, code.name), status.message)
    raise AssertionError("abort raises")


def main() -> None:
    """Serve on a Unix socket until the server closes the line."""
    channel = Channel()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    address, path = sys.argv[1:3]
    server = grpc.server(
        futures.ThreadPoolExecutor(_THREADS),
        options=[
            ("grpc.max_receive_message_length", _MAX_MESSAGE),
            ("grpc.max_send_message_length", _MAX_MESSAGE),
        ],
    )
    server.add_generic_rpc_handlers((Bridge(address, os.environ.get("VERTEX_TUNING_TOKEN")),))
    server.add_insecure_port(f"unix:{path}")
    server.start()
    channel.send({"ready": True})
    for _ in channel:
        pass
    server.stop(grace=1.0).wait()


if __name__ == "__main__":
    main()
