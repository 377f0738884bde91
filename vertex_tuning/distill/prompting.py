"""What a teacher is asked: an instruction, examples that think aloud, and the question, in the one form that `parsing` reads."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from vertex_tuning.data.check import opened
from vertex_tuning.distill.parsing import parse, written
from vertex_tuning.errors import DatasetError, Fault

INPUT = "{input}"
_FORM = (
    "First say why, then the label, in just this form:\n"
    "Rationale: one or a few sentences that lead to the label\n"
    "Label: one of "
)


class TeacherExample(BaseModel):
    """A question that was answered as the teacher is to answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: str
    """What was asked."""
    rationale: str
    """Why the label is right; it leads to the label."""
    label: str
    """One of the labels."""


class TeacherPrompt(BaseModel):
    """How a teacher is asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: tuple[str, ...]
    """What it may answer, two or more."""
    instruction: str = ""
    """What is to be decided. Empty: nothing is said beside the question, for a teacher that was tuned to answer in this form."""
    template: str = INPUT
    """What is asked of each row; `{input}` stands for the row's own text."""
    examples: tuple[TeacherExample, ...] = ()
    """A few, each label among them. They stand before the question, as turns of the conversation."""

    def request(self, contents: list[dict[str, Any]]) -> dict[str, Any]:
        """A GenerateContent request.

        Args:
            contents: What a row asks: turns, the user's last.
        """
        turns: list[dict[str, Any]] = []
        for example in self.examples:
            turns.append(_turn("user", self._asked(example.input)))
            turns.append(_turn("model", written(example.rationale, example.label)))
        *before, last = contents
        turns += [*before, {"role": "user", "parts": [self._part(part) for part in last["parts"]]}]
        body: dict[str, Any] = {"contents": turns}
        if self.instruction:
            text = f"{self.instruction.strip()}\n\n{_FORM}{', '.join(self.labels)}"
            body["systemInstruction"] = {"parts": [{"text": text}]}
        return body

    def _asked(self, text: str) -> str:
        return self.template.replace(INPUT, text)

    def _part(self, part: dict[str, Any]) -> dict[str, Any]:
        return {"text": self._asked(part["text"])} if "text" in part else part


def read_prompt(path: str | os.PathLike[str]) -> TeacherPrompt:
    """A prompt from a TOML file: `labels`, and `instruction`, `template` and `[[examples]]` where they are wanted.

    Raises:
        DatasetError: VT201 there is no such file; VT253 with every fault of it.
    """
    where = str(path)
    with opened(Path(path)) as file:
        try:
            given = tomllib.loads(file.read().decode())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            fix = 'labels = ["positive", "negative"], then [[examples]] with input, rationale and label'
            raise DatasetError("VT253", f"not TOML: {error}", where=where, fix=fix) from error
    return prompt_of(given, where)


def prompt_of(given: Mapping[str, Any], where: str = "prompt") -> TeacherPrompt:
    """A prompt from its fields, checked.

    Raises:
        DatasetError: VT253, with every fault.
    """
    try:
        prompt = TeacherPrompt.model_validate(dict(given))
    except ValidationError as error:
        faults = [
            Fault("VT253", one["msg"], f"{where}, {_place(one['loc'])}", fix=_fields(one["loc"]))
            for one in error.errors()
        ]
    else:
        faults = [Fault("VT253", what, f"{where}, {place}", fix=fix) for place, what, fix in _faults(prompt)]
        if not faults:
            return prompt
    if len(faults) == 1:
        [one] = faults
        raise DatasetError(one.rule, one.what, where=one.where, fix=one.fix)
    raise DatasetError("VT253", f"the teacher's prompt has {len(faults)} faults", where=where, faults=faults)


def _faults(prompt: TeacherPrompt) -> list[tuple[str, str, str]]:
    """(place, what, fix)."""
    found = []
    names = {label.strip() for label in prompt.labels}
    if len(names) < 2 or len(names) < len(prompt.labels) or "" in names:
        found.append(
            ("labels", "there are not two or more different labels", 'labels = ["positive", "negative"]')
        )
    if any("\n" in label or label != label.strip() for label in prompt.labels):
        found.append(("labels", "a label is one line, without blanks around it", "shorten it to a word"))
    if INPUT not in prompt.template:
        found.append(("template", f"it has no place for {INPUT}", f'template = "Note: {INPUT}"'))
    for number, example in enumerate(prompt.examples):
        place = f"examples[{number}]"
        if example.label not in prompt.labels:
            fix = f"one of {', '.join(prompt.labels)}"
            found.append((f"{place}.label", f'"{example.label}" is not one of the labels', fix))
        elif parse(written(example.rationale, example.label)) is None:
            fix = 'leave out lines that begin with "Label:" or "Rationale:"'
            found.append((f"{place}.rationale", "an answer with it could not be read back", fix))
        if not example.input.strip():
            found.append((f"{place}.input", "it asks nothing", "write the question"))
    return found


def _place(path: tuple[Any, ...]) -> str:
    found = ""
    for step in path:
        found += f"[{step}]" if isinstance(step, int) else f".{step}" if found else str(step)
    return found


def _fields(path: tuple[Any, ...]) -> str:
    kind = TeacherExample if len(path) > 1 and path[0] == "examples" else TeacherPrompt
    return f"there are: {', '.join(kind.model_fields)}"


def _turn(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"text": text}]}
