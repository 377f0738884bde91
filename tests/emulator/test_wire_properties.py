"""The wire against anything: random JSON, random bytes, every message, and Google's own protobuf."""

from __future__ import annotations

import base64
import functools
import json
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vertex_tuning.emulator.status import ApiError
from vertex_tuning.emulator.wire import Wire, parse_json
from vertex_tuning.emulator.wire.schema import Field, Schema, schema
from vertex_tuning.emulator.wire.values import READERS

WIRE = Wire()
QUICK = settings(
    max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
# A long example is no fault of ours.
pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
FREE = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
TIMES = st.datetimes().map(lambda moment: READERS["timestamp"](f"{moment.isoformat()}Z"))
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXT,
    "bool": st.booleans(),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "uint32": st.integers(0, 2**32 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1).map(str),
    "uint64": st.integers(0, 2**64 - 1).map(str),
    "double": NUMBERS | st.sampled_from(["NaN", "Infinity", "-Infinity"]),
    "float": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "bytes": st.binary(max_size=8).map(lambda raw: base64.b64encode(raw).decode()),
    "timestamp": TIMES,
    "duration": st.integers(-10000, 10000).map(lambda n: READERS["duration"](f"{n}.25s")),
    "date": st.dates().map(str),
    "fieldmask": st.sampled_from(["", "a", "aB.c,d"]),
    "any": FREE,
    "Any": st.fixed_dictionaries({"@type": st.just("type.googleapis.com/google.protobuf.Empty")}),
}


def bodies(version: Schema, name: str, *, depth: int = 3, only: Any = None) -> st.SearchStrategy[Any]:
    """Canonical bodies of a message; `only` says which fields."""
    message = version.message(name)
    members: dict[str, st.SearchStrategy[Any]] = {}
    taken: set[str] = set()
    for field in message.fields.values():
        if field.extra or field.url or (field.oneof and field.oneof in taken):
            continue
        if (only and not only(message.type, field)) or (field.kind == "message" and depth == 0):
            continue
        taken.add(field.oneof or field.name)
        members[field.name] = shaped(version, field, depth, only)
    return st.fixed_dictionaries({}, optional=members)


def shaped(version: Schema, field: Field, depth: int, only: Any) -> st.SearchStrategy[Any]:
    if field.kind == "message":
        one = bodies(version, field.message, depth=depth - 1, only=only)
    elif field.enum is not None:
        numbered = sorted(field.enum.numbers.values())
        one = st.sampled_from(numbered or sorted(field.enum.names))
    else:
        one = SCALARS[field.kind]
    if field.map:
        return st.dictionaries(TEXT, one, max_size=2)
    return st.lists(one, max_size=2) if field.repeated else one


REQUESTS = [
    "TuningJob",
    "GenerateContentRequest",
    "Model",
    "Endpoint",
    "PipelineJob",
    "CustomJob",
    "Schedule",
]


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
@pytest.mark.parametrize("name", REQUESTS)
def test_what_was_shown_can_be_sent_back(version: str, name: str) -> None:
    @QUICK
    @given(bodies(schema(version), name))
    def holds(body: dict[str, Any]) -> None:
        shown = json.loads(json.dumps(WIRE.render(name, body, version)))
        read = WIRE.parse(name, shown, version, output_only=True)
        assert read == body
        assert WIRE.parse(name, read, version, output_only=True) == read

    holds()


def refused(act: Callable[[], Any]) -> bool:
    """Whether something was refused; any other way of not succeeding is an error."""
    try:
        json.dumps(act())
    except ApiError as error:
        return error.body()["error"]["code"] == 400
    return False


@QUICK
@given(st.sampled_from(REQUESTS), st.sampled_from(["v1", "v1beta1", "storage"]), FREE)
def test_no_json_makes_the_reader_stumble(name: str, version: str, data: Any) -> None:
    assert refused(lambda: WIRE.parse(name, data, version)) or isinstance(data, dict)


@QUICK
@given(st.data())
def test_no_value_in_any_field_makes_the_reader_stumble(data: st.DataObject) -> None:
    version = data.draw(st.sampled_from(["v1", "v1beta1", "storage"]))
    name = data.draw(st.sampled_from(schema(version).names()))
    keys = sorted(schema(version).message(name).spellings)
    odd = FREE | st.floats() | st.text(max_size=8) | st.sampled_from(["3.5s", "1e999", "0", "\ud800"])
    body = data.draw(st.dictionaries(st.sampled_from(keys), odd, max_size=5) if keys else st.just({}))
    refused(lambda: WIRE.parse(name, body, version))
    WIRE.problems(name, body, version)


@QUICK
@given(st.binary(max_size=30) | st.text(alphabet='{}[]",:0e-\\ntf Na', max_size=30).map(str.encode))
def test_no_bytes_make_the_reader_stumble(raw: bytes) -> None:
    refused(lambda: parse_json(raw))


@pytest.mark.parametrize("version", ["v1", "v1beta1", "storage"])
def test_every_message_of_the_snapshot_holds_together(version: str) -> None:
    known = schema(version)
    for name in known.names():
        for field in known.message(name).fields.values():
            assert field.kind in (*READERS, "message", "enum", "any", "Any"), (name, field)
            if field.message:
                known.message(field.message)
        WIRE.render(name, {}, version)


# Google's own reader and writer


@functools.cache
def google_types(version: str) -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return __import__(f"google.cloud.aiplatform_{version}.types", fromlist=["types"])


@functools.cache
def google_descriptor(version: str, path: str) -> Any:
    outer, *inner = path.removeprefix(f"google.cloud.aiplatform.{version}.").split(".")
    found = getattr(google_types(version), outer, None)
    descriptor = found.pb(None, coerce=True).DESCRIPTOR if found is not None else None
    for name in inner:
        descriptor = descriptor and descriptor.nested_types_by_name.get(name)
    return descriptor


def plain(body: Any) -> Any:
    """Without the underscores that Google's Python types put behind `exec`, `max`, `type`..."""
    if isinstance(body, dict):
        return {key.removesuffix("_") if key in MANGLED else key: plain(one) for key, one in body.items()}
    return [plain(one) for one in body] if isinstance(body, list) else body


MANGLED = {"exec_", "format_", "license_", "max_", "min_", "range_", "type_"}


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
@pytest.mark.parametrize("name", REQUESTS)
def test_googles_protobuf_and_we_read_the_same(version: str, name: str) -> None:
    """Whatever dialect protobuf writes, we read as what protobuf itself calls canonical."""
    from google.protobuf import json_format

    def known_to_google(path: str, field: Field) -> bool:
        descriptor = google_descriptor(version, path)
        names = {one.json_name: one for one in descriptor.fields} if descriptor else {}
        if field.name not in names:
            return False
        enum = names[field.name].enum_type
        # An enum may know more values here than in the wheel, and an Any would need its type.
        return field.kind != "Any" and (
            enum is None or set(field.enum.numbers.values()) <= set(enum.values_by_name)
        )

    proto = getattr(google_types(version), name)

    @QUICK
    @given(bodies(schema(version), name, only=known_to_google))
    def holds(body: dict[str, Any]) -> None:
        message = json_format.ParseDict(body, proto.pb(proto()))
        canonical = json_format.MessageToDict(message)
        dialect = json_format.MessageToDict(
            message, preserving_proto_field_name=True, use_integers_for_enums=True
        )
        assert WIRE.parse(name, canonical, version, output_only=True) == canonical
        assert WIRE.parse(name, plain(dialect), version, output_only=True) == canonical
        problems = WIRE.problems(name, canonical, version)
        assert [one for one in problems if "resource name" not in one] == []

    holds()
