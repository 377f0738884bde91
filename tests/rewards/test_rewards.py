"""Rewards as they are written, read, refused and tried out."""

from __future__ import annotations

import json

import pytest

from vertex_tuning import RewardError, rewards

STRING = {"stringMatchExpression": {"matchOperation": "EXACT_MATCH", "expression": "x"}}


@pytest.mark.parametrize(
    "reward",
    [
        rewards.exact_match("{{references.answer}}", extract="<a>(.*?)</a>", wrong=-1),
        rewards.contains("x", correct=0.5),
        rewards.regex(r"^\d+$", name="digits"),
        rewards.json_field("answer", "{{references.answer}}", operation="PARTIAL_MATCH"),
        rewards.weighted([(rewards.contains("x"), 0.3), (rewards.regex("y"), 2)]),
    ],
)
def test_a_reward_is_the_same_after_it_was_written_and_read(reward):
    told = json.loads(json.dumps(reward.request()))
    assert rewards.from_json(told) == reward
    assert rewards.from_json(reward.to_json()) == reward


def test_the_names_may_be_those_of_python():
    """As google-genai's types write them."""
    found = rewards.from_json(
        {
            "single_reward_config": {
                "reward_name": "r",
                "parse_response_config": {
                    "parse_type": "REGEX_EXTRACT",
                    "regex_extract_expression": "(x)",
                },
                "string_match_reward_scorer": {
                    "string_match_expression": {"match_operation": "EXACT_MATCH", "expression": "x"},
                    "correct_answer_reward": 1.0,
                    "wrong_answer_reward": None,
                },
            }
        }
    )
    assert found == rewards.exact_match("x", extract="(x)", name="r")


@pytest.mark.parametrize(
    ("config", "rule", "where"),
    [
        ({}, "VT901", "reward_config"),
        (
            {"singleRewardConfig": {}, "compositeRewardConfig": {}},
            "VT901",
            "reward_config",
        ),
        ({"singleRewardConfig": {"rewardName": "r"}}, "VT902", "reward_scorer"),
        (
            {"stringMatchRewardScorer": STRING, "cloudRunRewardScorer": {}},
            "VT902",
            "reward_scorer",
        ),
        (
            {"stringMatchRewardScorer": STRING, "parseResponseConfig": {"regexExtractExpression": "x"}},
            "VT903",
            "regex_extract_expression",
        ),
        (
            {"stringMatchRewardScorer": STRING, "parseResponseConfig": {"parseType": "REGEX_EXTRACT"}},
            "VT904",
            "regex_extract_expression",
        ),
        (
            {
                "stringMatchRewardScorer": STRING,
                "parseResponseConfig": {"parseType": "REGEX_EXTRACT", "regexExtractExpression": "(?=x)"},
            },
            "VT904",
            "regex_extract_expression",
        ),
        ({"stringMatchRewardScorer": {}}, "VT905", "match_expression"),
        (
            {"stringMatchRewardScorer": {"stringMatchExpression": {"expression": "x"}}},
            "VT905",
            "match_operation",
        ),
        (
            {"stringMatchRewardScorer": {"stringMatchExpression": {"matchOperation": "EXACT_MATCH"}}},
            "VT905",
            "expression",
        ),
        (
            {
                "stringMatchRewardScorer": {
                    "stringMatchExpression": {"matchOperation": "REGEX_CONTAINS", "expression": r"(a)\1"}
                }
            },
            "VT904",
            "expression",
        ),
        (
            {
                "stringMatchRewardScorer": {
                    "jsonMatchExpression": {"valueStringMatchExpression": STRING["stringMatchExpression"]}
                }
            },
            "VT906",
            "key_name",
        ),
        (
            {
                "stringMatchRewardScorer": {
                    "stringMatchExpression": {
                        "matchOperation": "EXACT_MATCH",
                        "expression": "{{ references.answer }}",
                    }
                }
            },
            "VT907",
            "expression",
        ),
        ({"weightedRewardConfigs": []}, "VT901", "weighted_reward_configs"),
        (
            {"weightedRewardConfigs": [{"rewardConfig": {"stringMatchRewardScorer": STRING}}]},
            "VT909",
            "weight",
        ),
        (
            {
                "weightedRewardConfigs": [
                    {"rewardConfig": {"rewardName": "r", "stringMatchRewardScorer": STRING}, "weight": 1}
                ]
                * 2
            },
            "VT910",
            "weighted_reward_configs",
        ),
    ],
)
def test_a_reward_that_makes_no_sense_is_refused_by_its_field(config, rule, where):
    with pytest.raises(RewardError) as caught:
        rewards.from_json(config)
    assert caught.value.rule == rule
    assert where in caught.value.fault.where
    assert caught.value.fault.fix


