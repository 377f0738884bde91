"""What a row of a set for preference tuning may look like: what was asked, and two answers, one of them preferred.

    {"contents": [... the user's turn], "completions": [{"score": 1, "completion": {...}}, {"score": 0, "completion": {...}}]}

A quick and a thorough reader, as in `rows.py`.

Source: Google Cloud documentation, "Prepare preference tuning data for Gemini models" (2026-09-25).
"""

from __future__ import annotations

from typing import Any

import msgspec

from vertex_tuning.data.contents import (
    Content,
    Figures,
    PromptRow,
    Told,
    fields_of,
    given,
    role_of,
    told_by,
    told_in_prompt,
    walk_content,
    walk_prompt,
)
from vertex_tuning.data.words import Note, at, kind_of, quoted

PAIRS = "contents and two completions"

_CONVERT = "vertex-tuning data convert FILE --method preference"
ROW_FIELDS = ("contents", "completions", "systemInstruction")
_FORM = (
    '"completions": [{"score": 1, "completion": {"role": "model", "parts": [...]}}, '
    '{"score": 0, "completion": {...}}]'
)
_ANSWERS = "end contents with the user's turn; answers go into completions"
_COMPLETIONS = f"{_CONVERT}; or by hand, the preferred one with score 1: {_FORM}"
_HINTS = {
    "chosen": _COMPLETIONS,
    "rejected": _COMPLETIONS,
    "prompt": _CONVERT,
    "messages": f"these are OpenAI's: {_CONVERT}",
    "input_text": f"this is the old text-bison form: {_CONVERT}",
    "preferred_output": _COMPLETIONS,
    "non_preferred_output": _COMPLETIONS,
    "input": _CONVERT,
    "candidate_0": _COMPLETIONS,
    "candidate_1": _COMPLETIONS,
    "choice": "the preferred completion has score 1, the other 0",
}


# Quick


class _Completion(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    score: float
    completion: Content


class PairsRow(PromptRow, forbid_unknown_fields=True, gc=False, kw_only=True):
    """A row as documented."""

    completions: list[_Completion]


READERS: dict[str, Any] = {PAIRS: msgspec.json.Decoder(PairsRow)}
"""The quick readers, by form."""


def figures(row: PairsRow) -> Figures | None:
    """The figures of a row that the quick reader took; None where it is not right after all."""
    said = told_in_prompt(row)
    if said is None or len(row.completions) != 2:
        return None
    one, other = row.completions
    if {one.score, other.score} != {0.0, 1.0} or "user" in (one.completion.role, other.completion.role):
        return None
    answers = [told_by(one.completion), told_by(other.completion)]
    if not all(answer.strip() for answer in answers) or answers[0] == answers[1]:
        return None
    characters = sum(map(len, said)) + sum(map(len, answers))
    best = answers[one.score < other.score]
    return Figures(len(row.contents), characters, best, False, hash((*said, "", *answers, one.score)))


# Thorough


def form_of(_row: dict[str, Any], **_: Any) -> str:
    """There is one form alone."""
    return PAIRS


def walk(row: dict[str, Any], _form: str, note: Note, **_: Any) -> Figures:
    """Note everything that is wrong with a row; what can be counted of it is counted."""
    row = given(row)
    fields = fields_of(row, "", note)
    strange = [name for name in fields if name not in ROW_FIELDS]
    for name in strange:
        hint = _HINTS.get(fields[name])
        note(
            "VT218" if hint else "VT205",
            at("", fields[name]),
            f"a row has no field {quoted(fields[name])}",
            fix=hint or f"a row has: {', '.join(ROW_FIELDS)}",
        )
    told = Told()
    if "systemInstruction" in fields:
        written = fields["systemInstruction"]
        walk_content(row[written], written, note, told, roles=None)
    hinted = any(fields[name] in _HINTS for name in strange)
    turns = walk_prompt(row.get("contents"), note, told, hinted=hinted, fix=_ANSWERS)
    answer = _walk_completions(
        row.get("completions"),
        note,
        told,
        hinted=any(_HINTS.get(fields[name]) == _COMPLETIONS for name in strange),
    )
    if told.media:
        note("VT229", "", "there is something other than text", fix="text alone, or supervised tuning")
    return Figures(turns, told.characters, answer, told.media)


def _walk_completions(completions: Any, note: Note, told: Told, *, hinted: bool) -> str:
    """The preferred answer, as far as it can be told."""
    if not isinstance(completions, list) or not completions:
        if not hinted:
            what = (
                "completions is missing" if completions is None else f"completions is {kind_of(completions)}"
            )
            note("VT227", "completions", what, fix=_FORM)
        return ""
    if len(completions) != 2:
        what = f"{len(completions)} completions: a row has exactly two"
        fix = "one with score 1 and one with score 0; make a row of each pair"
        note("VT227", "completions", what, fix=fix)
    answers: list[str] = []
    scores: list[Any] = []
    for index, completion in enumerate(completions):
        path = f"completions[{index}]"
        told.last = []
        scores.append(_walk_completion(completion, path, note, told))
        answers.append("".join(told.last))
        # Texts that are wholly empty are noted one by one.
        if answers[-1] and not answers[-1].strip():
            note("VT212", f"{path}.completion.parts", "the answer is empty", fix="write it, or drop the row")
    known = [score for score in scores if score in (0, 1)]
    if len(completions) == 2 and len(known) == 2 and known[0] == known[1]:
        what = f"both completions have score {known[0]:g}"
        note("VT228", "completions", what, fix="1 for the preferred one, 0 for the other")
    elif len(completions) == 2 and answers[0] and answers[0] == answers[1]:
        fix = "two different answers, or drop the row"
        note("VT231", "completions", "both completions say the same: there is nothing to prefer", fix=fix)
    return answers[scores.index(1)] if 1 in scores else ""


def _walk_completion(completion: Any, path: str, note: Note, told: Told) -> Any:
    """Its score, where it has one."""
    if not isinstance(completion, dict):
        fix = '{"score": 1, "completion": {"role": "model", "parts": [{"text": "..."}]}}'
        note("VT207", path, f"{kind_of(completion)}, not an object", fix=fix)
        return None
    completion = given(completion)
    for name in completion:
        if name not in ("score", "completion"):
            fix = "score and completion: the turn goes into completion"
            note("VT205", at(path, name), f"a completion has no field {quoted(name)}", fix=fix)
    score = completion.get("score")
    if isinstance(score, bool) or not isinstance(score, int | float) or score not in (0, 1):
        what = (
            "the score is missing"
            if score is None
            else f"{score!r} is not a score"
            if isinstance(score, int | float)
            else f"{kind_of(score)}, not a score"
        )
        note("VT228", f"{path}.score", what, fix="1 for the preferred completion, 0 for the other")
        score = None
    if "completion" not in completion:
        if "role" not in completion and "parts" not in completion:
            note(
                "VT206",
                f"{path}.completion",
                "completion is missing",
                fix='{"role": "model", "parts": [...]}',
            )
    else:
        content = completion["completion"]
        walk_content(content, f"{path}.completion", note, told, roles=None)
        role = role_of(content) if isinstance(content, dict) else "model"
        if role != "model":
            what = "there is no role" if not content.get("role") else quoted(role)
            note("VT203", f"{path}.completion.role", what, why="An answer is the model's.", fix='"model"')
    return score
