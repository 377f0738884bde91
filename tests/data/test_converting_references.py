"""What graders see of a row: texts by name, and the types beside them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vertex_tuning.data.converting.references import references_of, said_once

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab_", max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
items = st.dictionaries(st.text("ab_", min_size=1, max_size=4), values, max_size=4)


@pytest.mark.parametrize(
    ("item", "references"),
    [
        ({}, {}),
        ({"answer": "4"}, {"answer": "4"}),
        ({"answer": 4}, {"answer": "4", "item_json": '{"answer": 4}'}),
        ({"answer": None}, {"answer": "null", "item_json": '{"answer": null}'}),
        ({"yes": True, "word": "é"}, {"yes": "true", "word": "é", "item_json": '{"yes": true}'}),
        (
            {"a": {"b": "é"}},
            {"a": '{"b": "é"}', "a_b": "é", "item_json": '{"a": {"b": "é"}}'},
        ),
        (
            {"a": ["x", {"y": 1}, []]},
            {
                "a": '["x", {"y": 1}, []]',
                "a_0": "x",
                "a_1": '{"y": 1}',
                "a_1_y": "1",
                "a_2": "[]",
                "item_json": '{"a": ["x", {"y": 1}, []]}',
            },
        ),
        (
            {"a": {"b": "deep"}, "a_b": "mine"},
            {"a": '{"b": "deep"}', "a_b": "mine", "item_json": '{"a": {"b": "deep"}}'},
        ),
        (
            {"a": {"b": {"c": 1}, "b_c": 2}},
            {
                "a": '{"b": {"c": 1}, "b_c": 2}',
                "a_b": '{"c": 1}',
                "a_b_c": "1",
                "item_json": '{"a": {"b": {"c": 1}, "b_c": 2}}',
            },
        ),
    ],
)
def test_an_item_becomes_references(item, references):
    assert references_of(item) == references


def test_a_name_that_stands_for_two_values_is_told():
    told: list[str] = []
    references_of({"a": {"b": "deep"}, "a_b": "mine", "c": {"d": "same"}, "c_d": "same"}, twice=told.append)
    assert told == ["a_b"]


def test_what_a_row_says_is_said_once():
    item = {"answer": 4, "why": "So.", "limits": {"of": {"least": 1}, "none": []}}
    told = said_once(references_of(item))
    assert told == {"answer": "4", "why": "So.", "limits_of_least": "1", "limits_none": "[]"}
    for others in ({}, {"answer": "4"}, {"item_json": "mine"}, {"item_json": "[1]"}, {"item_json": 4}):
        assert said_once(others) == others


@given(item=items)
def test_nothing_of_an_item_is_lost_and_all_of_it_is_text(item):
    references = references_of(item)
    assert all(isinstance(value, str) for value in references.values())
    texts = {name: value for name, value in item.items() if isinstance(value, str)}
    back = texts | json.loads(references.get("item_json", "{}"))
    assert back == item