@pytest.mark.parametrize(
    "config",
    [
        {"singleRewardConfig": 5},
        {"singleRewardConfig": {"stringMatchRewardScorer": "x"}},
        {"compositeRewardConfig": {"weightedRewardConfigs": 5}},
        {"compositeRewardConfig": {"weightedRewardConfigs": [1]}},
        {"weightedRewardConfigs": [{"rewardConfig": {"stringMatchRewardScorer": STRING}, "weight": "heavy"}]},
        {"codeExecutionRewardScorer": {"pythonCodeSnippet": 5}},
        {"cloudRunRewardScorer": {"cloudRunUri": 5}},
        {"autoraterScorer": {"autoraterConfig": {"samplingCount": "many"}}},
        {"autoraterScorer": {"autoraterConfig": {"samplingCount": 1_000_000}}},
    ],
)
def test_what_has_no_form_at_all_is_refused_too(config):
    with pytest.raises(RewardError):
        rewards.from_json(config)


def test_a_misspelt_member_is_told_and_not_passed_over():
    match = {"matchOperation": "EXACT_MATCH", "expresion": "4"}
    config = {
        "rewardName": 5,
        "parseResponsConfig": {"parseType": "REGEX_EXTRACT"},
        "stringMatchRewardScorer": {"stringMatchExpression": match, "correct_answer_reward": "one"},
    }
    with pytest.raises(RewardError) as caught:
        rewards.from_json({"singleRewardConfig": config})
    assert [(fault.rule, fault.where, fault.fix) for fault in caught.value.faults] == [
        ("VT917", "single_reward_config.reward_name", "a text"),
        ("VT917", "single_reward_config.parse_respons_config", "do you mean parseResponseConfig?"),
        (
            "VT917",
            "single_reward_config.string_match_reward_scorer.string_match_expression.expresion",
            "do you mean expression?",
        ),
        ("VT917", "single_reward_config.string_match_reward_scorer.correct_answer_reward", "a number"),
    ]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def evaluate(:", "not Python"),
        ("x = 1", "defines no function evaluate"),
        ("import requests\ndef evaluate(e, r): return 1", "imports requests"),
        ("def evaluate(e, r): return helper(r)", "helper is not defined"),
    ],
)
def test_code_that_would_not_run_is_refused_before_it_is_sent(code, words):
    config = {"singleRewardConfig": {"codeExecutionRewardScorer": {"pythonCodeSnippet": code}}}
    with pytest.raises(RewardError, match=words) as caught:
        rewards.from_json(config)
    path = "single_reward_config.code_execution_reward_scorer.python_code_snippet"
    assert (caught.value.rule, caught.value.fault.where) == ("VT912", path)


@pytest.mark.parametrize(
    ("write", "rule"),
    [
        (lambda: rewards.exact_match(None), "VT905"),
        (lambda: rewards.exact_match("4", extract=4), "VT904"),
        (lambda: rewards.exact_match("4", extract="\ud800"), "VT904"),
        (lambda: rewards.cloud_run("https://reward-uc.a.run.app:99999"), "VT913"),
        (lambda: rewards.cloud_run("https://reward-uc.a.run.app/ä"), "VT913"),
        (lambda: rewards.weighted([rewards.exact_match("4")]), "VT901"),
        (lambda: rewards.weighted([(rewards.weighted([(rewards.exact_match("4"), 1)]), 1)]), "VT901"),
        (lambda: rewards.weighted([(rewards.exact_match("4"), "1")]), "VT909"),
    ],
)
def test_what_is_of_another_kind_is_told_too(write, rule):
    with pytest.raises(RewardError) as caught:
        write()
    assert caught.value.rule == rule


def test_all_faults_are_told_at_once():
    bad = {"stringMatchExpression": {"expression": "{{answer}}"}}
    with pytest.raises(RewardError) as caught:
        rewards.from_json(
            {
                "weightedRewardConfigs": [
                    {"rewardConfig": {"stringMatchRewardScorer": bad}, "weight": -1},
                    {"rewardConfig": {}, "weight": 1},
                ]
            }
        )
    assert [fault.rule for fault in caught.value.faults] == ["VT905", "VT907", "VT909", "VT902"]


