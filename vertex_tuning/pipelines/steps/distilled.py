"""The step that judges what was distilled: rationales against labels alone, the teacher, and the untuned student."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from vertex_tuning import connect, cost, custom, data, distill
from vertex_tuning.data import rationales
from vertex_tuning.errors import SpecError, UnknownPriceError
from vertex_tuning.evaluation import compare
from vertex_tuning.pipelines.steps._step import read_json, step, write, write_json
from vertex_tuning.pipelines.steps.distillation import prompt_in
from vertex_tuning.pipelines.steps.distilled_report import TIMED, Asked, report_of
from vertex_tuning.pipelines.steps.students import LABELS, MANAGED, RATIONALES

if TYPE_CHECKING:
    from vertex_tuning.asking import Answer
    from vertex_tuning.client import TuningClient
    from vertex_tuning.models import Model

log = logging.getLogger(__name__)

MEASURE = "exact_match"
"""Of labels, word for word."""
_WARM = 2
_LABEL_TOKENS = 16


class Judged(NamedTuple):
    """Means over rows and seeds."""

    labels_alone: float
    with_rationales: float
    difference: float
    teacher: float


@step
def judge(
    test: str,
    *,
    students: str,
    manifest: str,
    teacher: str,
    teacher_base: str,
    teacher_parameters: int,
    speed: bool,
    max_output_tokens: int,
    comparison: str,
    figures: dict[str, Any],
    page: str,
    summary: str,
) -> Judged:
    """Hold students with rationales against those on labels alone, on the same held-out rows, and tell what each model takes.

    Args:
        test: Held-out rows with labels.
        students: What `students.train` left.
        manifest: What `distillation.label` left.
        teacher: A model of the catalog, or a tuned one's name.
        teacher_base: The model of the catalog that it was tuned from, or is: by its price answers are told.
        teacher_parameters: How many it has, where that is published; 0: not known.
        speed: Whether to ask the teacher and a student one by one, and time them. An open student is deployed for it, and
            undeployed afterwards.
        max_output_tokens: Of the teacher's answers.
        comparison: Where what was found is put, as JSON; for the gate.
        figures: Metadata of that artifact, filled here.
        page: Where the report is put, as one page of HTML.
        summary: Where it is put as Markdown.
    """
    rows, trained, told = list(data.read(test)), read_json(students), read_json(manifest)
    by_kind = {kind: [run for run in trained["runs"] if run["kind"] == kind] for kind in (LABELS, RATIONALES)}
    scores = {kind: [[float(hit) for hit in run["exact"]] for run in runs] for kind, runs in by_kind.items()}
    found = compare(scores[LABELS], scores[RATIONALES], measure=MEASURE)
    untuned = [float(hit) for hit in by_kind[RATIONALES][0]["before"]["exact"]]
    prompt = prompt_in(manifest)
    with connect() as client:
        master = _teacher(client, teacher, prompt, rows, max_output_tokens)
        master.parameters = teacher_parameters
        pupil = Asked(found.candidate, _parameters(client, trained))
        if speed:
            asked = [rationales.asked(row, rationales.LABEL)["contents"] for row in rows[: TIMED + _WARM]]
            _time(
                master, _ask(client, teacher), [prompt.request(row["contents"])["contents"] for row in rows]
            )
            _time_student(client, pupil, by_kind[RATIONALES][0]["model"], asked, trained["way"])
            master.dollars = _dollars(teacher_base, master, tuned=teacher != teacher_base)
            pupil.dollars = _dollars(trained["student"], pupil, tuned=True)
    log.info("%s", found)
    told_figures = {
        "teacher": master.quality,
        "untuned": statistics.fmean(untuned),
        "labels_alone": found.baseline,
        "with_rationales": found.candidate,
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "rows": found.rows,
        "seeds": found.seeds,
        "teacher_tokens": told["prompt_tokens"] + told["answer_tokens"],
    }
    told_figures |= {f"teacher_{key}": value for key, value in _known(master).items()}
    told_figures |= {f"student_{key}": value for key, value in _known(pupil).items()}
    figures |= told_figures
    write_json(comparison, found.to_json())
    report = report_of(
        found, by_kind, master, pupil, statistics.fmean(untuned), told, trained, rows, teacher_base
    )
    write(page, report.html())
    write(summary, report.markdown())
    return Judged(found.baseline, found.candidate, found.difference, master.quality)


# Asking


def _teacher(
    client: TuningClient,
    teacher: str,
    prompt: distill.TeacherPrompt,
    rows: Sequence[dict[str, Any]],
    max_output_tokens: int,
) -> Asked:
    """What the teacher says to the held-out rows; an answer that cannot be read is wrong."""
    job = client.batch_predict(
        [prompt.request(row["contents"]) for row in rows],
        model=teacher,
        temperature=0,
        max_output_tokens=max_output_tokens,
    )
    results = job.results()
    said = [distill.parse(result.text) for result in results]
    right = [
        parsed is not None and parsed.label == row["label"] for parsed, row in zip(said, rows, strict=True)
    ]
    return Asked(statistics.fmean(right), texts=[result.text for result in results])


def _ask(client: TuningClient, name: str) -> Model:
    return client.models.get(name) if name.startswith(("projects/", "gs://")) else client.models.base(name)


def _time(found: Asked, model: Model, questions: Sequence[Any]) -> None:
    """Ask one after the other, as somebody does who waits for each answer."""
    answers: list[Answer] = []
    seconds: list[float] = []
    for question in questions[: _WARM + TIMED]:
        began = time.perf_counter()
        answers.append(model.generate(question, temperature=0, max_output_tokens=64))
        seconds.append(time.perf_counter() - began)
    answers, seconds = answers[_WARM:], seconds[_WARM:]
    found.seconds = statistics.median(seconds)
    found.prompt_tokens = statistics.fmean(answer.prompt_tokens or 0 for answer in answers)
    found.answer_tokens = statistics.fmean(answer.answer_tokens or 0 for answer in answers)
    found.tokens_per_second = sum(answer.answer_tokens or 0 for answer in answers) / sum(seconds)


def _time_student(client: TuningClient, found: Asked, name: str, questions: Sequence[Any], way: str) -> None:
    model = client.models.get(name)
    if way == MANAGED:
        _time(found, model, questions)
        return
    model.deploy()
    try:
        _time(found, model, questions)
    finally:
        model.undeploy()


def _dollars(model: str, asked: Asked, *, tuned: bool) -> float | None:
    """What a thousand answers cost; None: nobody publishes it. What an open student costs is the price of its machine's hours."""
    try:
        return cost.answers(
            model, prompt_tokens=asked.prompt_tokens or 0, answer_tokens=asked.answer_tokens or 0, tuned=tuned
        )
    except (SpecError, UnknownPriceError):
        return None


def _parameters(client: TuningClient, trained: dict[str, Any]) -> int:
    """Of an open student, counted; 0: not known."""
    if trained["way"] == MANAGED:
        return 0
    shape = custom.shape_of(client.connection, trained["runs"][0]["model"])
    return 0 if shape is None else shape.parameters


def _known(asked: Asked) -> dict[str, float]:
    found = {
        name: getattr(asked, name)
        for name in (
            "parameters",
            "seconds",
            "tokens_per_second",
            "prompt_tokens",
            "answer_tokens",
            "dollars",
        )
    }
    return {name: value for name, value in found.items() if value}
