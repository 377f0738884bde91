"""Which form a row has, and who reads it."""

from __future__ import annotations

import functools
from typing import Any

from vertex_tuning.data.converting import messages, palm, plain, sharegpt, vertex
from vertex_tuning.data.converting.chat import Reader, Remarks
from vertex_tuning.data.words import quoted

VERTEX = "Vertex AI"
OPENAI = "OpenAI chat"
_SHOWN = 6


def form_of(row: dict[str, Any], remarks: Remarks) -> tuple[str, Reader] | None:
    """The name of a row's form and its reader; None where it has none, or more than one, which is said.

    A chat goes before texts that stand beside it: many sets repeat its first message there.
    """
    if "contents" in row:
        return VERTEX, vertex.contents
    if isinstance(row.get("input"), dict) and ("preferred_output" in row or "non_preferred_output" in row):
        return "OpenAI preference", messages.pair
    if isinstance(row.get("conversations"), list):
        return "ShareGPT", sharegpt.conversation
    if "chosen" in row and "rejected" in row:
        return ("Alpaca preference" if "instruction" in row else "TRL preference"), plain.preference
    if isinstance(found := row.get("messages"), list):
        first = found[0] if found else None
        if isinstance(first, dict) and "author" in first:
            return "PaLM chat", palm.chat
        return OPENAI, messages.chat
    if "input_text" in row:
        return ("PaLM preference" if "candidate_0" in row else "PaLM text"), palm.text
    if "instruction" in row:
        return "Alpaca", plain.alpaca
    return _texts(row, remarks)


def _texts(row: dict[str, Any], remarks: Remarks) -> tuple[str, Reader] | None:
    pairs = [pair for pair in plain.PAIRS if pair[0] in row and pair[1] in row]
    if not pairs:
        # What nobody answered yet: prompts for a teacher, or for a reward.
        pairs = [pair for pair in plain.PAIRS[1:3] if pair[0] in row]
    if len(pairs) == 1:
        [(asked, answered)] = pairs
        read = functools.partial(plain.question_and_answer, asked=asked, answered=answered)
        name = asked if answered not in row else f"{asked} and {answered}"
        return name, lambda row, remarks: read(row, remarks=remarks)
    if pairs:
        names = " and of ".join(f"{asked} and {answered}" for asked, answered in pairs)
        remarks.fault(
            "VT255", "", f"a row of {names}", fix="leave out what is not to be learnt, or rename it"
        )
    elif isinstance(row.get("text"), str):
        what = "one text, and nothing says what was asked and what is answered"
        remarks.fault(
            "VT255", "text", what, fix='{"messages": [...]}, or {"prompt": "...", "completion": "..."}'
        )
    elif "role" in row and "content" in row:
        what, fix = "one message, not a chat", 'the messages of a chat in one row: {"messages": [...]}'
        remarks.fault("VT255", "", what, fix=fix)
    elif isinstance(row.get("item"), dict):
        what = "a row of an eval: what was asked is made of it by the run's input_messages"
        fix = '{"messages": [...]} as the run asked, and the members of item beside it'
        remarks.fault("VT255", "item", what, fix=fix)
    else:
        some = ", ".join(quoted(name) for name in list(row)[:_SHOWN]) + (", ..." if len(row) > _SHOWN else "")
        what = f"nobody knows a form with {some or 'no members'}"
        fix = "rename what was asked to prompt, and the answer to completion: docs/moving.md lists the forms"
        remarks.fault("VT255", "", what, fix=fix)
    return None
