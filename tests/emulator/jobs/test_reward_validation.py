"""`validateReinforcementTuningReward`, as google-genai asks: the same numbers as without the service."""

from __future__ import annotations

from typing import Any

import pytest
from google.genai import errors, types

from tests.rewards.cases import ALL, NOTHING, Case
from tests.rewards.services import Service
from tests.rewards.test_semantics import config, example

from .conftest import LOCATION, Bench

EXACT = {
    "reward_name": "exact",
    "parse_response_config": {
        "parse_type": "REGEX_EXTRACT",
        "regex_extract_expression": "<ans>(.*?)</ans>",
    },
    "string_match_reward_scorer": {
        "wrong_answer_reward": -1.0,
        "correct_answer_reward": 1.0,
        "string_match_expression": {
            "match_operation": "EXACT_MATCH",
            "expression": "{{references.answer}}",
        },
    },
}
EXAMPLE = {
    "contents": [{"parts": [{"text": "2+2?"}], "role": "user"}],
    "references": {"answer": "4"},
    "systemInstruction": {"parts": [{"text": "Be terse"}]},
}


def said(text: str) -> dict[str, object]:
    return {"parts": [{"text": text}], "role": "model"}


def ask(bench: Bench, text: str, **reward: object) -> types.ValidateRewardResponse:
    client = bench.genai()  # a client that nobody holds is closed in the middle of a call
    return client.tunings.validate_reward(
        parent=LOCATION, sample_response=said(text), example=EXAMPLE, **reward
    )


def test_an_answer_earns_what_it_is_worth(bench: Bench) -> None:
    found = ask(bench, "<ans>4</ans>", single_reward_config=EXACT)
    assert (found.overall_reward, found.error) == (1.0, None)
    assert found.reward_info_details is not None
    assert found.reward_info_details["exact"].reward == 1.0
    assert ask(bench, "<ans>5</ans>", single_reward_config=EXACT).overall_reward == -1.0


def test_several_rewards_are_told_one_by_one(bench: Bench) -> None:
    contains = {
        "reward_name": "contains",
        "string_match_reward_scorer": {
            "correct_answer_reward": 1.0,
            "string_match_expression": {"match_operation": "PARTIAL_MATCH", "expression": "4"},
        },
    }
    composite = {
        "weighted_reward_configs": [
            {"reward_config": EXACT, "weight": 1.0},
            {"reward_config": contains, "weight": 3.0},
        ]
    }
    found = ask(bench, "it is 4", composite_reward_config=composite)
    assert found.overall_reward == pytest.approx(0.5)
    details = {name: info.reward for name, info in (found.reward_info_details or {}).items()}
    assert details == {"exact": -1.0, "contains": 1.0}


def test_what_cannot_be_computed_is_told_in_the_answer(bench: Bench) -> None:
    request = {"sampleResponse": said("<ans>4</ans>"), "singleRewardConfig": EXACT, "example": {}}
    found = bench.call("POST", f"/v1beta1/{LOCATION}/tuningJobs:validateReinforcementTuningReward", request)
    assert "overallReward" not in found
    assert '"answer"' in found["error"]
    assert found["errorStatus"]["code"] == 3
    assert found["rewardInfoDetails"]["exact"]["errorStatus"]["message"].startswith("VT920")


def test_a_reward_that_makes_no_sense_is_refused_with_every_fault(bench: Bench) -> None:
    bad = {**EXACT, "parse_response_config": {"parse_type": "REGEX_EXTRACT", "regex_extract_expression": "("}}
    del bad["string_match_reward_scorer"]
    with pytest.raises(errors.ClientError) as caught:
        ask(bench, "4", single_reward_config=bad)
    assert caught.value.code == 400
    message = str(caught.value.message)
    assert "parse_response_config.regex_extract_expression" in message
    assert "reward_scorer" in message


