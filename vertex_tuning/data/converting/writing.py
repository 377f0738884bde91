"""A chat as a row for a method."""

from __future__ import annotations

from typing import Any

from vertex_tuning.catalog import tuning
from vertex_tuning.data import pairs, prompts, questions, rows
from vertex_tuning.data.contents import camel
from vertex_tuning.data.converting.chat import Chat, Part, Remarks
from vertex_tuning.data.converting.references import ITEM, references_of
from vertex_tuning.data.words import at, kind_of

_FIELDS = {
    "supervised": rows.ROW_FIELDS,
    "preference": pairs.ROW_FIELDS,
    "reinforcement": prompts.ROW_FIELDS,
    "distillation": questions.ROW_FIELDS,
}
_ANSWER = "answer"
"""The reference that an answer becomes."""


def fits(row: dict[str, Any], method: str) -> bool:
    """Whether a row of Vertex AI's is one for this method already, as far as its members tell."""
    if not all(camel(name) in _FIELDS[method] for name in row):
        return False
    contents = row["contents"]
    last = contents[-1] if isinstance(contents, list) and contents else None
    answered = isinstance(last, dict) and last.get("role") == "model"
    return not answered or method in ("supervised", "preference")


def row_for(method: str, chat: Chat, remarks: Remarks, *, asked: bool) -> dict[str, Any]:
    """The row. What the method has no place for is remarked upon.

    Args:
        method: What the row is for.
        chat: What it says.
        remarks: Told what is wrong, and what is left out.
        asked: Whether somebody asked for the method; else it is what the first row is for.
    """
    row: dict[str, Any] = {}
    if chat.system:
        row["systemInstruction"] = {"parts": chat.system}
    row["contents"] = chat.turns
    if chat.tools and "tools" in _FIELDS[method]:
        row["tools"] = chat.tools
    elif chat.tools:
        remarks.note("tools", f"left out: a row for {tuning(method)} has none")
    if method == "preference":
        _with_pair(row, chat, remarks)
    elif method == "supervised":
        _with_answer(chat, remarks, asked=asked)
    elif method == "reinforcement":
        _with_references(row, chat, remarks)
    elif _answer_of(chat, remarks) is not None:
        remarks.note("", "the answer is left out: the teacher answers")
    if chat.settings and method == "supervised":
        row |= chat.settings
    left = [] if method == "supervised" else list(chat.settings)
    left += [] if method == "reinforcement" or chat.references is None else ["references"]
    left += [] if method == "reinforcement" else list(chat.others)
    for name in left:
        remarks.note(at("", name), f"left out: a row for {tuning(method)} has no such member")
    return row


def _with_answer(chat: Chat, remarks: Remarks, *, asked: bool) -> None:
    if chat.pair is not None:
        if not asked:
            what = "two answers to one question in a set whose first row has one"
            fix = "--method supervised learns the preferred one; --method preference compares them"
            remarks.fault("VT258", "", what, fix=fix)
        remarks.note("", "the answer that was not preferred is left out")
        chat.turns.append({"role": "model", "parts": chat.pair[0]})
    elif not remarks.bad and (not chat.turns or chat.turns[-1].get("role") != "model"):
        what = "there is no answer to learn"
        fix = "write the answer; or --method reinforcement or distillation, which need none"
        remarks.fault("VT258", "", what, fix=fix)
    elif chat.unlearnt:
        what = "the last answer has the weight 0: it is not to be learnt, and Vertex AI learns it"
        fix = "drop the row, or end it with an answer that is to be learnt"
        remarks.fault("VT259", chat.unlearnt, what, fix=fix)


def _with_pair(row: dict[str, Any], chat: Chat, remarks: Remarks) -> None:
    if chat.pair is None:
        what = "there are no two answers to compare"
        remarks.fault("VT258", "", what, fix="add the other answer; or --method supervised")
        return
    row["completions"] = [
        {"score": score, "completion": {"role": "model", "parts": parts}}
        for score, parts in zip((1, 0), chat.pair, strict=True)
    ]


def _with_references(row: dict[str, Any], chat: Chat, remarks: Remarks) -> None:
    if ITEM in chat.others:
        fix = "give it another name"
        remarks.fault("VT261", ITEM, "the name is that of what keeps the types of the others", fix=fix)
    references = references_of(
        chat.others,
        twice=lambda name: remarks.note(
            at("references", name),
            f"two values have this name; the one of the lesser depth has it, {ITEM} both",
        ),
    )
    given = chat.references
    if given is not None and not isinstance(given, dict):
        remarks.fault("VT232", "references", f"{kind_of(given)}, not an object", fix='{"answer": "..."}')
        given = None
    for name, value in (given or {}).items():
        if name in references:
            remarks.fault(
                "VT261", at("references", name), "the row has a member of that name too", fix="rename one"
            )
        references[name] = value
    answer = _answer_of(chat, remarks)
    if answer is not None:
        if not answer or any(set(part) != {"text"} or not isinstance(part["text"], str) for part in answer):
            what = "the answer is not a text: a reward holds answers against texts"
            remarks.fault("VT258", "", what, fix="leave the answer out, or write it as a text")
        elif _ANSWER in references:
            what = "the row has an answer at its end, and one more by this name"
            remarks.fault("VT261", _ANSWER, what, fix="leave one out, or rename the member")
        else:
            references = {_ANSWER: "".join(part["text"] for part in answer), **references}
    if references:
        row["references"] = references


def _answer_of(chat: Chat, remarks: Remarks) -> list[Part] | None:
    """The answer, taken off; of two the preferred one."""
    if chat.pair is not None:
        remarks.note("", "the answer that was not preferred is left out")
        return chat.pair[0]
    if chat.turns and chat.turns[-1].get("role") == "model":
        answer: list[Part] = chat.turns.pop().get("parts") or []
        return answer
    return None
