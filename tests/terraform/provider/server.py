"""Google's provider for Terraform, without Google: it plans, makes, keeps, reads and destroys, by the provider's own schema.

The genuine Terraform speaks to it over a socket, in plugin protocol 6, as it does to providers that somebody is debugging
(`TF_REATTACH_PROVIDERS`): nothing is installed, and tests see what has been made.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from pathlib import Path as File
from string import Formatter
from typing import Any

import grpc

from tests.terraform.provider import google, validators
from tests.terraform.provider.messages import MESSAGES
from tests.terraform.provider.values import (
    UNKNOWN,
    Path,
    decode,
    diagnostic,
    encode,
    fill,
    is_known,
    schema_message,
)

ADDRESS = "registry.terraform.io/hashicorp/google"

Kept = tuple[str, str]
"""Type and id of something that has been made."""

OUTLIVE = ("google_kms_key_ring", "google_kms_crypto_key")
"""Google keeps these for ever: to destroy them is to forget them (of a key, the material is destroyed)."""


class Provider:
    """One project at Google, as far as Terraform can tell.

    Args:
        schema: A snapshot: `provider`, `resource_schemas`, `data_source_schemas`.

    Attributes:
        made: What there is, by type and id. Take something out, and somebody has deleted it behind Terraform's back.
        forgotten: What Terraform has destroyed and Google keeps all the same.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.resources: dict[str, Any] = {k: v["block"] for k, v in schema["resource_schemas"].items()}
        self.data: dict[str, Any] = {k: v["block"] for k, v in schema["data_source_schemas"].items()}
        self.made: dict[Kept, dict[str, Any]] = {}
        self.forgotten: set[Kept] = set()
        self._defaults: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._schema = _schema_response(schema)

    # Schemas and configurations

    def GetProviderSchema(self, request: Any) -> Any:
        return self._schema

    def ValidateProviderConfig(self, request: Any) -> Any:
        return MESSAGES["ValidateProviderResponse"]()

    def ValidateResourceConfig(self, request: Any) -> Any:
        return self._validated(request, self.resources)

    def ValidateDataResourceConfig(self, request: Any) -> Any:
        return self._validated(request, self.data)

    def _validated(self, request: Any, blocks: Mapping[str, Any]) -> Any:
        found = validators.faults(request.type_name, blocks[request.type_name], decode(request.config))
        return MESSAGES["Diagnostics"](diagnostics=[diagnostic(words, at) for at, words in found])

    def ConfigureProvider(self, request: Any) -> Any:
        self._defaults = decode(request.config) or {}
        return MESSAGES["Diagnostics"]()

    # Resources

    def UpgradeResourceState(self, request: Any) -> Any:
        return MESSAGES["StateResponse"](state=MESSAGES["DynamicValue"](json=request.raw_state.json))

    def ReadResource(self, request: Any) -> Any:
        state = decode(request.state)
        with self._lock:
            found = self.made.get((request.type_name, state["id"]))
        return MESSAGES["StateResponse"](state=encode(found))

    def PlanResourceChange(self, request: Any) -> Any:
        kind, prior, proposed = request.type_name, decode(request.prior), decode(request.proposed)
        if proposed is None:
            return MESSAGES["PlanResponse"](planned=encode(None))
        response = MESSAGES["PlanResponse"]()
        fixed = [name for name in _fixed(kind) if prior and prior.get(name) != proposed.get(name)]
        for name in fixed:
            response.requires_replace.append(diagnostic("", (name,)).attribute)
        if prior is None or fixed:
            proposed = _forget(self.resources[kind], decode(request.config), proposed) if fixed else proposed
            planned = fill(self.resources[kind], proposed, self._planned(proposed))
        elif prior == proposed:
            planned = prior
        else:
            for name in ("effective_labels", "terraform_labels"):
                if name in proposed:
                    proposed[name] = self._planned(proposed)((name,), {})
            planned = fill(self.resources[kind], proposed, lambda at, attribute: UNKNOWN)
        response.planned.CopyFrom(encode(planned))
        return response

    def _planned(self, proposed: Mapping[str, Any]) -> Callable[[Path, Mapping[str, Any]], Any]:
        """All that Google sets is known after apply, but for labels, which the provider itself adds up."""

        def value(at: Path, attribute: Mapping[str, Any]) -> Any:
            if at in (("effective_labels",), ("terraform_labels",)) and is_known(proposed.get("labels")):
                return google.labels(proposed, self._defaults)
            return UNKNOWN

        return value

    def ApplyResourceChange(self, request: Any) -> Any:
        kind, prior, planned = request.type_name, decode(request.prior), decode(request.planned)
        if planned is None:
            return self._destroy(kind, prior)
        state = self._made(kind, self.resources[kind], planned)
        key = (kind, state["id"])
        with self._lock:
            if prior is None and key in self.made and not kind.endswith(("_iam_member", "_project_service")):
                words = f"Error 409: {kind} {state['id']} already exists"
                return MESSAGES["ApplyResponse"](diagnostics=[diagnostic(words)])
            self.made[key] = state
            self.forgotten.discard(key)
        return MESSAGES["ApplyResponse"](state=encode(state))

    def _destroy(self, kind: str, prior: Mapping[str, Any]) -> Any:
        if prior.get("deletion_protection") or prior.get("deletion_policy") == "PREVENT":
            words = f"{kind} {prior['id']} is protected: set deletion_protection to false and apply before it can be destroyed"
            return MESSAGES["ApplyResponse"](state=encode(prior), diagnostics=[diagnostic(words)])
        key = (kind, prior["id"])
        with self._lock:
            self.made.pop(key, None)
            if kind in OUTLIVE or prior.get("disable_on_destroy") is False:
                self.forgotten.add(key)
        return MESSAGES["ApplyResponse"](state=encode(None))

    def ReadDataSource(self, request: Any) -> Any:
        configured = decode(request.config)
        state = self._made(request.type_name, self.data[request.type_name], configured)
        return MESSAGES["StateResponse"](state=encode(state))

    def _made(self, kind: str, block: Mapping[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
        given = {name: None if value is UNKNOWN else value for name, value in arguments.items()}
        given["id"] = given.get("id") or google.identity(kind, given, self._defaults)

        def value(at: Path, attribute: Mapping[str, Any]) -> Any:
            name = ".".join(str(step) for step in at)
            return google.computed(kind, name, attribute, given, self._defaults)

        made: dict[str, Any] = fill(dict(block), {**arguments, "id": given["id"]}, value)
        return made

    # The server

    @contextlib.contextmanager
    def serve(self) -> Iterator[str]:
        """Serve until the end of the block; gives the value of `TF_REATTACH_PROVIDERS` for it."""
        with tempfile.TemporaryDirectory() as folder:
            socket = str(File(folder) / "provider")
            limits = [(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")]
            server = grpc.server(futures.ThreadPoolExecutor(8), options=limits)
            server.add_generic_rpc_handlers(self._handlers())
            server.add_insecure_port(f"unix://{socket}")
            server.start()
            attached = {
                "Protocol": "grpc",
                "ProtocolVersion": 6,
                "Pid": os.getpid(),
                "Test": True,  # Terraform leaves it running when it is done
                "Addr": {"Network": "unix", "String": socket},
            }
            try:
                yield json.dumps({ADDRESS: attached})
            finally:
                server.stop(0).wait()

    def _handlers(self) -> tuple[Any, ...]:
        calls = {name: self._handler(name, request) for name, request in _REQUESTS.items()}
        quiet = grpc.unary_unary_rpc_method_handler(lambda request, context: b"")
        silent = grpc.unary_stream_rpc_method_handler(lambda request, context: iter(()))
        named = grpc.method_handlers_generic_handler
        return (
            named("tfplugin6.Provider", {**calls, "StopProvider": quiet, "GetFunctions": quiet}),
            named("plugin.GRPCController", {"Shutdown": quiet}),
            named("plugin.GRPCStdio", {"StreamStdio": silent}),
        )

    def _handler(self, name: str, request: str) -> Any:
        return grpc.unary_unary_rpc_method_handler(
            lambda asked, context: getattr(self, name)(asked),
            request_deserializer=MESSAGES[request].FromString,
            response_serializer=lambda answer: answer.SerializeToString(),
        )


_REQUESTS = {
    "GetProviderSchema": "Diagnostics",  # an empty message
    "ValidateProviderConfig": "ValidateProviderRequest",
    "ValidateResourceConfig": "ConfigRequest",
    "ValidateDataResourceConfig": "ConfigRequest",
    "ConfigureProvider": "ConfigureRequest",
    "UpgradeResourceState": "UpgradeRequest",
    "ReadResource": "ReadRequest",
    "PlanResourceChange": "PlanRequest",
    "ApplyResourceChange": "ApplyRequest",
    "ReadDataSource": "ConfigRequest",
}


def _schema_response(schema: Mapping[str, Any]) -> Any:
    response = MESSAGES["SchemaResponse"](provider=schema_message(schema["provider"]))
    for name, one in schema["resource_schemas"].items():
        response.resource_schemas.add(key=name, value=schema_message(one))
    for name, one in schema["data_source_schemas"].items():
        response.data_source_schemas.add(key=name, value=schema_message(one))
    response.server_capabilities.plan_destroy = True
    return response


def _fixed(kind: str) -> list[str]:
    """Arguments that make up the id: with another value it is another thing."""
    if kind.endswith("_iam_member"):
        return ["role", "member"]
    names = [name for _, name, _, _ in Formatter().parse(google.IDS.get(kind, "")) if name]
    return [name for name in names if name not in ("number", "serial", "uuid")]


def _forget(
    block: Mapping[str, Any], configured: Mapping[str, Any], proposed: Mapping[str, Any]
) -> dict[str, Any]:
    """What is proposed for a replacement: nothing of what Google set on the one before."""
    return {
        name: configured[name] if block["attributes"].get(name, {}).get("computed") else value
        for name, value in proposed.items()
    }