@pytest.mark.parametrize("left_out", ["example", "sampleResponse", "singleRewardConfig"])
def test_what_is_missing_is_named(bench: Bench, left_out: str) -> None:
    request = {"sampleResponse": said("4"), "singleRewardConfig": EXACT, "example": EXAMPLE}
    del request[left_out]
    code, answer = bench.call(
        "POST", f"/v1beta1/{LOCATION}/tuningJobs:validateReinforcementTuningReward", request
    )
    assert code == 400
    assert "required" in answer["error"]["message"] or "no reward" in answer["error"]["message"]


def test_it_is_of_the_beta_version_alone(bench: Bench) -> None:
    code, _ = bench.call("POST", f"/v1/{LOCATION}/tuningJobs:validateReinforcementTuningReward", {})
    assert code == 404


@pytest.mark.parametrize("case", ALL[::4], ids=lambda case: f"{case.source}-{case.what}")
def test_the_wire_pays_what_the_engine_pays(bench: Bench, case: Case) -> None:
    response = said(case.response) if isinstance(case.response, str) else case.response
    request = {**config(case), "example": example(case), "sampleResponse": response}
    found = bench.call("POST", f"/v1beta1/{LOCATION}/tuningJobs:validateReinforcementTuningReward", request)
    assert isinstance(found, dict), found
    if case.reward is NOTHING:
        assert found["error"]
    else:
        assert found.get("overallReward", 0.0) == pytest.approx(case.reward)


def test_code_is_run_behind_walls_unless_it_is_switched_off(bench: Bench, start_emulator: Any) -> None:
    code = "def evaluate(example, response): return float(response['parts'][0]['text'] == example['references']['answer'])"
    request = {
        "singleRewardConfig": {"codeExecutionRewardScorer": {"pythonCodeSnippet": code}},
        "example": EXAMPLE,
        "sampleResponse": said("4"),
    }
    path = f"/v1beta1/{LOCATION}/tuningJobs:validateReinforcementTuningReward"
    assert bench.call("POST", path, request)["overallReward"] == 1.0
    found = start_emulator("--no-local-code").call("POST", path, request)
    assert "--no-local-code" in found["error"]
    assert found["errorStatus"]["code"] == 12


def test_a_judge_is_a_model_of_the_emulators(bench: Bench, tuned: dict[str, Any]) -> None:
    """It says a colour where it is asked for one: that can be held against what is expected."""
    endpoint = tuned["tunedModel"]["endpoint"]
    rater: dict[str, Any] = {
        "autoraterConfig": {
            "autoraterModel": endpoint,
            "samplingCount": 2,
            "generationConfig": {"temperature": 0.0, "maxOutputTokens": 8},
        },
        "autoraterPrompt": "Say {{response}}.",
        "exactMatchScorer": {"expression": "purple", "correctAnswerReward": 1.0, "wrongAnswerReward": -0.5},
    }
    request = {
        "singleRewardConfig": {"rewardName": "judge", "autoraterScorer": rater},
        "example": EXAMPLE,
        "sampleResponse": said("red"),
    }
    path = f"/v1beta1/{LOCATION}/tuningJobs:validateReinforcementTuningReward"
    assert bench.call("POST", path, request)["overallReward"] == -0.5
    rater["autoraterConfig"]["autoraterModel"] = endpoint + "0"
    assert "not found" in bench.call("POST", path, request)["error"]


def test_who_asks_is_not_kept_waiting_and_hears_what_a_job_would_do(bench: Bench) -> None:
    busy = Service(lambda *_: (503, b"later"))
    reward = {"rewardName": "busy", "cloudRunRewardScorer": {"cloudRunUri": busy.uri}}
    request = {"singleRewardConfig": reward, "example": EXAMPLE, "sampleResponse": said("4")}
    try:
        found = bench.call(
            "POST", f"/v1beta1/{LOCATION}/tuningJobs:validateReinforcementTuningReward", request
        )
    finally:
        busy.close()
    assert (
        "503: later (asked once; a tuning job asks again after 2, 4, 8, 16 and 32 seconds)" in found["error"]
    )
    assert len(busy.asked) == 1
