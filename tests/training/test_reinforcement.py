"""Promises of reinforcement tuning, held on a tiny model that has learnt its task halfway."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest

from tests.training import test_supervised
from tests.training.killed import killed_and_begun_again
from tests.training.test_supervised import FORMS, example, tiny, weights, write
from vertex_tuning import rewards
from vertex_tuning.training.config import ReinforcementConfig

__all__ = ["tiny"]  # a fixture
RIGHT = rewards.exact_match("{{references.answer}}", name="right")


def prompt(row: dict[str, Any]) -> dict[str, Any]:
    asked, answer = row["contents"]
    return {"contents": [asked], "references": {"answer": answer["parts"][0]["text"]}}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prompts")
    pick = random.Random(0)
    return {
        "training": write(folder / "training.jsonl", [prompt(example(pick)) for _ in range(64)]),
        "validation": write(folder / "validation.jsonl", [prompt(example(pick)) for _ in range(60)]),
    }


@pytest.fixture(scope="module")
def halfway(tiny, tmp_path_factory) -> str:
    """An adapter that has learnt from answers of which half are random: it tries this and that."""
    folder = tmp_path_factory.mktemp("halfway")
    pick = random.Random(1)
    rows = [example(pick) for _ in range(200)]
    for row in rows[::2]:
        row["contents"][1]["parts"][0]["text"] = pick.choice(list(FORMS))
    data = {"training": write(folder / "t.jsonl", rows)}
    changes = {"model": str(tiny / "tiny-0.5m"), "adapter_size": 16, "last_checkpoint_only": True}
    test_supervised.run(test_supervised.config(data, tiny, folder / "out", epochs=6, **changes))
    return str(folder / "out/checkpoints/1")


def config(data, tiny, output, **changes) -> ReinforcementConfig:
    return ReinforcementConfig(
        **{
            "model": str(tiny / "tiny-0.5m"),
            "output": str(output),
            "learning_rate": 1e-3,
            "adapter_size": 16,
            "epochs": 1,
            "batch_size": 8,
            "samples_per_prompt": 8,
            "max_output_tokens": 10,
            "max_tokens": 512,
            "reward": RIGHT.request(),
            **data,
            **changes,
        }
    )


def run(settings: ReinforcementConfig) -> list[dict[str, Any]]:
    from vertex_tuning.training import reinforcement

    events: list[dict[str, Any]] = []
    reinforcement.run(settings, events.append)
    return events


def test_what_is_paid_for_is_learnt_and_holds_for_prompts_that_were_not_tried(data, tiny, halfway, tmp_path):
    """Whatever is asked: an answer that begins with a light earns something."""
    reward = rewards.regex("^light").request()
    asked = {"initial": halfway, "reward": reward}
    before = run(config(data, tiny, tmp_path / "before", **asked, learning_rate=1e-12, steps=1))
    after = run(config(data, tiny, tmp_path / "after", **asked, epochs=3))
    started = next(event["/eval_mean_reward"] for event in before if event["event"] == "eval")
    ended = [event["/eval_mean_reward"] for event in after if event["event"] == "eval"][-1]
    assert started < 0.85
    assert ended > 0.93


def test_an_answer_is_weighed_by_how_much_better_it_is_than_the_others():
    from vertex_tuning.training.reinforcement import advantages

    assert advantages([1.0, 1.0, 1.0]) == [0.0, 0.0, 0.0]
    found = advantages([1.0, 0.0, 0.0, 0.0])
    assert sum(found) == pytest.approx(0)
    assert found[0] == pytest.approx(1.5, abs=1e-3)
    # What has no reward is left out, and does not count against the others.
    assert advantages([1.0, math.nan, 0.0])[1] == 0.0
    assert advantages([1.0, math.nan, 0.0])[0] == -advantages([1.0, math.nan, 0.0])[2]
    assert advantages([1.0, math.nan]) == [0.0, 0.0]


def test_the_metrics_are_called_as_the_service_calls_them(data, tiny, halfway, tmp_path):
    both = rewards.weighted([(RIGHT, 3.0), (rewards.contains("light", name="light"), 1.0)])
    run(config(data, tiny, tmp_path, initial=halfway, steps=2, reward=both.request()))
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    train = {
        "/train_mean_reward",
        "/train_generation_length",
        "/train_mean_reward_latency",
        "/train_p95_reward_latency",
    }
    assert train <= lines[0].keys()
    assert {"right/train_mean_reward", "light/train_mean_reward"} <= lines[0].keys()
    assert {"/eval_mean_reward", "/eval_generation_length"} <= lines[-1].keys()
    assert 0 < lines[0]["/train_generation_length"] <= 10


def test_the_loss_in_pieces_is_the_loss_as_a_whole(data, tiny, halfway, tmp_path, monkeypatch):
    from vertex_tuning.training import reinforcement

    whole = run(config(data, tiny, tmp_path / "whole", initial=halfway, steps=3))
    monkeypatch.setattr(reinforcement, "_TOKENS_AT_ONCE", 200)
    pieces = run(config(data, tiny, tmp_path / "pieces", initial=halfway, steps=3))
    for one, other in zip(whole, pieces, strict=True):
        if one["event"] == "step":
            assert one["loss"] == pytest.approx(other["loss"], abs=2e-3)
            assert one["/train_mean_reward"] == pytest.approx(other["/train_mean_reward"], abs=0.1)


def test_a_run_that_was_killed_ends_in_the_same_weights(data, tiny, halfway, tmp_path):
    settings = {"initial": halfway, "steps": 6, "checkpoint_interval": 2}
    run(config(data, tiny, tmp_path / "straight", **settings))
    killed_and_begun_again(config(data, tiny, tmp_path / "killed", **settings), tmp_path / "config.json")
    assert weights(tmp_path / "straight/checkpoints/3") == weights(tmp_path / "killed/checkpoints/3")


def test_where_the_reward_fails_nearly_always_the_job_stops_by_itself(data, tiny, tmp_path):
    reward = rewards.exact_match("{{references.no_such_name}}")
    events = run(config(data, tiny, tmp_path, reward=reward.request()))
    assert (events[-1]["event"], events[-1]["code"]) == ("failed", 3)
    assert "no_such_name" in events[-1]["message"]
    assert "80%" in events[-1]["message"]


def test_what_the_service_says_of_the_data_is_counted(data, tiny, halfway, tmp_path):
    events = run(config(data, tiny, tmp_path, initial=halfway, steps=1))
    found = next(event["stats"] for event in events if event["event"] == "dataset")[
        "reinforcementTuningDataStats"
    ]
    assert found["tuningDatasetExampleCount"] == "64"
    assert found["tuningStepCount"] == "1"
    assert found["reinforcementTuningUserDatasetExamples"]["userDatasetExamples"][0]["references"]
    assert Path(tmp_path / "checkpoints/1/adapter_model.safetensors").exists()


def test_where_nobody_says_there_are_as_many_passes_as_the_service_makes():
    def usual(rows: int, batch: int) -> int:
        settings = {"model": "", "training": "", "output": "", "learning_rate": 1.0, "reward": {}}
        return ReinforcementConfig(**settings).usual_epochs(rows, batch)

    assert [usual(100, 32), usual(1000, 32), usual(5000, 32), usual(10, 8)] == [10, 3, 1, 10]


@pytest.mark.parametrize(("rows", "held_out"), [(4, 2), (60, 30), (120, 50), (400, 100), (1, 0)])
def test_without_a_validation_set_one_is_split_off_as_by_the_service(tiny, tmp_path, rows, held_out):
    """25 % of the set or 50 rows, whichever is more; of a small set never more than a half."""
    asked = [
        {"contents": [{"role": "user", "parts": [{"text": f"{number}?"}]}], "references": {"answer": "1"}}
        for number in range(rows)
    ]
    training = {"training": write(tmp_path / "t.jsonl", asked)}
    settings = config(training, tiny, tmp_path / "out", steps=1, batch_size=1, split_validation=True)
    events = run(settings)
    split = next(event for event in events if event["event"] == "split")
    assert (split["training"], split["validation"]) == (rows - held_out, held_out)
    stats = next(event["stats"] for event in events if event["event"] == "dataset")
    assert stats["reinforcementTuningDataStats"]["tuningDatasetExampleCount"] == str(rows - held_out)
    evaluated = [event for event in events if event["event"] == "eval"]
    assert bool(evaluated) == bool(held_out)
    assert all("/eval_mean_reward" in event for event in evaluated)


def test_what_is_split_off_is_new_to_the_model_and_the_same_every_time(data, tiny, tmp_path):
    from vertex_tuning.training import reinforcement

    text = Path(data["training"]).read_text(encoding="utf-8")
    twice = tmp_path / "twice.jsonl"
    twice.write_text(text + text, encoding="utf-8")
    sides = []
    for output in ("a", "b"):
        settings = config({"training": str(twice)}, tiny, tmp_path / output, split_validation=True)
        found = reinforcement._Reinforcement(settings, lambda _: None)
        sides.append(
            [[prompt.row["contents"] for prompt in side] for side in (found._prompts, found._held_out)]
        )
    assert sides[0] == sides[1]
    training, validation = ({json.dumps(contents) for contents in side} for side in sides[0])
    assert training
    assert validation
    assert not training & validation
