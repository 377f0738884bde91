"""What a row of a set for reinforcement tuning may look like: what is asked, and what a reward holds the answer against.

    {"contents": [... the user's turn], "references": {"answer": "4"}}

A quick and a thorough reader, as in `rows.py`.

Source: Google Cloud documentation, "Tuning dataset" of reinforcement tuning (2026-09-25).
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

PROMPTS = "contents and references"

_CONVERT = "vertex-tuning data convert FILE --method reinforcement"
ROW_FIELDS = ("contents", "references", "systemInstruction", "tools")
_ANSWER = "end contents with the user's turn; what the answer is held against goes into references"
_HINTS = {
    "messages": f"these are OpenAI's: {_CONVERT}",
    "prompt": _CONVERT,
    "completions": "this is a preference set: it has another form, and belongs to preference tuning",
    "answer": 'put it into references: "references": {"answer": "..."}',
    "reference": 'it is called references, and is an object: "references": {"answer": "..."}',
    "ground_truth": 'put it into references: "references": {"answer": "..."}',
}


class PromptsRow(PromptRow, forbid_unknown_fields=True, gc=False, kw_only=True):
    """A row as documented."""

    references: dict[str, str] = {}  # noqa: RUF012  # msgspec copies it


READERS: dict[str, Any] = {PROMPTS: msgspec.json.Decoder(PromptsRow)}
"""The quick readers, by form."""


def figures(row: PromptsRow) -> Figures | None:
    """The figures of a row that the quick reader took; None where it is not right after all."""
    said = told_in_prompt(row)
    if said is None:
        return None
    references = tuple(sorted(row.references.items()))
    answer = "" if not references else str(references)
    return Figures(len(row.contents), sum(map(len, said)), answer, False, hash((*said, references)))


def form_of(_row: dict[str, Any], **_: Any) -> str:
    """There is one form alone."""
    return PROMPTS


def walk(row: dict[str, Any], _form: str, note: Note, **_: Any) -> Figures:
    """Note everything that is wrong with a row; what can be counted of it is counted."""
    row = given(row)
    fields = fields_of(row, "", note)
    strange = [fields[name] for name in fields if name not in ROW_FIELDS]
    for name in strange:
        hint = _HINTS.get(name)
        what = f"a row has no field {quoted(name)}"
        note(
            "VT218" if hint else "VT205",
            at("", name),
            what,
            fix=hint or f"a row has: {', '.join(ROW_FIELDS)}",
        )
    told = Told()
    if "systemInstruction" in fields:
        written = fields["systemInstruction"]
        walk_content(row[written], written, note, told, roles=None)
    hinted = any(name in ("messages", "prompt") for name in strange)
    turns = walk_prompt(row.get("contents"), note, told, hinted=hinted, fix=_ANSWER)
    if "tools" in fields and not isinstance(row["tools"], list):
        note(
            "VT207", "tools", f"{kind_of(row['tools'])}, not a list", fix='[{"functionDeclarations": [...]}]'
        )
    references = row.get("references", {})
    if not isinstance(references, dict):
        note("VT232", "references", f"{kind_of(references)}, not an object", fix='{"answer": "..."}')
        references = {}
    for name, value in references.items():
        if not isinstance(value, str):
            fix = 'put it in quotes: "..."'
            note("VT232", at("references", name), f"{kind_of(value)}, not a string", fix=fix)
    answer = str(tuple(sorted(references.items()))) if references else ""
    return Figures(turns, told.characters, answer, told.media)
