import math
import random

import pytest

from vertex_tuning.metrics import (
    calibration,
    crossed_difference,
    exact_match,
    matches,
    paired_difference,
    same_label,
    token_f1,
    valid_json,
    win_share,
)


def test_white_space_around_an_answer_does_not_count_against_it():
    assert matches([" yes\n", "no", "Yes"], ["yes", "maybe", "yes"]) == [True, False, False]
    assert exact_match(["a", "b"], ["a", "c"]) == 0.5
    assert math.isnan(exact_match([], []))


def test_answers_and_references_must_be_of_one_length():
    with pytest.raises(ValueError):
        exact_match(["a"], [])


def test_a_clear_gain_lies_above_zero_and_no_gain_does_not():
    better = [1] * 80 + [0] * 20
    worse = [1] * 55 + [0] * 45
    gain = paired_difference(better, worse)
    assert gain.estimate == pytest.approx(0.25)
    assert gain.above_zero
    assert gain.low < 0.25 < gain.high
    same = paired_difference(better, better)
    assert (same.low, same.high) == (0.0, 0.0)
    assert not same.above_zero


def test_the_interval_agrees_with_the_normal_approximation():
    first = [1] * 60 + [0] * 40
    second = [0] * 60 + [0] * 40
    interval = paired_difference(first, second)
    half = 1.96 * math.sqrt(0.6 * 0.4 / 100)
    assert interval.low == pytest.approx(0.6 - half, abs=0.02)
    assert interval.high == pytest.approx(0.6 + half, abs=0.02)


def test_pairing_matters():
    """Rows that both systems get right or wrong together widen nothing."""
    base = [1, 0] * 50
    better = base.copy()
    for row in range(1, 30, 2):
        better[row] = 1
    assert paired_difference(better, base).above_zero


def test_the_same_seed_gives_the_same_interval():
    first, second = [1, 0, 1, 1], [0, 0, 1, 0]
    assert paired_difference(first, second, seed=3) == paired_difference(first, second, seed=3)


@pytest.mark.parametrize("options", [{"confidence": 95}, {"confidence": 0.0}, {"resamples": 0}])
def test_a_confidence_or_a_number_of_resamples_that_means_nothing_is_refused(options):
    with pytest.raises(ValueError, match="confidence lies in"):
        paired_difference([1.0], [0.0], **options)


def test_words_in_common_are_counted_without_articles_case_and_punctuation():
    assert token_f1("The cat sat.", "a cat sat") == 1.0
    assert token_f1("cat", "cat sat") == pytest.approx(2 / 3)
    assert token_f1("cat cat", "cat sat") == pytest.approx(0.5)
    assert token_f1("the", "") == 1.0
    assert token_f1("cat", "the") == 0.0


@pytest.mark.parametrize(
    ("answer", "reference", "same"),
    [
        ("Billing.", "billing", True),
        (" **ham**", "HAM", True),
        ("ham or spam", "ham", False),
        ("", "ham", False),
    ],
)
def test_a_label_is_the_same_whatever_stands_round_it(answer, reference, same):
    assert same_label(answer, reference) is same


@pytest.mark.parametrize(
    ("answer", "members", "valid"),
    [
        ('{"a": 1}', (), True),
        ('{"a": 1}', ("a",), True),
        ('{"a": 1}', ("b",), False),
        ("[1]", ("a",), False),
        ('```json\n{"a": 1}\n```', (), False),
        ('{"a": NaN}', (), False),
        ("[" * 100_000, (), False),
        ("", (), False),
    ],
)
def test_json_is_json_from_end_to_end(answer, members, valid):
    assert valid_json(answer, members) is valid


def test_one_seed_gives_the_interval_over_rows():
    first, second = [1, 0, 1, 1, 0, 1], [0, 0, 1, 0, 0, 1]
    assert crossed_difference([first], [second]) == paired_difference(first, second)


def test_seeds_that_disagree_widen_the_interval():
    rows = 200
    base = [[0.0] * rows]
    agree = crossed_difference([[0.5] * rows] * 3, base, resamples=2_000)
    disagree = crossed_difference([[0.1] * rows, [0.5] * rows, [0.9] * rows], base, resamples=2_000)
    assert (agree.low, agree.high) == (0.5, 0.5)
    assert disagree.estimate == pytest.approx(0.5)
    assert disagree.low < 0.2
    assert disagree.high > 0.8


def test_the_interval_over_rows_and_seeds_holds_what_it_promises():
    """Of intervals of 90 %, about so many contain the true difference; here rows and seeds both bring chance."""
    chance = random.Random(5)
    inside = 0
    for trial in range(120):
        rows = [chance.gauss(0.3, 1) for _ in range(40)]
        seeds = [chance.gauss(0, 0.2) for _ in range(8)]
        runs = [[row + seed for row in rows] for seed in seeds]
        found = crossed_difference(runs, [[0.0] * 40], confidence=0.9, resamples=300, seed=trial)
        inside += found.low <= 0.3 <= found.high
    assert 0.8 < inside / 120 <= 0.98


@pytest.mark.parametrize(
    "runs", [([[1.0], [0.0]], [[1.0], [0.0], [1.0]]), ([], [[1.0]]), ([[1.0], [1.0, 0.0]], [[1.0]])]
)
def test_seeds_that_do_not_belong_together_are_refused(runs):
    with pytest.raises(ValueError):
        crossed_difference(*runs)


def test_wilsons_interval_as_in_the_textbook():
    """Newcombe 1998, Statistics in Medicine 17, table I: 81 of 263, and 0 of 20."""
    found = win_share(81, 0, 182)
    assert (found.low, found.high) == (pytest.approx(0.2553, abs=1e-4), pytest.approx(0.3662, abs=1e-4))
    none = win_share(0, 0, 20)
    assert (none.low, none.high) == (0.0, pytest.approx(0.1611, abs=1e-4))
    assert win_share(1, 2, 1).estimate == 0.5


def test_calibration_by_hand():
    found = calibration([0.05, 0.15, 0.95, 0.95], [False, True, True, False], bins=10)
    assert [(one.count, one.said, one.true) for one in found.bins] == [
        (1, 0.05, 0.0),
        (1, 0.15, 1.0),
        (2, 0.95, 0.5),
    ]
    assert found.expected_error == pytest.approx((0.05 + 0.85 + 2 * 0.45) / 4)
    assert found.brier == pytest.approx((0.05**2 + 0.85**2 + 0.05**2 + 0.95**2) / 4)
    assert calibration([1.0], [True]).bins[0].high == 1.0
    with pytest.raises(ValueError):
        calibration([1.2], [True])
