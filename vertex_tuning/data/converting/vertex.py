"""Rows that are Vertex AI's already, for another method than theirs: `{"contents": [...]}`."""

from __future__ import annotations

from typing import Any

from vertex_tuning.data.contents import camel
from vertex_tuning.data.converting.chat import Chat, Part, Remarks, Turn

_SETTINGS = ("toolConfig", "labels", "generationConfig")
_KNOWN = ("contents", "systemInstruction", "tools", "completions", "references", *_SETTINGS)


def contents(row: dict[str, Any], remarks: Remarks) -> Chat:
    """A row of turns. What is wrong with them, the check of the row that comes out says."""
    fields = {camel(name): value for name, value in row.items()}
    turns = [_turn(turn) for turn in fields["contents"]] if isinstance(fields["contents"], list) else [None]
    if None in turns:
        fix = '[{"role": "user", "parts": [{"text": "..."}]}]'
        remarks.fault("VT207", "contents", "not a list of turns with parts", fix=fix)
    system = fields.get("systemInstruction")
    made = Chat(
        [turn for turn in turns if turn is not None],
        system=system.get("parts") or [] if isinstance(system, dict) else [],
        tools=fields.get("tools") or [],
        references=fields.get("references"),
        settings={name: fields[name] for name in _SETTINGS if fields.get(name) is not None},
        others={name: value for name, value in row.items() if camel(name) not in _KNOWN},
    )
    if fields.get("completions") is not None:
        made.pair = _pair(fields["completions"], remarks)
    return made


def _turn(turn: Any) -> Turn | None:
    """A copy of a turn; None where it is none."""
    parts = turn.get("parts") if isinstance(turn, dict) else None
    return dict(turn) if isinstance(parts, list) and all(isinstance(part, dict) for part in parts) else None


def _pair(completions: Any, remarks: Remarks) -> tuple[list[Part], list[Part]] | None:
    found: list[tuple[Any, list[Part]]] = []
    for one in completions if isinstance(completions, list) else ():
        turn = _turn(one.get("completion")) if isinstance(one, dict) else None
        if turn is not None:
            found.append((one.get("score"), turn["parts"]))
    preferred = [parts for score, parts in found if score == 1]
    other = [parts for score, parts in found if score == 0]
    if len(found) == 2 and preferred and other:
        return preferred[0], other[0]
    what = "not two completions, one with score 1 and one with score 0"
    fix = '{"score": 1, "completion": {"role": "model", "parts": [...]}}'
    remarks.fault("VT227", "completions", what, fix=fix)
    return None
