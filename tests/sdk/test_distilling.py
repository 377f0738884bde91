"""Step by step through the service: a teacher that is tuned and asked there, resumed, never paid for twice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vertex_tuning import SupervisedTuning, data
from vertex_tuning.distill import Checks, TeacherPrompt, label, mix
from vertex_tuning.distill.parsing import written
from vertex_tuning.errors import DatasetError, SpecError

PROMPT = TeacherPrompt(labels=("positive", "negative"))
WORDS = {"red": "positive", "orange": "positive", "blue": "negative", "green": "negative"}
THINGS = ["lamp", "door", "boat", "cup", "car"]
QUESTIONS = [
    {"id": f"{thing}-{word}", "prompt": f"The {thing} is {word}", "gold": gold}
    for thing in THINGS
    for word, gold in WORDS.items()
]


@pytest.fixture(scope="session")
def teacher(emulator, tmp_path_factory) -> str:
    """Name of a model that was tuned to say why, and then the label; it knows the few questions by heart."""
    from vertex_tuning import connect

    rows = [
        {
            "contents": [
                {"role": "user", "parts": [{"text": row["prompt"]}]},
                {
                    "role": "model",
                    "parts": [{"text": written(f"{row['prompt'].split()[-1]} {row['gold']}", row["gold"])}],
                },
            ]
        }
        for row in QUESTIONS
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VERTEX_TUNING_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
        with connect("local") as client:
            spec = SupervisedTuning(
                base_model="gemini-2.5-flash",
                training=rows * 5,
                epochs=12,
                adapter_size=16,
                display_name="teacher",
            )
            return client.tune(spec).result().name


def read(path: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_teacher_labels_and_says_why(client, teacher, tmp_path):
    output = tmp_path / "labelled.jsonl"
    asked = [*QUESTIONS, {"id": "copy", "prompt": QUESTIONS[0]["prompt"]}]
    done = label(client, asked, output, teacher=teacher, prompt=PROMPT, max_output_tokens=32)
    kept, dropped = read(output), read(tmp_path / "labelled.jsonl.dropped.jsonl")
    # Whatever the tiny teacher says, every row is accounted for.
    assert len(kept) == done.kept
    assert len(kept) + len(dropped) == done.asked == len(QUESTIONS)
    assert done.dropped.get("duplicate") == 1
    assert sum(done.dropped.values()) == len(dropped) + 1
    assert done.kept >= 10, (done, dropped[:3])
    by_id = {row["id"]: row for row in QUESTIONS}
    for row in kept:
        assert row["label"] == by_id[row["id"]]["gold"] == row["gold"]
        assert row["label"] in row["rationale"]
        assert row["contents"][0]["parts"][0]["text"] == by_id[row["id"]]["prompt"]
    assert all(row["reason"] in done.dropped and row["answers"] for row in dropped)
    assert data.check(output, method="step_by_step", base_model=None).ok
    # Tokens are those that the service counted.
    manifest = json.loads((tmp_path / "labelled.jsonl.manifest.json").read_text(encoding="utf-8"))
    assert manifest == done.to_json()
    answers = [result.answer for result in client.batches.get(done.job).results() if result.answer]
    assert len(answers) == len(QUESTIONS)
    assert done.prompt_tokens == sum(answer.prompt_tokens for answer in answers) > 0
    assert done.answer_tokens == sum(answer.answer_tokens for answer in answers) > 0


def test_the_same_call_again_goes_on_with_the_same_job(client, open_client, teacher, tmp_path):
    output = tmp_path / "labelled.jsonl"

    def run(some, **changes):
        options = {"teacher": teacher, "prompt": PROMPT, "max_output_tokens": 32, **changes}
        return label(some, QUESTIONS, output, **options)

    def killed(job):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(client, follow=killed)
    begun = json.loads((tmp_path / "labelled.jsonl.manifest.json").read_text(encoding="utf-8"))
    assert not output.exists()
    done = run(open_client())
    assert done.job == begun["job"]
    rows = output.read_text(encoding="utf-8")
    assert run(client).job == done.job  # an ended one too: its answers are read again, and nothing is asked
    assert output.read_text(encoding="utf-8") == rows
    # The checks may change without asking anew; the question may not.
    assert run(client, checks=Checks(gold="count")).job == done.job
    with pytest.raises(SpecError, match="VT331"):
        run(client, max_output_tokens=33)
    assert run(client, again=True).job != done.job


def test_several_samples_are_several_answers(client, teacher, tmp_path):
    few = QUESTIONS[:3]
    done = label(
        client,
        few,
        tmp_path / "labelled.jsonl",
        teacher=teacher,
        prompt=PROMPT,
        samples=3,
        temperature=0.1,
        max_output_tokens=32,
    )
    results = client.batches.get(done.job).results()
    assert sorted({result.id.rpartition("#")[0] for result in results}) == sorted(row["id"] for row in few)
    assert len(results) == 9
    assert {result.row["request"]["generationConfig"]["seed"] for result in results} == {42, 43, 44}


def test_a_teacher_that_does_not_know_the_form_is_said_to_be_of_no_use(client, tmp_path):
    """An untuned tiny model, with examples of the form: it cannot do it, and the command says so, with what it said."""
    output = tmp_path / "labelled.jsonl"
    prompt = TeacherPrompt(
        labels=("positive", "negative"),
        examples=({"input": "the tea was cold", "rationale": "cold is bad", "label": "negative"},),
    )
    with pytest.raises(DatasetError, match="VT254") as caught:
        label(client, QUESTIONS[:4], output, teacher="gemini-2.5-flash", prompt=prompt, max_output_tokens=8)
    assert "labelled.jsonl.dropped.jsonl" in str(caught.value)
    assert len(read(tmp_path / "labelled.jsonl.dropped.jsonl")) == 4
    assert read(output) == []


def test_every_fault_of_the_rows_is_told_before_anything_is_asked(client, tmp_path):
    bad = [*QUESTIONS[:2], {"prompt": "x", "gold": "neutral"}, {"prompt": 7}, 3]
    with pytest.raises(DatasetError) as caught:
        label(client, bad, tmp_path / "out.jsonl", teacher="gemini-2.5-flash", prompt=PROMPT)
    words = str(caught.value)
    assert "VT340" in words
    with pytest.raises(DatasetError, match=r"VT250.*neutral"):
        label(client, bad[:3], tmp_path / "out.jsonl", teacher="gemini-2.5-flash", prompt=PROMPT)
    assert not list(tmp_path.glob("out*"))


def test_a_mix_is_taken_by_supervised_tuning(client, tmp_path):
    labelled = [
        {
            "contents": [{"role": "user", "parts": [{"text": row["prompt"]}]}],
            "label": row["gold"],
            "rationale": f"{row['prompt']}, so {row['gold']}",
        }
        for row in QUESTIONS
    ]
    del labelled[0]["rationale"]
    mixed = mix(labelled, tmp_path / "train.jsonl", label_weight=2, seed=1)
    assert (mixed.label_rows, mixed.rationale_rows, mixed.rows) == (40, 19, 59)
    rows = read(tmp_path / "train.jsonl")
    asked = [row["contents"][0]["parts"][0]["text"] for row in rows]
    assert sum(text.startswith("[label] ") for text in asked) == 40
    assert sum(text.startswith("[rationale] ") for text in asked) == 19
    answers = [row["contents"][1]["parts"][0]["text"] for row in rows]
    of_labels = sum(len(answer) for answer in answers if answer in WORDS.values())
    assert mixed.share == pytest.approx(of_labels / sum(map(len, answers)))
    assert data.check(tmp_path / "train.jsonl").ok
    spec = SupervisedTuning(base_model="gemini-2.5-flash", training=tmp_path / "train.jsonl", epochs=1)
    assert client.tune(spec).result().name
    again = mix(labelled, tmp_path / "again.jsonl", label_weight=2, seed=1)
    assert again.rows == 59
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "train.jsonl").read_bytes()
    alone = mix(labelled, tmp_path / "alone.jsonl", rationale_weight=0)
    assert (alone.rows, alone.share) == (20, 1.0)
    for weights in ({"label_weight": 0}, {"rationale_weight": -1}, {"label_weight": 1.5}):
        with pytest.raises(SpecError, match="VT330"):
            mix(labelled, tmp_path / "no.jsonl", **weights)
