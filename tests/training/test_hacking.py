"""Promises of reinforcement by a reward model: it is kept on its leash, and looked at by somebody who is not paid by it."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.training import test_preference, test_reward
from tests.training.killed import killed_and_begun_again
from tests.training.test_reinforcement import config, data, halfway, run
from tests.training.test_supervised import tiny, weights, write
from vertex_tuning import metrics, rewards
from vertex_tuning.metrics import Look

__all__ = ["data", "halfway", "tiny"]  # fixtures


@pytest.fixture(scope="module")
def reward_model(tiny, tmp_path_factory) -> str:
    """One that has seen few pairs, all of whose answers are ones that the task knows."""
    folder = tmp_path_factory.mktemp("reward-model")
    pick = random.Random(5)
    pairs = {"training": write(folder / "t.jsonl", [test_preference.pair(pick) for _ in range(120)])}
    test_reward.run(test_reward.config(pairs, tiny, folder / "out", model=str(tiny / "tiny-0.1m"), epochs=4))
    return str(folder / "out/checkpoints/1")


def paid(reward_model: str, halfway: str, **more: Any) -> dict[str, Any]:
    """Settings: answers are paid by the model, and measured by whether they are right."""
    return {"reward": None, "reward_model": reward_model, "initial": halfway, **more}


MEASURED = {"measure": "exact_match", "measured_against": "answer"}


def looks(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["event"] == "look"]


def test_what_the_reward_model_pays_goes_up(data, tiny, halfway, tmp_path):
    """Whatever was asked: this one likes nothing but light."""
    pick = random.Random(6)
    rows = [test_preference.pair(pick) for _ in range(120)]
    for row in rows:
        for answer in row["completions"]:
            words = ("light on", "light off") if answer["score"] else ("weather",)
            answer["completion"]["parts"][0]["text"] = pick.choice(words)
    pairs = {"training": write(tmp_path / "pairs.jsonl", rows)}
    test_reward.run(test_reward.config(pairs, tiny, tmp_path / "likes", epochs=4))
    settings = paid(str(tmp_path / "likes/checkpoints/1"), halfway, epochs=3, beta=0.02)
    events = run(config(data, tiny, tmp_path / "out", **settings, **MEASURED, stop_when_hacked=False))
    seen = looks(events)
    assert [look["step"] for look in seen] == [0, 8, 16, 24]
    assert seen[-1]["reward"] > seen[0]["reward"] + 0.1
    assert all(-1 < look["reward"] < 1 for look in seen)


def test_the_leash_keeps_the_model_near_where_it_began(data, tiny, halfway, reward_model, tmp_path):
    kept = {}
    for beta in (0.01, 1.0):
        settings = paid(reward_model, halfway, epochs=2, beta=beta)
        events = run(config(data, tiny, tmp_path / str(beta), **settings))
        kept[beta] = [event["kl"] for event in events if event["event"] == "step"]
    assert kept[0.01][0] == kept[1.0][0] == pytest.approx(0, abs=1e-4)
    assert sum(kept[1.0][-4:]) < 0.6 * sum(kept[0.01][-4:])


@pytest.mark.parametrize("mode", ["adapter", "full"])
def test_the_distance_is_that_between_the_two_models(data, tiny, tmp_path, mode):
    """After some change of the weights, beside what each gives the tokens by itself."""
    import torch
    from accelerate import Accelerator

    from vertex_tuning.training import groups, leash, reinforcement
    from vertex_tuning.training.loop import Learner

    settings = config(data, tiny, tmp_path, mode=mode, beta=1.0)
    objective = reinforcement._Reinforcement(settings, lambda _: None)
    learner = Learner(Accelerator(cpu=True), objective.load(settings, tmp_path))
    objective.begin(learner)
    group = groups.Group([5, 6, 7], [[8, 9, 1], [10, 1]], [0, 1])
    with torch.no_grad():
        first, _ = groups.log_likelihoods(learner, [group])
        for parameter in learner.model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.full_like(parameter, 0.02))
        second, _ = groups.log_likelihoods(learner, [group])
        assert objective._beginning is not None
        with objective._beginning.back():
            again, _ = groups.log_likelihoods(learner, [group])
        after, _ = groups.log_likelihoods(learner, [group])
    assert torch.equal(first, again)
    assert torch.equal(second, after)
    assert not torch.allclose(first, second)
    expected = (first - second).exp() - (first - second) - 1
    torch.testing.assert_close(leash.divergence(second, first), expected)
    assert bool((expected >= 0).all())


def test_hacking_of_a_learned_reward_is_caught_and_the_best_checkpoint_kept(
    data, tiny, halfway, reward_model, tmp_path
):
    """Without a leash, at a high rate: the reward climbs, and the answers are wrong. Training stops long before its end."""
    settings = paid(reward_model, halfway, epochs=15, learning_rate=5e-3, checkpoint_interval=4)
    events = run(config(data, tiny, tmp_path, evaluate_interval=4, **settings, **MEASURED))
    seen, done = looks(events), events[-1]
    assert done["event"] == "done"
    assert done["hacked"]
    assert done["steps"] < 120
    last, best = seen[-1], max(seen, key=lambda look: look["measure"])
    assert last["hacked"]
    assert last["reward"] > best["reward"]
    assert last["measure"] < best["measure"]
    assert done["reasons"][0].startswith("the reward is up")
    kept = {checkpoint["checkpoint_id"]: checkpoint["step"] for checkpoint in done["checkpoints"]}
    assert kept.get(done["best_checkpoint"], 0) == best["step"]
    assert max(kept.values()) == done["steps"]
    # Asked once more, the run has nothing to do.
    again = run(config(data, tiny, tmp_path, evaluate_interval=4, **settings, **MEASURED))
    assert [event for event in again if event["event"] == "step"] == []
    assert again[-1]["best_checkpoint"] == done["best_checkpoint"]


def test_a_run_that_was_killed_sees_and_ends_the_same(data, tiny, halfway, reward_model, tmp_path):
    settings = {**paid(reward_model, halfway, steps=6, beta=0.1), **MEASURED}
    both = {"checkpoint_interval": 2, "evaluate_interval": 2}
    run(config(data, tiny, tmp_path / "straight", **settings, **both))
    path = tmp_path / "config.json"
    killed_and_begun_again(config(data, tiny, tmp_path / "killed", **settings, **both), path)
    assert weights(tmp_path / "straight/checkpoints/3") == weights(tmp_path / "killed/checkpoints/3")
    texts = [(tmp_path / name / "looks.jsonl").read_text() for name in ("straight", "killed")]
    assert texts[0] == texts[1]
    assert [json.loads(line)["step"] for line in texts[0].splitlines()] == [0, 2, 4, 6]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reward": None}, "name one of them"),
        ({"reward_model": "somewhere"}, "name one of them"),
        ({"reward": None, "reward_model": "nowhere"}, "There is no reward model in nowhere"),
        ({"measure": "beauty"}, "there are: token_f1, exact_match"),
        ({"measure": "token_f1", "measured_against": "other"}, 'no reference "other"'),
        ({"measure": "token_f1", "validation": None}, "give a validation set"),
    ],
)
def test_what_makes_no_sense_is_said(data, tiny, tmp_path, changes, words):
    events = run(config(data, tiny, tmp_path, **changes))
    assert (events[-1]["event"], events[-1]["code"]) == ("failed", 3)
    assert words in events[-1]["message"]


# The verdict


def look(step: int, reward: float, measure: float, length: float = 5.0, repetition: float = 0.0) -> Look:
    """Forty prompts, around these means."""
    pick = random.Random(step)

    def around(mean: float, spread: float) -> list[float]:
        return [mean + pick.uniform(-spread, spread) for _ in range(40)]

    return Look(
        step=step,
        reward=around(reward, 0.2),
        measure=around(measure, 0.2),
        length=around(length, 1.0),
        repetition=around(repetition, 0.05),
    )


def test_better_by_both_is_no_hacking():
    verdict = metrics.hacking([look(0, 0.0, 0.4), look(10, 0.5, 0.7, length=8.0)])
    assert not verdict.hacked
    assert verdict.wins > 0.5
    assert verdict.reasons == ()


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (look(10, 0.5, 0.3, length=9.0), "longer"),
        (look(10, 0.5, 0.3, repetition=0.4), "repeat"),
        (look(10, 0.5, 0.1), "the measure is down"),
    ],
)
def test_a_reward_that_climbs_alone_is_hacked(last, words):
    verdict = metrics.hacking([look(0, 0.0, 0.4), last])
    assert verdict.hacked
    assert any(words in reason for reason in verdict.reasons[1:])


def test_a_look_is_held_against_the_best_one_before_and_not_only_against_the_start():
    """It is better than at the start still, and falling."""
    seen = [look(0, 0.0, 0.3), look(10, 0.3, 0.8), look(20, 0.7, 0.5, length=9.0)]
    verdict = metrics.hacking(seen)
    assert verdict.hacked
    assert verdict.against == 10
    assert metrics.best(seen).step == 10


def test_longer_answers_that_earn_no_more_are_no_hacking():
    assert not metrics.hacking([look(0, 0.4, 0.5), look(10, 0.4, 0.5, length=9.0)]).hacked
    # Down by the measure and by the reward: it has got worse, but nobody is deceived.
    assert not metrics.hacking([look(0, 0.4, 0.5), look(10, 0.1, 0.2)]).hacked


def test_one_look_is_held_against_nothing():
    with pytest.raises(ValueError, match="nothing to hold"):
        metrics.hacking([look(0, 0.4, 0.5)])


def test_repetition_is_the_share_of_words_that_were_said_before():
    assert metrics.repetition("") == 0
    assert metrics.repetition("a good film") == 0
    assert metrics.repetition("good good Good film") == 0.5
    assert metrics.wins([1.0, 0.5, 0.0], [0.0, 0.5, 1.0]) == [1.0, 0.5, 0.0]


def test_a_reward_is_the_chance_to_beat_an_average_answer(tiny, reward_model):
    """`tanh` of half the distance from the mean, which is what the card says; in any batch the same."""
    import math

    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from vertex_tuning.training.judging import Answered, RewardModel

    chat = [{"role": "user", "content": "turn on the light in the hall"}]
    asked = [Answered(chat, answer) for answer in ("light on", "weather", "light on light on light on")]
    found = RewardModel(Path(reward_model)).rewards(asked)
    plain = AutoModelForSequenceClassification.from_pretrained(reward_model, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(reward_model)
    mean = json.loads((Path(reward_model) / "reward.json").read_text())["mean_reward"]
    for one, reward in zip(asked, found, strict=True):
        whole = [*one.chat, {"role": "assistant", "content": one.answer}]
        text = tokenizer.apply_chat_template(whole, tokenize=False)
        given = tokenizer(text, return_tensors="pt", add_special_tokens=False)
        given.pop("token_type_ids", None)
        with torch.no_grad():
            raw = plain(**given).logits.item()
        assert reward == pytest.approx(math.tanh((raw - mean) / 2), abs=0.02)


def test_the_reward_engine_and_a_measure_go_together_too(data, tiny, halfway, tmp_path):
    reward = rewards.contains("light").request()
    events = run(config(data, tiny, tmp_path, initial=halfway, reward=reward, steps=2, **MEASURED))
    assert [sorted(look)[:3] for look in looks(events)] == [
        ["event", "length", "measure"],
        ["event", "hacked", "length"],
    ]
