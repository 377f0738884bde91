"""`reward test`: what a reward pays, before a job is paid for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.rewards.services import Service

REWARD = {
    "singleRewardConfig": {
        "rewardName": "right",
        "stringMatchRewardScorer": {
            "correctAnswerReward": 1.0,
            "wrongAnswerReward": -1.0,
            "stringMatchExpression": {
                "matchOperation": "PARTIAL_MATCH",
                "expression": "{{references.answer}}",
            },
        },
    }
}


@pytest.fixture
def files(tmp_path):
    (tmp_path / "reward.json").write_text(json.dumps(REWARD), encoding="utf-8")
    rows = [
        {
            "contents": [{"role": "user", "parts": [{"text": f"{number} + 1?"}]}],
            "references": {"answer": str(number + 1)},
        }
        for number in range(10)
    ]
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(tmp_path / "reward.json"), str(path)


def test_a_reward_that_pays_for_keywords_is_told_to_people_and_is_1(cli, files):
    done = cli("reward", "test", *files, "--rows", "5", "--answers", "2", "--max-output-tokens", "4")
    assert done.status == 1
    assert "10 answers to 5 prompts" in done.out
    assert "VT932" in done.out
    assert "every reference of the set" in done.out


def test_as_json_it_is_one_document(cli, files):
    done = cli(
        "reward", "test", *files, "--rows", "3", "--answers", "1", "--max-output-tokens", "4", "--json"
    )
    found = done.json
    assert (found["prompts"], found["answers"], found["ok"]) == (3, 3, False)
    assert found["alike"] is None  # of one answer nobody can tell


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("{", "VT901"),
        ("[]", "VT901"),
        ("[" * 100_000, "VT901"),
        ("{}", "VT901"),
        ('{"rewardName": "x"}', "VT902"),
    ],
    ids=["cut off", "a list", "deep", "empty", "no scorer"],
)
def test_a_reward_that_makes_no_sense_is_refused(cli, files, tmp_path, content, rule):
    (tmp_path / "reward.json").write_text(content, encoding="utf-8")
    done = cli("reward", "test", *files)
    assert done.status == 1
    assert rule in done.err


def test_a_reward_and_its_data_in_the_wrong_order_are_told_which_comes_first(cli, files):
    reward, prompts = files
    done = cli("reward", "test", prompts, reward)
    assert done.status == 1
    assert "VT901  " in done.err
    assert "the data come after it" in done.err


def test_rows_that_are_none_are_refused(cli, files, tmp_path):
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "x"}\n', encoding="utf-8")
    done = cli("reward", "test", *files)
    assert done.status == 1
    assert "VT218" in done.err


def test_a_set_can_be_checked_for_it(cli, files):
    done = cli("data", "check", files[1], "--method", "reinforcement", "--json")
    assert done.status == 0
    assert done.json["form"] == "contents and references"


@pytest.fixture
def busy(files):
    """A reward of two, one of which is busy when it is first asked about an answer."""
    service = Service(lambda time_, _: (503, b"busy") if time_ == 1 else (200, b'{"reward": 1}'))
    several = [
        {
            "rewardConfig": {"rewardName": "busy", "cloudRunRewardScorer": {"cloudRunUri": service.uri}},
            "weight": 1,
        },
        {"rewardConfig": REWARD["singleRewardConfig"], "weight": 1},
    ]
    Path(files[0]).write_text(
        json.dumps({"compositeRewardConfig": {"weightedRewardConfigs": several}}), encoding="utf-8"
    )
    yield service
    service.close()


def test_each_call_is_made_once_and_it_is_said_what_a_job_would_make_again(cli, files, busy):
    done = cli("reward", "test", *files, "--rows", "2", "--answers", "1", "--max-output-tokens", "4")
    assert (
        "of them may pass: each call was made once here, a job makes it again after 2, 4, 8, 16 and 32"
        in done.out
    )
    assert "right: -1.000 on average" in done.out, "each reward is told by itself"


def test_a_reward_in_the_cloud_is_rehearsed(cli, files):
    stand_in = Service(lambda *_: (200, b'{"reward": 1}'))
    reward = {"cloudRunRewardScorer": {"cloudRunUri": "https://tried-abc-uc.a.run.app/score"}}
    Path(files[0]).write_text(json.dumps(reward), encoding="utf-8")
    options = ("--rows", "1", "--answers", "1", "--max-output-tokens", "4", "--json")
    found = cli("reward", "test", *files, *options).json
    assert "--map tried-abc-uc.a.run.app=" in next(iter(found["failures"]))
    mapped = f"tried-abc-uc.a.run.app=http://127.0.0.1:{stand_in.port}"
    assert cli("reward", "test", *files, *options, "--map", mapped).json["mean"] == 1.0
    assert cli("reward", "test", *files, *options, "--map", "x").json["error"]["rule"] == "VT940"
    stand_in.close()


def test_with_retry_calls_are_made_as_in_a_job_and_counted_by_reward(cli, files, busy):
    done = cli(
        *("reward", "test", *files, "--rows", "2", "--answers", "1"),
        *("--max-output-tokens", "4", "--retry", "--json"),
    )
    found = done.json
    assert (found["failed"], found["passing"]) == (0, 0)
    assert found["rewards"]["busy"]["calls"] > found["rewards"]["right"]["calls"] == 2
    assert found["calls"] == found["rewards"]["busy"]["calls"] + 2


def test_what_is_no_reward_model_is_not_served(cli, tmp_path):
    done = cli("reward", "serve", "--reward-model", str(tmp_path))
    assert done.status == 1
    assert "VT765" in done.err


def test_a_reward_or_a_reward_model_is_served_and_not_both(cli, files, tmp_path):
    for arguments in ((), (files[0], "--reward-model", str(tmp_path))):
        done = cli("reward", "serve", *arguments)
        assert done.status == 2
        assert "one of the two" in done.err
