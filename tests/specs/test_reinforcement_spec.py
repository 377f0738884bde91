"""What is particular about the spec of reinforcement tuning."""

from __future__ import annotations

import pytest

from vertex_tuning import ReinforcementTuning, SpecError, rewards

REWARD = rewards.exact_match("{{references.answer}}", name="right")
RIGHT = {"base_model": "gemini-3.5-flash", "training": "prompts.jsonl", "reward": REWARD}


@pytest.mark.parametrize(
    ("rule", "where", "words", "fields"),
    [
        ("VT302", "base_model", "does not take reinforcement tuning", {"base_model": "gemini-2.5-flash"}),
        (
            "VT311",
            "kms_key",
            "customer-managed",
            {"kms_key": "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"},
        ),
        ("VT314", "beta", "reinforcement tuning has no such field", {"beta": 0.1}),
        ("VT315", "reward", "str is not a reward", {"reward": "exact"}),
        ("VT315", "batch_size", "3 prompts x 3 answers", {"batch_size": 3, "samples_per_prompt": 3}),
        ("VT315", "batch_size", "1024 prompts x 16 answers", {"batch_size": 1024}),
        ("VT315", "learning_rate_multiplier", "beyond", {"learning_rate_multiplier": 5.0}),
        ("VT315", "max_output_tokens", "more than 32,768", {"max_output_tokens": 40_000}),
        ("VT315", "thinking_level", "'MINIMAL' or 'HIGH'", {"thinking_level": "LOW"}),
    ],
)
def test_a_fault_is_named_with_its_place(rule, where, words, fields):
    with pytest.raises(SpecError) as caught:
        ReinforcementTuning(**{**RIGHT, **fields})
    assert (caught.value.rule, caught.value.fault.where) == (rule, where)
    assert words in str(caught.value)


def test_without_a_reward_there_is_nothing_to_learn_and_the_rest_is_told_too():
    with pytest.raises(SpecError) as caught:
        ReinforcementTuning(base_model="gemini-2.5-pro", training="prompts.jsonl")
    assert {fault.where for fault in caught.value.faults} == {"reward", "base_model"}


def test_only_its_own_fields_are_sent():
    spec = ReinforcementTuning(**RIGHT, batch_size=8, samples_per_prompt=8, checkpoint_interval=10)
    assert spec.options() == {
        "method": "REINFORCEMENT_TUNING",
        "reward_config": REWARD.to_json(),
        "batch_size": 8,
        "samples_per_prompt": 8,
        "checkpoint_interval": 10,
    }
    several = rewards.weighted([(REWARD, 1.0), (rewards.contains("x"), 2.0)])
    sent = ReinforcementTuning(**{**RIGHT, "reward": several}).options()
    assert "reward_config" not in sent
    assert len(sent["composite_reward_config"]["weightedRewardConfigs"]) == 2
