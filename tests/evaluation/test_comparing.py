"""Two systems on the same rows, and the gate behind them."""

from __future__ import annotations

import json
import math
import random
import sys

import pytest

from vertex_tuning import EvaluationError, rewards
from vertex_tuning.evaluation import (
    MEASURES,
    Decision,
    Figures,
    Gate,
    Measure,
    by_score,
    compare,
    measure,
    measures,
    of_reward,
    pairwise,
)
from vertex_tuning.evaluation.rows import question, read, reference


def asked(text, answer=None, **rest):
    turns = [{"role": "user", "parts": [{"text": text}]}]
    if answer is not None:
        turns.append({"role": "model", "parts": [{"text": answer}]})
    return {"contents": turns, **rest}


# Rows


@pytest.mark.parametrize(
    ("row", "right"),
    [
        (asked("a", "b"), "b"),
        (asked("a", references={"answer": "b", "other": "c"}), "b"),
        (asked("a", references={"label": 4}), "4"),
        (asked("a", references={"one": "b", "two": "c"}), None),
        (asked("a"), None),
        ({"prompt": "a", "completion": "b"}, "b"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, "b"),
        (
            asked(
                "a",
                completions=[
                    {"score": 0, "completion": {"role": "model", "parts": [{"text": "c"}]}},
                    {"score": 1, "completion": {"role": "model", "parts": [{"text": "b"}]}},
                ],
            ),
            "b",
        ),
    ],
)
def test_a_row_of_any_form_asks_and_says_what_is_right(row, right):
    assert reference(row) == right
    assert question(row).text == "a"


def test_rows_are_checked_before_anybody_is_asked(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(asked("a", "b")) + "\n" + json.dumps({"contents": 5}) + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match="line 2"):
        read(path)
    assert len(read([asked("a", references={"answer": "b"})] * 3, limit=2)) == 2
    assert len(read([asked("a")])) == 1


# Measures


def test_every_measure_gives_one_for_the_right_answer():
    row = asked("a", '{"team": "billing"}')
    for name in MEASURES:
        assert measure(name).score('{"team": "billing"}', row) == 1.0
        assert measure(name).score("nothing of it", row) == 0.0


def test_a_reward_is_a_measure_and_its_failure_leaves_the_row_out():
    right = of_reward(rewards.exact_match("{{references.answer}}", name="right"))
    assert right.name == "right"
    assert right.score("4", asked("2 + 2", references={"answer": "4"})) == 1.0
    assert math.isnan(right.score("4", asked("2 + 2", "4")))
    found = compare([0.0, math.nan, 1.0], [1.0, 1.0, 1.0])
    assert (found.rows, found.left_out, found.difference) == (2, 1, 0.5)


def test_all_that_cannot_be_measured_is_said_at_once():
    wanted = [measure("exact_match"), Measure("exact_match", lambda answer, row: 1.0)]
    with pytest.raises(EvaluationError) as caught:
        measures.check(wanted, [asked("a", "b"), asked("c")])
    assert [fault.rule for fault in caught.value.faults] == ["VT754", "VT753"]
    assert "rows" in str(caught.value)
    with pytest.raises(EvaluationError, match="VT750"):
        measure("exactmatch")
    with pytest.raises(EvaluationError, match="VT752"):
        measures.check(wanted[:1], [])


def test_a_measure_whose_package_is_not_here_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "rouge_score", None)
    with pytest.raises(EvaluationError, match="pip install rouge-score"):
        measure("rouge_l")


# Comparisons


def test_a_comparison_says_what_was_gained_and_how_sure_that_is():
    found = compare([0, 1, 0, 1] * 25, [1, 1, 0, 1] * 25, measure="exact_match")
    assert (found.baseline, found.candidate, found.difference) == (0.5, 0.75, 0.25)
    assert (found.wins, found.ties, found.losses) == (25, 75, 0)
    assert found.low < 0.25 < found.high
    assert found.better
    assert found == compare([0, 1, 0, 1] * 25, [1, 1, 0, 1] * 25, measure="exact_match")
    assert type(found).from_json(json.loads(json.dumps(found.to_json()))) == found


def test_seeds_belong_together_or_share_a_baseline():
    base, runs = [0.0, 1.0] * 20, [[1.0, 1.0] * 20, [0.0, 1.0] * 20, [1.0, 1.0] * 20]
    one = compare(base, runs)
    assert (one.seeds, one.candidate_by_seed) == (3, (1.0, 0.5, 1.0))
    same = compare(runs, runs)
    assert (same.low, same.high, same.ties) == (0.0, 0.0, 40)


