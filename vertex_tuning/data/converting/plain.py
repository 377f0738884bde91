"""Rows whose members are texts: what was asked, what is answered.

    {"prompt": "...", "completion": "..."}                          TRL; both may be lists of messages
    {"prompt": "...", "chosen": "...", "rejected": "..."}           ... with two answers
    {"chosen": [...], "rejected": [...]}                            ... that begin alike: what they share is the prompt
    {"chosen": "Human: ...", "rejected": "Human: ..."}              ... as transcripts, each speaker in a paragraph
    {"instruction": "...", "input": "...", "output": "..."}         Alpaca
    {"question": "...", "answer": "..."}, {"prompt": "...", "response": "..."}, {"input": "...", "output": "..."}

Source: Hugging Face's documentation of TRL, "Dataset formats and types"; the readmes of Stanford Alpaca and of LLaMA-Factory's
data (2026-11-26).
"""

from __future__ import annotations

import re
from typing import Any

from vertex_tuning.data.converting.chat import Chat, Remarks, add, said
from vertex_tuning.data.converting.messages import answer, beside, read
from vertex_tuning.data.converting.pieces import parts_of
from vertex_tuning.data.words import kind_of

_SPEAKER = re.compile(r"\n\n(Human|Assistant): ?")
_SPEAKERS = {"Human": "user", "Assistant": "assistant"}
PAIRS = (("prompt", "completion"), ("prompt", "response"), ("question", "answer"), ("input", "output"))
"""Names under which a question and its answer are found."""


def question_and_answer(row: dict[str, Any], asked: str, answered: str, remarks: Remarks) -> Chat:
    """A row of two texts, or lists of messages."""
    made = _asked(row[asked], asked, remarks)
    if row.get(answered) is not None:
        add(made.turns, "model", answer(row[answered], answered, remarks))
    if isinstance(row.get("label"), bool) and answered == "completion":
        what = "an answer that was found good or bad by itself: it has no other to be compared with"
        fix = "rows with label true, without it, for supervised tuning; or rows with two answers"
        remarks.fault("VT255", "label", what, fix=fix)
    return beside(row, made, (asked, answered), remarks)


def preference(row: dict[str, Any], remarks: Remarks) -> Chat:
    """A row with a chosen answer and a rejected one; what was asked stands beside them, or at the beginning of both."""
    chosen, rejected = _transcript(row["chosen"], remarks), _transcript(row["rejected"], remarks)
    whole = _is_chat(chosen) and _is_chat(rejected)
    if "instruction" in row:
        made = Chat([{"role": "user", "parts": said(_instruction(row, remarks))}])
        known = {"instruction", "input", "output", "history", "chosen", "rejected"}
    else:
        made = Chat([])
        known = {"prompt", "chosen", "rejected"}
        if row.get("prompt") is not None and not whole:
            made = _asked(row["prompt"], "prompt", remarks)
        elif whole:
            shared = _shared(chosen, rejected)
            made = read(chosen[:shared], "chosen", remarks)
            _hold_prompt(row, made, remarks)
            chosen, rejected = chosen[shared:], rejected[shared:]
        else:
            what = "two texts, and nothing says where what was asked ends"
            remarks.fault("VT255", "chosen", what, fix='put what was asked into prompt: "prompt": "..."')
    if not remarks.bad:
        made.pair = (answer(chosen, "chosen", remarks), answer(rejected, "rejected", remarks))
    if row.get("messages") == row["chosen"]:  # UltraFeedback says it twice
        known.add("messages")
    return beside(row, made, known, remarks)


def alpaca(row: dict[str, Any], remarks: Remarks) -> Chat:
    """An instruction, perhaps with an input, and its output."""
    made = Chat([])
    history = row.get("history") or []
    if not isinstance(history, list):
        remarks.fault("VT207", "history", f"{kind_of(history)}, not a list", fix='[["...", "..."]]')
        history = []
    for index, turn in enumerate(history):
        if not isinstance(turn, list) or len(turn) != 2 or not all(isinstance(text, str) for text in turn):
            remarks.fault(
                "VT207", f"history[{index}]", "not two texts", fix='["what was asked", "what was answered"]'
            )
            continue
        add(made.turns, "user", said(turn[0]))
        add(made.turns, "model", said(turn[1]))
    add(made.turns, "user", said(_instruction(row, remarks)))
    if row.get("output") is not None:
        add(made.turns, "model", answer(row["output"], "output", remarks))
    return beside(row, made, ("instruction", "input", "output", "history"), remarks)


def _transcript(given: Any, remarks: Remarks) -> Any:
    """The messages of a text that has a whole chat in it, as Anthropic's HH-RLHF has; anything else as it is."""
    if not isinstance(given, str) or not given.startswith("\n\nHuman:"):
        return given
    remarks.note("chosen", "a transcript is taken apart, where Human: and Assistant: begin a paragraph")
    _, *pieces = _SPEAKER.split(given)
    return [
        {"role": _SPEAKERS[speaker], "content": text}
        for speaker, text in zip(pieces[::2], pieces[1::2], strict=True)
    ]


def _instruction(row: dict[str, Any], remarks: Remarks) -> str:
    """The instruction; an input stands behind it, after an empty line."""
    texts = []
    for name in ("instruction", "input"):
        value = row.get(name)
        if isinstance(value, str):
            texts.append(value)
        elif value is not None:
            remarks.fault("VT207", name, f"{kind_of(value)}, not a text", fix='"..."')
    return "\n\n".join(text for text in texts if text)


def _asked(given: Any, path: str, remarks: Remarks) -> Chat:
    if isinstance(given, list):
        return read(given, path, remarks)
    if isinstance(given, str):
        return Chat([{"role": "user", "parts": parts_of(given, path, remarks)}])
    remarks.fault("VT207", path, f"{kind_of(given)}, not a text", fix='"..."')
    return Chat([])


def _is_chat(given: Any) -> bool:
    """Whether an answer holds what was asked too."""
    first = given[0] if isinstance(given, list) and given else None
    return isinstance(first, dict) and first.get("role") not in ("assistant", "model")


def _shared(one: list[Any], other: list[Any]) -> int:
    """How many messages they begin with alike; one at least is left of each."""
    most = min(len(one), len(other)) - 1
    return next((index for index in range(most) if one[index] != other[index]), most)


def _hold_prompt(row: dict[str, Any], made: Chat, remarks: Remarks) -> None:
    """A prompt that stands beside whole chats says what they say."""
    prompt = row.get("prompt")
    if prompt is None or remarks.bad:
        return
    last = made.turns[-1]["parts"] if made.turns else []
    texts = "".join(part.get("text", "") for part in last)
    if isinstance(prompt, str) and prompt.strip() == texts.strip():
        return
    if isinstance(prompt, list) and read(prompt, "prompt", remarks).turns == made.turns:
        return
    what = "prompt says something else than the beginning of chosen and rejected"
    remarks.fault("VT255", "prompt", what, fix="leave one of the two out")
