"""Promises of preference tuning, held on the tiny models; TRL's trainer says what the loss has to be."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from tests.training.killed import killed_and_begun_again
from tests.training.test_supervised import FORMS, example, tiny, weights, write
from vertex_tuning.training.config import PreferenceConfig

__all__ = ["tiny"]  # a fixture


def pair(pick: random.Random) -> dict[str, Any]:
    """What was asked, the right answer preferred to a wrong one; in either order."""
    right = example(pick)
    wrong = pick.choice([name for name in FORMS if name != right["contents"][1]["parts"][0]["text"]])
    answers = [
        {"score": 1, "completion": right["contents"][1]},
        {"score": 0, "completion": {"role": "model", "parts": [{"text": wrong}]}},
    ]
    pick.shuffle(answers)
    return {"contents": right["contents"][:1], "completions": answers}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    pick = random.Random(0)
    return {
        "training": write(folder / "training.jsonl", [pair(pick) for _ in range(60)]),
        "validation": write(folder / "validation.jsonl", [pair(pick) for _ in range(30)]),
    }


def config(data, tiny, output, **changes) -> PreferenceConfig:
    return PreferenceConfig(
        **{
            "model": str(tiny / "tiny-0.1m"),
            "output": str(output),
            "learning_rate": 2e-3,
            "adapter_size": 8,
            "epochs": 3,
            **data,
            **changes,
        }
    )


def run(settings: PreferenceConfig) -> list[dict[str, Any]]:
    from vertex_tuning.training import preference

    events: list[dict[str, Any]] = []
    preference.run(settings, events.append)
    return events


def test_the_preferred_answer_becomes_likelier_than_the_other_and_than_before(data, tiny, tmp_path):
    pick = random.Random(1)
    more = {"training": write(tmp_path / "more.jsonl", [pair(pick) for _ in range(150)])}
    events = run(config({**data, **more}, tiny, tmp_path, epochs=6, learning_rate=3e-3, adapter_size=16))
    first, *_, last = [event for event in events if event["event"] == "eval"]
    assert last["eval_preference_accuracy"] > 0.7
    assert last["eval_reward_margin"] > first["eval_reward_margin"] > 0
    # Without the supervised term the preferred answer would become unlikely too.
    assert last["eval_sft_loss"] < first["eval_sft_loss"]
    assert events[-1]["event"] == "done"


def test_the_metrics_are_called_as_the_service_calls_them(data, tiny, tmp_path):
    run(config(data, tiny, tmp_path, epochs=1))
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines[0]["/preference_optimization_train_loss"] == lines[0]["loss"]
    assert lines[-1]["/eval_total_loss"] == lines[-1]["eval_loss"]


def test_at_the_start_nothing_is_preferred(data, tiny, tmp_path):
    """The model is its own reference: the first loss is log 2 and the supervised term."""
    events = run(config(data, tiny, tmp_path, epochs=1))
    first = next(event for event in events if event["event"] == "step")
    assert first["reward_margin"] == pytest.approx(0, abs=2e-3)
    assert first["loss"] == pytest.approx(0.6931 + first["sft_loss"], abs=2e-3)


@pytest.fixture
def full_precision():
    """accelerate keeps the precision of the first trainer for all of a process."""
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def test_the_loss_and_its_gradients_are_those_of_trl(data, tiny, tmp_path, full_precision):
    import torch
    from accelerate import Accelerator
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer

    from vertex_tuning.training import adapters, preference
    from vertex_tuning.training.loop import Learner

    folder, beta = tiny / "tiny-0.1m", 0.3
    objective = preference._Preference(config(data, tiny, tmp_path, beta=beta))
    model = adapters.add(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), 8)
    learner = Learner(Accelerator(cpu=True), model)
    objective.begin(learner)
    trainer = DPOTrainer(
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
        args=DPOConfig(
            output_dir=str(tmp_path / "trl"),
            use_cpu=True,
            bf16=False,
            report_to=[],
            beta=beta,
            loss_type=["sigmoid", "sft"],
            loss_weights=[1.0, 1.0],
            activation_checkpointing=False,
        ),
        train_dataset=Dataset.from_list([{"prompt": "a", "chosen": "b", "rejected": "c"}]),
        processing_class=AutoTokenizer.from_pretrained(folder),
        peft_config=LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    # Both have learnt the same, something that the reference has not.
    generator = torch.Generator().manual_seed(0)
    learnt = {
        name: torch.randn(parameter.shape, generator=generator) * 0.1
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    for one in (model, trainer.model):
        found = dict(one.named_parameters())
        for name, values in learnt.items():
            found[name].data.copy_(values)

    numbers = list(range(8))
    loss, _ = objective.loss(learner, numbers, 0)
    loss.backward()
    pairs = [objective._pairs[number] for number in numbers]
    both = [pair.preferred for pair in pairs] + [pair.other for pair in pairs]
    length = max(len(item.ids) for item in both)
    padded = {
        "input_ids": [item.ids + [0] * (length - len(item.ids)) for item in both],
        "attention_mask": [[1] * len(item.ids) + [0] * (length - len(item.ids)) for item in both],
        "completion_mask": [[int(x) for x in item.learn] + [0] * (length - len(item.ids)) for item in both],
    }
    theirs = trainer.compute_loss(trainer.model, {name: torch.tensor(rows) for name, rows in padded.items()})
    theirs.backward()
    assert float(loss.detach()) > 0.1
    torch.testing.assert_close(loss, theirs, rtol=1e-4, atol=1e-5)
    gradients = dict(trainer.model.named_parameters())
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(parameter.grad, gradients[name].grad, rtol=1e-2, atol=1e-5)


def test_a_run_that_was_killed_ends_in_the_same_weights(data, tiny, tmp_path):
    run(config(data, tiny, tmp_path / "straight"))
    killed_and_begun_again(config(data, tiny, tmp_path / "killed"), tmp_path / "config.json")
    assert weights(tmp_path / "straight/checkpoints/3") == weights(tmp_path / "killed/checkpoints/3")


def test_only_the_answers_are_learnt_and_not_what_the_model_said_before(tiny, tmp_path):
    from vertex_tuning.training import preference

    row = pair(random.Random(1))
    row["contents"] = [
        {"role": "user", "parts": [{"text": "Hello"}]},
        {"role": "model", "parts": [{"text": "Hi there"}]},
        *row["contents"],
    ]
    data = {"training": write(tmp_path / "t.jsonl", [row])}
    objective = preference._Preference(config(data, tiny, tmp_path / "o"))
    for answer, score in ((objective._pairs[0].preferred, 1), (objective._pairs[0].other, 0)):
        learnt = [token for token, learn in zip(answer.ids, answer.learn, strict=True) if learn]
        told = next(item for item in row["completions"] if item["score"] == score)["completion"]
        said = objective._tokenizer.tokenizer.decode(learnt, skip_special_tokens=False)
        assert said == f"{told['parts'][0]['text']}<|end|>"


def test_what_the_service_says_of_the_data_is_counted(data, tiny, tmp_path):
    events = run(config(data, tiny, tmp_path, epochs=2))
    stats = next(event["stats"] for event in events if event["event"] == "dataset")
    found = stats["preferenceOptimizationDataStats"]
    assert found["tuningDatasetExampleCount"] == "60"
    assert found["tuningStepCount"] == str(events[-1]["steps"])
    assert found["scoresDistribution"]["mean"] == 0.5
    assert found["scoreVariancePerExampleDistribution"]["mean"] == 0.25
    tokens = 2 * found["userInputTokenDistribution"]["sum"] + found["userOutputTokenDistribution"]["sum"]
    assert found["totalBillableTokenCount"] == str(int(2 * tokens))
    assert len(found["userDatasetExamples"]) == 3


def test_a_row_that_is_no_pair_is_named(tiny, tmp_path):
    row = pair(random.Random(1))
    row["completions"][0]["score"] = row["completions"][1]["score"] = 1
    data = {"training": write(tmp_path / "t.jsonl", [pair(random.Random(2)), row])}
    events = run(config(data, tiny, tmp_path / "o"))
    assert (events[-1]["event"], events[-1]["code"]) == ("failed", 3)
    assert "line 2" in events[-1]["message"]
    assert "VT228" in events[-1]["message"]