@pytest.mark.parametrize(
    "scores", [([1.0], [1.0, 0.0]), ([], []), ([math.nan], [1.0]), ([[1.0], [1.0]], [[1.0]] * 3)]
)
def test_scores_that_do_not_belong_together_are_refused(scores):
    with pytest.raises(EvaluationError, match="VT755"):
        compare(*scores)


# Pairs


ROWS = [asked(str(number)) for number in range(40)]


def test_a_judge_that_always_takes_the_first_decides_nothing():
    found = pairwise(lambda row, first, second: 1.0, ROWS, ["a"] * 40, ["b"] * 40)
    assert (found.wins, found.ties, found.losses) == (0, 40, 0)
    assert found.position_bias == 1.0
    assert found.share.estimate == 0.5


def test_a_win_counts_where_both_orders_agree():
    longer = by_score(lambda answer, row: len(answer))
    found = pairwise(longer, ROWS, ["aa"] * 40, ["aaa"] * 30 + ["a"] * 10)
    assert (found.wins, found.ties, found.losses) == (30, 0, 10)
    assert (found.position_bias, found.share.estimate) == (0.0, 0.75)
    assert found.share.low > 0.5
    assert (
        pairwise(by_score(lambda answer, row: len(answer), margin=1), ROWS, ["aa"] * 40, ["a"] * 40).ties
        == 40
    )


def test_no_verdict_is_no_tie():
    unsure = pairwise(
        lambda row, first, second: math.nan if row is ROWS[0] else float(first > second),
        ROWS,
        ["a"] * 40,
        ["b"] * 40,
    )
    assert unsure.no_verdict == 1
    assert unsure.verdicts[0] == ""
    with pytest.raises(EvaluationError, match="VT756"):
        pairwise(lambda row, first, second: math.nan, ROWS, ["a"] * 40, ["b"] * 40)
    with pytest.raises(EvaluationError, match="VT755"):
        pairwise(lambda row, first, second: 0.0, ROWS, ["a"], ["b"] * 40)


# Gates


def gained(share, rows=200, name="exact_match"):
    chance = random.Random(1)
    before = [float(chance.random() < 0.5) for _ in range(rows)]
    after = [max(value, float(chance.random() < share)) for value in before]
    return compare(before, after, measure=name)


def test_a_clear_gain_opens_the_gate_and_every_condition_has_its_sentence():
    gate = Gate("exact_match", margin=0.05, at_least=0.6, keep={"token_f1": 0.0}, max_seconds=1, max_cost=2)
    found = gate.decide([gained(0.6), gained(0.0, name="token_f1")], figures=Figures(0.5, 1.0))
    assert found.open
    assert len(found.reasons) == 6
    assert all(found.met)


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        (Gate("exact_match", margin=0.4), "not above"),
        (Gate("exact_match", at_least=0.99), "less than the 0.990"),
        (Gate("exact_match", min_rows=500), "500 are needed"),
        (Gate("exact_match", keep={"worse": 0.02}), "more than the 0.020"),
        (Gate("exact_match", max_seconds=0.1), "more than 0.1 s"),
        (Gate("exact_match", max_cost=1.0), "not known"),
    ],
)
def test_a_gate_stays_closed_for_the_reason_that_it_gives(gate, words):
    worse = compare([1.0] * 200, [1.0, 0.9] * 100, measure="worse")
    found = gate.decide([gained(0.6), worse], figures=Figures(seconds=0.5))
    assert not found.open
    [reason] = [reason for met, reason in zip(found.met, found.reasons, strict=True) if not met]
    assert words in reason


def test_chance_opens_no_gate():
    """A gain that the interval does not carry."""
    assert not Gate("exact_match").decide(gained(0.0)).open
    assert not Gate("exact_match").decide(gained(1.0, rows=5)).open


def test_a_gate_that_asks_for_what_was_not_measured_is_a_fault():
    with pytest.raises(EvaluationError, match="token_f1, wins"):
        Gate("exact_match", keep={"token_f1": 0.1}, win_share=0.5).decide(gained(0.5))


def test_wins_open_a_gate_by_their_lower_end():
    longer = by_score(lambda answer, row: len(answer))
    few = pairwise(longer, ROWS, ["aa"] * 40, ["aaa"] * 24 + ["a"] * 16)
    many = pairwise(longer, ROWS, ["aa"] * 40, ["aaa"] * 36 + ["a"] * 4)
    gate = Gate("exact_match", win_share=0.5)
    assert not gate.decide(gained(0.6), wins=few).open
    assert gate.decide(gained(0.6), wins=many).open


def test_decisions_are_put_together():
    both = Decision(True, ["one"]) & Decision(False, ["two"])
    assert (both.open, both.met) == (False, [True, False])
    assert "no   two" in str(both)
    assert both.to_json()["conditions"][1] == {"met": False, "reason": "two"}
