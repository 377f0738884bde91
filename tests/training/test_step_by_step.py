"""Promises of the two-part loss, held on the tiny models; the paper's formula is computed by hand beside it."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.training.killed import killed_and_begun_again
from tests.training.test_supervised import tiny, weights, write

__all__ = ["tiny"]

GOOD, BAD = ["warm", "sweet", "bright"], ["cold", "sour", "dull"]


def row(pick: random.Random) -> dict[str, Any]:
    word = pick.choice(GOOD + BAD)
    denied = pick.random() < 0.5
    said = f"not {word}" if denied else word
    label = "positive" if (word in GOOD) != denied else "negative"
    thing = pick.choice(["soup", "tea", "room", "day"])
    return {
        "contents": [{"role": "user", "parts": [{"text": f"the {thing} was {said}"}]}],
        "label": label,
        "rationale": f"{said} is {label}",
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    pick = random.Random(0)
    return {
        "training": write(folder / "training.jsonl", [row(pick) for _ in range(60)]),
        "validation": write(folder / "validation.jsonl", [row(pick) for _ in range(30)]),
    }


def config(data, tiny, output, **changes):
    from vertex_tuning.training.config import StepByStepConfig

    return StepByStepConfig(
        **{
            "model": str(tiny / "tiny-0.1m"),
            "output": str(output),
            "learning_rate": 5e-3,
            "epochs": 2,
            **data,
            **changes,
        }
    )


def run(settings) -> list[dict]:
    from vertex_tuning.training import step_by_step

    events: list[dict] = []
    step_by_step.run(settings, events.append)
    return events


def by_hand(model: Any, tokenizer: Any, rows: list[dict], prefix: str, answer: str) -> float:
    """The mean over all answer tokens of -log p, token by token, by transformers alone: no batches, no padding."""
    import torch

    each: list[float] = []
    for one in rows:
        text = f"{prefix} {one['contents'][0]['parts'][0]['text']}"
        asked = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
        )
        before = tokenizer(asked, add_special_tokens=False)["input_ids"]
        after = tokenizer(f"{one[answer]}<|end|>", add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            logits = model(torch.tensor([before + after])).logits[0].double()
        for place, token in enumerate(after, len(before)):
            each.append(-float(logits[place - 1].log_softmax(0)[token]))
    return sum(each) / len(each)


def first_loss(rows: list[dict], tiny: Path, folder: Path, **changes: Any) -> dict:
    """What the first step says of all rows at once, before anything has moved."""
    folder.mkdir(exist_ok=True)
    data = {"training": write(folder / "rows.jsonl", rows)}
    settings = config(data, tiny, folder / "out", mode="full", batch_size=len(rows), steps=1, **changes)
    events = run(settings)
    assert events[-1]["event"] == "done", events[-1]
    return next(event for event in events if event["event"] == "step")


@pytest.fixture
def exact(monkeypatch):
    """fp32 throughout, so that the last digits can be compared."""
    from accelerate.state import AcceleratorState

    from vertex_tuning.training import loop

    AcceleratorState._reset_state(reset_partial_state=True)
    monkeypatch.setattr(loop, "_precision", lambda: "no")
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.parametrize("weight", [0.25, 1.0, 3.0])
def test_the_loss_is_the_papers(tiny, tmp_path, exact, weight):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    pick = random.Random(3)
    rows = [row(pick) for _ in range(4)]
    rows[1]["rationale"] += ", " + "and that is all there is to be said of it " * 6  # far longer than a label
    model = AutoModelForCausalLM.from_pretrained(tiny / "tiny-0.1m").float().eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny / "tiny-0.1m")
    label = by_hand(model, tokenizer, rows, "[label]", "label")
    rationale = by_hand(model, tokenizer, rows, "[rationale]", "rationale")
    step = first_loss(rows, tiny, tmp_path, rationale_weight=weight)
    assert step["label_loss"] == pytest.approx(label, rel=1e-5)
    assert step["rationale_loss"] == pytest.approx(rationale, rel=1e-5)
    assert step["loss"] == pytest.approx(label + weight * rationale, rel=1e-5)


def test_a_hand_computed_case(monkeypatch):
    """Two rows whose token losses are chosen: label tokens 1 and 3, rationale tokens 2, 2, 2 and 6."""
    import torch

    from vertex_tuning.training import step_by_step
    from vertex_tuning.training.chat import Encoded
    from vertex_tuning.training.config import StepByStepConfig

    def answered(tokens: int) -> Encoded:
        return Encoded([5, *[1] * tokens], [False, *[True] * tokens])

    losses = [1.0, 3.0, 2.0, 2.0, 2.0, 6.0]

    class Learner:
        accelerator = type("", (), {"device": torch.device("cpu")})()

        def likelihoods(self, ids, where, answers):
            assert int(where.sum()) == len(answers) == len(losses)
            return -torch.tensor(losses, dtype=torch.float64), torch.ones(len(losses), dtype=torch.bool)

    for settings, expected in (
        ({}, 2.0 + 3.0),
        ({"rationale_weight": 0.5}, 2.0 + 1.5),
        ({"alpha": 0.5}, 1.0 + 1.5),
        ({"alpha": 0.8}, 1.6 + 0.6),
    ):
        config = StepByStepConfig(model="", training="", output="", learning_rate=1.0, **settings)
        objective = object.__new__(step_by_step._StepByStep)
        objective._of_label, objective._of_rationale = config.weights
        objective._pairs = [
            step_by_step._Pair(answered(1), answered(3)),
            step_by_step._Pair(answered(1), answered(1)),
        ]
        loss, measured = objective.loss(Learner(), [0, 1], 0)
        assert float(loss) == pytest.approx(expected)
        assert (measured["label_loss"], measured["rationale_loss"]) == (
            pytest.approx(2.0),
            pytest.approx(3.0),
        )


def test_the_papers_weighting_is_the_codes_up_to_a_factor(tiny, tmp_path, exact):
    rows = [row(random.Random(5)) for _ in range(4)]
    paper = first_loss(rows, tiny, tmp_path / "a", rationale_weight=1.0)["loss"]
    code = first_loss(rows, tiny, tmp_path / "b", alpha=0.5)["loss"]
    assert paper == pytest.approx(2 * code, rel=1e-6)
    # In general lambda = (1 - alpha) / alpha, and the factor is 1 / alpha.
    paper = first_loss(rows, tiny, tmp_path / "c", rationale_weight=0.25 / 0.75)["loss"]
    code = first_loss(rows, tiny, tmp_path / "d", alpha=0.75)["loss"]
    assert paper == pytest.approx(code / 0.75, rel=1e-6)


def test_long_rationales_do_not_drown_short_labels(tiny, tmp_path, exact):
    """Ten times as many rationale tokens leave the label's share of the loss as it was."""
    rows = [row(random.Random(1)) for _ in range(4)]
    long = [{**one, "rationale": one["rationale"] * 10} for one in rows]
    short = first_loss(rows, tiny, tmp_path / "short")
    longer = first_loss(long, tiny, tmp_path / "long")
    assert longer["label_loss"] == pytest.approx(short["label_loss"], rel=1e-5)
    assert longer["loss"] - longer["rationale_loss"] == pytest.approx(short["label_loss"], rel=1e-5)


