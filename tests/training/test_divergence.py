"""A run whose weights stop being numbers: it says so, and what it leaves are numbers."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.training.test_preference import pair
from tests.training.test_reinforcement import prompt
from tests.training.test_supervised import example, tiny, write
from vertex_tuning import rewards

__all__ = ["tiny"]  # a fixture
VOWEL = rewards.regex("[ei]", name="vowel")
"""Some answers of an untaught model earn it, and some do not: there is something to learn from."""
ROWS = {"supervised": lambda row: row, "distillation": lambda row: row, "reinforcement": prompt}


def run(method: str, tiny: Path, folder: Path, **changes: Any) -> list[dict[str, Any]]:
    from vertex_tuning.training import methods

    pick = random.Random(0)
    folder.mkdir(exist_ok=True)
    if method == "preference":
        rows = [pair(pick) for _ in range(24)]
    else:
        rows = [ROWS[method](example(pick)) for _ in range(24)]
    config = {
        "model": str(tiny / "tiny-0.1m"),
        "training": write(folder / "rows.jsonl", rows),
        "validation": write(folder / "held_out.jsonl", rows[:8]),
        "output": str(folder / "out"),
        "epochs": 20,
        **changes,
    }
    if method == "reinforcement":
        config |= {
            "reward": changes.get("reward", VOWEL.request()),
            "samples_per_prompt": 4,
            "max_output_tokens": 6,
            "batch_size": 4,
        }
    events: list[dict[str, Any]] = []
    methods.run(method, config, events.append)
    return events


def assert_finite(folder: Path) -> None:
    """Every weight, and what `transformers` makes of them."""
    import torch
    from peft import PeftModel
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    [path] = folder.glob("*.safetensors")
    assert all(bool(torch.isfinite(tensor).all()) for tensor in load_file(path).values())
    if path.name.startswith("adapter"):
        base = json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder)
    else:
        model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        logits = model(torch.arange(20)[None]).logits
    assert bool(torch.isfinite(logits).all())
    assert float(logits.max()) > float(logits.min())


def metrics(folder: Path) -> list[dict[str, Any]]:
    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is no JSON")

    lines = (folder / "out/metrics.jsonl").read_text().splitlines()
    return [json.loads(line, parse_constant=refuse) for line in lines]


@pytest.mark.parametrize("method", ["supervised", "distillation", "preference", "reinforcement"])
@pytest.mark.parametrize(
    ("mode", "rate"), [("adapter", 2e18), ("adapter", 1e30), ("full", 1e7), ("full", 1e30)]
)
def test_whatever_the_method_the_last_finite_weights_are_left(
    tiny: Path, tmp_path: Path, method: str, mode: str, rate: float
) -> None:
    events = run(method, tiny, tmp_path, mode=mode, learning_rate=rate)
    ended = events[-1]
    assert (ended["event"], ended["code"], ended["why"]) == ("failed", 3, "diverged"), ended
    assert "learning rate" in ended["message"]
    assert ended["checkpoints"]
    left = {path.name for path in (tmp_path / "out/checkpoints").iterdir()}
    assert left == {checkpoint["checkpoint_id"] for checkpoint in ended["checkpoints"]}
    for checkpoint in ended["checkpoints"]:
        assert_finite(tmp_path / "out/checkpoints" / checkpoint["checkpoint_id"])
    told = [event["checkpoint_id"] for event in events if event["event"] == "checkpoint"]
    assert told == [checkpoint["checkpoint_id"] for checkpoint in ended["checkpoints"]]
    assert all(line["step"] <= ended["checkpoints"][-1]["step"] + 1 for line in metrics(tmp_path))


@pytest.mark.parametrize("method", ["supervised", "preference", "reinforcement"])
@pytest.mark.parametrize(("mode", "rate"), [("full", 1e6), ("adapter", 1e12)])
def test_weights_that_make_the_same_of_everything_are_no_result(
    tiny: Path, tmp_path: Path, method: str, mode: str, rate: float
) -> None:
    """All that is told of them is finite: the loss is that of guessing, and the gradient is nothing."""
    ended = run(method, tiny, tmp_path, mode=mode, learning_rate=rate, epochs=1, batch_size=8)[-1]
    assert (ended["event"], ended["code"], ended["why"]) == ("failed", 3, "diverged"), ended
    assert ended["checkpoints"]
    for checkpoint in ended["checkpoints"]:
        assert_finite(tmp_path / "out/checkpoints" / checkpoint["checkpoint_id"])


def test_rows_that_teach_nothing_are_no_divergence(tiny: Path, tmp_path: Path) -> None:
    """Where all answers to a prompt earn the same, there is no gradient, and nothing is wrong with the weights."""
    reward = rewards.regex(".*", name="anything").request()
    events = run("reinforcement", tiny, tmp_path, mode="full", learning_rate=1e-3, epochs=1, reward=reward)
    assert events[-1]["event"] == "done"


def test_what_was_kept_before_stays_and_the_last_finite_step_comes_on_top(tiny: Path, tmp_path: Path) -> None:
    """Good until the rate has grown: checkpoints of epochs, and one more of the step before the leap."""
    events = run("supervised", tiny, tmp_path, mode="full", learning_rate=1e7, epochs=100, batch_size=8)
    ended = events[-1]
    steps = [checkpoint["step"] for checkpoint in ended["checkpoints"]]
    assert steps == sorted(set(steps))
    assert [event["step"] for event in events if event["event"] == "step"][-1] in (steps[-1], steps[-1] + 1)


def test_a_run_that_is_begun_again_ends_the_same_way(tiny: Path, tmp_path: Path) -> None:
    """As after a crash of whoever was to be told."""
    first = run("supervised", tiny, tmp_path, mode="full", learning_rate=1e7)[-1]
    assert run("supervised", tiny, tmp_path, mode="full", learning_rate=1e7)[-1] == first


def test_weights_that_are_no_numbers_from_the_start_are_said_to_be(tiny: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(tiny / "tiny-0.1m")
    with torch.no_grad():
        next(model.parameters())[0, 0] = float("nan")
    model.save_pretrained(tmp_path / "broken")
    AutoTokenizer.from_pretrained(tiny / "tiny-0.1m").save_pretrained(tmp_path / "broken")
    ended = run(
        "supervised", tiny, tmp_path, model=str(tmp_path / "broken"), mode="full", learning_rate=1e-3
    )[-1]
    assert (ended["event"], ended["checkpoints"]) == ("failed", [])
    assert "started from" in ended["message"]
    assert not (tmp_path / "out/checkpoints").exists()
