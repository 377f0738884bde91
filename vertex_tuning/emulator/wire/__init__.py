"""Google's wire format, by the schema that Google publishes.

    snapshot/    what Google publishes, one JSON file per API; rebuilt by `scripts/wire_schema.py`
    schema.py    the snapshot in memory: messages, fields, enums, oneofs
    text.py      bytes of a request -> JSON
    values.py    scalars: numbers, enums, times, durations, bytes
    parse.py     JSON of a client, leniently -> canonical ProtoJSON
    render.py    canonical ProtoJSON -> what one API version has
    check.py     canonical ProtoJSON, strictly -> a list of faults (for tests)

*Canonical* means: camelCase keys, enum names, 64-bit integers as strings, UTC times, no nulls, and the fields
of `v1beta1`, which has every one.
"""

from __future__ import annotations

from typing import Any

from vertex_tuning.emulator.wire.check import problems
from vertex_tuning.emulator.wire.parse import parse
from vertex_tuning.emulator.wire.render import render
from vertex_tuning.emulator.wire.schema import VERSIONS, Method, Schema, methods, schema
from vertex_tuning.emulator.wire.text import parse_json

__all__ = ["Method", "Wire", "parse_json"]


class Wire:
    """Requests in, responses out. Messages go by Google's bare names: `TuningJob`, `GenerateContentRequest`.

    `version` is `v1`, `v1beta1`, or `storage` for the messages of Cloud Storage (found under `v1` too).
    """

    parse_json = staticmethod(parse_json)

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict

    def parse(
        self,
        message: str,
        data: object,
        version: str,
        *,
        root: str | None = None,
        output_only: bool = False,
        noted: list[str] | None = None,
    ) -> dict[str, Any]:
        """A request body as canonical ProtoJSON.

        Args:
            message: What the body is.
            data: The body, as `parse_json` gave it.
            version: The API version that the client called.
            root: Where the body stands in the request message: error paths begin with it. Left out, it is
                `tuning_job` for a `TuningJob`, and nothing for a `...Request`, as in Google's methods.
            output_only: Keep output-only fields. Google ignores them in a request, and so do we.
            noted: Gets the path of every field that Google's clients send and its documents lack.

        Raises:
            ApiError: INVALID_ARGUMENT with Google's words; every fault is listed, not only the first.
        """
        return parse(
            self._schema(message, version), message, data, root=root, output_only=output_only, noted=noted
        )

    def render(self, message: str, body: dict[str, Any], version: str) -> dict[str, Any]:
        """A canonical body as this version shows it: fields that the version lacks are left out.

        Raises:
            ValueError: Where it is strict, as in tests: Google would not have sent this.
        """
        shown = render(self._schema(message, version), message, body)
        if self._strict and (found := self.problems(message, shown, version)):
            raise ValueError(f"not what Google would have sent: {'; '.join(found)}")
        return shown

    def problems(self, message: str, body: object, version: str) -> list[str]:
        """What is wrong with a response, strictly; empty where nothing is."""
        return problems(self._schema(message, version), message, body)

    def methods(self, version: str) -> dict[str, Method]:
        """The methods that Google documents for the resources served here, by id: for tests and docs."""
        return methods(version)

    def has(self, message: str, version: str) -> bool:
        """Whether this version knows the message."""
        return message in schema(version)

    def _schema(self, message: str, version: str) -> Schema:
        if version in VERSIONS and message in (own := schema(version)):
            return own
        # An answer may be of a message that only the other documents have (publisher models listed under v1).
        for name in ("storage", "v1beta1"):
            if message in (other := schema(name)):
                return other
        raise KeyError(f"no message {message!r} in {version}")
