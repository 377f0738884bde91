"""The first half of distillation: the teacher answers the prompts, and the student will learn from its answers.

The teacher takes the likeliest token each time: the answer that it stands by most (sequence-level distillation; Kim and Rush
2016, arXiv 1606.07947, section 3.2). What was cut
off is no answer, and is dropped: a student would learn to stop in the middle.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vertex_tuning import catalog, data
from vertex_tuning.data import questions
from vertex_tuning.emulator.jobs import asking
from vertex_tuning.emulator.jobs.files import JobFolder
from vertex_tuning.emulator.status import ApiError, Code
from vertex_tuning.rewards.matching import text_of
from vertex_tuning.training import sight

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator
    from vertex_tuning.emulator.jobs.served import ServedModel

LABELLED = "distillation_labelled_dataset.jsonl"
"""As the service calls it, in the job's output folder."""


@dataclass(slots=True)
class Lesson:
    """What a teacher has said to a data set."""

    rows: int = 0
    """That it has answered."""
    prompt_tokens: int = 0
    answer_tokens: int = 0
    dropped: list[tuple[int, str]] = field(default_factory=list)
    """(row from 1, reason): what it could not answer."""

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def check(folder: JobFolder, names: tuple[str, str | None], base_model: str) -> None:
    """Every fault of the prompts at once, before the teacher is asked anything.

    Raises:
        ApiError: 400, with the faults, up to twenty.
    """
    validation = folder.validation if folder.validation.exists() else None
    reports = data.check_job(
        folder.training, validation, method="distillation", base_model=base_model, names=names
    )
    sight.note(reports, [folder.training, *([validation] if validation else [])])
    if words := data.refusal(reports):
        raise ApiError(Code.INVALID_ARGUMENT, words, rule="VT642")


async def teach(
    emulator: Emulator,
    served: ServedModel,
    prompts: Path,
    target: Path,
    progress: Callable[[Lesson], None],
    gone: Collection[int] = (),
) -> Lesson:
    """Let a teacher answer every prompt, and write the answered rows.

    Args:
        emulator: Whose models answer.
        served: The teacher.
        prompts: JSONL file that was found right.
        target: Gets the rows with their answers, in the same order; what was said so far stands beside it.
        progress: Told after each answer.
        gone: Numbers of rows that were left out of the file.

    Raises:
        ApiError: 400, so many prompts could not be answered that the service would refuse; 503, nobody answers.
    """
    lesson = Lesson()

    def told(said: dict[str, Any]) -> None:
        _count(lesson, said)
        progress(lesson)

    journal = target.with_suffix(".answers")
    said = await asking.each(prompts, journal, partial(_ask, emulator, served), told, gone)
    _refuse_where_too_few(lesson)
    await asyncio.to_thread(_write, prompts, said, target, gone)
    lesson.dropped.sort()
    return lesson


async def _ask(emulator: Emulator, served: ServedModel, row: dict[str, Any]) -> dict[str, Any]:
    body = {
        **questions.request(row),
        "generationConfig": {"temperature": 0, "maxOutputTokens": asking.ANSWER_TOKENS},
    }
    try:
        answer = await asking.ask(emulator, served, body)
    except ApiError as error:
        if error.code is Code.INVALID_ARGUMENT:
            return {"why": error.message}
        raise
    usage, candidate = answer["usageMetadata"], answer["candidates"][0]
    said: dict[str, Any] = {
        "prompt_tokens": usage.get("promptTokenCount", 0),
        "answer_tokens": usage.get("candidatesTokenCount", 0),
    }
    text = text_of(candidate.get("content", {}))
    if candidate.get("finishReason") != "STOP":
        said["why"] = f"the teacher did not come to an end within {asking.ANSWER_TOKENS} tokens"
    elif not text.strip():
        said["why"] = "the teacher said nothing"
    else:
        said["text"] = text
    return said


def _count(lesson: Lesson, said: dict[str, Any]) -> None:
    lesson.prompt_tokens += said.get("prompt_tokens", 0)
    lesson.answer_tokens += said.get("answer_tokens", 0)
    if "why" in said:
        lesson.dropped.append((said["row"], said["why"]))
    else:
        lesson.rows += 1


def _refuse_where_too_few(lesson: Lesson) -> None:
    several, dropped = lesson.rows + len(lesson.dropped), sorted(lesson.dropped)
    share = catalog.limits("distillation")["max_dropped_share"]
    if dropped and len(dropped) >= share * several:
        first = "; ".join(f"row {row}: {reason}" for row, reason in dropped[:3])
        raise ApiError(
            Code.INVALID_ARGUMENT,
            f"The teacher has no answer for {len(dropped)} of {several} prompts, which is {share:.0%} or more: {first}",
            rule="VT642",
        )


def _write(prompts: Path, answers: dict[int, dict[str, Any]], target: Path, gone: Collection[int]) -> None:
    scratch = target.with_suffix(".part")
    with scratch.open("w", encoding="utf-8") as file:
        for number, row in asking.rows(prompts, gone):
            if "text" in (said := answers[number]):
                answer = {"role": "model", "parts": [{"text": said["text"]}]}
                asked = questions.request(row)
                labelled = {**asked, "contents": [*asked["contents"], answer]}
                file.write(json.dumps(labelled, ensure_ascii=False) + "\n")
    scratch.replace(target)
