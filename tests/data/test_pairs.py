"""Rows of preference sets: the documented form is taken, everything else is named with its cure."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.test_data_properties import JUNK, members
from vertex_tuning.data import check, check_job, pairs
from vertex_tuning.data.plain import encoded
from vertex_tuning.training import rows as trained


def turn(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"text": text}]}


def pair(question: str = "Which?", good: str = "this", bad: str = "that") -> dict[str, Any]:
    return {
        "contents": [turn("user", question)],
        "completions": [
            {"score": 1, "completion": turn("model", good)},
            {"score": 0, "completion": turn("model", bad)},
        ],
    }


def found_in(row: Any) -> dict[str, tuple[str, str]]:
    """Rule -> (place, cure)."""
    report = check([row], method="preference")
    return {fault.rule: (fault.where, fault.fix) for fault in report.faults}


def test_the_documented_row_is_taken():
    """In either spelling of the system instruction, with the preferred answer in either place."""
    rows = [pair(f"Which, {number}?") for number in range(120)]
    rows[0]["system_instruction"] = {"parts": [{"text": "Be brief."}]}
    rows[1]["systemInstruction"] = turn("system", "Be brief.")
    rows[2]["completions"].reverse()
    rows[3]["contents"] = [turn("user", "a"), turn("model", "b"), turn("user", "c")]
    report = check(rows, method="preference")
    assert report.ok, report
    assert not report.warnings
    assert (report.rows, report.form) == (120, pairs.PAIRS)


def change(**how: Callable[[Any], Any]) -> Callable[[dict[str, Any]], None]:
    def apply(row: dict[str, Any]) -> None:
        for name, make in how.items():
            row[name] = make(row[name])

    return apply


def scores(*values: Any) -> Callable[[dict[str, Any]], None]:
    def apply(row: dict[str, Any]) -> None:
        for completion, value in zip(row["completions"], values, strict=True):
            completion["score"] = value

    return apply


def second(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda row: row["completions"][1].update(fields)


IMAGE = {"fileData": {"mimeType": "image/png", "fileUri": "gs://a/b"}}


@pytest.mark.parametrize(
    ("spoil", "rule", "place", "cure"),
    [
        (change(completions=lambda both: both[:1]), "VT227", "completions", "score 1"),
        (change(completions=lambda both: [*both, both[0]]), "VT227", "completions", "each pair"),
        (change(completions=lambda _: []), "VT227", "completions", "score"),
        (lambda row: row.pop("completions"), "VT227", "completions", "score"),
        (scores(1, 1), "VT228", "completions", "0 for the other"),
        (scores(0, 0), "VT228", "completions", "1 for the preferred"),
        (scores(0.7, 0.3), "VT228", "completions[0].score", "1 for the preferred"),
        (scores("1", 0), "VT228", "completions[0].score", "1 for the preferred"),
        (scores(True, 0), "VT228", "completions[0].score", "1 for the preferred"),
        (scores(1, None), "VT228", "completions[1].score", "0 for the other"),
        (change(contents=lambda said: [*said, turn("model", "x")]), "VT230", "contents[1].role", "completions"),
        (change(contents=lambda said: [turn("model", "x"), *said]), "VT209", "contents[0].role", "user"),
        (change(contents=lambda _: []), "VT206", "contents", "user"),
        (second(completion=turn("user", "x")), "VT203", "completions[1].completion.role", "model"),
        (second(completion=turn("model", " ")), "VT212", "completions[1].completion.parts", "drop"),
        (second(text="x"), "VT205", "completions[1].text", "completion"),
        (lambda row: row["completions"][1].pop("completion"), "VT206", "completions[1].completion", "model"),
        (second(completion=turn("model", "this")), "VT231", "completions", "different"),
        (lambda row: row.update(tools=[]), "VT205", "tools", "completions"),
        (lambda row: row["contents"][0]["parts"].append(IMAGE), "VT229", "", "text"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place_and_its_cure(spoil, rule, place, cure):
    row = pair()
    spoil(row)
    found = found_in(row)
    assert found.keys() == {rule}
    assert place in found[rule][0]
    assert cure in found[rule][1]


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Which?", "chosen": "this", "rejected": "that"},
        {"contents": [turn("user", "Which?")], "chosen": "this", "rejected": "that"},
        {"input_text": "Which?", "candidate_0": "this", "candidate_1": "that", "choice": 0},
    ],
)
def test_the_forms_of_others_are_told_how_to_become_ours(row):
    assert found_in(row).keys() == {"VT218"}


def test_a_set_for_supervised_tuning_is_no_preference_set_and_the_other_way_round():
    supervised = {"contents": [turn("user", "Which?"), turn("model", "this")]}
    assert {"VT227", "VT230"} == found_in(supervised).keys()
    report = check([pair()], method="supervised")
    assert "belongs to preference tuning" in str(report)


def test_copies_are_found_between_the_sets():
    rows = [pair(f"Which, {number}?") for number in range(120)]
    reports = check_job(rows, rows[:3], method="preference")
    assert "VT226" in {warning.rule for warning in reports[1].warnings}


@st.composite
def perhaps_spoilt(draw: st.DrawFn) -> Any:
    text = st.sampled_from(["a", "b c", " d", "\n", "é\U0001f600"])
    row = pair(draw(text), draw(text), draw(text))
    if draw(st.booleans()):
        row["completions"].reverse()
    if draw(st.booleans()):
        row["systemInstruction"] = {"parts": [{"text": draw(text)}]}
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        holder, key = draw(st.sampled_from(list(members(row))))
        if draw(st.booleans()):
            holder[key] = copy.deepcopy(draw(st.sampled_from(JUNK)))
        else:
            del holder[key]
    return row


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(perhaps_spoilt())
def test_both_readers_agree_and_what_is_taken_can_be_trained_on(row):
    line = encoded(row)
    noted: list[str] = []
    walked = pairs.walk(row, pairs.PAIRS, lambda rule, path, *_, **__: noted.append(f"{rule} {path}"))
    try:
        quick = pairs.figures(pairs.READERS[pairs.PAIRS].decode(line))
    except Exception:
        quick = None
    if quick is not None:
        assert not noted
        assert (quick.turns, quick.characters, quick.answer) == (
            walked.turns,
            walked.characters,
            walked.answer,
        )
    if not noted:
        prompt, answers = trained.preference(row)
        assert prompt[-1]["role"] == "user"
        assert all(answer.strip() for answer in answers)