def test_both_tasks_are_learnt_from_the_same_rows(data, tiny, tmp_path):
    events = run(config(data, tiny, tmp_path, mode="full", learning_rate=4e-3, epochs=12))
    stats = events[0]["stats"]["stepByStepDataStats"]
    assert [stats[task]["tuningDatasetExampleCount"] for task in ("label", "rationale")] == ["60", "60"]
    assert events[-1]["steps"] == 8 * 12  # 60 rows, 8 to a batch: the tasks add no steps
    first, *_, last = [event for event in events if event["event"] == "eval"]
    assert last["eval_rationale_loss"] < 0.5 * first["eval_rationale_loss"]
    assert last["eval_label_loss"] < first["eval_label_loss"]
    assert last["eval_loss"] == pytest.approx(last["eval_label_loss"] + last["eval_rationale_loss"])


def test_what_the_model_would_say_to_held_out_rows_is_what_it_does_say(data, tiny, tmp_path, exact):
    """Before and after, row by row: held against answers that transformers generates."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run(config(data, tiny, tmp_path, mode="full", learning_rate=4e-3, epochs=6, evaluate_interval=48))
    said = json.loads((tmp_path / "held_out.json").read_text(encoding="utf-8"))
    held_out = [
        json.loads(line) for line in Path(data["validation"]).read_text(encoding="utf-8").splitlines()
    ]
    tokenizer = AutoTokenizer.from_pretrained(tiny / "tiny-0.1m")
    for when, folder in (("before", tiny / "tiny-0.1m"), ("after", tmp_path / "checkpoints/6")):
        model = AutoModelForCausalLM.from_pretrained(folder).float().eval()
        for number, one in enumerate(held_out):
            text = f"[label] {one['contents'][0]['parts'][0]['text']}"
            asked = tokenizer.apply_chat_template(
                [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
            )
            ids = tokenizer(asked, add_special_tokens=False, return_tensors="pt")["input_ids"]
            made = model.generate(ids, max_new_tokens=8, do_sample=False, pad_token_id=0)[0, ids.shape[1] :]
            answer = tokenizer.decode(made, skip_special_tokens=True)
            ended = made[-1] == tokenizer.eos_token_id
            assert said[when]["exact"][number] == (answer == one["label"] and bool(ended)), answer
        assert said[when]["right"] == [one["label"] for one in held_out]
        assert set(said[when]["chosen"]) <= {"positive", "negative"}
    chosen = [a == b for a, b in zip(said["after"]["chosen"], said["after"]["right"], strict=True)]
    measured = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    [last] = [line for line in measured if "eval_loss" in line]
    assert last["eval_choice"] == sum(chosen) / len(chosen)
    assert last["eval_word_for_word"] == sum(said["after"]["exact"]) / 30
    assert sum(said["before"]["exact"]) == 0 < sum(said["after"]["exact"])


def test_without_weight_the_rationales_are_not_even_read(data, tiny, tmp_path):
    """The control: the same steps on the same rows, at the price of the labels alone."""
    both = run(config(data, tiny, tmp_path / "both"))
    control = run(config(data, tiny, tmp_path / "control", rationale_weight=0.0))
    assert control[-1]["steps"] == both[-1]["steps"]
    steps = [event for event in control if event["event"] == "step"]
    assert all("rationale_loss" not in step and step["loss"] == step["label_loss"] for step in steps)
    unread = tmp_path / "unread.jsonl"
    labels = [json.loads(line) for line in Path(data["training"]).read_text(encoding="utf-8").splitlines()]
    for one in labels:
        del one["rationale"]
    write(unread, labels)
    alone = run(config({**data, "training": str(unread)}, tiny, tmp_path / "alone"))
    assert alone[-1]["event"] == "done"
    assert weights(tmp_path / "alone/checkpoints/2") == weights(tmp_path / "control/checkpoints/2")


def test_a_row_without_a_rationale_teaches_its_label(tiny, tmp_path, exact):
    pick = random.Random(2)
    rows = [row(pick) for _ in range(4)]
    whole = first_loss(rows, tiny, tmp_path / "whole")
    for one in rows[1:]:
        del one["rationale"]
    found = first_loss(rows, tiny, tmp_path / "some")
    assert found["label_loss"] == pytest.approx(whole["label_loss"], rel=1e-5)
    alone = first_loss(rows[:1], tiny, tmp_path / "one")
    assert found["rationale_loss"] == pytest.approx(alone["rationale_loss"], rel=1e-5)


@pytest.mark.parametrize("mode", ["adapter", "full"])
def test_a_run_that_was_killed_ends_in_the_same_weights(data, tiny, tmp_path, mode):
    run(config(data, tiny, tmp_path / "straight", mode=mode, epochs=3))
    settings = config(data, tiny, tmp_path / "killed", mode=mode, epochs=3)
    events = killed_and_begun_again(settings, tmp_path / "config.json")
    steps = [event["step"] for event in events if event["event"] == "step"]
    assert not steps or steps[0] > 1  # it did not begin anew
    assert weights(tmp_path / "straight/checkpoints/3") == weights(tmp_path / "killed/checkpoints/3")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"alpha": 0.5, "rationale_weight": 1.0}, "two ways"),
        ({"alpha": 0.0}, "alpha is 0"),
        ({"alpha": 1.5}, "alpha is 1.5"),
        ({"rationale_weight": -1.0}, "rationale_weight is -1"),
        ({"rationale_weight": float("nan")}, "rationale_weight is nan"),
    ],
)
def test_weights_that_make_no_sense_are_refused_with_help(data, tiny, tmp_path, changes, words):
    events = run(config(data, tiny, tmp_path, **changes))
    assert [event["event"] for event in events] == ["failed"]
    assert events[0]["code"] == 3
    assert "VT252" in events[0]["message"]
    assert words in events[0]["message"]
    assert "Fix: " in events[0]["message"]


def test_every_fault_of_the_rows_is_told_at_once(tiny, tmp_path):
    pick = random.Random(4)
    rows = [row(pick) for _ in range(12)]
    del rows[1]["label"]
    rows[4]["rationale"] = 7
    rows[7]["reason"] = "because"
    rows[9]["label"] = " "
    events = run(config({"training": write(tmp_path / "t.jsonl", rows)}, tiny, tmp_path / "o"))
    message = events[-1]["message"]
    assert events[-1]["event"] == "failed"
    for words in ("line 2, label", "line 5, rationale", "line 8, reason", "line 10, label", "VT250", "VT251"):
        assert words in message


def test_two_processes_train_one_model(data, tiny, tmp_path):
    path = tmp_path / "config.json"
    settings = config(data, tiny, tmp_path / "out", epochs=3)
    path.write_text(json.dumps(settings.to_json()), encoding="utf-8")
    command = [str(Path(sys.executable).parent / "torchrun"), "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*command, "-m", "vertex_tuning.training", "--method", "step_by_step", "--config", str(path)],
        env={**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert (events[0]["event"], events[-1]["event"]) == ("dataset", "done")
    assert events[-1]["steps"] == 12  # 60 rows, 8 to a batch, two batches to a step
    first, *_, last = [event for event in events if event["event"] == "eval"]
    assert last["eval_loss"] < first["eval_loss"]
