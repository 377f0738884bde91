"""Promises about a teacher's answers: how they are asked for, read, and checked."""

from __future__ import annotations

import pytest

from vertex_tuning.distill import REASONS, Checks, Parsed, TeacherPrompt, parse, read_prompt
from vertex_tuning.distill.checking import Answer, judge, leads
from vertex_tuning.errors import DatasetError

LABELS = ("positive", "negative")


def answer(rationale: str = "not warm, so negative", label: str = "negative") -> Answer:
    return Answer(f"Rationale: {rationale}\nLabel: {label}")


# Reading


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Rationale: not warm.\nLabel: negative", Parsed("not warm.", "negative")),
        ("\n  Rationale:  a b \n\n Label:  not spam \n", Parsed("a b", "not spam")),
        ("Rationale: first.\nThen second.\nLabel: x", Parsed("first.\nThen second.", "x")),
        # What a rationale says inside its lines splits nothing.
        (
            "Rationale: They ask: is it good? So the answer is often yes. Label: maybe, not here.\nLabel: negative",
            Parsed(
                "They ask: is it good? So the answer is often yes. Label: maybe, not here.",
                "negative",
            ),
        ),
        (
            "Rationale: __import__('os').system('true')\nLabel: x",
            Parsed("__import__('os').system('true')", "x"),
        ),
    ],
)
def test_the_form_that_was_asked_for_is_read(text, expected):
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "negative",
        "It is not warm. So the answer is negative.",
        "Label: negative",
        "Rationale: not warm",
        "Label: negative\nRationale: not warm",
        "Rationale:\nLabel: negative",
        "Rationale: not warm\nLabel:",
        "Well.\nRationale: not warm\nLabel: negative",
        "Rationale: not warm\nLabel: negative\nI hope that helps!",
        "Rationale: not warm\nLabel: positive\nLabel: negative",
        "Rationale: not warm\nRationale: cold\nLabel: negative",
    ],
)
def test_any_other_form_is_no_answer(text):
    assert parse(text) is None


# Checking


@pytest.mark.parametrize(
    ("rationale", "label", "labels", "demand", "expected"),
    [
        ("not warm is negative", "negative", LABELS, "any", True),
        ("not warm is positive", "negative", LABELS, "any", False),
        ("some would say positive, but it is negative", "negative", LABELS, "any", True),
        ("NEGATIVE, of course", "negative", LABELS, "named", True),
        ("it was not warm", "negative", LABELS, "any", True),
        ("it was not warm", "negative", LABELS, "named", False),
        ("the photonegative was lost", "positive", LABELS, "any", True),
        ("this is not spam", "not spam", ("spam", "not spam"), "named", True),
        ("this is not spam", "spam", ("spam", "not spam"), "any", False),
        ("a+b holds", "a+b", ("a+b", "c"), "named", True),
    ],
)
def test_a_rationale_leads_to_the_label_that_it_names_last(rationale, label, labels, demand, expected):
    assert leads(Parsed(rationale, label), labels, demand) is expected


@pytest.mark.parametrize(
    ("answers", "checks", "gold", "reason"),
    [
        ([Answer("")], Checks(), None, "unanswered"),
        ([Answer("Rationale: not warm, so", complete=False)], Checks(), None, "cut_off"),
        ([Answer("negative")], Checks(), None, "unread"),
        ([answer(label="bad")], Checks(), None, "unknown_label"),
        ([answer("it is positive")], Checks(), None, "misled"),
        ([answer("not warm")], Checks(rationale="named"), None, "misled"),
        ([answer()], Checks(), "positive", "disagrees"),
        ([answer(), answer("warm, so positive", "positive")], Checks(), None, "inconsistent"),
        ([answer(), answer(), answer("x", "positive")], Checks(agreement=0.7), None, "inconsistent"),
    ],
)
def test_a_row_is_dropped_for_the_reason_that_it_has(answers, checks, gold, reason):
    verdict = judge(answers, LABELS, checks, gold)
    assert (verdict.parsed, verdict.reason) == (None, reason)
    assert reason in REASONS


def test_what_is_worth_learning_is_kept():
    verdict = judge([answer()], LABELS, Checks(), "negative")
    assert (verdict.parsed, verdict.agrees) == (Parsed("not warm, so negative", "negative"), True)
    kept = judge([answer()], LABELS, Checks(gold="count"), "positive")
    assert (kept.parsed, kept.agrees) == (Parsed("not warm, so negative", "negative"), False)


def test_of_several_samples_the_majority_gives_the_label_and_the_first_that_leads_there_says_why():
    samples = [
        answer("warm, so positive", "positive"),
        answer("it is positive"),
        answer("cold: negative"),
        answer(),
    ]
    verdict = judge(samples, LABELS, Checks())
    assert verdict.parsed == Parsed("cold: negative", "negative")


# Asking

TOML = """
labels = ["positive", "negative"]
instruction = "Was the guest pleased?"
template = "Note: {input}"

[[examples]]
input = "the tea was {input} cold"
rationale = "cold is negative"
label = "negative"
"""


def test_examples_think_aloud_before_the_question(tmp_path):
    path = tmp_path / "teacher.toml"
    path.write_text(TOML, encoding="utf-8")
    body = read_prompt(path).request([{"role": "user", "parts": [{"text": "the {soup} was warm"}]}])
    assert [(turn["role"], turn["parts"][0]["text"]) for turn in body["contents"]] == [
        ("user", "Note: the tea was {input} cold"),
        ("model", "Rationale: cold is negative\nLabel: negative"),
        ("user", "Note: the {soup} was warm"),
    ]
    said = body["systemInstruction"]["parts"][0]["text"]
    assert said.startswith("Was the guest pleased?")
    assert said.endswith("Label: one of positive, negative")


def test_a_teacher_that_was_tuned_to_the_form_is_asked_the_question_alone():
    asked = [{"role": "user", "parts": [{"text": "the soup was warm"}]}]
    assert TeacherPrompt(labels=LABELS).request(asked) == {"contents": asked}


@pytest.mark.parametrize(
    ("toml", "places"),
    [
        ('labels = ["a"]', ["labels"]),
        ('labels = ["a", "a"]', ["labels"]),
        ('labels = ["a", "b\\nc"]', ["labels"]),
        ("", ["labels"]),
        ('labels = ["a", "b"]\ntemplate = "Note"', ["template"]),
        ('labels = ["a", "b"]\nexample = []', ["example"]),
        (
            'labels = ["a", "b"]\n[[examples]]\ninput = ""\nrationale = "x"\nlabel = "c"\n'
            '[[examples]]\ninput = "q"\nrationale = "x\\nLabel: b"\nlabel = "a"',
            ["examples[0].label", "examples[0].input", "examples[1].rationale"],
        ),
        ('labels = ["a", "b"]\n[[examples]]\ninput = "q"', ["examples[0].rationale", "examples[0].label"]),
        ("labels = [", ["not TOML"]),
    ],
)
def test_a_prompt_that_cannot_work_is_refused_with_all_its_faults(tmp_path, toml, places):
    path = tmp_path / "teacher.toml"
    path.write_text(toml, encoding="utf-8")
    with pytest.raises(DatasetError) as caught:
        read_prompt(path)
    assert {fault.rule for fault in caught.value.faults} == {"VT253"}
    for place in places:
        assert place in str(caught.value)
    assert len(caught.value.faults) == len(places)
    assert all(fault.fix for fault in caught.value.faults)
