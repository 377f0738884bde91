"""Rows that are Vertex AI's already, for another method than theirs: `{"contents": [...]}`."""

from __future__ import annotations

import copy
from typing import Any

from vertex_tuning.data.contents import camel
from vertex_tuning.data.converting.chat import Chat, Part, Remarks, Turn
from vertex_tuning.data.words import kind_of

_SETTINGS = ("toolConfig", "labels", "generationConfig")
_KNOWN = ("contents", "systemInstruction", "tools", "completions", "references", *_SETTINGS)


def contents(row: dict[str, Any], remarks: Remarks) -> Chat:
    """A row of turns. What is wrong with them, the check of the row that comes out says."""
    fields = {camel(name): value for name, value in row.items()}
    given = fields["contents"]
    if not isinstance(given, list) or not all(isinstance(turn, dict) for turn in given):
        remarks.fault(
            "VT207", "contents", f"{kind_of(given)}, not a list of turns", fix='[{"role": "user", ...}]'
        )
        given = []
    system = fields.get("systemInstruction")
    made = Chat(
        [_turn(turn) for turn in given],
        system=system.get("parts") or [] if isinstance(system, dict) else [],
        tools=fields.get("tools") or [],
        references=fields.get("references"),
        settings={name: fields[name] for name in _SETTINGS if fields.get(name) is not None},
        others={name: value for name, value in row.items() if camel(name) not in _KNOWN},
    )
    if fields.get("completions") is not None:
        made.pair = _pair(fields["completions"], remarks)
    return made


def _turn(turn: Turn) -> Turn:
    return copy.copy(turn)


def _pair(completions: Any, remarks: Remarks) -> tuple[list[Part], list[Part]] | None:
    by_score: dict[Any, list[Part]] = {}
    for one in completions if isinstance(completions, list) else ():
        content = one.get("completion") if isinstance(one, dict) else None
        if isinstance(content, dict) and isinstance(content.get("parts"), list):
            by_score[one.get("score")] = content["parts"]
    if set(by_score) != {0, 1}:
        what = "not two completions, one with score 1 and one with score 0"
        remarks.fault(
            "VT227", "completions", what, fix='{"score": 1, "completion": {"role": "model", "parts": [...]}}'
        )
        return None
    return by_score[1], by_score[0]
