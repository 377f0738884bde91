"""Rewards by another model's judgement: what it is asked, and what its words are worth."""

from __future__ import annotations

from typing import Any

import pytest

from vertex_tuning import RewardError, rewards

JUDGE = "projects/p/locations/us-central1/publishers/google/models/gemini-2.5-flash"
SHORT = ("gemini-2.5-flash", "", "models/7", "publishers/google/models/gemini-2.5-flash")
ROW = {
    "contents": [{"role": "user", "parts": [{"text": "2 + 2?"}]}],
    "references": {"answer": "4"},
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
}


class Judge:
    """Says what it is told to, and keeps what it was asked."""

    def __init__(self, *says: str) -> None:
        self.says = says
        self.asked: list[tuple[str, str, int, dict[str, Any]]] = []

    def __call__(self, model: str, prompt: str, times: int, config: dict[str, Any]) -> list[str]:
        self.asked.append((model, prompt, times, config))
        return [self.says[index % len(self.says)] for index in range(times)]


def test_the_judge_is_shown_everything_that_it_asks_for():
    judge = Judge("0.5")
    prompt = '{{system_instruction}}|{{prompt}}|{{response}}|{{references.answer}}|{{"score": 1}}'
    reward = rewards.judge(prompt, model=JUDGE, samples=3, temperature=0.0)
    assert reward.score(ROW, "4", rate=judge).reward == 0.5
    assert judge.asked == [(JUDGE, 'Be brief.|2 + 2?|4|4|{{"score": 1}}', 3, {"temperature": 0.0})]


def test_what_is_put_in_is_not_looked_at_again():
    judge = Judge("1")
    rewards.judge("{{response}}", model=JUDGE).score(ROW, "{{references.answer}}", rate=judge)
    assert judge.asked[0][1] == "{{references.answer}}"


def test_it_is_asked_four_times_where_nobody_says():
    judge = Judge("1", "0", "0", "0")
    assert rewards.judge("{{response}}", model=JUDGE).score(ROW, "x", rate=judge).reward == 0.25


@pytest.mark.parametrize(
    ("says", "options", "reward"),
    [
        (("0.5",), {}, 0.5),
        (("-0.5",), {}, -0.5),
        ((" 1 ",), {}, 1.0),
        (("7",), {}, 1.0),
        (("-7",), {}, -1.0),
        (("1e-1",), {}, 0.1),
        (("so <score>0.25</score>",), {"extract": "<score>(.*?)</score>"}, 0.25),
        (("<s>0</s> no <s>1</s>",), {"extract": "<s>(.*?)</s>"}, 1.0),
        (("1", "0"), {}, 0.5),
        (("1", "no idea"), {}, 1.0),
        (("1", "nan"), {}, 1.0),
        (("yes",), {"expect": "yes"}, 1.0),
        (("no",), {"expect": "yes", "wrong": -1.0}, -1.0),
        (("yes!",), {"expect": "yes"}, 0.0),
        (("4",), {"expect": "{{references.answer}}"}, 1.0),
        (("I say: yes",), {"expect": "yes", "extract": "say: (.*)"}, 1.0),
        (("nothing",), {"expect": "yes", "extract": "say: (.*)", "wrong": -0.5}, -0.5),
        (("yes", "no", "no", "no"), {"expect": "yes"}, 0.25),
    ],
)
def test_what_it_says_is_worth_so_much(says, options, reward):
    found = rewards.judge("{{response}}", model=JUDGE, **options).score(ROW, "x", rate=Judge(*says))
    assert found.failure is None
    assert found.reward == pytest.approx(reward)


@pytest.mark.parametrize("says", ["no idea", "", "nan", "<score></score>"])
def test_where_nothing_that_it_says_is_a_number_there_is_no_reward(says):
    found = rewards.judge("{{response}}", model=JUDGE).score(ROW, "x", rate=Judge(says))
    assert found.failure is not None
    assert found.failure.rule == "VT916"


