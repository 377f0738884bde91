"""What a model is asked, and what it answers: prompts and options as google-genai takes them, and its responses as answers."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vertex_tuning.errors import Fault, SpecError

if TYPE_CHECKING:
    from google.genai import types

Prompt = str | Sequence[Mapping[str, Any]]
"""A text, turns in GenerateContent form (`[{"role": "user", "parts": [{"text": "..."}]}]`), or a saved prompt, filled."""
_TURNS = '[{"role": "user", "parts": [{"text": "..."}]}]'
_OURS = {"system": "system_instruction", "schema": "response_schema"}
"""What we call an option, and what google-genai does."""
_USUAL = (
    "system, labels, schema, temperature, top_p, top_k, max_output_tokens, stop_sequences, seed, or another of "
    "google-genai's GenerateContentConfig"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered."""

    text: str
    finish_reason: str
    """`STOP`, `MAX_TOKENS`..."""
    prompt_tokens: int
    answer_tokens: int
    raw: Any
    """The response as google-genai gives it (`GenerateContentResponse`); of a deployed open model, the chat completion."""

    def __str__(self) -> str:
        return self.text


def contents_of(prompt: Any) -> Any:
    """A prompt as google-genai takes it: a text, or turns.

    Raises:
        SpecError: VT324, it is neither.
    """
    if isinstance(prompt, str) and prompt:
        return prompt
    if isinstance(prompt, str):
        raise SpecError("VT324", "there is nothing in it", where="prompt", fix="a text, or turns")
    if callable(getattr(prompt, "format", None)):
        what, fix = "a saved prompt is asked once its places are filled", "generate(prompt.format(...))"
        raise SpecError("VT324", what, where="prompt", fix=fix)
    if isinstance(prompt, Mapping):
        what = "one turn stands alone, or a whole row: a prompt is a list of turns"
        raise SpecError("VT324", what, where="prompt", fix=_TURNS)
    if not isinstance(prompt, Iterable) or isinstance(prompt, bytes | bytearray):
        what = f"{_name(prompt)} is no prompt"
        raise SpecError("VT324", what, where="prompt", fix=f"a text, or turns: {_TURNS}")
    turns: list[Any] = list(prompt)
    faults = [fault for number, turn in enumerate(turns) for fault in _turn_faults(turn, f"prompt[{number}]")]
    if not turns:
        faults.append(Fault("VT324", "there are no turns in it", "prompt", fix=f"a text, or turns: {_TURNS}"))
    if faults:
        raise _refusal("VT324", "this is no prompt", faults)
    return [dict(turn) for turn in turns]


