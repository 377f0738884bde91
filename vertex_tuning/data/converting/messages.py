"""Messages: `{"role": "user", "content": "..."}`: OpenAI's form, which Together, Fireworks, Mistral and Hugging Face have too.

    {"messages": [...], "tools": [...]}                                           a chat; other members are what graders see
    {"input": {"messages": [...]}, "preferred_output": [...], "non_preferred_output": [...]}   a pair

Source: OpenAI's documentation, "Supervised fine-tuning", "Direct preference optimization", "Reinforcement fine-tuning"; Hugging
Face's of TRL, "Dataset formats and types" (2026-11-26).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from vertex_tuning.data.converting.chat import Chat, Part, Remarks, Turn, add, meant
from vertex_tuning.data.converting.pieces import parts_of, text_of
from vertex_tuning.data.converting.tools import Calls, declarations_of
from vertex_tuning.data.words import at, kind_of, quoted

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "model",
    "model": "model",
    "tool": "tool",
    "function": "tool",
}
_ASKED = ("tools", "functions", "parallel_tool_calls", "tool_choice", "function_call")
"""Members of a row that go with its messages."""
_SYSTEM = ("system", "system_prompt")
_BESIDE = ("image", "images", "video", "videos", "audio", "audios")
"""Members with files, for whose places a message has a mark such as `<image>`."""
RESERVED = ("messages", *_ASKED, *_SYSTEM, *_BESIDE)
"""Members of a row that are no references."""
_READ = ("role", "content", "tool_calls", "function_call", "tool_call_id", "weight", "refusal")
_WHY_LEFT_OUT = {
    "name": "left out: a turn has no name",
    "parallel_tool_calls": "left out: a row has no such setting",
    "tool_choice": "left out: a row has no such setting",
    "function_call": "left out: a row has no such setting",
    "reasoning_content": "left out: what was thought is not learnt",
    "thinking": "left out: what was thought is not learnt",
    "reasoning": "left out: what was thought is not learnt",
}
_FORM = '[{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]'


def chat(row: dict[str, Any], remarks: Remarks) -> Chat:
    """A row of messages."""
    return beside(row, read(row["messages"], "messages", remarks), ["messages"], remarks)


def pair(row: dict[str, Any], remarks: Remarks) -> Chat:
    """A row of OpenAI's for preference tuning."""
    given = row["input"]
    found = read(given.get("messages"), "input.messages", remarks)
    found.tools = _tools(given, "input", remarks)
    for name in given:
        if name != "messages" and name not in _ASKED:
            remarks.note(f"input.{name}", "left out")
    found.pair = (
        answer(row.get("preferred_output"), "preferred_output", remarks),
        answer(row.get("non_preferred_output"), "non_preferred_output", remarks),
    )
    known = ("input", "preferred_output", "non_preferred_output")
    found.others = {name: value for name, value in row.items() if name not in known}
    return found


def beside(row: dict[str, Any], made: Chat, known: Iterable[str], remarks: Remarks) -> Chat:
    """The chat with what stands beside it in its row: an instruction to the system, tools, and what graders see."""
    for name in _SYSTEM:
        text = text_of(row.get(name, ""), name, remarks)
        if text and {"text": text} not in made.system:
            made.system.insert(0, {"text": text})
    for name in _BESIDE:
        if row.get(name) not in (None, [], ""):
            fix = 'a piece of the message that it belongs to: {"type": "image_url", "image_url": {"url": "gs://..."}}'
            remarks.fault("VT256", name, "files beside the chat: nothing says where they belong", fix=fix)
    made.tools = _tools(row, "", remarks)
    known = {*known, *_SYSTEM, *_ASKED}
    made.others = {name: value for name, value in row.items() if name not in known}
    return made


def answer(given: Any, path: str, remarks: Remarks) -> list[Part]:
    """An answer: a message of the assistant's, a list of one or several of them, or a text."""
    if isinstance(given, str):
        return parts_of(given, path, remarks)
    if isinstance(given, dict):
        given = [given]
    found = read(given, path, remarks)
    if remarks.bad:
        return []
    if found.system or len(found.turns) != 1 or found.turns[0]["role"] != "model":
        what = "an answer is one turn of the model's"
        remarks.fault("VT256", path, what, fix='[{"role": "assistant", "content": "..."}]')
        return []
    parts: list[Part] = found.turns[0]["parts"]
    return parts


