"""RLHF on the managed path: a reward model behind `reward serve`, which a reinforcement tuning job asks as it would Cloud Run."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.training.test_supervised import write
from vertex_tuning import rewards

from .conftest import COLOURS, LOCATION, Bench
from .test_reinforcement import PROMPTS, body

TINY = Path(rewards.__file__).parent.parent / "training" / "tiny"


def chosen(row: dict[str, Any], pick: random.Random) -> dict[str, Any]:
    """The row's answer preferred to another row's."""
    asked, answer = row["contents"]
    other = pick.choice([one["contents"][1] for one in COLOURS if one["contents"][1] != answer])
    completions = [{"score": 1, "completion": answer}, {"score": 0, "completion": other}]
    return {"contents": [asked], "completions": completions}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A reward model that has learnt which colour was asked for."""
    from vertex_tuning.training import methods

    scratch: Path = tmp_path_factory.mktemp("reward-model")
    pick = random.Random(0)
    events: list[dict[str, Any]] = []
    config = {
        "model": str(TINY / "tiny-0.1m"),
        "training": write(scratch / "t.jsonl", [chosen(row, pick) for row in COLOURS * 2]),
        "output": str(scratch / "out"),
        "learning_rate": 2e-3,
        "epochs": 3,
        "last_checkpoint_only": True,
    }
    methods.run("reward", config, events.append)
    assert events[-1]["event"] == "done"
    return scratch / "out/checkpoints/1"


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """Where the command serves it."""
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "vertex_tuning",
        "reward",
        "serve",
        "--json",
        "--port",
        "0",
    ]
    process = subprocess.Popen([*command, "--reward-model", str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield json.loads(process.stdout.readline())["address"]
    process.terminate()
    process.wait()
    process.stdout.close()


def ask(address: str, row: dict[str, Any], text: str) -> httpx.Response:
    asked = {"example": row, "response": {"role": "model", "parts": [{"text": text}]}}
    return httpx.post(address, json=asked, timeout=60)


def test_many_who_ask_at_once_get_what_each_would_get_alone(address: str, folder: Path) -> None:
    from vertex_tuning.training.judging import Answered, RewardModel
    from vertex_tuning.training.rows import messages

    pairs = [(row, text) for row in PROMPTS[:20] for text in ("red", "a green door", "")]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda pair: ask(address, *pair), pairs))
    assert {answer.status_code for answer in answers} == {200}
    found = [answer.json()["reward"] for answer in answers]
    model = RewardModel(folder)
    alone = [model.rewards([Answered(messages(row), text)])[0] for row, text in pairs]
    assert found == pytest.approx(alone, abs=0.03)
    assert all(-1 < value < 1 for value in found)
    assert len({round(value, 2) for value in found}) > 3


def test_a_row_that_is_no_chat_is_refused(address: str) -> None:
    answer = ask(address, {"question": "red?"}, "red")
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("VT766")


def test_a_tuning_job_learns_from_it(bench: Bench, address: str) -> None:
    uri = bench.upload(PROMPTS)
    reward = rewards.cloud_run(address, name="preferred").request()
    spec = dict.fromkeys(("singleRewardConfig", "compositeRewardConfig")) | reward
    parameters = {"epochCount": 1, "batchSize": 8}
    made = bench.call("POST", f"/v1beta1/{LOCATION}/tuningJobs", body(uri, spec=spec, parameters=parameters))
    ended = bench.wait(made["name"])
    assert ended["state"] == "JOB_STATE_SUCCEEDED", ended
    lines = [json.loads(line) for line in bench.download(ended["gcsMetricsUri"]).splitlines()]
    paid = [line["/train_mean_reward"] for line in lines if "/train_mean_reward" in line]
    assert paid
    assert all(-1 < value < 1 for value in paid)
    assert all(line.get("failed_rewards", 0) == 0 for line in lines)
