"""Promises of reward models, held on the tiny models; TRL's trainer says what the loss has to be."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.training.killed import killed_and_begun_again
from tests.training.test_preference import data, full_precision, pair
from tests.training.test_supervised import tiny, weights, write
from vertex_tuning.training.config import RewardConfig

__all__ = ["data", "full_precision", "tiny"]  # fixtures


def config(data, tiny, output, **changes) -> RewardConfig:
    return RewardConfig(
        **{
            "model": str(tiny / "tiny-0.1m"),
            "output": str(output),
            "learning_rate": 2e-3,
            "epochs": 3,
            "last_checkpoint_only": True,
            **data,
            **changes,
        }
    )


def run(settings: RewardConfig) -> list[dict[str, Any]]:
    from vertex_tuning.training import reward

    events: list[dict[str, Any]] = []
    reward.run(settings, events.append)
    assert events[-1]["event"] == "done", events[-1]
    return events


def card(output: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((output / "checkpoints/1/reward.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """More pairs, and held-out ones."""
    folder = tmp_path_factory.mktemp("many")
    pick = random.Random(1)
    return {
        "training": write(folder / "training.jsonl", [pair(pick) for _ in range(300)]),
        "validation": write(folder / "validation.jsonl", [pair(pick) for _ in range(100)]),
    }


@pytest.mark.parametrize(("mode", "rate"), [("full", 2e-3), ("adapter", 5e-3)])
def test_the_model_prefers_what_is_preferred_in_pairs_that_it_has_not_seen(many, tiny, tmp_path, mode, rate):
    events = run(config(many, tiny, tmp_path, mode=mode, learning_rate=rate, epochs=5, adapter_size=16))
    first, *_, last = [event for event in events if event["event"] == "eval"]
    assert last["eval_loss"] < first["eval_loss"]
    found = card(tmp_path)
    assert found["accuracy"] == pytest.approx(last["eval_accuracy"])
    assert found["accuracy"] > 0.8
    assert found["accuracy_interval"][0] > 0.7
    assert (found["pairs"], found["held_out"]) == (100, True)


def test_how_sure_it_may_be_is_said_with_the_model(many, tiny, tmp_path):
    run(config(many, tiny, tmp_path, epochs=2))
    found = card(tmp_path)
    bins = found["calibration"]
    assert sum(one["count"] for one in bins) == found["pairs"]
    assert all(0.5 <= one["said"] <= 1 and 0 <= one["true"] <= 1 for one in bins)
    gaps = sum(one["count"] * abs(one["said"] - one["true"]) for one in bins)
    assert found["calibration_error"] == pytest.approx(gaps / found["pairs"])


def test_without_held_out_pairs_the_card_says_so(data, tiny, tmp_path):
    run(config({"training": data["training"]}, tiny, tmp_path, epochs=1))
    assert (card(tmp_path)["held_out"], card(tmp_path)["pairs"]) == (False, 60)


@pytest.mark.parametrize("mode", ["full", "adapter"])
def test_plain_transformers_loads_it_and_gives_the_same_rewards(data, tiny, tmp_path, mode):
    """In one batch with padding too: on either side."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from vertex_tuning.training import rows

    run(config(data, tiny, tmp_path, mode=mode, epochs=2))
    folder = tmp_path / "checkpoints/1"
    assert {path.name for path in folder.iterdir()} == {
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "reward.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    margins: dict[str, list[float]] = {"right": [], "left": []}
    pairs = [row for _, row in rows.read(Path(data["validation"]))]
    for side, found in margins.items():
        tokenizer.padding_side = side
        for row in pairs:
            prompt, answers = rows.preference(row)
            chats = [[*prompt, {"role": "assistant", "content": answer}] for answer in answers]
            texts = [tokenizer.apply_chat_template(chat, tokenize=False) for chat in chats]
            given = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
            given.pop("token_type_ids", None)
            with torch.no_grad():
                preferred, other = model(**given).logits.squeeze(-1).tolist()
            found.append(preferred - other)
    assert margins["left"] == pytest.approx(margins["right"], abs=1e-3)
    right = sum(margin > 0 for margin in margins["right"]) / len(pairs)
    assert right == pytest.approx(card(tmp_path)["accuracy"], abs=0.04)  # bf16 here, fp32 there


@pytest.mark.parametrize("mode", ["full", "adapter"])
def test_a_run_that_was_killed_ends_in_the_same_weights(data, tiny, tmp_path, mode):
    every = {"mode": mode, "last_checkpoint_only": False}
    run(config(data, tiny, tmp_path / "straight", **every))
    killed_and_begun_again(config(data, tiny, tmp_path / "killed", **every), tmp_path / "config.json")
    assert weights(tmp_path / "straight/checkpoints/3") == weights(tmp_path / "killed/checkpoints/3")


def test_it_goes_on_from_what_the_tuned_model_knows(data, tiny, tmp_path):
    """The trunk is that of the base with the adapter in it."""
    import torch

    from tests.training import test_supervised
    from vertex_tuning.training import reward

    examples = {"training": write(tmp_path / "t.jsonl", [test_supervised.example(random.Random(3))] * 8)}
    tuned = {"epochs": 2, "last_checkpoint_only": True}
    test_supervised.run(test_supervised.config(examples, tiny, tmp_path / "tuned", **tuned))
    initial = str(tmp_path / "tuned/checkpoints/1")
    plain = reward._fresh(config(data, tiny, tmp_path), 0).get_decoder().state_dict()
    after = reward._fresh(config(data, tiny, tmp_path, initial=initial), 0).get_decoder().state_dict()
    changed = [name for name in plain if not torch.equal(plain[name], after[name])]
    assert changed
    assert all("proj" in name for name in changed)


def test_the_loss_and_its_gradients_are_those_of_trl(data, tiny, tmp_path, full_precision):
    import torch
    from accelerate import Accelerator
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import RewardConfig as TheirConfig
    from trl import RewardTrainer

    from vertex_tuning.training import reward
    from vertex_tuning.training.loop import Learner

    settings = config(data, tiny, tmp_path, center=0.05)
    objective = reward._Reward(settings)
    model, theirs = (objective.load(settings, tmp_path) for _ in range(2))
    trainer = RewardTrainer(
        theirs,
        args=TheirConfig(
            output_dir=str(tmp_path / "trl"),
            use_cpu=True,
            bf16=False,
            report_to=[],
            center_rewards_coefficient=0.05,
            activation_checkpointing=False,
        ),
        train_dataset=Dataset.from_list([{"prompt": "a", "chosen": "b", "rejected": "c"}]),
        processing_class=AutoTokenizer.from_pretrained(tiny / "tiny-0.1m"),
    )
    numbers = list(range(8))
    loss, _ = objective.loss(Learner(Accelerator(cpu=True), model), numbers, 0)
    loss.backward()
    pairs = [objective._pairs[number] for number in numbers]
    both = [pair.preferred for pair in pairs] + [pair.other for pair in pairs]
    length = max(len(item.ids) for item in both)
    padded = {
        "input_ids": [item.ids + [0] * (length - len(item.ids)) for item in both],
        "attention_mask": [[1] * len(item.ids) + [0] * (length - len(item.ids)) for item in both],
    }
    found = trainer.compute_loss(trainer.model, {name: torch.tensor(rows) for name, rows in padded.items()})
    found.backward()
    assert float(loss.detach()) > 0.1
    torch.testing.assert_close(loss, found, rtol=1e-4, atol=1e-5)
    gradients = dict(trainer.model.named_parameters())
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name].grad, rtol=1e-2, atol=1e-5)


def test_a_chat_is_never_padded_with_what_ends_one(tiny, tmp_path):
    """Else a plain model would read the token before the last one."""
    from vertex_tuning.training import reward

    source = tmp_path / "model"
    source.mkdir()
    for path in (tiny / "tiny-0.1m").iterdir():
        (source / path.name).write_bytes(path.read_bytes())
    settings = json.loads((source / "tokenizer_config.json").read_text(encoding="utf-8"))
    (source / "tokenizer_config.json").write_text(json.dumps({**settings, "pad_token": "<|end|>"}))
    folder = tmp_path / "written"
    folder.mkdir()
    reward._write_tokenizer(source, folder, 0)
    assert json.loads((folder / "tokenizer_config.json").read_text())["pad_token"] == "<|pad|>"
