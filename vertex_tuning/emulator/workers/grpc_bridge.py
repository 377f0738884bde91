"""gRPC for clients that speak nothing else: each call becomes its REST form, and the server answers it.

The wheels of Google's clients carry, for every method, the message types and the rules by which it maps to
HTTP. So one generic function serves them all: parse the request, transcode it, ask the server at its plain
address, turn the JSON into the response. It lives in a process of its own because Google's generated types
weigh more than the server.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import re
import sys
import typing
from collections.abc import Iterator
from concurrent import futures
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import grpc
import urllib3
from google.api_core import path_template
from google.longrunning import operations_pb2
from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2

from vertex_tuning.emulator.status import Code
from vertex_tuning.emulator.workers.channel import Channel

log = logging.getLogger(__name__)

_SERVICES = (
    "gen_ai_tuning_service",
    "model_service",
    "endpoint_service",
    "prediction_service",
    "llm_utility_service",
    "model_garden_service",
    "job_service",
    "pipeline_service",
)
_VERSIONS = ("v1", "v1beta1")
_STREAMS = frozenset({"StreamGenerateContent", "ServerStreamingPredict"})
_MAX_MESSAGE = 64 * 1024 * 1024
_HTTP_TO_GRPC = {code.http: code.number for code in reversed(Code)} | {405: 12, 501: 12}


class Bridge:
    """Answers gRPC calls by asking a server over HTTP."""

    def __init__(self, address: str, token: str | None) -> None:
        parts = urlsplit(address)
        self._pool = urllib3.HTTPConnectionPool(parts.hostname or "", parts.port, maxsize=16, retries=False)
        self._token = token

    def ask(self, method: str, path: str, query: dict[str, Any] | None = None, body: Any = None) -> Any:
        """One HTTP call; the urllib3 response, not yet read."""
        headers = {"content-type": "application/json"}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        target = quote(path, safe="/:@*~-._") + (f"?{urlencode(query, doseq=True)}" if query else "")
        data = json.dumps(body).encode() if body is not None else None
        return self._pool.request(
            method,
            target,
            body=data,
            headers=headers,
            preload_content=False,
            timeout=urllib3.Timeout(read=None),
        )

    def service(self, module: str, version: str) -> grpc.GenericRpcHandler | None:
        """A handler for every method of a service; None where the installed wheel does not have it."""
        package = f"google.cloud.aiplatform_{version}.services.{module}.transports"
        try:
            rules = importlib.import_module(f"{package}.rest_base")
            transports = importlib.import_module(f"{package}.grpc")
        except ImportError:
            return None
        base = _class_in(rules, "RestTransport")
        transport = _class_in(transports, "GrpcTransport")
        handlers: dict[str, grpc.RpcMethodHandler] = {}
        for name, holder in vars(base).items():
            method = name.removeprefix("_Base")
            attribute = getattr(transport, re.sub(r"(?<!^)(?=[A-Z])", "_", method).lower(), None)
            if name == method or not isinstance(attribute, property) or attribute.fget is None:
                continue
            # Declared as `-> Callable[[Request], Response]`.
            (request,), response = typing.get_args(typing.get_type_hints(attribute.fget)["return"])
            # Not the methods that all services share (GetOperation...), nor those that HTTP cannot carry.
            if hasattr(request, "pb") and hasattr(holder, "_get_http_options"):
                handlers[method] = self._handler(method, request, response, holder._get_http_options())
        service = transport.__name__.removesuffix("GrpcTransport")
        return grpc.method_handlers_generic_handler(f"google.cloud.aiplatform.{version}.{service}", handlers)

    def _handler(
        self, method: str, request_type: Any, response_type: Any, rules: list[dict[str, str]]
    ) -> grpc.RpcMethodHandler:
        def unary(request: Any, context: grpc.ServicerContext) -> Any:
            response = self._call(rules, request, context)
            return _message(json.loads(response.read() or b"{}"), response_type)

        def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            response = self._call(rules, request, context, query={"alt": "sse"})
            try:
                for line in _lines(response):
                    if line.startswith(b"data:"):
                        yield _message(json.loads(line[5:]), response_type)
            finally:
                response.close()

        serialize = getattr(response_type, "serialize", None) or response_type.SerializeToString
        if method in _STREAMS:
            return grpc.unary_stream_rpc_method_handler(stream, request_type.deserialize, serialize)
        return grpc.unary_unary_rpc_method_handler(unary, request_type.deserialize, serialize)

    def _call(
        self,
        rules: list[dict[str, str]],
        request: Any,
        context: grpc.ServicerContext,
        query: dict[str, Any] | None = None,
    ) -> Any:
        try:
            http = path_template.transcode(rules, type(request).pb(request))
        except ValueError:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a required part of the resource name is missing")
        body = json_format.MessageToDict(http["body"]) if http.get("body") is not None else None
        parameters = json_format.MessageToDict(http["query_params"]) if http.get("query_params") else {}
        response = self.ask(http["method"].upper(), http["uri"], {**parameters, **(query or {})}, body)
        if response.status >= 400:
            _abort(context, response.status, response.read())
        return response

    def operations(self, version: str) -> grpc.GenericRpcHandler:
        """`google.longrunning.Operations`, which carries no HTTP rules of its own here."""

        def get(request: Any, context: grpc.ServicerContext) -> Any:
            response = self.ask("GET", f"/{version}/{request.name}")
            if response.status >= 400:
                _abort(context, response.status, response.read())
            return _message(json.loads(response.read()), operations_pb2.Operation)

        return grpc.method_handlers_generic_handler(
            "google.longrunning.Operations",
            {
                name: grpc.unary_unary_rpc_method_handler(
                    get, request.FromString, operations_pb2.Operation.SerializeToString
                )
                for name, request in {
                    "GetOperation": operations_pb2.GetOperationRequest,
                    "WaitOperation": operations_pb2.WaitOperationRequest,
                }.items()
            },
        )

    def projects(self) -> grpc.GenericRpcHandler | None:
        """Resource Manager's `GetProject`, which `aiplatform` asks for a project's number."""
        try:
            types = importlib.import_module("google.cloud.resourcemanager_v3.types.projects")
        except ImportError:
            return None

        def get(request: Any, context: grpc.ServicerContext) -> Any:
            response = self.ask("GET", f"/v3/{request.name}")
            if response.status >= 400:
                _abort(context, response.status, response.read())
            return types.Project.from_json(response.read(), ignore_unknown_fields=True)

        handler = grpc.unary_unary_rpc_method_handler(
            get, types.GetProjectRequest.deserialize, types.Project.serialize
        )
        return grpc.method_handlers_generic_handler(
            "google.cloud.resourcemanager.v3.Projects", {"GetProject": handler}
        )


def _class_in(module: Any, suffix: str) -> Any:
    """The one class of a generated module with this suffix that the module itself defines."""
    return next(
        value
        for name, value in vars(module).items()
        if name.endswith(suffix) and isinstance(value, type) and value.__module__ == module.__name__
    )


def _message(body: dict[str, Any], kind: Any) -> Any:
    if hasattr(kind, "pb"):
        # An operation's `response` may name a type that this process has not loaded; then the JSON cannot be
        # packed.
        return kind.wrap(json_format.ParseDict(body, kind.pb()(), ignore_unknown_fields=True))
    return json_format.ParseDict(body, kind(), ignore_unknown_fields=True)


def _lines(response: Any) -> Iterator[bytes]:
    pending = b""
    for chunk in response.stream(65536, decode_content=True):
        *lines, pending = (pending + chunk).split(b"\n")
        yield from (line.rstrip(b"\r") for line in lines)
    if pending:
        yield pending


def _abort(context: grpc.ServicerContext, http_status: int, body: bytes) -> None:
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        error = {"message": body.decode("utf-8", "replace"), "status": ""}
    name = error.get("status", "")
    number = Code[name].number if name in Code.__members__ else _HTTP_TO_GRPC.get(http_status, 2)
    status = status_pb2.Status(code=number, message=error.get("message", ""))
    for detail in error.get("details", ()):
        kind = getattr(error_details_pb2, str(detail.get("@type", "")).rpartition(".")[2], None)
        if kind is not None:
            fields = {key: value for key, value in detail.items() if key != "@type"}
            status.details.add().Pack(json_format.ParseDict(fields, kind(), ignore_unknown_fields=True))
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    grpc_code = next(code for code in grpc.StatusCode if code.value[0] == number)
    context.abort(grpc_code, status.message)


def main() -> None:
    """Serve on a Unix socket until the server closes the line."""
    channel = Channel()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    address, path = sys.argv[1:3]
    bridge = Bridge(address, os.environ.get("VERTEX_TUNING_TOKEN"))
    server = grpc.server(
        futures.ThreadPoolExecutor(16),
        options=[
            ("grpc.max_receive_message_length", _MAX_MESSAGE),
            ("grpc.max_send_message_length", _MAX_MESSAGE),
        ],
    )
    handlers = [bridge.service(module, version) for version in _VERSIONS for module in _SERVICES]
    handlers += [bridge.operations("v1"), bridge.projects()]
    server.add_generic_rpc_handlers([handler for handler in handlers if handler is not None])
    server.add_insecure_port(f"unix:{path}")
    server.start()
    channel.send({"ready": True})
    for _ in channel:
        pass
    server.stop(grace=1.0).wait()


if __name__ == "__main__":
    main()