@pytest.mark.parametrize(
    ("write", "rule"),
    [
        (lambda: rewards.exact_match(""), "VT905"),
        (lambda: rewards.exact_match("{{answer}}"), "VT907"),
        (lambda: rewards.exact_match("x", extract="(?<!a)b"), "VT904"),
        (lambda: rewards.exact_match("x", correct=2), "VT908"),
        (lambda: rewards.exact_match("x", wrong=float("nan")), "VT908"),
        (lambda: rewards.exact_match("x", correct=0, wrong=0), "VT911"),
        (lambda: rewards.exact_match("x", correct=-1, wrong=1), "VT911"),
        (lambda: rewards.regex("("), "VT904"),
        (lambda: rewards.json_field("", "x"), "VT906"),
        (lambda: rewards.json_field("a", "x", operation="EQUALS"), "VT905"),
        (lambda: rewards.weighted([]), "VT901"),
        (lambda: rewards.weighted([(rewards.contains("x"), 0)]), "VT909"),
        (lambda: rewards.weighted([(rewards.contains("x"), 1), (rewards.contains("y"), 1)]), "VT910"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_is_written(write, rule):
    with pytest.raises(RewardError) as caught:
        write()
    assert caught.value.rule == rule


# Tried out


def examples(count: int = 20) -> list[dict]:
    return [
        {
            "contents": [{"role": "user", "parts": [{"text": f"What is {number} + 1?"}]}],
            "references": {"answer": str(number + 1)},
        }
        for number in range(10, 10 + count)
    ]


def test_a_good_reward_has_nothing_against_it():
    reward = rewards.exact_match("{{references.answer}}", extract=r"<a>(\d+)</a>")
    said = [[f"<a>{row['references']['answer']}</a>", "<a>0</a>"] for row in examples()]
    trial = rewards.try_out(reward, examples(), said)
    assert trial.ok, trial
    assert (trial.mean, trial.spread, trial.lowest, trial.highest) == (0.5, 0.5, 0.0, 1.0)
    assert trial.alike == 0
    assert all(probe.reward == 0 for probe in trial.probes if probe.cheats)
    assert "20 prompts" in str(trial)


def test_a_reward_that_tells_nothing_apart_is_warned_of():
    trial = rewards.try_out(rewards.contains("x"), examples(), [["y", "y"]] * 20)
    assert trial.alike == 1
    assert "VT931" in {warning.rule for warning in trial.warnings}


def test_a_reward_that_pays_for_keywords_is_found_out():
    """All numbers in one answer: each is in it."""
    trial = rewards.try_out(rewards.contains("{{references.answer}}"), examples(), [["11", "0"]] * 20)
    found = [warning.what for warning in trial.warnings if warning.rule == "VT932"]
    assert any("every reference" in what for what in found)


def test_a_reward_that_pays_for_an_echo_is_found_out():
    trial = rewards.try_out(rewards.regex(r"What is \d+"), examples(), [["11", "What is 4?"]] * 20)
    found = [warning.what for warning in trial.warnings if warning.rule == "VT932"]
    assert any("the prompt, repeated" in what for what in found)


def test_a_reward_that_asks_for_a_form_pays_for_the_bare_answer_nothing():
    reward = rewards.exact_match("{{references.answer}}", extract=r"<a>(\d+)</a>")
    trial = rewards.try_out(reward, examples(), [["<a>11</a>", "x"]] * 20)
    bare = next(probe for probe in trial.probes if probe.kind == "the right answer, bare")
    assert bare.reward == 0
    reward = rewards.exact_match("{{references.answer}}")
    trial = rewards.try_out(reward, examples(), [["11", "x"]] * 20)
    bare = next(probe for probe in trial.probes if probe.kind == "the right answer, bare")
    assert (bare.reward, bare.paid) == (1, 1)


def test_the_right_answer_of_a_converted_row_is_what_it_says_once():
    rows = [{**row, "references": {"answer": "4", "item_json": '{"answer": 4}'}} for row in examples()]
    trial = rewards.try_out(rewards.exact_match("{{references.answer}}"), rows, [["4", "x"]] * len(rows))
    bare = next(probe for probe in trial.probes if probe.kind == "the right answer, bare")
    assert bare.reward == 1


def test_failures_are_counted_by_reason_and_none_is_hidden():
    rows = examples()
    for row in rows[:5]:
        row["references"] = {}
    trial = rewards.try_out(rewards.exact_match("{{references.answer}}"), rows, [["11", "12"]] * 20)
    assert trial.failed == 10
    assert sum(trial.failures.values()) == 10
    assert "VT930" in {warning.rule for warning in trial.warnings}
    assert json.dumps(trial.to_json())


def test_without_any_answer_the_probes_still_tell():
    trial = rewards.try_out(rewards.contains("{{references.answer}}"), examples(), [[]] * 20)
    assert trial.answers == 0
    assert {probe.kind for probe in trial.probes} >= {"an empty answer", "the right answer, bare"}
    assert json.loads(json.dumps(trial.to_json()))["mean"] is None


def test_where_rows_have_no_references_none_are_tried_out():
    rows = [{"contents": [{"role": "user", "parts": [{"text": f"Name {number}."}]}]} for number in range(4)]
    trial = rewards.try_out(rewards.regex("^[a-z]+$"), rows, [["tea", "Tea time"]] * 4)
    assert {probe.kind for probe in trial.probes} == {
        "an empty answer",
        "the prompt, repeated",
        "a very long answer",
    }
