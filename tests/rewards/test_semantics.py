"""The engine agrees with the documented semantics, case by case; where nothing is documented, with docs/rewards.md."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from tests.rewards.cases import ALL, NOTHING, Case
from vertex_tuning import rewards


def config(case: Case) -> dict[str, Any]:
    """A case as a request has it."""
    how = case.match
    match = {"matchOperation": how["op"], "expression": how["expression"]}
    scorer: dict[str, Any] = {"stringMatchExpression": match}
    if "key" in how:
        scorer = {"jsonMatchExpression": {"keyName": how["key"], "valueStringMatchExpression": match}}
    for name, usual in (("correct", 1.0), ("wrong", 0.0)):
        value = how.get(name, usual)
        if value is not None:
            scorer[f"{name}AnswerReward"] = value
    single: dict[str, Any] = {"rewardName": "case", "stringMatchRewardScorer": scorer}
    if "extract" in how:
        single["parseResponseConfig"] = {
            "parseType": "REGEX_EXTRACT",
            "regexExtractExpression": how["extract"],
        }
    return {"singleRewardConfig": single}


def example(case: Case) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": "?"}]}], "references": case.references}


def test_there_are_enough_of_them_and_each_has_its_source():
    assert len(ALL) >= 150
    assert {case.source for case in ALL} == {"DOC", "SCHEMA", "SQL", "RE2", "OURS"}
    assert len({(case.what, str(case.match), str(case.response)) for case in ALL}) == len(ALL)


@pytest.mark.parametrize("case", ALL, ids=lambda case: f"{case.source}-{case.what}")
def test_a_case(case):
    score = rewards.from_json(config(case)).score(example(case), case.response)
    if case.reward is NOTHING:
        assert score.failed
        assert math.isnan(score.reward)
        assert score.failure is not None
        assert score.failure.message
    else:
        assert score.failure is None
        assert score.reward == pytest.approx(case.reward)


def test_an_expression_that_would_take_for_ever_elsewhere_takes_no_time_here():
    reward = rewards.regex("^(a+)+$")
    start = time.perf_counter()
    reward.score({}, "a" * 50_000 + "b")
    assert time.perf_counter() - start < 5


def parts(*values: tuple[str, float, float]) -> list[tuple[rewards.Reward, float]]:
    """Rewards that pay a value for everything, and their weights."""
    return [
        (rewards.from_json(
            {"rewardName": name, "stringMatchRewardScorer": {
                "stringMatchExpression": {"matchOperation": "REGEX_CONTAINS", "expression": ".*"},
                "correctAnswerReward": value,
            }}
        ), weight)
        for name, value, weight in values
    ]  # type: ignore[misc]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([("a", 1.0, 1.0)], 1.0),
        ([("a", 1.0, 1.0), ("b", 0.0, 1.0)], 0.5),
        ([("a", 1.0, 0.3), ("b", 0.0, 0.1)], 0.75),
        ([("a", 1.0, 3.0), ("b", -1.0, 1.0)], 0.5),
        ([("a", 0.5, 2.0), ("b", 0.5, 7.0)], 0.5),
        ([("a", 5.0, 1.0), ("b", -1.0, 1.0)], 0.0),
        ([("a", 0.2, 1.0), ("b", 0.4, 1.0), ("c", 0.6, 2.0)], 0.45),
    ],
)
def test_several_rewards_are_averaged_by_their_weights(values, expected):
    """`sum(w r) / sum(w)`, of rewards that were clipped before (DOC)."""
    score = rewards.weighted(parts(*values)).score({}, "x")
    assert score.reward == pytest.approx(expected)
    assert score.parts.keys() == {name for name, _, _ in values}


def test_where_one_has_failed_there_is_no_mean():
    right = rewards.exact_match("4", name="right")
    missing = rewards.exact_match("{{references.answer}}", name="missing")
    score = rewards.weighted([(right, 1.0), (missing, 1.0)]).score({}, "4")
    assert score.failed
    assert score.failure is not None
    assert "missing" in score.failure.message
    assert score.parts["right"].reward == 1.0