def read(messages: Any, path: str, remarks: Remarks) -> Chat:
    """A list of messages."""
    made = Chat([])
    if not isinstance(messages, list) or not messages:
        remarks.fault("VT206", path, f"the messages are {kind_of(messages)}", fix=_FORM)
        return made
    calls = Calls()
    last = len(messages) - 1
    for index, message in enumerate(messages):
        place = f"{path}[{index}]"
        if not isinstance(message, dict):
            remarks.fault("VT207", place, f"{kind_of(message)}, not an object", fix=_FORM)
            continue
        role = meant(_ROLES, message.get("role"))
        if role == "model":
            _assistant(message, place, made, calls, remarks, last=index == last)
        elif role == "user":
            parts = parts_of(message.get("content"), f"{place}.content", remarks)
            _add(made.turns, "user", parts, place, remarks)
        elif role == "tool":
            _tool(message, place, made.turns, calls, remarks)
        elif role == "system" and not made.turns:
            text = text_of(message.get("content"), f"{place}.content", remarks)
            if text:
                made.system.append({"text": text})
            else:
                remarks.note(f"{place}.content", "left out: a system message that says nothing")
        elif role == "system":
            what = "a system message in the middle: Vertex AI has one system instruction, for the whole row"
            fix = "put it in front, or say it in a turn of the user's"
            remarks.fault("VT256", f"{place}.role", what, fix=fix)
        else:
            fix = '"system", "user", "assistant" or "tool"'
            remarks.fault("VT203", f"{place}.role", quoted(message.get("role")), fix=fix)
        if len(message) > 2:  # role and content
            _note_others(message, place, role, remarks)
    calls.in_order(made.turns)
    return made


def _assistant(
    message: dict[str, Any], path: str, made: Chat, calls: Calls, remarks: Remarks, *, last: bool
) -> None:
    parts: list[Part] = []
    content, refusal = message.get("content"), message.get("refusal")
    called = message.get("tool_calls") or []
    old = message.get("function_call")
    if content is None and isinstance(refusal, str) and refusal:
        remarks.note(f"{path}.refusal", "a refusal is learnt as text")
        parts.append({"text": refusal})
    elif content not in (None, "", []) or not (called or old):
        parts += parts_of(content, f"{path}.content", remarks)
    if not isinstance(called, list):
        remarks.fault("VT257", f"{path}.tool_calls", f"{kind_of(called)}, not a list", fix="[...]")
        called = []
    for index, call in enumerate(called):
        place = f"{path}.tool_calls[{index}]"
        given = call.get("function", call) if isinstance(call, dict) else call
        identity = call.get("id") if isinstance(call, dict) else None
        part = calls.call(given, identity, f"{place}.function" if given is not call else place, remarks)
        if part is not None:
            parts.append(part)
    if old is not None:
        part = calls.call(old, None, f"{path}.function_call", remarks)
        if part is not None:
            parts.append(part)
    if message.get("weight") == 0 and last:
        made.unlearnt = f"{path}.weight"
    elif message.get("weight") == 0:
        remarks.note(f"{path}.weight", "left out: Vertex AI learns every turn of the model's, this one too")
    _add(made.turns, "model", parts, path, remarks)


def _tool(message: dict[str, Any], path: str, turns: list[Turn], calls: Calls, remarks: Remarks) -> None:
    content = message.get("content")
    text = "" if content is None else text_of(content, f"{path}.content", remarks)
    part = calls.answer(text, message.get("tool_call_id"), message.get("name"), path, remarks)
    if part is not None:
        add(turns, "user", [part])


def _add(turns: list[Turn], role: str, parts: list[Part], path: str, remarks: Remarks) -> None:
    if parts and add(turns, role, parts):
        remarks.note(path, "joined to the turn before, which is of the same role")


def _note_others(message: dict[str, Any], path: str, role: str | None, remarks: Remarks) -> None:
    for name, value in message.items():
        if name in _READ or value in (None, [], "") or (name == "name" and role == "tool"):
            continue
        remarks.note(at(path, name), _WHY_LEFT_OUT.get(name, "left out"))


def _tools(given: dict[str, Any], path: str, remarks: Remarks) -> list[dict[str, Any]]:
    """The tools that go with messages; settings beside them are noted."""
    for name in ("parallel_tool_calls", "tool_choice", "function_call"):
        if name in given:
            remarks.note(at(path, name), _WHY_LEFT_OUT[name])
    declared = [
        declaration
        for name in ("tools", "functions")
        if given.get(name)
        for tool in declarations_of(given[name], at(path, name), remarks)
        for declaration in tool["functionDeclarations"]
    ]
    return [{"functionDeclarations": declared}] if declared else []
