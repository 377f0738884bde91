import math

import pytest

from vertex_tuning.metrics import exact_match, matches, paired_difference


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


def test_confidence_is_held_against_accuracy():
    """Two verdicts at 0.6, half of them right; three at 0.9, all right: the gaps are 0.1 each."""
    from vertex_tuning.metrics import calibration

    found = calibration([0.6, 0.6, 0.9, 0.9, 0.9], [True, False, True, True, True])
    assert found.error == pytest.approx((2 * 0.1 + 3 * 0.1) / 5)
    assert [(one.confidence, one.accuracy, one.count) for one in found.bins] == [
        (pytest.approx(0.6), 0.5, 2),
        (pytest.approx(0.9), 1.0, 3),
    ]
    assert calibration([1.0], [True]).error == 0
    with pytest.raises(ValueError, match="no verdicts"):
        calibration([], [])
