"""Steps with a teacher: tuned where people showed it how, and asked for labels and rationales."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vertex_tuning import connect, data, distill
from vertex_tuning.distill.parsing import written
from vertex_tuning.distill.prompting import prompt_of
from vertex_tuning.pipelines.steps import tuning
from vertex_tuning.pipelines.steps._step import read_json, step, write, write_json
from vertex_tuning.pipelines.steps.data import FOLDER, fetch

log = logging.getLogger(__name__)


class Labelled(NamedTuple):
    """What the teacher was worth."""

    kept: int
    """Rows that are worth learning."""
    asked: int
    teacher_tokens: int
    """Asked and answered."""


@step
def teach(
    annotated: str,
    *,
    teacher: str,
    place: str,
    epochs: int,
    adapter_size: int,
    learning_rate_multiplier: float,
    model: str,
    about: dict[str, Any],
    measured: str,
    metrics: dict[str, Any],
) -> tuning.Tuned:
    """Tune the teacher on rows that people labelled, with their reasons, so that it answers others in the same form.

    Args:
        annotated: A `gs://` URI or a file of rows with a label and a rationale; empty: the teacher is handed on as it is.
        teacher: A model of the catalog, or a tuned one's name.
        place: URI of an output of this step.
        epochs: 0 here, and in the next two: the service's choice.
        adapter_size: Rank of the adapter.
        learning_rate_multiplier: Factor on the recommended learning rate.
        model: Where a file that names the teacher is put.
        about: Metadata of the model's artifact.
        measured: Where a file with the figures of the training is put.
        metrics: Metadata of its artifact.
    """
    uri = ""
    if annotated:
        with tempfile.TemporaryDirectory() as folder:
            given, rows = Path(folder) / "annotated.jsonl", Path(folder) / "teacher.jsonl"
            fetch(annotated, str(given))
            data.raise_for_faults(data.check(given, method="step_by_step", base_model=None))
            _write_rows(rows, [_shown(row) for row in data.read(given) if row.get("rationale")])
            with connect() as client:
                uri = data.upload(client.connection, rows, folder=FOLDER)
    return tuning.tune(
        uri,
        method="supervised",
        base_model=teacher,
        place=place,
        model=model,
        about=about,
        measured=measured,
        metrics=metrics,
        epochs=epochs,
        adapter_size=adapter_size,
        learning_rate_multiplier=learning_rate_multiplier,
        display_name="teacher",
    )


@step
def label(
    questions: str,
    *,
    teacher: str,
    labels: Sequence[str],
    prompt: str,
    samples: int,
    rationale: str,
    gold: str,
    max_output_tokens: int,
    labelled: str,
    dropped: str,
    manifest: str,
    figures: dict[str, Any],
    report: str,
) -> Labelled:
    """Let the teacher label rows and say why; keep what is worth learning.

    Args:
        questions: A `gs://` URI or a file of rows: what `distill.label` takes.
        teacher: A model of the catalog, or a tuned one's name.
        labels: What it may answer; empty: the prompt has them.
        prompt: TOML, as `distill.read_prompt` takes it, or a `gs://` URI or a file of it; empty: the question alone is asked.
        samples: Answers to each row.
        rationale: `any` or `named`; see `distill.Checks`.
        gold: `drop` or `count`; see there.
        max_output_tokens: Of an answer.
        labelled: Where the rows that are kept are put.
        dropped: Where the others are put, each with its reason.
        manifest: Where it is told what it took, as JSON.
        figures: Metadata of that artifact, filled here.
        report: Where it is told to people, as Markdown.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        fetch(questions, str(folder / "questions.jsonl"))
        asked = read(prompt, labels, folder)
        with connect() as client:
            # The service finds a job that still runs by its journal; one that ended is asked anew.
            done = distill.label(
                client,
                folder / "questions.jsonl",
                folder / "labelled.jsonl",
                teacher=teacher,
                prompt=asked,
                checks=distill.Checks(rationale=rationale, gold=gold),
                samples=samples,
                max_output_tokens=max_output_tokens,
            )
        log.info("%s", done)
        shutil.copyfile(folder / "labelled.jsonl", labelled)
        shutil.copyfile(folder / "labelled.jsonl.dropped.jsonl", dropped)
    told = {**done.to_json(), "path": "", "prompt": asked.model_dump(mode="json")}
    write_json(manifest, told)
    figures |= {key: value for key, value in told.items() if isinstance(value, int)}
    write(report, f"# Labels and rationales\n\n```\n{str(done).removeprefix(done.path + ': ')}\n```\n")
    return Labelled(done.kept, done.asked, done.prompt_tokens + done.answer_tokens)


def read(prompt: str, labels: Sequence[str], folder: Path) -> distill.TeacherPrompt:
    """A teacher's prompt: its text, or from its file, or of labels alone."""
    if not prompt:
        return prompt_of({"labels": list(labels)}, "labels")
    if "=" in prompt and not prompt.startswith("gs://"):
        (folder / "prompt.toml").write_text(prompt, encoding="utf-8")
    else:
        fetch(prompt, str(folder / "prompt.toml"))
    return distill.read_prompt(folder / "prompt.toml")


def prompt_in(manifest: str) -> distill.TeacherPrompt:
    """The prompt of a run, from what `label` left."""
    return prompt_of(read_json(manifest)["prompt"], "prompt")


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """A row as the teacher is to answer it."""
    answer = {"role": "model", "parts": [{"text": written(row["rationale"], row["label"])}]}
    system = row.get("systemInstruction", row.get("system_instruction"))
    return {
        **({"systemInstruction": system} if system else {}),
        "contents": [*row["contents"], answer],
    }


def _write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
