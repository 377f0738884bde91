"""Promises about rows with labels and rationales: what is taken, what is refused, and how the two tasks are asked."""

from __future__ import annotations

import copy

import pytest

from vertex_tuning import data
from vertex_tuning.data import rationales


def row(**changes):
    found = {
        "contents": [{"role": "user", "parts": [{"text": "the soup was not warm"}]}],
        "label": "negative",
        "rationale": "not warm is negative",
        **changes,
    }
    return {name: value for name, value in found.items() if value is not None}


def test_what_a_teacher_labelled_is_taken():
    rows = [
        row(),
        row(id="a", gold="negative"),
        row(id=7, rationale=None, label="positive"),
        row(systemInstruction={"parts": [{"text": "Be brief."}]}),
    ]
    report = data.check(rows, method="step_by_step", base_model=None)
    assert report.ok, report
    assert (report.rows, report.answers, report.form) == (4, 2, rationales.RATIONALES)


@pytest.mark.parametrize(
    ("bad", "rule", "place"),
    [
        (row(label=None), "VT250", "label"),
        (row(label=""), "VT250", "label"),
        (row(label="  "), "VT250", "label"),
        (row(label=["negative"]), "VT250", "label"),
        (row(gold=1), "VT250", "gold"),
        (row(rationale=3), "VT251", "rationale"),
        (row(rationale="\n"), "VT251", "rationale"),
        (row(reason="because"), "VT205", "reason"),
        (row(contents=[]), "VT206", "contents"),
        (
            row(contents=[*row()["contents"], {"role": "model", "parts": [{"text": "negative"}]}]),
            "VT230",
            "contents[1].role",
        ),
    ],
)
def test_what_cannot_be_learnt_is_named_with_its_place(bad, rule, place):
    report = data.check([row(), bad], method="step_by_step", base_model=None)
    [fault] = report.faults
    assert (fault.rule, place in fault.where) == (rule, True)
    assert "line 2" in fault.where or "row 2" in fault.where
    assert fault.fix


def test_the_tasks_differ_by_their_prefix_alone():
    given = row(systemInstruction={"parts": [{"text": "Be brief."}]})
    before = copy.deepcopy(given)
    label, rationale = (rationales.answered(given, prefix) for prefix in ("[label]", "[rationale]"))
    assert label == {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "[label] the soup was not warm"}]},
            {"role": "model", "parts": [{"text": "negative"}]},
        ],
    }
    assert rationale["contents"][0]["parts"] == [{"text": "[rationale] the soup was not warm"}]
    assert rationale["contents"][1]["parts"] == [{"text": "not warm is negative"}]
    assert given == before
    assert rationales.answered(row(rationale=None), "[rationale]") is None


def test_the_prefix_stands_before_the_last_question():
    turns = [
        {"role": "user", "parts": [{"text": "Hello"}]},
        {"role": "model", "parts": [{"text": "Hi"}]},
        {"role": "user", "parts": [{"fileData": {"mimeType": "image/png", "fileUri": "gs://a/b.png"}}]},
    ]
    *before, last = rationales.asked(row(contents=turns), "[label]")["contents"]
    assert before == turns[:2]
    assert last["parts"] == [{"text": "[label] "}, *turns[2]["parts"]]
