"""Rows of sets for reinforcement tuning: what is asked, and what an answer is held against."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.data.test_pairs import turn
from vertex_tuning import rewards
from vertex_tuning.data import check, look_for_references, prompts


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


def test_a_reference_that_the_reward_names_and_rows_lack_is_told(tmp_path):
    """A job stops beyond 80 % of failures; below, such rows are paid for in vain."""
    several = rewards.weighted(
        [
            (rewards.contains("{{references.answer}} {{references.unit}}"), 1),
            (rewards.contains("x", name="x"), 1),
        ]
    )
    assert several.references == ["answer", "unit"]
    rows = [row(f"2 + {number}?") for number in range(10)]
    rows[3]["references"] = {"unit": "apples"}
    file = tmp_path / "prompts.jsonl"
    file.write_text("".join(f"{json.dumps(one)}\n" for one in rows), encoding="utf-8")
    for dataset in (rows, file):
        report = check(dataset, method="reinforcement")
        look_for_references(several.references, dataset, report)
        [fault] = report.faults
        assert (fault.rule, fault.where) == ("VT233", f"{report.source} line 1, references.unit")
        assert "8 other rows" in fault.why
        assert 'the rows have: "answer", "unit"' in fault.fix
        warning = next(found for found in report.warnings if found.rule == "VT233")
        assert warning.where == f"{report.source} line 4, references.answer"
    file.write_text("".join(f"{json.dumps(one)}\n\n" for one in rows), encoding="utf-8")
    report = check(file, method="reinforcement")
    look_for_references(several.references, file, report)
    warning = next(found for found in report.warnings if found.rule == "VT233")
    assert warning.where == f"{report.source} line 7, references.answer", "as an editor counts"
