"""ShareGPT.

    {"conversations": [{"from": "human", "value": "..."}, {"from": "gpt", "value": "..."}], "system": "...", "tools": "[...]"}

Source: the readme of LLaMA-Factory's data (2026-11-26).
"""

from __future__ import annotations

from typing import Any

import msgspec

from vertex_tuning.data.converting.chat import Chat, Part, Remarks, add, meant
from vertex_tuning.data.converting.messages import answer, beside, read
from vertex_tuning.data.converting.pieces import parts_of
from vertex_tuning.data.converting.tools import Calls
from vertex_tuning.data.words import at, kind_of, quoted

_WHO = {
    "human": "user",
    "user": "user",
    "gpt": "model",
    "chatgpt": "model",
    "assistant": "model",
    "model": "model",
    "system": "system",
    "function_call": "call",
    "observation": "tool",
    "tool": "tool",
    "function_response": "tool",
}
_FORM = '{"from": "human", "value": "..."}'


def conversation(row: dict[str, Any], remarks: Remarks) -> Chat:
    """A conversation; with `chosen` and `rejected` beside it, what was asked and two answers."""
    made = _read(row["conversations"], "conversations", remarks)
    if "chosen" in row and "rejected" in row:
        made.pair = (_answer(row["chosen"], "chosen", remarks), _answer(row["rejected"], "rejected", remarks))
    return beside(row, made, ("conversations", "chosen", "rejected"), remarks)


def _answer(given: Any, path: str, remarks: Remarks) -> list[Part]:
    if not isinstance(given, dict) or "from" not in given:
        return answer(given, path, remarks)
    turns = _read([given], path, remarks).turns
    if not turns or turns[0]["role"] != "model":
        remarks.fault(
            "VT256", path, "an answer is a turn of the model's", fix='{"from": "gpt", "value": "..."}'
        )
        return []
    parts: list[Part] = turns[0]["parts"]
    return parts


def _read(said: Any, path: str, remarks: Remarks) -> Chat:
    if isinstance(said, list) and said and isinstance(said[0], dict) and "role" in said[0]:
        return read(said, path, remarks)
    made, calls = Chat([]), Calls()
    if not isinstance(said, list) or not said:
        remarks.fault("VT206", path, f"the conversation is {kind_of(said)}", fix=f"[{_FORM}, ...]")
        return made
    for index, turn in enumerate(said):
        place = f"{path}[{index}]"
        if not isinstance(turn, dict):
            remarks.fault("VT207", place, f"{kind_of(turn)}, not an object", fix=_FORM)
            continue
        who, value = meant(_WHO, turn.get("from")), turn.get("value")
        for name in turn:
            if name not in ("from", "value"):
                remarks.note(at(place, name), "left out")
        if who is None:
            fix = f"one of: {', '.join(_WHO)}"
            remarks.fault("VT203", f"{place}.from", quoted(turn.get("from")), fix=fix)
        elif not isinstance(value, str):
            remarks.fault("VT207", f"{place}.value", f"{kind_of(value)}, not a text", fix='"..."')
        elif who == "system" and not made.turns:
            if value:
                made.system.append({"text": value})
        elif who == "system":
            what = "a system text in the middle: Vertex AI has one system instruction, for the whole row"
            remarks.fault("VT256", f"{place}.from", what, fix="put it in front, or say it as the user")
        else:
            role = "model" if who in ("model", "call") else "user"
            parts = _parts(who, value, f"{place}.value", calls, remarks)
            if parts and add(made.turns, role, parts) and who in ("model", "user"):
                remarks.note(place, "joined to the turn before, which is of the same role")
    calls.in_order(made.turns)
    return made


def _parts(who: str, value: str, path: str, calls: Calls, remarks: Remarks) -> list[Part]:
    if who == "tool":
        return [part for part in [calls.answer(value, None, None, path, remarks)] if part is not None]
    if who != "call":
        return parts_of(value, path, remarks)
    try:
        called = msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        called = None
    found = [
        calls.call(one, None, path, remarks) for one in (called if isinstance(called, list) else [called])
    ]
    return [part for part in found if part is not None]
