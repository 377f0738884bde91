"""Promises of the training loop, held on the tiny models."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.training.killed import killed_and_begun_again

ROOMS = ["kitchen", "bedroom", "hall", "garage", "office"]
CITIES = ["paris", "berlin", "tokyo", "lima", "oslo"]
FORMS = {
    "light on": ["turn on the light in the {r}", "{r} light on please", "switch on the {r} lamp"],
    "light off": ["turn off the light in the {r}", "make the {r} dark", "switch off the {r} lamp"],
    "weather": ["will it rain in {c}", "how warm is {c} today", "forecast for {c}"],
}


def example(pick: random.Random) -> dict:
    intent = pick.choice(list(FORMS))
    text = pick.choice(FORMS[intent]).format(r=pick.choice(ROOMS), c=pick.choice(CITIES))
    return {
        "contents": [
            {"role": "user", "parts": [{"text": text}]},
            {"role": "model", "parts": [{"text": intent}]},
        ]
    }


def write(path: Path, rows: list[dict]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    pick = random.Random(0)
    return {
        "training": write(folder / "training.jsonl", [example(pick) for _ in range(60)]),
        "validation": write(folder / "validation.jsonl", [example(pick) for _ in range(30)]),
    }


@pytest.fixture(scope="module")
def tiny():
    from vertex_tuning import training

    return Path(training.__file__).parent / "tiny"


def config(data, tiny, output, **changes):
    from vertex_tuning.training.config import SupervisedConfig

    return SupervisedConfig(
        **{
            "model": str(tiny / "tiny-0.1m"),
            "output": str(output),
            "learning_rate": 5e-3,
            "adapter_size": 8,
            "epochs": 2,
            **data,
            **changes,
        }
    )


def run(settings) -> list[dict]:
    from vertex_tuning.training import supervised

    events: list[dict] = []
    supervised.run(settings, events.append)
    return events


def weights(folder: Path) -> bytes:
    return next(folder.glob("*.safetensors")).read_bytes()


@pytest.mark.parametrize(("mode", "rate"), [("adapter", 5e-3), ("full", 3e-3)])
def test_gradient_checkpointing_changes_no_weight(data, tiny, tmp_path, mode, rate):
    for lean in (False, True):
        changes = {"mode": mode, "learning_rate": rate, "gradient_checkpointing": lean}
        run(config(data, tiny, tmp_path / str(lean), **changes))
    assert weights(tmp_path / "True/checkpoints/2") == weights(tmp_path / "False/checkpoints/2")


@pytest.mark.parametrize(("mode", "rate"), [("adapter", 5e-3), ("full", 3e-3)])
def test_the_model_learns_what_it_was_not_shown(data, tiny, tmp_path, mode, rate):
    events = run(config(data, tiny, tmp_path, mode=mode, epochs=8, learning_rate=rate, adapter_size=16))
    first, *_, last = [event for event in events if event["event"] == "eval"]
    assert last["eval_accuracy"] > first["eval_accuracy"]
    assert last["eval_accuracy"] > 0.8
    assert events[-1]["event"] == "done"


def test_the_same_spec_gives_the_same_weights(data, tiny, tmp_path):
    for name in ("a", "b"):
        run(config(data, tiny, tmp_path / name))
    assert weights(tmp_path / "a/checkpoints/2") == weights(tmp_path / "b/checkpoints/2")
    run(config(data, tiny, tmp_path / "c", seed=7))
    assert weights(tmp_path / "a/checkpoints/2") != weights(tmp_path / "c/checkpoints/2")


@pytest.mark.parametrize("mode", ["adapter", "full"])
def test_a_run_that_was_killed_ends_in_the_same_weights(data, tiny, tmp_path, mode):
    straight = config(data, tiny, tmp_path / "straight", mode=mode, epochs=3)
    run(straight)
    settings = config(data, tiny, tmp_path / "killed", mode=mode, epochs=3)
    events = killed_and_begun_again(settings, tmp_path / "config.json")
    steps = [event["step"] for event in events if event["event"] == "step"]
    assert not steps or steps[0] > 1  # it did not begin anew
    assert [item["checkpoint_id"] for item in events[-1]["checkpoints"]] == ["1", "2", "3"]
    assert weights(tmp_path / "straight/checkpoints/3") == weights(tmp_path / "killed/checkpoints/3")
    measured = (tmp_path / "killed/metrics.jsonl").read_text(encoding="utf-8").splitlines()
    numbers = [json.loads(line)["step"] for line in measured if "loss" in json.loads(line)]
    assert sorted(set(numbers)) == list(range(1, max(numbers) + 1))


def test_checkpoints_load_in_plain_peft_and_transformers(data, tiny, tmp_path):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run(config(data, tiny, tmp_path / "adapter", epochs=1))
    base = AutoModelForCausalLM.from_pretrained(tiny / "tiny-0.1m")
    tuned = PeftModel.from_pretrained(base, tmp_path / "adapter/checkpoints/1")
    assert tuned.peft_config["default"].r == 8
    run(config(data, tiny, tmp_path / "full", epochs=1, mode="full"))
    folder = tmp_path / "full/checkpoints/1"
    AutoModelForCausalLM.from_pretrained(folder)
    assert AutoTokenizer.from_pretrained(folder).eos_token == "<|end|>"
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".bin", ".pt", ".pkl")]


def test_the_answer_alone_is_learnt(tiny):
    from vertex_tuning.training.chat import ChatTokenizer

    tokenizer = ChatTokenizer(tiny / "tiny-0.1m")
    chat = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi there"},
        {"role": "user", "content": "Bye"},
        {"role": "assistant", "content": "See you"},
    ]
    encoded = tokenizer.chat(chat)
    learnt = [token for token, learn in zip(encoded.ids, encoded.learn, strict=True) if learn]
    assert tokenizer.tokenizer.decode(learnt, skip_special_tokens=False) == "Hi there<|end|>See you<|end|>"
    # A prompt has the same tokens when it is answered as when it was learnt from.
    prompt = tokenizer.prompt(chat[:-1])
    assert encoded.ids[: len(prompt)] == prompt


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [(1, [1]), (3, [1, 2, 3]), (10, list(range(1, 11)))],
)
def test_a_checkpoint_per_epoch(epochs, expected):
    from vertex_tuning.training.loop import checkpoint_epochs

    assert checkpoint_epochs(epochs, most=10) == expected


def test_the_last_checkpoint_alone(data, tiny, tmp_path):
    events = run(config(data, tiny, tmp_path, epochs=3, last_checkpoint_only=True))
    kept = [event for event in events if event["event"] == "checkpoint"]
    assert [(one["checkpoint_id"], one["epoch"]) for one in kept] == [("1", 3)]
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["1"]


def test_steps_and_intervals_can_be_asked_for(data, tiny, tmp_path):
    events = run(
        config(data, tiny, tmp_path, epochs=None, steps=11, checkpoint_interval=4, evaluate_interval=5)
    )
    assert events[-1]["steps"] == 11
    assert [event["step"] for event in events if event["event"] == "checkpoint"] == [4, 8, 11]
    assert [event["step"] for event in events if event["event"] == "eval"] == [5, 10, 11]
    most = run(config(data, tiny, tmp_path / "most", epochs=100, max_steps=5))
    assert most[-1]["steps"] == 5


@pytest.mark.parametrize("epochs", [11, 25, 37, 100])
def test_ten_checkpoints_evenly_spread_where_there_are_more_epochs(epochs):
    from vertex_tuning.training.loop import checkpoint_epochs

    kept = checkpoint_epochs(epochs, most=10)
    assert len(kept) == 10
    assert kept[-1] == epochs
    gaps = [b - a for a, b in zip([0, *kept], kept, strict=False)]
    assert max(gaps) - min(gaps) <= 1


def test_long_rows_are_dropped_and_reported(tiny, tmp_path):
    pick = random.Random(1)
    rows = [example(pick) for _ in range(40)]
    rows[4]["contents"][0]["parts"][0]["text"] = "word " * 600
    events = run(
        config(
            {"training": write(tmp_path / "t.jsonl", rows)}, tiny, tmp_path / "o", epochs=1, max_tokens=512
        )
    )
    told = next(event["stats"] for event in events if event["event"] == "dataset")
    stats = told["supervisedTuningDataStats"]
    assert stats["tuningDatasetExampleCount"] == "40"
    assert stats["totalTruncatedExampleCount"] == "1"
    assert stats["truncatedExampleIndices"] == ["5"]
    assert "512" in stats["droppedExampleReasons"][0]
    assert events[-1]["event"] == "done"


def test_too_many_dropped_rows_fail_the_job_with_the_reason(tiny, tmp_path):
    pick = random.Random(1)
    rows = [example(pick) for _ in range(20)]
    for row in rows[:3]:
        row["contents"][0]["parts"][0]["text"] = "word " * 600
    events = run(
        config({"training": write(tmp_path / "t.jsonl", rows)}, tiny, tmp_path / "o", max_tokens=512)
    )
    assert (events[-1]["event"], events[-1]["code"]) == ("failed", 3)
    assert "3 of 20" in events[-1]["message"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("not json", "not JSON"),
        (
            '{"contents": [{"role": "user", "parts": [{"fileData": {"mimeType": "image/png", "fileUri": "gs://a/b"}}]},'
            ' {"role": "model", "parts": [{"text": "x"}]}]}',
            "text only",
        ),
        ('{"text": "x"}', "contents is missing"),
        ('{"contents": [{"role": "user", "parts": [{"text": "x"}]}]}', "no answer to learn"),
    ],
)
def test_a_row_that_cannot_be_learnt_is_named(tiny, tmp_path, line, words):
    path = tmp_path / "t.jsonl"
    path.write_text(line + "\n", encoding="utf-8")
    events = run(config({"training": str(path)}, tiny, tmp_path / "o"))
    assert (events[-1]["event"], events[-1]["code"]) == ("failed", 3)
    assert words in events[-1]["message"]
    assert "1" in events[-1]["message"]


def test_a_run_that_diverges_says_so(data, tiny, tmp_path):
    events = run(config(data, tiny, tmp_path, learning_rate=1e30, mode="full"))
    assert events[-1]["event"] == "failed"
    assert "learning rate" in events[-1]["message"]


def test_tuning_on_goes_on_from_where_the_first_run_ended(data, tiny, tmp_path):
    first = run(config(data, tiny, tmp_path / "first", epochs=4))
    ended = [event["eval_loss"] for event in first if event["event"] == "eval"][-1]
    second = run(
        config(
            data,
            tiny,
            tmp_path / "second",
            epochs=1,
            learning_rate=1e-9,
            initial=str(tmp_path / "first/checkpoints/4"),
        )
    )
    went_on = [event["eval_loss"] for event in second if event["event"] == "eval"][-1]
    assert went_on == pytest.approx(ended, rel=1e-3)


def test_an_adapter_grows_exactly_and_shrinks_to_its_best_approximation():
    import torch

    from vertex_tuning.training.adapters import resize

    torch.manual_seed(0)
    a, b = torch.randn(4, 32), torch.randn(16, 4)
    weights = {"x.lora_A.weight": a, "x.lora_B.weight": b}
    grown = resize(weights, 8)
    assert grown["x.lora_A.weight"].shape == (8, 32)
    torch.testing.assert_close(grown["x.lora_B.weight"] @ grown["x.lora_A.weight"], b @ a)
    shrunk = resize(weights, 2)
    u, s, vh = torch.linalg.svd(b @ a, full_matrices=False)
    best = u[:, :2] @ torch.diag(s[:2]) @ vh[:2]
    torch.testing.assert_close(
        shrunk["x.lora_B.weight"] @ shrunk["x.lora_A.weight"], best, rtol=1e-3, atol=1e-3
    )


def test_distributions_are_those_of_the_data():
    from vertex_tuning.training.stats import distribution

    found = distribution(list(range(1, 101)))
    assert (found["sum"], found["min"], found["max"], found["mean"]) == ("5050", 1.0, 100.0, 50.5)
    assert (found["median"], found["p5"], found["p95"]) == (50.0, 5.0, 95.0)
    assert sum(bucket["count"] for bucket in found["buckets"]) == 100
    assert distribution([7, 7])["buckets"][0]["count"] == 2.0


def test_importing_the_package_of_training_loads_no_torch():
    code = "import sys, vertex_tuning.training; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_job_in_the_zygote_dies_at_once_when_it_is_told_to(data, tiny, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "vertex_tuning.emulator.workers.zygote"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def tell(message: dict) -> None:
        process.stdin.write(json.dumps(message) + "\n")
        process.stdin.flush()

    def heard(kind: str) -> dict:
        for line in filter(str.strip, process.stdout):
            message = json.loads(line)
            if message.get("event") == kind or kind in message:
                return message
        raise AssertionError(f"it ended before {kind}")

    try:
        heard("ready")
        threads = list(Path(f"/proc/{process.pid}/task").iterdir())
        assert len(threads) == 1  # a fork takes none of the others along, and may wait for them for ever
        settings = config(data, tiny, tmp_path, epochs=100)
        tell({"op": "run", "job": "1", "kind": "supervised", "config": settings.to_json()})
        heard("step")
        asked = time.monotonic()
        tell({"op": "cancel", "job": "1"})
        ended = heard("exit")
        assert (ended["job"], ended["signal"]) == ("1", 9)
        assert time.monotonic() - asked < 20  # two seconds are promised; this machine may be busy
        # The zygote itself lives, and takes the next job.
        tell(
            {
                "op": "run",
                "job": "2",
                "kind": "supervised",
                "config": config(data, tiny, tmp_path / "2", epochs=1).to_json(),
            }
        )
        assert heard("done")["job"] == "2"
        assert heard("exit")["status"] == 0
    finally:
        process.stdin.close()
        process.wait(timeout=20)
        process.stdout.close()


def test_two_processes_train_one_model_and_one_of_them_speaks(data, tiny, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config(data, tiny, tmp_path / "out", epochs=3).to_json()), encoding="utf-8")
    command = [str(Path(sys.executable).parent / "torchrun"), "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*command, "-m", "vertex_tuning.training", "--config", str(path)],
        env={**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [event["event"] for event in events]
    assert (kinds[0], kinds[-1]) == ("dataset", "done")
    assert (kinds.count("dataset"), kinds.count("done")) == (1, 1)
    assert events[-1]["steps"] == 12  # 60 rows, 8 to a batch, two batches to a step
    first, *_, last = [event for event in events if event["event"] == "eval"]
    assert last["eval_loss"] < first["eval_loss"]
