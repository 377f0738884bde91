"""Rows of sets for reinforcement tuning: what is asked, and what an answer is held against."""

from __future__ import annotations

from typing import Any

import pytest

from tests.data.test_pairs import turn
from vertex_tuning.data import check, prompts


def row(question: str = "2 + 2?", **more: Any) -> dict[str, Any]:
    return {"contents": [turn("user", question)], "references": {"answer": "4"}, **more}


def test_the_documented_row_is_taken():
    rows = [row(f"2 + {number}?") for number in range(120)]
    rows[0]["systemInstruction"] = turn("system", "Be brief.")
    rows[1]["contents"] = [turn("user", "a"), turn("model", "b"), turn("user", "c")]
    del rows[2]["references"]
    rows[3]["tools"] = [{"functionDeclarations": []}]
    report = check(rows, method="reinforcement")
    assert report.ok, report
    assert not report.warnings
    assert (report.rows, report.form) == (120, prompts.PROMPTS)


@pytest.mark.parametrize(
    ("spoilt", "rule", "place"),
    [
        (row(references=["4"]), "VT232", "references"),
        (row(references={"answer": 4}), "VT232", "references.answer"),
        (row(references={"a b": None}), "VT232", 'references["a b"]'),
        (row(contents=[turn("user", "?"), turn("model", "4")]), "VT230", "contents[1].role"),
        (row(contents=[turn("model", "?"), turn("user", "4")]), "VT209", "contents[0].role"),
        (row(contents=[]), "VT206", "contents"),
        (row(answer="4"), "VT218", "answer"),
        (row(completions=[]), "VT218", "completions"),
        (row(tools={}), "VT207", "tools"),
        (row(temperature=1), "VT205", "temperature"),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_its_cure(spoilt, rule, place):
    faults = check([spoilt], method="reinforcement").faults
    assert [fault.rule for fault in faults] == [rule]
    assert place in faults[0].where
    assert faults[0].fix


def test_there_are_no_more_rows_than_the_service_takes():
    report = check([row(f"{number}?") for number in range(5001)], method="reinforcement")
    assert [fault.rule for fault in report.faults] == ["VT214"]
