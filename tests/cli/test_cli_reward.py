"""`reward test`: what a reward pays, before a job is paid for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.rewards.services import Service
from vertex_tuning import rewards

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


def test_a_reward_that_no_row_can_earn_is_told_at_once(cli, files, tmp_path):
    text = Path(files[0]).read_text(encoding="utf-8").replace("references.answer", "references.answr")
    (tmp_path / "reward.json").write_text(text, encoding="utf-8")
    done = cli("reward", "test", *files)
    assert (done.status, done.rule) == (1, "VT233")
    assert '"answer"' in done.err
    assert "VT920" not in done.out


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


# Graders of OpenAI's

GRADER = {
    "type": "multi",
    "name": "person",
    "graders": {
        "name": {
            "type": "text_similarity",
            "name": "n",
            "input": "{{sample.output_json.name}}",
            "reference": "{{item.name}}",
            "evaluation_metric": "fuzzy_match",
        },
        "mail": {
            "type": "string_check",
            "name": "m",
            "input": "{{sample.output_json.mail}}",
            "reference": "{{item.mail}}",
            "operation": "eq",
        },
    },
    "calculate_output": "(name + mail) / 2",
}
RUN = {
    "item": {"name": "Ann Lee", "mail": "a@x"},
    "model_sample": '{"name": "Ann Lee", "mail": "b@x"}',
    "reward": 0.5,
}


@pytest.fixture
def grader(tmp_path):
    path = tmp_path / "grader.json"
    path.write_text(json.dumps(GRADER), encoding="utf-8")
    (tmp_path / "runs.jsonl").write_text(json.dumps(RUN) + "\n", encoding="utf-8")
    return str(path)


def test_a_grader_becomes_a_reward_and_is_proved(cli, grader, tmp_path):
    done = cli("reward", "convert", grader, "--runs", str(tmp_path / "runs.jsonl"))
    assert (done.status, done.out.splitlines()[:2]) == (
        0,
        ["name: code, weight 0.5", "mail: string match, weight 0.5"],
    )
    assert "1 of 1 runs are paid the same" in done.out
    assert "vertex-tuning reward test" in done.err
    made = tmp_path / "grader-reward.json"
    assert rewards.from_json(json.loads(made.read_text(encoding="utf-8"))).score(
        {"references": RUN["item"]}, RUN["model_sample"]
    ).reward == pytest.approx(0.5)
    again = cli("reward", "convert", grader)
    assert (again.status, "VT956" in again.err) == (1, True)


def test_runs_that_were_paid_otherwise_are_1_and_the_reward_is_there_to_be_looked_at(cli, grader, tmp_path):
    (tmp_path / "runs.jsonl").write_text(json.dumps({**RUN, "reward": 1}) + "\n", encoding="utf-8")
    done = cli("reward", "convert", grader, "--runs", str(tmp_path / "runs.jsonl"), "--json")
    assert done.status == 1
    assert done.json["proof"] == {
        "runs": 1,
        "same": 0,
        "largest_difference": pytest.approx(0.5),
        "apart": ["run 1: 1 there, 0.5 here"],
    }
    assert (tmp_path / "grader-reward.json").exists()


def test_a_judge_is_named_in_the_project_that_is_configured(cli, tmp_path):
    grader = {
        "type": "score_model",
        "name": "judge",
        "model": "o4-mini",
        "input": [{"role": "user", "content": "How good is {{sample.output_text}}?"}],
    }
    path = tmp_path / "judge.json"
    path.write_text(json.dumps(grader), encoding="utf-8")
    assert "VT954" in cli("reward", "convert", str(path)).err
    judged = ("reward", "convert", str(path), "--judge-model", "gemini-2.5-flash")
    done = cli(*judged, "--project", "mine", "--json")
    model = done.json["reward"]["singleRewardConfig"]["autoraterScorer"]["autoraterConfig"]["autoraterModel"]
    assert model == "projects/mine/locations/us-central1/publishers/google/models/gemini-2.5-flash"


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("grader.json", "{", "VT901"),
        ("grader.json", '{"type": "magic"}', "VT950"),
        ("runs.jsonl", "{", "VT955"),
        ("runs.jsonl", "4", "VT955"),
        ("runs.jsonl", "", "VT955"),
    ],
)
def test_what_cannot_be_read_is_told_and_nothing_is_written(cli, grader, tmp_path, name, content, rule):
    (tmp_path / name).write_text(content, encoding="utf-8")
    done = cli("reward", "convert", grader, "--runs", str(tmp_path / "runs.jsonl"))
    assert (done.status, rule in done.err) == (1, True), done.err
    assert not (tmp_path / "grader-reward.json").exists()


def test_a_grader_comes_by_standard_input_and_goes_where_it_is_told(command, grader, tmp_path):
    text = Path(grader).read_text(encoding="utf-8")
    refused = command("reward", "convert", "-", input=text)
    assert (refused.status, "--output" in refused.err) == (2, True)
    done = command("reward", "convert", "-", "--output", "new/reward.json", input=text)
    assert done.status == 0, done.err
    assert rewards.from_json(json.loads((tmp_path / "new/reward.json").read_text(encoding="utf-8")))


def test_each_refusal_of_a_conversion_says_where_and_what_to_do(cli, grader, tmp_path):
    (tmp_path / "folder").mkdir()
    judge = {
        "type": "score_model",
        "name": "judge",
        "input": [{"role": "user", "content": "{{sample.output_text}}"}],
    }
    both = {"testing_criteria": [judge, judge]}
    for name, content in {
        "judge": json.dumps(judge),
        "list": "[1]",
        "half": '{"name": "\\ud800"}',
        "both": json.dumps(both),
        "runs": "{}",
    }.items():
        (tmp_path / f"{name}.json").write_text(content, encoding="utf-8")
    judged = ("judge.json", "--judge-model", "gemini-2.5-flash", "--project", "mine")
    for arguments, rule, where in [
        (("nobody.json",), "VT901", "nobody.json"),
        (("folder",), "VT901", "folder"),
        (("list.json",), "VT901", "list.json"),
        (("half.json",), "VT901", "half.json"),
        (("both.json",), "VT950", "testing_criteria"),
        ((grader, "--output", "folder"), "VT956", "folder"),
        ((grader, "--output", "list.json/reward.json"), "VT956", "list.json/reward.json"),
        ((grader, "--runs", "nobody.jsonl"), "VT955", "nobody.jsonl"),
        ((grader, "--runs", "folder"), "VT955", "folder"),
        ((grader, "--runs", "runs.json"), "VT955", "runs.json, run 1"),
        ((*judged, "--runs", "runs.json"), "VT955", "runs.json"),
    ]:
        error = cli("reward", "convert", *arguments, "--json").json["error"]
        assert (error["rule"], error["where"]) == (rule, where)
        assert error["what"]
        assert error["fix"]
        assert "singleRewardConfig" not in error["fix"]
    assert not list(tmp_path.glob("*-reward.json"))
