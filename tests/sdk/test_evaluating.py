"""A tuned model held against its base, asked through the SDK."""

from __future__ import annotations

import json
import threading

import pytest

from tests.sdk.conftest import OPPOSITES, row, rows
from vertex_tuning import AsyncTuningClient, EvaluationError, ServiceError, catalog, rewards
from vertex_tuning.evaluation import Gate, System, answers, judge
from vertex_tuning.evaluation.asking import Kept

BASE = "gemini-2.5-flash"
HELD_OUT = rows(40)
RIGHT = dict(OPPOSITES)


def knows(row):
    return RIGHT[row["contents"][0]["parts"][0]["text"].split()[-1].rstrip("?")]


def test_what_was_learnt_opens_the_gate(client, tuned, tmp_path):
    found = client.evaluate(
        HELD_OUT,
        candidate=tuned,
        measures=["exact_match", "token_f1", rewards.regex("^[a-z]+$", name="one word")],
        gate=Gate("token_f1", margin=-0.5, keep={"exact_match": 1.0}, max_seconds=60),
        max_output_tokens=8,
    )
    assert found.baseline.name == BASE
    assert found.candidate.name == tuned.name
    assert [one.measure for one in found.comparisons] == ["exact_match", "token_f1", "one word"]
    assert found["exact_match"].rows == 40
    assert found.decision.open
    assert found.open
    assert found.candidate.prompt_tokens > 0
    assert 0 < found.candidate.answer_tokens <= 8
    assert found.candidate.seconds > 0
    assert found.candidate.cost > 0
    page = found.report("Opposites")
    assert tuned.name in page.html()
    assert page.write(tmp_path / "report.md").read_text(encoding="utf-8").startswith("# Opposites")
    assert json.loads(json.dumps(found.to_json()))["gate"]["open"] is True


def test_one_measure_needs_no_list(client, tuned):
    found = client.evaluate(
        HELD_OUT, candidate=tuned, measures="token_f1", labels="cold", rows=2, max_output_tokens=4
    )
    assert [one.measure for one in found.comparisons] == ["token_f1"]


def test_a_second_run_asks_nobody(client, tuned, tmp_path, emulator):
    kept = tmp_path / "kept" / "answers.jsonl"
    options = {"candidate": tuned.name, "kept": kept, "max_output_tokens": 4, "rows": 6}
    told = []
    first = client.evaluate(HELD_OUT, **options, progress=lambda *how: told.append(how))
    assert told[-1] == (12, 12)
    assert len(kept.read_text(encoding="utf-8").splitlines()) == 12
    asked = []
    original = type(tuned).generate
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            type(tuned).__mro__[1], "generate", lambda *a, **k: asked.append(a) or original(*a, **k)
        )
        second = client.evaluate(HELD_OUT, **options)
    assert asked == []
    assert second.to_json() == first.to_json()


def test_a_checkpoint_and_a_function_are_systems_too(client, tuned):
    checkpoint = tuned.checkpoints()[0]
    found = client.evaluate(HELD_OUT, candidate=knows, baseline=checkpoint, rows=5, max_output_tokens=4)
    assert found["exact_match"].candidate == 1.0
    assert found.candidate.name == "knows"
    assert client.evaluate(HELD_OUT, candidate=checkpoint, rows=2, max_output_tokens=2).baseline.name == BASE


def test_models_of_several_seeds_are_one_candidate(client):
    runs = [System.of_function(knows, name="one"), System.of_function(lambda row: "no", name="two")]
    found = client.evaluate(HELD_OUT, candidate=runs, baseline=lambda row: "no")
    assert found["exact_match"].seeds == 2
    assert found["exact_match"].candidate_by_seed == (1.0, 0.0)


def test_a_judge_is_asked_in_both_orders(client):
    """What stands in for a judge here decides by what it sees; that both orders agree must not depend on it."""
    model = client.models.base(BASE)
    found = client.evaluate(HELD_OUT[:4], candidate=knows, baseline=lambda row: "?", judge=judge(model))
    assert found.wins.rows == 4
    same = client.evaluate(HELD_OUT[:4], candidate=knows, baseline=knows, judge=BASE)
    assert (same.wins.ties, same.wins.position_bias) == (4, 0.0)
    with pytest.raises(EvaluationError, match="VT757"):
        judge(model, template="{{prompt}} {{first}}")


