"""Rows that were made for another service: converted, and learnt."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager

import pytest

from tests.sdk.conftest import OPPOSITES
from vertex_tuning import PreferenceTuning, ReinforcementTuning, SupervisedTuning, data, rewards
from vertex_tuning.cli._serve import Server


@contextmanager
def running(server):
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


def test_rows_of_openai_are_converted_and_learnt(client, write):
    rows = [
        {
            "messages": [
                {"role": "system", "content": "One word."},
                {"role": "user", "content": f"{number}. Opposite of {word}?"},
                {"role": "assistant", "content": answer},
            ]
        }
        for number, (word, answer) in enumerate(OPPOSITES * 8)
    ]
    done = data.convert(write(rows))
    spec = SupervisedTuning(base_model="gemini-3.5-flash", training=done.output, epochs=1)
    job = client.tune(spec).wait()
    assert job.state == "JOB_STATE_SUCCEEDED"
    assert done.next.endswith("train-vertex.jsonl --base-model gemini-3.5-flash")


def test_pairs_of_openai_are_converted_and_learnt(client, write):
    rows = [
        {
            "input": {"messages": [{"role": "user", "content": f"{number}. Opposite of {word}?"}]},
            "preferred_output": [{"role": "assistant", "content": answer}],
            "non_preferred_output": [{"role": "assistant", "content": f"It may be {answer}."}],
        }
        for number, (word, answer) in enumerate(OPPOSITES * 8)
    ]
    done = data.convert(write(rows, "pairs.jsonl"))
    spec = PreferenceTuning(base_model="gemini-2.5-flash", training=done.output, epochs=1)
    assert client.tune(spec).wait().state == "JOB_STATE_SUCCEEDED"


JOB = {
    "model": "o4-mini-2025-04-16",
    "training_file": "file-1",
    "method": {
        "type": "reinforcement",
        "reinforcement": {
            "grader": {
                "type": "multi",
                "name": "colours",
                "graders": {
                    "said": {
                        "type": "string_check",
                        "name": "said",
                        "operation": "ilike",
                        "input": "{{sample.output_text}}",
                        "reference": "{{item.colour.name}}",
                    },
                    "close": {
                        "type": "text_similarity",
                        "name": "close",
                        "evaluation_metric": "fuzzy_match",
                        "input": "{{ sample.output_text }}",
                        "reference": "{{ item.colour.name }}",
                    },
                    "brief": {
                        "type": "python",
                        "name": "brief",
                        "source": "def grade(sample: dict, item: dict) -> float:\n"
                        '    return float(len(sample["output_text"]) <= item["colour"]["letters"] * 2)\n',
                    },
                },
                "calculate_output": "0.5 * said + 0.25 * close + 0.25 * brief",
            },
            "hyperparameters": {"n_epochs": 1, "batch_size": 4},
        },
    },
}


def test_a_reinforcement_job_of_openai_goes_on_here_and_pays_the_same_everywhere(client, write, tmp_path):
    rows = [
        {
            "messages": [
                {"role": "developer", "content": "One word."},
                {"role": "user", "content": f"{number}. Say {colour}."},
            ],
            "colour": {"name": colour, "letters": len(colour)},
            "comment": None,
        }
        for number, colour in enumerate(["red", "green", "blue", "black"] * 10)
    ]
    done = data.convert(write(rows, "openai.jsonl"), method="reinforcement")
    assert done.ok
    assert done.notes == []

    found = rewards.from_openai(JOB)
    assert found.modules == ()
    reward = rewards.from_json(json.loads(json.dumps(found.reward.request())))
    spec = ReinforcementTuning(
        base_model="gemini-3.5-flash",
        training=done.output,
        reward=reward,
        epochs=1,
        batch_size=4,
        samples_per_prompt=4,
        max_output_tokens=8,
    )
    job = client.tune(spec).wait()
    assert job.state == "JOB_STATE_SUCCEEDED"
    measured = job.metrics()
    assert [measure["step"] for measure in measured if "/train_mean_reward" in measure] == [1, 2, 3, 4, 5]
    for measure in measured:
        assert (measure["failed_rewards"], measure["said/failed_rewards"]) == (0, 0)
        kind = "train" if "/train_mean_reward" in measure else "eval"
        parts = [measure[f"{name}/{kind}_mean_reward"] for name in ("said", "close", "brief")]
        assert measure[f"/{kind}_mean_reward"] == pytest.approx(parts[0] / 2 + parts[1] / 4 + parts[2] / 4)

    example = next(iter(data.read(done.output)))
    paid = {"red": 1.0, "It is Red.": 0.5 + 0.25 * 4 / 13, "": 0.25, "I will not say it": 0.0}
    with Server("127.0.0.1", 0, reward) as served, running(served):
        service = rewards.cloud_run(f"http://127.0.0.1:{served.server_port}")
        for answer, worth in paid.items():
            scores = [
                reward.score(example, answer),
                client.validate_reward(reward, example, answer),
                service.score(example, answer),
            ]
            assert [score.reward for score in scores] == [pytest.approx(worth)] * 3
    item = {name: value for name, value in rows[0].items() if name != "messages"}
    runs = [{"item": item, "model_sample": answer, "reward": worth} for answer, worth in paid.items()]
    assert rewards.graders.prove(reward, runs).ok
