"""Rows of sets for distillation: what is asked. The teacher answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.data.test_pairs import turn
from vertex_tuning.data import check, questions

QWEN = "qwen/qwen3@qwen3-4b"


def row(question: str = "2 + 2?", **more: Any) -> dict[str, Any]:
    return {"contents": [turn("user", question)], **more}


def test_prompts_alone_are_taken():
    rows = [row(f"2 + {number}?") for number in range(120)]
    rows[0]["systemInstruction"] = turn("system", "Be brief.")
    rows[1]["contents"] = [turn("user", "a"), turn("model", "b"), turn("user", "c")]
    report = check(rows, method="distillation")
    assert report.ok, report
    assert not report.warnings
    assert (report.rows, report.form) == (120, questions.CONTENTS)


@pytest.mark.parametrize(
    ("spoilt", "rule", "place"),
    [
        (row(contents=[turn("user", "?"), turn("model", "4")]), "VT230", "contents[1].role"),
        (row(contents=[turn("model", "?"), turn("user", "4")]), "VT209", "contents[0].role"),
        (row(contents=[]), "VT206", "contents"),
        (row(references={"answer": "4"}), "VT218", "references"),
        (row(completions=[]), "VT218", "completions"),
        (row(colour="red"), "VT205", "colour"),
        ({"messages": [{"role": "user", "content": "?"}]}, "VT218", "messages"),
        ({"prompt": "?"}, "VT218", "prompt"),
    ],
)
def test_a_fault_is_named_with_its_place(spoilt: dict[str, Any], rule: str, place: str):
    report = check([row(), spoilt], method="distillation")
    assert [(fault.rule, fault.where.rpartition(", ")[2]) for fault in report.faults] == [(rule, place)]
    assert all(fault.fix for fault in report.faults)


MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}]


@pytest.mark.parametrize(
    "taken",
    [
        {"messages": MESSAGES},
        {"messages": [*MESSAGES, {"role": "assistant", "content": "4"}]},
        {"prompt": "2 + 2?"},
        {"prompt": "2 + 2?", "completion": "4"},
        row(),
    ],
)
def test_open_models_take_their_own_forms_with_or_without_an_answer(taken: dict[str, Any]):
    report = check([taken], method="distillation", base_model=QWEN)
    assert report.ok, report
    asked = questions.request(taken)
    assert asked["contents"] == [{"role": "user", "parts": [{"text": "2 + 2?"}]}]
    assert ("Be brief." in json.dumps(asked)) == ("messages" in taken)


@pytest.mark.parametrize(
    ("spoilt", "rule"),
    [
        ({"messages": []}, "VT206"),
        ({"messages": [{"role": "assistant", "content": "4"}]}, "VT209"),
        ({"messages": [{"role": "user", "content": " "}]}, "VT212"),
        ({"prompt": ""}, "VT212"),
    ],
)
def test_what_is_wrong_with_these_forms_is_named_too(spoilt: dict[str, Any], rule: str):
    report = check([spoilt], method="distillation", base_model=QWEN)
    assert [fault.rule for fault in report.faults] == [rule]