def test_prices_give_costs(client, tuned):
    found = client.evaluate(HELD_OUT, candidate=tuned, price=(1.0, 10.0), rows=3, max_output_tokens=4)
    one = found.baseline
    assert one.cost == pytest.approx((one.prompt_tokens * 1 + one.answer_tokens * 10) / 1000)
    assert found.candidate.cost is not None  # Gemini 2.5: as its base
    # Where none is given, as the catalog has it.
    asked, answered = (cell.value for cell in catalog.answer_prices(BASE))
    usual = client.evaluate(HELD_OUT, candidate=tuned, rows=3, max_output_tokens=4).baseline
    assert usual.cost == pytest.approx((usual.prompt_tokens * asked + usual.answer_tokens * answered) / 1000)


def test_a_row_that_is_refused_is_an_empty_answer_and_is_reported():
    def refuses(row):
        if row is HELD_OUT[1]:
            raise ServiceError("VT501", "this row is too long", code=400)
        return "yes"

    said = answers(System.of_function(refuses), HELD_OUT[:3])
    assert [one.text for one in said] == ["yes", "", "yes"]
    assert said[1].error == "this row is too long"


def test_what_was_answered_before_trouble_is_kept(tmp_path):
    path, lock, asked = tmp_path / "answers.jsonl", threading.Lock(), []

    def fails(row):
        with lock:
            asked.append(row)
            if len(asked) > 5:
                raise ServiceError("VT503", "busy", code=503)
        return "yes"

    questions = [row(f"{number}?", "yes") for number in range(10)]
    with pytest.raises(ServiceError, match="busy"):
        answers(System.of_function(fails), questions, kept=Kept(path), at_once=1)
    with path.open("a", encoding="utf-8") as file:
        file.write('{"key": "torn')
    again = []
    said = answers(
        System.of_function(lambda row: again.append(row) or "yes", name="fails"),
        questions,
        kept=Kept(path),
        at_once=1,
    )
    assert len(again) == 5
    assert [one.text for one in said] == ["yes"] * 10
    assert len(Kept(path)._known) == 10


def test_a_question_that_is_asked_twice_is_answered_twice(tmp_path):
    count = iter(range(10))
    system = System.of_function(lambda row: str(next(count)), name="counter")
    twice = [row("same?", "a")] * 2
    kept = tmp_path / "answers.jsonl"
    first = [one.text for one in answers(system, twice, kept=Kept(kept), at_once=1)]
    assert sorted(first) == ["0", "1"]
    assert [one.text for one in answers(system, twice, kept=Kept(kept))] == first


def test_all_is_checked_before_anybody_is_asked(client, tmp_path):
    def never(row):
        raise AssertionError

    with pytest.raises(EvaluationError, match="VT758"):
        client.evaluate(HELD_OUT, candidate=never, baseline=never, gate=Gate("token_f1"))
    with pytest.raises(EvaluationError, match="VT760"):
        client.evaluate(HELD_OUT, candidate=never)
    with pytest.raises(EvaluationError, match="VT760"):
        client.evaluate(HELD_OUT, candidate=BASE)
    with pytest.raises(EvaluationError, match="VT759"):
        client.evaluate(HELD_OUT, candidate=never, baseline=never, kept=tmp_path)
    with pytest.raises(EvaluationError, match="VT753"):
        client.evaluate([{"contents": HELD_OUT[0]["contents"][:1]}], candidate=never, baseline=never)


def test_a_function_is_asked_again_where_something_else_of_a_row_has_changed(tmp_path):
    kept, asked = tmp_path / "answers.jsonl", []
    system = System.of_function(lambda row: asked.append(row) or row["hint"], name="hinted")
    for hint in ("a", "b", "a"):
        [said] = answers(system, [{**HELD_OUT[0], "hint": hint}], kept=Kept(kept))
        assert said.text == hint
    assert len(asked) == 2


async def test_it_can_be_awaited(open_client):
    client = AsyncTuningClient(open_client())
    found = await client.evaluate(HELD_OUT, candidate=knows, baseline=lambda row: "?")
    assert found["exact_match"].difference == 1.0
