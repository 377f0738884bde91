"""Promises of answering: no weight changes, and what is said of the answers is what the reward model and the measure say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.training.test_hacking import reward_model
from tests.training.test_reinforcement import data, halfway
from tests.training.test_supervised import tiny
from vertex_tuning import metrics
from vertex_tuning.training import methods

__all__ = ["data", "halfway", "reward_model", "tiny"]  # fixtures


def ask(data, tiny, output: Path, **changes: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Events, and the lines that were written."""
    events: list[dict[str, Any]] = []
    config = {
        "model": str(tiny / "tiny-0.5m"),
        "training": data["validation"],
        "output": str(output),
        "adapter_size": 16,
        "max_output_tokens": 10,
        **changes,
    }
    methods.run("answering", config, events.append)
    path = output / "answers.jsonl"
    return events, [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_every_prompt_is_answered_in_its_order(data, tiny, halfway, tmp_path):
    events, said = ask(data, tiny, tmp_path, initial=halfway)
    assert events[-1]["event"] == "done"
    assert [one["row"] for one in said] == list(range(1, 61))
    assert all(len(one["answers"]) == 1 for one in said)
    # The likeliest tokens: whatever is asked beside it, a prompt has one answer.
    assert ask(data, tiny, tmp_path / "again", initial=halfway, seed=7)[1] == said


def test_several_answers_are_sampled_and_the_same_seed_samples_the_same(data, tiny, halfway, tmp_path):
    settings = {"initial": halfway, "samples_per_prompt": 4}
    first, again, other = (
        ask(data, tiny, tmp_path / str(number), **settings, seed=seed)[1]
        for number, seed in enumerate((1, 1, 2))
    )
    assert first == again != other
    assert max(len({answer["text"] for answer in one["answers"]}) for one in first) > 1


def test_answers_are_scored_by_the_reward_model_and_by_the_measure(
    data, tiny, halfway, reward_model, tmp_path
):
    from vertex_tuning.training.judging import Answered, RewardModel
    from vertex_tuning.training.rows import messages

    measured = {"measure": "exact_match", "reward_model": reward_model}
    _, said = ask(data, tiny, tmp_path, initial=halfway, **measured)
    rows = [json.loads(line) for line in Path(data["validation"]).read_text().splitlines()]
    model = RewardModel(Path(reward_model))
    for row, one in list(zip(rows, said, strict=True))[:10]:
        [answer] = one["answers"]
        assert answer["measure"] == metrics.matches([answer["text"]], [row["references"]["answer"]])[0]
        [reward] = model.rewards([Answered(messages(row), answer["text"])])
        assert answer["reward"] == pytest.approx(reward, abs=0.03)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"measure": "beauty"}, "there are:"),
        ({"measure": "token_f1", "measured_against": "other"}, 'no reference "other"'),
        ({"reward_model": "nowhere"}, "There is no reward model in nowhere"),
    ],
)
def test_what_makes_no_sense_is_said(data, tiny, tmp_path, changes, words):
    events, said = ask(data, tiny, tmp_path, **changes)
    assert (events[-1]["event"], said) == ("failed", [])
    assert words in events[-1]["message"]