def test_a_judge_that_cannot_be_asked_is_a_failure_with_its_words():
    def broken(*_: Any) -> list[str]:
        raise RuntimeError("out of quota")

    found = rewards.judge("{{response}}", model=JUDGE).score(ROW, "x", rate=broken)
    assert found.failure is not None
    assert "out of quota" in found.failure.message
    alone = rewards.judge("{{response}}", model=JUDGE).score(ROW, "x")
    assert alone.failure is not None
    assert alone.failure.rule == "VT923"


def test_a_reference_that_there_is_not_is_a_failure():
    reward = rewards.judge("{{response}} {{references.other}}", model=JUDGE)
    found = reward.score(ROW, "x", rate=Judge("1"))
    assert found.failure is not None
    assert found.failure.rule == "VT920"


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"prompt": "Rate it"}, "VT915"),
        ({"prompt": "{{response}} {{answer}}"}, "VT907"),
        ({"prompt": "{{response}} {{ references.answer }}"}, "VT907"),
        ({"samples": 33}, "VT915"),
        ({"extract": "("}, "VT904"),
        ({"expect": "yes", "correct": -1.0}, "VT911"),
        ({"expect": "yes", "correct": 2.0}, "VT908"),
        *(({"model": name}, "VT915") for name in SHORT),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_is_written(options, rule):
    with pytest.raises(RewardError) as caught:
        rewards.judge(**{"prompt": "{{response}}", "model": JUDGE, **options})
    assert caught.value.rule == rule


def test_it_is_the_same_after_it_was_written_and_read():
    for reward in (
        rewards.judge("{{response}}", model=JUDGE),
        rewards.judge("{{response}}", model=JUDGE, extract="<s>(.*)</s>", samples=8, temperature=0.5),
        rewards.judge("{{response}}", model=JUDGE, expect="yes", correct=0.5, wrong=-0.5),
    ):
        assert rewards.from_json(reward.request()) == reward


def test_one_that_is_read_is_held_to_the_same():
    scorer = {
        "autoraterPrompt": "{{response}} {{answer}}",
        "autoraterConfig": {"autoraterModel": "gemini-2.5-flash", "samplingCount": 33},
        "exactMatchScorer": {"expression": "", "correctAnswerReward": "NaN"},
    }
    with pytest.raises(RewardError) as caught:
        rewards.from_json({"singleRewardConfig": {"autoraterScorer": scorer}})
    path = "single_reward_config.autorater_scorer"
    assert [(fault.rule, fault.where) for fault in caught.value.faults] == [
        ("VT907", f"{path}.autorater_prompt"),
        ("VT915", f"{path}.autorater_config.autorater_model"),
        ("VT915", f"{path}.autorater_config.sampling_count"),
        ("VT905", f"{path}.exact_match_scorer.expression"),
        ("VT908", f"{path}.exact_match_scorer.correct_answer_reward"),
    ]


@pytest.mark.parametrize("model", SHORT)
def test_where_it_is_not_refused_each_call_tells(model):
    scorer = {"autoraterPrompt": "Rate it", "autoraterConfig": {"autoraterModel": model}}
    found = rewards.from_json({"autoraterScorer": scorer}, strict=False).score(ROW, "x", rate=Judge("1"))
    assert found.failure is not None
    assert "projects/P/locations/L" in found.failure.message


def test_what_it_hands_on_is_not_touched():
    """The names in a schema are the user's own: they are no members of Google's, to be spelt another way."""
    schema = {"type": "OBJECT", "properties": {"my_score": {"type": "NUMBER"}}, "required": ["my_score"]}
    how = {"autoraterModel": JUDGE, "flipEnabled": True, "generationConfig": {"responseSchema": schema}}
    scorer = {"autoraterPrompt": "{{response}}", "autoraterConfig": how, "parsedResponseConversionScorer": {}}
    told = rewards.from_json({"autoraterScorer": scorer}).request()["singleRewardConfig"]["autoraterScorer"]
    assert told["autoraterConfig"] == how


def test_it_counts_among_others_by_its_weight():
    several = rewards.weighted([(rewards.judge("{{response}}", model=JUDGE), 1), (rewards.contains("x"), 3)])
    assert several.score(ROW, "x", rate=Judge("0")).reward == 0.75
