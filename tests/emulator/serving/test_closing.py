"""Answers by a schema are whole where the context is what ends them, and are cut where the caller cuts them."""

from __future__ import annotations

import json
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from vertex_tuning.emulator.serving.closing import Inside, longest_way_out
from vertex_tuning.emulator.serving.protocol import Sampling

PROMPT = "Say red."


class Colour(Enum):
    RED = "red"
    BLUE_GREEN = "blue-green"


class Leaf(BaseModel):
    name: str
    size: float | None = None


class Tree(BaseModel):
    name: str
    children: list[Tree] = []


class Everything(BaseModel):
    title: str
    colours: list[Colour]
    count: int = Field(ge=0)
    best: Leaf | list[Leaf] | int
    note: str | None
    grades: dict[str, int] = {}
    kind: Literal["leaf", "tree"]
    code: str = Field(pattern="^[a-z]{3}[0-9]+$")
    rows: list[list[int]] = Field(min_length=2)


SHAPES: dict[str, TypeAdapter[Any]] = {
    "a text": TypeAdapter(str),
    "a number": TypeAdapter(float),
    "texts": TypeAdapter(list[str]),
    "three numbers at least": TypeAdapter(Annotated[list[int], Field(min_length=3)]),
    "a map": TypeAdapter(dict[str, str]),
    "anything": TypeAdapter(dict[str, Any] | list[Any]),
    "what holds itself": TypeAdapter(Tree),
    "everything": TypeAdapter(Everything),
    "a list of everything": TypeAdapter(list[Everything]),
}


def wild(seed: int) -> Sampling:
    return Sampling(temperature=2.0, top_p=1.0, top_k=0, seed=seed)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("seed", range(2))
def test_an_answer_is_whole_however_the_model_rambles(desk, name, seed) -> None:
    shape = SHAPES[name]
    answer = desk.ask(PROMPT, sampling=wild(seed), json_schema=shape.json_schema(), context=240)
    assert answer["finish"] == "STOP", answer["text"]
    shape.validate_json(answer["text"])


def test_a_limit_of_the_callers_cuts_as_it_does_on_vertex_ai(desk) -> None:
    schema = SHAPES["everything"].json_schema()
    answer = desk.ask(PROMPT, sampling=wild(1), json_schema=schema, max_tokens=20)
    assert answer["finish"] == "MAX_TOKENS"
    assert answer["tokens"] == 20
    with pytest.raises(ValueError):
        json.loads(answer["text"])


def test_quotes_open_and_close_and_those_behind_a_backslash_do_not() -> None:
    inside = Inside()
    states = []
    for piece in (b'{"a', b'\\"', b"b\\", b"\\", b'"', b": ", b'"c\\'):
        inside.read(piece)
        states.append((inside.string, inside.escaped))
    assert states == [
        (True, False),
        (True, False),
        (True, True),
        (True, False),
        (False, False),
        (False, False),
        (True, True),
    ]


def test_a_schema_without_end_has_a_way_out() -> None:
    everywhere = {f"Part{n}": {"anyOf": [{"$ref": f"#/$defs/Part{m}"} for m in range(9)]} for n in range(9)}
    assert longest_way_out({"$ref": "#/$defs/Part0", "$defs": everywhere}) == "null"
    assert longest_way_out({"$ref": "#/$defs/Nobody"}) == "null"
