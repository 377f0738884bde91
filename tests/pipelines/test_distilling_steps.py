"""The steps of step-by-step distillation, one after the other, on the real emulator: a tiny teacher, and tiny students."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.sdk.test_distilling import PROMPT, QUESTIONS
from vertex_tuning import connect, cost, custom
from vertex_tuning.errors import DatasetError, SpecError
from vertex_tuning.pipelines.steps import distillation, distilled, evaluation, students, tuning

pytestmark = pytest.mark.timeout(600)
"""Whole steps, one after the other; most of it is the first test, which waits for all of them."""

KINDS = (students.RATIONALES, students.LABELS)
ASKED: dict[str, Any] = {
    "way": "open",
    "student": "tiny-0.1m",
    "seeds": [1],
    "rationale_weight": 1.0,
    "mode": "full",
    "steps": 1,
    "batch_size": 8,
    "learning_rate": 1e-3,
    "host": "l4",
    "at_once": 2,
    "place": "/run/none/train",
    "about": {},
}


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def contents(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "parts": [{"text": row["prompt"]}]}]


def weights_of(name: str) -> int:
    """Counted by transformers."""
    from transformers import AutoModelForCausalLM

    from vertex_tuning import training

    folder = Path(training.__file__).parent / "tiny" / name
    return int(AutoModelForCausalLM.from_pretrained(folder).num_parameters())


@pytest.fixture(scope="module")
def chain(emulator, tmp_path_factory):
    """What the steps leave, of one run."""
    folder = tmp_path_factory.mktemp("chain")
    reasons = [
        {
            "contents": contents(row),
            "label": row["gold"],
            "rationale": f"{row['prompt'].split()[-1]} {row['gold']}",
        }
        for row in QUESTIONS
    ]
    annotated = write(folder / "annotated.jsonl", reasons * 5)
    questions = write(folder / "questions.jsonl", QUESTIONS)
    test = write(
        folder / "held-out.jsonl", [{"contents": contents(r), "label": r["gold"]} for r in QUESTIONS]
    )
    found = SimpleNamespace(folder=folder, test=test, metadata={})

    def metadata(name: str) -> dict[str, Any]:
        return found.metadata.setdefault(name, {})

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VERTEX_TUNING_HOME", str(folder / "home"))
        patch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
        patch.setenv("VERTEX_TUNING_TARGET", "local")
        found.teacher = distillation.teach(
            annotated,
            teacher="gemini-2.5-flash",
            place=f"/run/{folder.name}/teach",
            epochs=12,
            adapter_size=16,
            learning_rate_multiplier=0.0,
            model=str(folder / "teacher"),
            about=metadata("teacher"),
            measured=str(folder / "measured"),
            metrics=metadata("measured"),
        )
        found.labelled = distillation.label(
            questions,
            teacher=found.teacher.model_name,
            labels=list(PROMPT.labels),
            prompt="",
            samples=1,
            rationale="any",
            gold="drop",
            max_output_tokens=32,
            labelled=str(folder / "labelled"),
            dropped=str(folder / "dropped"),
            manifest=str(folder / "manifest"),
            figures=metadata("manifest"),
            report=str(folder / "report.md"),
        )

        def train() -> students.Students:
            return students.train(
                str(folder / "labelled"),
                test_source=test,
                way="open",
                student="tiny-0.1m",
                seeds=[1, 2],
                rationale_weight=1.0,
                mode="full",
                steps=12,
                batch_size=8,
                learning_rate=4e-3,
                host="l4",
                at_once=2,
                place=f"/run/{folder.name}/train",
                test=str(folder / "test"),
                students=str(folder / "students"),
                about=metadata("students"),
            )

        found.students = train()
        found.trained = json.loads((folder / "students").read_text(encoding="utf-8"))
        train()
        found.trained_again = json.loads((folder / "students").read_text(encoding="utf-8"))
        found.judged = distilled.judge(
            str(folder / "test"),
            students=str(folder / "students"),
            manifest=str(folder / "manifest"),
            teacher=found.teacher.model_name,
            teacher_base="gemini-2.5-flash",
            teacher_parameters=123_456,
            speed=True,
            max_output_tokens=32,
            comparison=str(folder / "comparison"),
            figures=metadata("comparison"),
            page=str(folder / "report.html"),
            summary=str(folder / "summary.md"),
        )
        found.gated = evaluation.gate(
            str(folder / "comparison"),
            margin=0.0,
            at_least=0.0,
            min_rows=200,
            decision=str(folder / "decision.md"),
        )
    return found


def test_the_teacher_is_tuned_and_asked_and_what_it_took_is_told(chain):
    assert chain.teacher.model_name.startswith("projects/")
    assert chain.metadata["teacher"]["baseModel"] == "gemini-2.5-flash"
    assert 10 <= chain.labelled.kept <= chain.labelled.asked == len(QUESTIONS)
    manifest = json.loads((chain.folder / "manifest").read_text(encoding="utf-8"))
    assert chain.labelled.teacher_tokens == manifest["prompt_tokens"] + manifest["answer_tokens"] > 0
    assert manifest["teacher"] == chain.teacher.model_name
    rows = (chain.folder / "labelled").read_text(encoding="utf-8").splitlines()
    assert len(rows) == chain.labelled.kept


def test_students_of_both_kinds_learn_the_same_rows_in_as_many_steps(chain):
    runs = chain.trained["runs"]
    assert [(run["kind"], run["seed"]) for run in runs] == [
        ("rationales", 1),
        ("labels", 1),
        ("rationales", 2),
        ("labels", 2),
    ]
    assert {run["steps"] for run in runs} == {12}
    assert all(len(run["exact"]) == len(QUESTIONS) for run in runs)
    assert len({json.dumps(run["losses"]) for run in runs}) == 4  # four different students
    assert {json.dumps(run["before"]) for run in runs} == {json.dumps(runs[0]["before"])}
    assert chain.students.model_name == runs[0]["model"]
    assert chain.students.model_name.startswith("gs://")


def test_a_step_that_is_tried_again_takes_up_its_jobs(chain):
    assert [run["job"] for run in chain.trained_again["runs"]] == [
        run["job"] for run in chain.trained["runs"]
    ]


def test_the_report_tells_quality_size_speed_and_cost(chain):
    figures = chain.metadata["comparison"]
    runs = chain.trained["runs"]
    by_hand = [sum(run["exact"]) / len(QUESTIONS) for run in runs if run["kind"] == "rationales"]
    assert chain.judged.with_rationales == pytest.approx(sum(by_hand) / 2)
    assert chain.judged.teacher >= 0.5  # it knows most of them by heart
    assert figures["student_parameters"] == weights_of("tiny-0.1m")
    assert figures["teacher_seconds"] > 0
    assert figures["student_seconds"] > 0
    assert figures["teacher_answer_tokens"] > figures["student_answer_tokens"]
    # By the list: what the teacher answers is paid for by the token; what our own student answers is not.
    asked = {
        "prompt_tokens": figures["teacher_prompt_tokens"],
        "answer_tokens": figures["teacher_answer_tokens"],
    }
    assert figures["teacher_dollars"] == cost.answers("gemini-2.5-flash", **asked, tuned=True) > 0
    assert "student_dollars" not in figures
    assert figures["teacher_tokens"] == chain.labelled.teacher_tokens
    for name in ("report.html", "summary.md"):
        words = (chain.folder / name).read_text(encoding="utf-8")
        for expected in (
            "with rationales",
            "labels alone",
            "untuned",
            "teacher tokens",
            "seconds to an answer",
        ):
            assert expected in words, (name, expected)
    assert "http://" not in (chain.folder / "report.html").read_text(encoding="utf-8").replace(
        "http://www.w3.org", ""
    )
    assert chain.gated is False
    assert "200 are needed" in (chain.folder / "decision.md").read_text(encoding="utf-8")


def test_a_student_by_the_tuning_service_learns_a_mix(chain, emulator, tmp_path, monkeypatch):
    monkeypatch.setenv("VERTEX_TUNING_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
    about: dict[str, Any] = {}
    done = students.train(
        str(chain.folder / "labelled"),
        test_source=chain.test,
        way="managed",
        student="gemini-2.5-flash-lite",
        seeds=[1],
        rationale_weight=1.0,
        mode="",
        steps=0,
        batch_size=0,
        learning_rate=0.0,
        host="",
        at_once=1,
        place=f"/run/{tmp_path.name}/train",
        test=str(tmp_path / "test"),
        students=str(tmp_path / "students"),
        about=about,
    )
    trained = json.loads((tmp_path / "students").read_text(encoding="utf-8"))
    assert done.trained == 2
    assert [run["kind"] for run in trained["runs"]] == ["rationales", "labels"]
    assert all(run["model"].startswith("projects/") for run in trained["runs"])
    assert all(len(run["exact"]) == len(QUESTIONS) for run in trained["runs"])


def test_a_step_that_is_asked_to_end_leaves_no_job_running(chain, emulator, tmp_path, monkeypatch):
    monkeypatch.setenv("VERTEX_TUNING_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
    asked = {**ASKED, "steps": 100_000, "place": f"/run/{tmp_path.name}/train", "test_source": chain.test}
    asked |= {"test": str(tmp_path / "test"), "students": str(tmp_path / "students"), "seeds": [1, 2]}
    program = (
        "from vertex_tuning.pipelines.steps import students\n"
        f"students.train({str(chain.folder / 'labelled')!r}, **{asked!r})"
    )
    keys = [tuning.key_of(f"/run/{tmp_path.name}/train#{kind}-{seed}") for seed in (1, 2) for kind in KINDS]

    def begun(client: Any) -> list[Any]:
        return [
            run
            for key in keys
            for run in custom.runs(client.connection, filter=f'labels.{tuning.STEP}="{key}"')
        ]

    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    try:
        with connect("local") as client:
            deadline = time.monotonic() + 120
            while not begun(client) and time.monotonic() < deadline:
                time.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 143
            left = begun(client)
            assert 1 <= len(left) <= 2  # of four, two at once
            assert {run.wait(timeout=60).state for run in left} == {"JOB_STATE_CANCELLED"}
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"way": "both"}, "both"),
        ({"seeds": []}, "no seeds"),
        ({"student": "tiny-7b"}, "tiny-0.5m"),
    ],
)
def test_students_that_cannot_be_trained_are_refused_with_help(
    chain, emulator, tmp_path, monkeypatch, changes, words
):
    monkeypatch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
    asked = {**ASKED, "test_source": chain.test, "test": str(tmp_path / "test"), **changes}
    asked["students"] = str(tmp_path / "students")
    with pytest.raises(SpecError, match="VT332") as caught:
        students.train(str(chain.folder / "labelled"), **asked)
    assert words in str(caught.value)


def test_annotations_without_labels_are_refused_before_anything_is_tuned(tmp_path):
    path = write(tmp_path / "annotated.jsonl", [{"contents": contents(QUESTIONS[0])}])
    with pytest.raises(DatasetError, match="VT250"):
        distillation.teach(
            path,
            teacher="gemini-2.5-flash",
            place="/run/none/teach",
            epochs=1,
            adapter_size=4,
            learning_rate_multiplier=0.0,
            model=str(tmp_path / "model"),
            about={},
            measured=str(tmp_path / "measured"),
            metrics={},
        )
