"""Requests made from the published schema: right ones, as far as a schema can tell, and ones with one thing broken."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.emulator.test_wire_properties import FREE, SCALARS, TEXT
from vertex_tuning.emulator.api import Route
from vertex_tuning.emulator.wire.schema import Field, Schema, schema

PLACE = "projects/vertex-tuning-local/locations/us-central1"
_VARIABLE = re.compile(r"\(\?P<(\w+)>\[\^/:\]\+\)")
_DEPTH = 4


@dataclass(frozen=True)
class World:
    """What is there, by name, so that a generated request may happen to be right."""

    dataset: str
    job: str
    model: str
    endpoint: str

    def texts(self, name: str) -> list[str]:
        """What a field of this name may well hold."""
        model = f"{PLACE}/models/{self.model}"
        found = {
            "baseModel": ["gemini-2.5-flash", "gemini-3.5-flash", "meta/llama3_1@llama-3.1-8b-instruct"],
            "baseTeacherModel": ["gemini-3.1-pro"],
            "tunedTeacherModelSource": [model],
            "tunedModelName": [model, f"{model}@1"],
            "tunedModel": [model],
            "tuningJob": [f"{PLACE}/tuningJobs/{self.job}"],
            "model": [
                model,
                "publishers/google/models/gemini-2.5-flash",
                f"{PLACE}/endpoints/{self.endpoint}",
            ],
            "autoraterModel": [f"{PLACE}/publishers/google/models/gemini-2.5-flash"],
            "outputUri": [self.dataset.rpartition("/")[0] + "/out"],
            "outputUriPrefix": [self.dataset.rpartition("/")[0] + "/out"],
            "displayName": ["a name"],
            "role": ["user", "model"],
            "expression": ["{{references.answer}}", "["],
            "rewardName": ["one", "other"],
            "regexExtractExpression": ["<a>(.*?)</a>", "("],
            "pythonCodeSnippet": ["def evaluate(example, response):\n    return 1.0\n", "1 +"],
            "cloudRunUri": ["https://reward-uc.a.run.app", "http://127.0.0.1:9"],
            "instancesFormat": ["jsonl"],
            "predictionsFormat": ["jsonl"],
            "updateMask": ["displayName", "labels,description"],
            "deployedModelId": ["1"],
            "checkpointId": ["1", "9"],
            "defaultCheckpointId": ["1", "9"],
            "responseMimeType": ["text/plain", "application/json"],
            "kmsKeyName": ["projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"],
        }
        return found.get(name, [self.dataset] if name.endswith(("Uri", "Uris", "uris")) else [])


def bodies(
    world: World, version: Schema, message: str, depth: int = _DEPTH
) -> st.SearchStrategy[dict[str, Any]]:
    """Bodies of a message that the schema allows."""
    members: dict[str, st.SearchStrategy[Any]] = {}
    taken: set[str] = set()
    for field in version.message(message).fields.values():
        if field.url or (field.kind == "message" and depth == 0):
            continue
        name = field.name
        if field.oneof:
            # One of them; which, a later draw decides.
            if field.oneof in taken:
                continue
            taken.add(field.oneof)
        members[name] = st.deferred(lambda field=field: _value(world, version, field, depth))
    oneofs = _oneofs(version, message)

    def choose(draw: Any) -> dict[str, Any]:
        names = draw(st.lists(st.sampled_from(sorted(members)), max_size=6, unique=True)) if members else []
        body = {}
        for name in names:
            field = version.message(message).fields[name]
            if field.oneof:
                field = draw(st.sampled_from(oneofs[field.oneof]))
                if field.kind == "message" and depth == 0:
                    continue
            body[field.name] = draw(_value(world, version, field, depth))
        return body

    return st.composite(choose)()


def _oneofs(version: Schema, message: str) -> dict[str, list[Field]]:
    found: dict[str, list[Field]] = {}
    for field in version.message(message).fields.values():
        if field.oneof:
            found.setdefault(field.oneof, []).append(field)
    return found


def _value(world: World, version: Schema, field: Field, depth: int) -> st.SearchStrategy[Any]:
    if field.kind == "message":
        one: st.SearchStrategy[Any] = bodies(world, version, field.message, depth - 1)
    elif field.enum is not None:
        one = st.sampled_from(sorted(field.enum.names))
    elif field.name in ("maxOutputTokens", "candidateCount", "epochCount", "batchSize", "samplesPerPrompt"):
        one = st.integers(-1, 8).map(str if field.kind == "int64" else int)
    else:
        likely = world.texts(field.name) if field.kind == "string" else []
        one = st.sampled_from(likely) | st.sampled_from(likely) | TEXT if likely else SCALARS[field.kind]
    if field.map:
        return st.dictionaries(TEXT, one, max_size=2)
    return st.lists(one, max_size=2) if field.repeated else one


# Whole requests


def paths(world: World, route: Route) -> st.SearchStrategy[str]:
    """Paths of a route, whose variables name what is there, or nothing that is."""
    known = {
        "project": ["vertex-tuning-local"],
        "location": ["us-central1"],
        "job": [world.job],
        "model": [world.model, f"{world.model}@1", "gemini-2.5-flash"],
        "endpoint": [world.endpoint],
        "publisher": ["google", "meta"],
    }
    # As a path has it: no separators, quoted by whoever sends it.
    odd = st.text(
        st.characters(codec="ascii", categories=["L", "N"], include_characters="-_@."),
        min_size=1,
        max_size=12,
    )
    parts = _VARIABLE.split(route.pattern.pattern)

    def drawn(draw: Any) -> str:
        found = ""
        for index, part in enumerate(parts):
            if index % 2 == 0:
                found += re.sub(r"\\(.)", r"\1", part)
            else:
                likely = st.sampled_from(known.get(part, ["1"]))
                found += draw(odd if draw(st.integers(0, 15)) == 0 else likely)
        return found

    return st.composite(drawn)()


QUERIES = st.fixed_dictionaries(
    {},
    optional={
        "pageSize": st.integers(-3, 2000).map(str) | TEXT,
        "pageToken": TEXT,
        "filter": st.sampled_from(['state="JOB_STATE_SUCCEEDED"', "labels.a:*", "(", "displayName=", "a AND"])
        | TEXT,
        "updateMask": st.sampled_from(["displayName", "labels", "*", "nonsense.name"]) | TEXT,
        "orderBy": TEXT,
        "readMask": TEXT,
        "alt": st.sampled_from(["sse", "json"]),
    },
)


def requests(world: World, route: Route) -> st.SearchStrategy[tuple[str, dict[str, str], Any]]:
    """(path with its version, query, body) of a route; every second one has one thing broken."""

    def drawn(draw: Any) -> tuple[str, dict[str, str], Any]:
        version = draw(st.sampled_from(route.versions))
        path = f"/{version}/{draw(paths(world, route))}"
        query = draw(QUERIES)
        body: Any = None
        if route.request is not None:
            body = draw(bodies(world, schema(version), route.request))
            if draw(st.booleans()):
                body = draw(broken(body))
        return path, query, body

    return st.composite(drawn)()


def broken(body: dict[str, Any]) -> st.SearchStrategy[Any]:
    """A body with one of its values replaced by something else, or with one more field."""
    places = list(_places(body))

    def drawn(draw: Any) -> Any:
        spoilt = copy.deepcopy(body)
        wrong = draw(
            st.one_of(
                FREE, st.sampled_from([None, "", -1, 2**70, 1e308, [], {}, [[]], "x" * 5000, True, "NaN"])
            )
        )
        if not places or draw(st.integers(0, 5)) == 0:
            spoilt[draw(TEXT)] = wrong
            return spoilt
        *above, last = draw(st.sampled_from(places))
        inner: Any = spoilt
        for step in above:
            inner = inner[step]
        inner[last] = wrong
        return spoilt

    return st.composite(drawn)()


def _places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield (*above, key)
        yield from _places(item, (*above, key))
