"""Graders that ask a model, as autoraters."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from vertex_tuning.rewards import builders
from vertex_tuning.rewards.graders import templates
from vertex_tuning.rewards.graders.templates import Path, TemplateError
from vertex_tuning.rewards.scorers import Reward

_NUMBER = r"<result>\s*([-+]?\d*\.?\d+(?:[eE][-+]?\d+)?)\s*</result>"
_PASSES = r"<passes>\s*(yes|no)\s*</passes>"
_HEADINGS = {"system": "Instructions", "developer": "Instructions", "user": "User", "assistant": "Assistant"}


class JudgeError(ValueError):
    """No judge can be made of it: the place in the grader, what is wrong, and the cure."""

    def __init__(self, where: str, what: str, fix: str) -> None:
        super().__init__(what)
        self.where = where
        self.fix = fix


def scored(grader: Mapping[str, Any], model: str, name: str, note: Callable[[str], None]) -> Reward:
    """A `score_model`: the judge ends with a number.

    Raises:
        JudgeError: It cannot be asked so.
    """
    low, high = _range(grader.get("range"))
    ask = (
        "First write down the steps of your reasoning. "
        f"Then end with the score, a number from {low:g} to {high:g}: <result>NUMBER</result>"
    )
    prompt, seen = _asked(grader, note)
    made = builders.judge(
        f"{prompt}\n\n{ask}", model=model, extract=_NUMBER, name=name, **_sampled(grader, note)
    )
    return replace(made, extract=seen)


def labelled(grader: Mapping[str, Any], model: str, name: str, note: Callable[[str], None]) -> Reward:
    """A `label_model`: the judge chooses a label, and says whether it is one of those that pass: 1 or 0.

    Raises:
        JudgeError: It cannot be asked so.
    """
    labels, passing = grader.get("labels"), grader.get("passing_labels")
    for where, given in (("labels", labels), ("passing_labels", passing)):
        if not isinstance(given, list) or not given or not all(isinstance(one, str) for one in given):
            raise JudgeError(where, "it is no list of labels", '["good", "bad"]')
    assert isinstance(labels, list)
    assert isinstance(passing, list)
    if strange := [one for one in passing if one not in labels]:
        raise JudgeError("passing_labels", f"{', '.join(strange)} is none of the labels", ", ".join(labels))
    ask = (
        f"Choose one of these labels, and say why: {', '.join(labels)}. "
        f"Then end with <passes>yes</passes> if you chose {' or '.join(passing)}, and with <passes>no</passes> otherwise."
    )
    prompt, seen = _asked(grader, note)
    how = _sampled(grader, note)
    made = builders.judge(f"{prompt}\n\n{ask}", model=model, extract=_PASSES, expect="yes", name=name, **how)
    return replace(made, extract=seen)


def _range(given: Any) -> tuple[float, float]:
    if given is None:
        return 0.0, 1.0
    try:
        low, high = map(float, given)
    except (TypeError, ValueError) as error:
        raise JudgeError("range", f"{given!r} is no range", "[0, 1]") from error
    if not -1 <= low < high <= 1:
        raise JudgeError(
            "range",
            f"scores from {low:g} to {high:g}: a reward is clipped to -1 and 1, and an autorater's number is not divided",
            f'"range": [0, 1], and messages that ask for such a number; weigh it by {high:g} where it counts for more',
        )
    return low, high


def _sampled(grader: Mapping[str, Any], note: Callable[[str], None]) -> dict[str, Any]:
    """How the judge is sampled: once, as OpenAI did."""
    given = grader.get("sampling_params") or {}
    if not isinstance(given, Mapping):
        raise JudgeError("sampling_params", "they are no object", '{"temperature": 0}')
    temperature = given.get("temperature")
    if temperature is not None and not _is_temperature(temperature):
        raise JudgeError("sampling_params.temperature", f"{temperature!r} is none", "a number from 0 to 2")
    others = ", ".join(name for name in given if name != "temperature")
    if others:
        note(f"sampling_params {others}: an autorater of Vertex AI has its own")
    note(
        f"judged by a Gemini model in the place of {grader.get('model', 'the one named')}: try it on answers that you know"
    )
    return {"samples": 1, "temperature": temperature}


def _is_temperature(given: Any) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given <= 2


def _asked(grader: Mapping[str, Any], note: Callable[[str], None]) -> tuple[str, str | None]:
    """The messages as one prompt, and what of an answer the judge sees: None, or how it is found there."""
    messages = grader.get("input")
    if not isinstance(messages, list) or not messages:
        raise JudgeError("input", "there are no messages", '[{"role": "user", "content": "..."}]')
    told = []
    seen: dict[Path, str] = {}
    for index, message in enumerate(messages):
        where = f"input[{index}]"
        if not isinstance(message, dict) or message.get("role") not in _HEADINGS:
            raise JudgeError(where, "it is no message", '{"role": "user", "content": "..."}')
        told.append(
            (_HEADINGS[message["role"]], _text(message.get("content"), f"{where}.content", note, seen))
        )
    if len(seen) > 1:
        [_, (path, where), *_] = seen.items()
        what = f"an autorater sees one thing of an answer, and {'.'.join(map(str, path))} is another"
        raise JudgeError(where, what, "{{ sample.output_text }} alone: all of them are in it")
    # Instructions and one question speak for themselves.
    if [heading for heading, _ in told] in (["User"], ["Instructions"], ["Instructions", "User"]):
        prompt = "\n\n".join(text for _, text in told)
    else:
        prompt = "\n\n".join(f"# {heading}\n{text}" for heading, text in told)
    member = next((path[2] for path in seen if path != templates.ANSWER), None)
    return prompt, None if member is None else _member(str(member), note)


def _member(name: str, note: Callable[[str], None]) -> str:
    """How a text of this name is found in an answer that is a JSON object."""
    note(
        f"sample.output_json.{name}: the judge reads that text as JSON writes it (\\n for the end of a line), the last one of "
        "this name, and nothing where there is none"
    )
    return rf'{re.escape(json.dumps(name, ensure_ascii=False))}\s*:\s*"((?:[^"\\]|\\.)*)"'


def _text(content: Any, where: str, note: Callable[[str], None], seen: dict[Path, str]) -> str:
    pieces = content if isinstance(content, list) else [content]
    texts = []
    for piece in pieces:
        text = piece.get("text") if isinstance(piece, dict) else piece
        if not isinstance(text, str):
            raise JudgeError(
                where, "an autorater is asked in text alone", "describe it in words, or leave it out"
            )
        texts.append(text)
    try:
        template = templates.read("\n".join(texts))
    except TemplateError as error:
        raise JudgeError(where, str(error), "{{ item.NAME }} or {{ sample.output_text }}") from error
    return "".join(
        piece if isinstance(piece, str) else _placeholder(piece, where, note, seen)
        for piece in template.pieces
    )


def _placeholder(path: Path, where: str, note: Callable[[str], None], seen: dict[Path, str]) -> str:
    if path == templates.ANSWER or (path[:2] == templates.JSON and len(path) == 3):
        seen.setdefault(path, where)
        return "{{response}}"
    if path[:2] == ("item", "messages"):
        note("item.messages: the judge reads the whole prompt there ({{prompt}})")
        return "{{prompt}}"
    if path[0] == "sample":
        words = ".".join(map(str, path))
        raise JudgeError(
            where, f"an autorater sees the text of an answer, and not {words}", "{{ sample.output_text }}"
        )
    name = templates.reference(path)
    if "{" in name or "}" in name:
        raise JudgeError(
            where, f"a reference has no braces in its name: {name}", "another name, in the rows too"
        )
    return f"{{{{references.{name}}}}}"