def options_of(prompt: Prompt, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of `Model.generate`; what was saved with a prompt counts where nothing else is said.

    Raises:
        SpecError: VT317 labels and a schema, VT323 labels that are none.
    """
    given = {**getattr(prompt, "options", {}), **options}
    labels = given.pop("labels", None)
    if labels is None:
        return given
    if given.get("schema") is not None:
        raise SpecError("VT317", "labels and schema exclude each other", where="generate")
    one_of = [labels] if isinstance(labels, str) else labels
    if (
        not isinstance(one_of, Iterable)
        or not (one_of := list(one_of))
        or not all(isinstance(label, str) and label for label in one_of)
    ):
        raise SpecError(
            "VT323", "labels are the texts to choose from", where="labels", fix='labels=["yes", "no"]'
        )
    return {**given, "labels": one_of}


def config_of(options: Mapping[str, Any], prompt: Prompt = "") -> Any:
    """Options of `Model.generate` as google-genai takes them, those that were saved with a prompt among them.

    Raises:
        SpecError: VT317; VT323, every option that there is none of, or whose value does not fit.
    """
    from google.genai import types
    from pydantic import ValidationError

    given = options_of(prompt, options)
    labels, schema = given.pop("labels", None), given.pop("schema", None)
    if "system" in given:
        given["system_instruction"] = given.pop("system")
    if labels is not None:
        given.update(response_mime_type="text/x.enum", response_schema={"type": "STRING", "enum": labels})
    if schema is not None:
        given.update(response_mime_type="application/json", response_schema=schema)
    try:
        return types.GenerateContentConfig(**given)
    except ValidationError as error:
        faults = _option_faults(error.errors(include_url=False, include_input=False), given)
        raise _refusal("VT323", "the options cannot be taken as they are", faults) from error


def answer_of(response: types.GenerateContentResponse) -> Answer:
    """A response of google-genai as an answer."""
    candidate = (response.candidates or [None])[0]
    usage = response.usage_metadata
    parts = (candidate.content.parts if candidate and candidate.content else None) or []
    return Answer(
        text="".join(part.text or "" for part in parts if not part.thought),
        finish_reason=str(getattr(candidate.finish_reason, "value", "") or "") if candidate else "",
        prompt_tokens=int((usage.prompt_token_count if usage else 0) or 0),
        answer_tokens=int((usage.candidates_token_count if usage else 0) or 0),
        raw=response,
    )


def _turn_faults(turn: Any, where: str) -> list[Fault]:
    from google.genai import types
    from pydantic import ValidationError

    if isinstance(turn, types.Content | types.Part):
        return []
    if not isinstance(turn, Mapping):
        return [Fault("VT324", f"{_name(turn)} is no turn", where, fix=_TURNS)]
    if "content" in turn and "parts" not in turn:
        what = "this is a message as OpenAI writes it: a turn has parts, and an answer's role is model"
        return [Fault("VT324", what, where, fix=_TURNS)]
    try:
        types.Content.model_validate(turn)
    except ValidationError as error:
        # google-genai takes parts without a turn round them, too.
        try:
            types.Part.model_validate(turn)
        except ValidationError:
            items = error.errors(include_url=False, include_input=False)
            return [Fault("VT324", _words(item), _path(where, item["loc"]), fix=_TURNS) for item in items]
    return []


def _option_faults(items: Sequence[Any], given: Mapping[str, Any]) -> list[Fault]:
    """One fault for each option, under the name that it has for `Model.generate`."""
    from google.genai import types

    theirs = {own: ours for ours, own in _OURS.items()}
    fields = types.GenerateContentConfig.model_fields
    known = [*_OURS, *(name for name in fields if name not in theirs)]
    # google-genai reads its own names in JSON's spelling, too, and calls them so.
    python = {field.alias: name for name, field in fields.items() if field.alias}
    by_option: dict[str, list[Any]] = {}
    for item in items:
        by_option.setdefault(str(item["loc"][0]), []).append(item)
    faults = []
    for option, found in by_option.items():
        name = python.get(option, option)
        name = theirs.get(name, name)
        only = found[0]
        if only["type"] == "extra_forbidden" and len(only["loc"]) == 1:
            near = difflib.get_close_matches(option, known, n=1)
            fix = f"do you mean {near[0]}?" if near else _USUAL
            faults.append(Fault("VT323", "there is no such option", name, fix=fix))
        elif len(found) == 1:
            faults.append(Fault("VT323", _words(only), _path(name, only["loc"][1:])))
        else:
            # What may be of several forms is of none of them; to tell how it misses each helps nobody.
            value = given.get(option, given.get(python.get(option, option)))
            faults.append(Fault("VT323", f"{_name(value)} does not fit", name))
    return faults


def _words(item: Any) -> str:
    if item["type"] == "extra_forbidden":
        return "there is no such field"
    message = str(item["msg"])
    return message[:1].lower() + message[1:]


def _path(where: str, inner: Sequence[Any]) -> str:
    return where + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in inner)


def _name(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:40]}..."


def _refusal(rule: str, what: str, faults: list[Fault]) -> SpecError:
    if len(faults) == 1:
        only = faults[0]
        return SpecError(only.rule, only.what, where=only.where, why=only.why, fix=only.fix)
    return SpecError(rule, what, faults=faults)
