"""Scores put together, and judges read: as exactly as they say it."""

from __future__ import annotations

import statistics

import pytest

from vertex_tuning.metrics import AGGREGATIONS, aggregate, verdicts


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AVERAGE", 3.0),
        ("MODE", 1.0),
        ("STANDARD_DEVIATION", statistics.stdev([1, 1, 2, 5, 6])),
        ("VARIANCE", statistics.variance([1, 1, 2, 5, 6])),
        ("MINIMUM", 1.0),
        ("MAXIMUM", 6.0),
        ("MEDIAN", 2.0),
        ("PERCENTILE_P90", 5.6),
        ("PERCENTILE_P95", 5.8),
        ("PERCENTILE_P99", 5.96),
    ],
)
def test_scores_become_one_number(name: str, value: float) -> None:
    assert aggregate(name, [5, 1, 6, 1, 2]) == pytest.approx(value)


def test_every_name_has_a_value_of_a_single_score() -> None:
    spread = {"STANDARD_DEVIATION", "VARIANCE"}
    assert {name: aggregate(name, [4.0]) for name in AGGREGATIONS} == {
        name: 0.0 if name in spread else 4.0 for name in AGGREGATIONS
    }


def test_of_several_modes_the_least_is_taken() -> None:
    assert aggregate("MODE", [3, 2, 3, 2, 9]) == 2


@pytest.mark.parametrize(("name", "values"), [("AVERAGE", []), ("MEAN", [1.0])])
def test_what_cannot_be_put_together_is_said(name: str, values: list[float]) -> None:
    with pytest.raises(ValueError):
        aggregate(name, values)


@pytest.mark.parametrize(
    ("said", "score"),
    [
        ("4", 4.0),
        (" -0.5\n", -0.5),
        (".25", 0.25),
        ('{"score": 3, "explanation": "well"}', 3.0),
        ('{"explanation": "Score: 5", "score": 1.5}', 1.5),
        ("Score: 4", None),
        ("4 of 5 facts are wrong", None),
        ("4/5", None),
        ("nan", None),
        ("1e999", None),
        ('{"score": NaN}', None),
        ('{"score": "4"}', None),
        ('{"score": true}', None),
        ('{"rating": 4}', None),
        ("[4]", None),
        ("", None),
        ("[" * 100_000, None),
    ],
)
def test_a_score_is_a_number_and_nothing_else(said: str, score: float | None) -> None:
    assert verdicts.score(said) == score


@pytest.mark.parametrize(
    ("said", "choice"),
    [
        ("CANDIDATE", "CANDIDATE"),
        (" TIE\n", "TIE"),
        ('{"pairwise_choice": "BASELINE", "explanation": "shorter"}', "BASELINE"),
        ("candidate", None),
        ("CANDIDATE is better", None),
        ('{"pairwise_choice": ["TIE"]}', None),
        ("", None),
    ],
)
def test_a_choice_is_one_of_three_words(said: str, choice: str | None) -> None:
    assert verdicts.choice(said) == choice


def test_the_majority_decides_and_a_draw_is_a_tie() -> None:
    assert verdicts.majority(["CANDIDATE", "TIE", "CANDIDATE"]) == "CANDIDATE"
    assert verdicts.majority(["CANDIDATE", "BASELINE"]) == "TIE"
    assert verdicts.majority([]) is None


def test_a_reason_comes_with_json_alone() -> None:
    assert verdicts.explanation('{"score": 1, "explanation": "late"}') == "late"
    assert verdicts.explanation("4") == verdicts.explanation('{"explanation": 4}') == ""
