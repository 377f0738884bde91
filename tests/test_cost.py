"""What tuning and answers cost: hand-computed, from the least to the most, and never made up."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vertex_tuning import (
    DatasetError,
    Distillation,
    PreferenceTuning,
    ReinforcementTuning,
    SpecError,
    SupervisedTuning,
    UnknownPriceError,
    catalog,
    cost,
    rewards,
)
from vertex_tuning.data.counting import count

MILLION = 1e6
REWARD = rewards.exact_match("{{references.answer}}")


def turn(role: str, *parts: Any) -> dict[str, Any]:
    return {"role": role, "parts": [{"text": part} if isinstance(part, str) else part for part in parts]}


def row(question: str, answer: str) -> dict[str, Any]:
    return {"contents": [turn("user", question), turn("model", answer)]}


def pair(question: str, good: str, bad: str) -> dict[str, Any]:
    completions = [
        {"score": score, "completion": turn("model", text)} for score, text in ((1, good), (0, bad))
    ]
    return {"contents": [turn("user", question)], "completions": completions}


def prompt(question: str) -> dict[str, Any]:
    return {"contents": [turn("user", question)], "references": {"answer": "x"}}


def file(mime: str, **clip: Any) -> dict[str, Any]:
    return {
        "fileData": {"fileUri": "gs://b/f", "mimeType": mime},
        **({"videoMetadata": clip} if clip else {}),
    }


def approximately(values: Any) -> Any:
    return pytest.approx(tuple(values))


# Text: 60 characters a row are 12 to 20 tokens.

ROWS = [row(f"{number:02}" + "q" * 38, "a" * 20) for number in range(10)]


def test_examples_are_paid_for_once_an_epoch():
    found = cost.estimate(SupervisedTuning(base_model="gemini-2.5-flash", training=ROWS, epochs=3))
    assert found.tokens == approximately((10 * 60 / 5 * 3, 10 * 60 / 3 * 3))
    assert found.usd == approximately((360 * 5 / MILLION, 600 * 5 / MILLION))
    assert (found.rows, found.epochs) == (10, (3, 3))
    assert "3 to 5 characters a token" in found.tokenizer
    assert found.seconds is None, "nothing is published to go by"
    assert found.counted == catalog.counted("supervised").value
    assert str(found) == "10 rows, 3 epochs: 360 to 600 tokens, less than US$0.01 on Vertex AI"
    once = cost.estimate(SupervisedTuning(base_model="gemini-2.5-flash", training=ROWS, epochs=1))
    assert str(once).startswith("10 rows, 1 epoch: ")


def test_of_a_pair_the_prompt_is_paid_for_twice():
    rows = [pair(f"{number:02}" + "q" * 28, "g" * 10, "b" * 20) for number in range(10)]
    found = cost.estimate(PreferenceTuning(base_model="gemini-2.5-flash-lite", training=rows, epochs=2))
    characters = 10 * (2 * 30 + 10 + 20) * 2
    assert found.tokens == approximately((characters / 5, characters / 3))
    assert found.usd == approximately((characters / 5 * 1.5 / MILLION, characters / 3 * 1.5 / MILLION))


def test_of_reinforcement_what_is_generated_is_paid_for_and_its_price_is_not_known():
    spec = ReinforcementTuning(
        base_model="gemini-3.5-flash",
        training=[prompt(f"question {number}") for number in range(64)],
        reward=REWARD,
        batch_size=32,
        samples_per_prompt=8,
        epochs=2,
        max_output_tokens=400,
    )
    with pytest.raises(UnknownPriceError) as caught:
        cost.estimate(spec)
    assert caught.value.rule == "VT795"
    found = caught.value.estimate
    assert found.tokens == approximately((64 * 8 * 2 * 50, 64 * 8 * 2 * 400)), (
        "no answer is longer than it may be"
    )
    assert found.usd is None
    with pytest.raises(UnknownPriceError) as caught:
        cost.estimate(spec, answer_tokens=(100, 100))
    assert caught.value.estimate.tokens == approximately((64 * 8 * 2 * 100,) * 2)


def test_where_nobody_says_how_often_the_service_has_a_rule_for_reinforcement_and_ends_after_500_steps():
    def passes(rows: int, **fields: Any) -> float:
        training = [prompt(f"question {number}") for number in range(rows)]
        spec = ReinforcementTuning(base_model="gemini-3.5-flash", training=training, reward=REWARD, **fields)
        with pytest.raises(UnknownPriceError) as caught:
            cost.estimate(spec)
        low, high = caught.value.estimate.epochs
        assert low == high
        return float(low)

    assert passes(64) == 10
    assert passes(704) == 5  # 110 * 32 / 704
    assert passes(1600, epochs=20) == 10  # 50 steps each: 500 and no more


def test_a_teacher_is_paid_for_and_the_student_where_that_is_known():
    rows = [{"contents": [turn("user", f"{number:02}" + "q" * 38)]} for number in range(10)]
    spec = Distillation(base_model="gemini-2.5-flash", training=rows, teacher="gemini-3.1-pro", epochs=2)
    with pytest.raises(UnknownPriceError) as caught:
        cost.estimate(spec, answer_tokens=(100, 100))
    found = caught.value.estimate
    training, asked, answered = found.items
    assert training.usd_per_million is None
    assert training.tokens == approximately(((80 + 1000) * 2, (400 / 3 + 1000) * 2))
    assert asked.usd == approximately((80 * 2 / MILLION, 400 / 3 * 2 / MILLION))
    assert answered.usd == approximately((1000 * 12 / MILLION,) * 2)


def test_where_nobody_says_how_often_that_is_a_range_and_said():
    found = cost.estimate(SupervisedTuning(base_model="gemini-2.5-flash", training=ROWS))
    assert found.epochs == (1, 10)
    assert found.tokens == approximately((120, 2000))
    assert any("does not say how" in note for note in found.notes)


def test_other_scripts_may_have_a_token_for_each_character():
    found = cost.estimate(
        SupervisedTuning(base_model="gemini-2.5-flash", training=[row("これはペンですか", "はい")], epochs=1)
    )
    assert found.tokens == approximately((10 / 5, 10))


def test_a_tokenizer_that_counted_some_rows_narrows_it():
    spec = SupervisedTuning(base_model="gemini-2.5-flash", training=ROWS, epochs=1)
    found = cost.estimate(spec, characters_per_token=4.0)
    assert found.tokens == approximately((150, 150))
    assert "4.00 characters a token" in found.tokenizer


def test_how_fast_an_earlier_job_was_tells_how_long_it_takes():
    spec = SupervisedTuning(base_model="gemini-2.5-flash", training=ROWS, epochs=1)
    assert cost.estimate(spec, tokens_per_second=10.0).seconds == approximately((12, 20))


# Files


@pytest.mark.parametrize(
    ("part", "model", "low", "high"),
    [
        (file("image/png"), "gemini-2.5-flash", 64, 2048),
        (file("image/png"), "gemini-3.1-flash-lite", 280, 1120),
        (file("video/mp4", startOffset="5s", endOffset="15s"), "gemini-2.5-flash", 640, 10 * 256 + 10 * 32),
        (file("audio/wav", endOffset="10s"), "gemini-2.5-flash", 320, 320),
        (file("audio/wav"), "gemini-2.5-flash", 32, 32 * 600),
        (file("application/pdf"), "gemini-2.5-flash", 64, 256 * 100),
    ],
)
def test_a_file_is_counted_by_what_is_documented(part, model, low, high):
    rows = [{"contents": [turn("user", part, "q" * 15), turn("model", "a" * 15)]}]
    found = cost.estimate(SupervisedTuning(base_model=model, training=rows, epochs=1))
    assert found.tokens == approximately((low + 6, high + 10))
    assert any("Files are counted" in note for note in found.notes)


def test_what_is_asked_and_what_is_answered_are_told_apart_in_every_form():
    system = {"system_instruction": {"parts": [{"text": "s" * 7}]}}
    rows = [
        {
            **system,
            "contents": [
                turn("user", "q" * 5),
                turn("model", "m" * 3),
                turn("user", "u"),
                turn("model", "a" * 2),
            ],
        },
        {"messages": [{"role": "user", "content": "q" * 11}, {"role": "assistant", "content": "a" * 13}]},
        {"prompt": "q" * 17, "completion": "a" * 19},
        {"request": {"contents": [turn("user", "q" * 23)]}},
    ]
    sums = [(count([item]).asked.latin, count([item]).answered.latin) for item in rows]
    assert sums == [(16, 2), (11, 13), (17, 19), (23, 0)]


# What cannot be told


def test_a_set_with_a_fault_or_in_the_cloud_has_no_estimate():
    with pytest.raises(DatasetError) as caught:
        cost.estimate(SupervisedTuning(base_model="gemini-2.5-flash", training=[{"contents": []}]))
    assert caught.value.rule == "VT206"
    with pytest.raises(DatasetError) as caught:
        cost.estimate(SupervisedTuning(base_model="gemini-2.5-flash", training="gs://b/train.jsonl"))
    assert caught.value.rule == "VT201"


def test_an_estimate_is_json():
    spec = SupervisedTuning(base_model="gemini-2.5-flash", training=ROWS, validation=ROWS, epochs=3)
    found = json.loads(json.dumps(cost.estimate(spec).to_json()))
    assert found["tokens"] == [360, 600]
    assert found["usd"] == pytest.approx([0.0018, 0.003])
    assert found["items"][0]["source"]
    assert any("validation" in note for note in found["notes"])


# Answers


def test_a_thousand_answers_cost_what_is_asked_and_what_is_answered():
    one = cost.answers("gemini-2.5-flash", prompt_tokens=400, answer_tokens=50)
    assert one == pytest.approx(1000 * (400 * 0.30 + 50 * 2.50) / MILLION)
    same = cost.answers("gemini-2.5-flash", prompt_tokens=400, answer_tokens=50, tuned=True)
    assert same == one, "of 2.5, a tuned model costs what its base does"
    batch = cost.answers("gemini-2.5-flash", prompt_tokens=400, answer_tokens=50, batch=True)
    assert batch == pytest.approx(one / 2)
    base, tuned = (
        cost.answers("gemini-3.5-flash", prompt_tokens=400, answer_tokens=50, tuned=tuned, rows=1)
        for tuned in (False, True)
    )
    assert tuned == pytest.approx(1.5 * base)


@pytest.mark.parametrize(
    ("model", "tuned"), [("google/gemma3@gemma-3-4b-it", False), ("gemini-2.0-flash-001", True)]
)
def test_answers_whose_price_nobody_knows_are_not_free(model, tuned):
    with pytest.raises(UnknownPriceError) as caught:
        cost.answers(model, prompt_tokens=1, answer_tokens=1, tuned=tuned)
    assert caught.value.rule == "VT795"
    with pytest.raises(SpecError):
        cost.answers("gemini-9", prompt_tokens=1, answer_tokens=1)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((1234.5, 1234.5), "1,230"),
        ((0, 12), "0 to 12"),
        ((98765, 1e7), "98,800 to 10,000,000"),
        ((7.5, 7.5), "7.5"),
    ],
)
def test_more_than_three_digits_would_say_what_nobody_knows(values, words):
    assert cost.between(values) == words


@pytest.mark.parametrize(
    ("values", "words"),
    [((0.001, 0.004), "less than US$0.01"), ((1, 2.5), "US$1.00 to 2.50"), ((1234, 1234), "US$1,234.00")],
)
def test_money_is_told_to_the_cent(values, words):
    assert cost.dollars(values) == words
