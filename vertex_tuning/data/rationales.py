"""What a row for step-by-step distillation may look like: what is asked, and the label and the rationale that a teacher gave.

    {"contents": [... the user's turn], "label": "negative", "rationale": "The verdict is good, but denied."}

A row without a rationale teaches the label alone. `id` and `gold` (the label that people gave) may stand beside them.

A student learns two tasks from a row. They differ by a prefix before what is asked: `[label]` asks for the label, `[rationale]`
for the rationale. A tuned student is asked with `[label]`, and no rationale is generated.

A quick and a thorough reader, as in `rows.py`.

Source of the prefixes: Hsieh et al., Distilling Step-by-Step (arXiv 2305.02301), section 3.2.
"""

from __future__ import annotations

from typing import Any

import msgspec

from vertex_tuning.data.contents import (
    Figures,
    PromptRow,
    Told,
    fields_of,
    given,
    told_in_prompt,
    walk_content,
    walk_prompt,
)
from vertex_tuning.data.words import Note, at, kind_of, quoted

RATIONALES = "contents, label and rationale"
LABEL, RATIONALE = "[label]", "[rationale]"
"""The prefixes of the two tasks."""

_ROW_FIELDS = ("contents", "systemInstruction", "label", "rationale", "gold", "id")
_ANSWER = 'end contents with the user\'s turn; the answer goes into label: "label": "..."'
_TEXTS = {"label": "VT250", "rationale": "VT251", "gold": "VT250"}


class RationaleRow(PromptRow, forbid_unknown_fields=True, gc=False, kw_only=True):
    """A row as `distill label` writes it."""

    label: str
    rationale: str | None = None
    gold: str | None = None
    id: str | int | None = None


READERS: dict[str, Any] = {RATIONALES: msgspec.json.Decoder(RationaleRow)}
"""The quick readers, by form."""


def figures(row: RationaleRow) -> Figures | None:
    """The figures of a row that the quick reader took; None where it is not right after all."""
    said = told_in_prompt(row)
    if said is None or not all(text is None or text.strip() for text in (row.label, row.rationale, row.gold)):
        return None
    texts = [*said, row.label, row.rationale or ""]
    return Figures(len(row.contents), sum(map(len, texts)), row.label, False, hash(tuple(texts)))


def form_of(_row: dict[str, Any], **_: Any) -> str:
    """There is one form alone."""
    return RATIONALES


def walk(row: dict[str, Any], _form: str, note: Note, **_: Any) -> Figures:
    """Note everything that is wrong with a row; what can be counted of it is counted."""
    row = given(row)
    fields = fields_of(row, "", note)
    for name, written in fields.items():
        if name not in _ROW_FIELDS:
            what = f"a row has no field {quoted(written)}"
            note("VT205", at("", written), what, fix=f"a row has: {', '.join(_ROW_FIELDS)}")
    told = Told()
    if "systemInstruction" in fields:
        written = fields["systemInstruction"]
        walk_content(row[written], written, note, told, roles=None)
    turns = walk_prompt(row.get("contents"), note, told, hinted=False, fix=_ANSWER)
    if "label" not in row:
        fix = "vertex-tuning distill label lets a teacher give it"
        note("VT250", "label", "there is no label to learn", fix=fix)
    for name, rule in _TEXTS.items():
        value = row.get(name)
        if value is None:
            continue
        if not isinstance(value, str):
            note(rule, name, f"{kind_of(value)}, not a text", fix='put it in quotes: "..."')
        elif not value.strip():
            note(rule, name, "the text is empty", fix="write it, or leave it out")
        else:
            told.characters += len(value)
    label = row.get("label")
    return Figures(turns, told.characters, label if isinstance(label, str) else "", told.media)


# The two tasks


def asked(row: dict[str, Any], prefix: str) -> dict[str, Any]:
    """What a student is asked for one of the tasks: `contents`, with the prefix before the last turn's text.

    Args:
        row: One that was found right; it is not changed.
        prefix: `LABEL` or `RATIONALE`.

    Returns:
        The row in GenerateContent form: `contents`, and `systemInstruction` where it has one.
    """
    row = given(row)
    *before, last = row["contents"]
    parts = [{"text": f"{prefix} "}, *last["parts"]]
    if "text" in last["parts"][0]:
        parts = [{"text": f"{prefix} {last['parts'][0]['text']}"}, *last["parts"][1:]]
    body: dict[str, Any] = {"contents": [*before, {"role": "user", "parts": parts}]}
    system = row.get("systemInstruction", row.get("system_instruction"))
    return body if system is None else {**body, "systemInstruction": system}


def answered(row: dict[str, Any], prefix: str) -> dict[str, Any] | None:
    """A row of one of the tasks as one for supervised tuning, its answer at the end; None: it has no rationale."""
    answer = row.get("label" if prefix == LABEL else "rationale")
    if not answer:
        return None
    body = asked(row, prefix)
    return {**body, "contents": [*body["contents"], {"role": "model", "parts": [{"text": answer}]}]}
