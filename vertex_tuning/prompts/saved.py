"""A prompt that is kept by the service, and the form in which it is kept."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vertex_tuning.errors import Fault, SpecError

_PLACEHOLDER = re.compile(r"\{([A-Za-z_]\w*)\}")
_WORD = re.compile(r"(?<=[a-z0-9])[A-Z]")


class FilledPrompt(list[dict[str, Any]]):
    """A prompt with its places filled: turns, as `Model.generate` takes them, and what was saved beside them."""

    def __init__(self, turns: Sequence[dict[str, Any]], options: Mapping[str, Any]) -> None:
        super().__init__(turns)
        self.options = dict(options)
        """`system`, `temperature`...: taken by `Model.generate` where it is not told otherwise."""


@dataclass(frozen=True, slots=True)
class SavedPrompt:
    """A prompt as the service keeps it: what it is now, or one of its versions."""

    id: str
    name: str
    """For people; prompts may share it."""
    model: str
    """The model that it was written for."""
    contents: tuple[dict[str, Any], ...]
    """Turns, with `{places}` in their texts."""
    system: str = ""
    """System instruction, which may have places too."""
    examples: tuple[dict[str, str], ...] = ()
    """Values that were saved with it, by place."""
    options: dict[str, Any] = field(default_factory=dict)
    """Sampling: `temperature`, `max_output_tokens`..., as `Model.generate` takes them."""
    version: str = ""
    """Its number; empty for the prompt as it is now."""
    version_name: str = ""
    updated: str = ""
    """When it was last changed: RFC 3339."""
    metadata: dict[str, Any] = field(default_factory=dict, repr=False)
    """The whole content, as the service keeps it."""

    @property
    def text(self) -> str:
        """The text of all turns."""
        return "\n".join(part.get("text") or "" for turn in self.contents for part in turn.get("parts") or ())

    @property
    def places(self) -> tuple[str, ...]:
        """Names of the `{places}` in the texts, each once."""
        return tuple(dict.fromkeys(_PLACEHOLDER.findall(f"{self.system}\n{self.text}")))

    def format(self, **values: object) -> FilledPrompt:
        """Fill every place; what comes out can be asked: `model.generate(prompt.format(name="Ada"))`.

        Braces that hold no name, as in JSON, stay as they are, and so does what stands in a value.

        Raises:
            SpecError: VT361, a place has no value, or a value no place; every one is named.
        """
        faults = [
            Fault("VT361", f"no value for {{{name}}}", fix=f'format({name}="...")')
            for name in self.places
            if name not in values
        ] + [
            Fault("VT361", f"the prompt has no {{{name}}}", fix=f"places: {', '.join(self.places) or 'none'}")
            for name in values
            if name not in self.places
        ]
        if faults:
            raise SpecError("VT361", "the prompt's places and the values do not match", faults=faults)

        def filled(text: str) -> str:
            return _PLACEHOLDER.sub(lambda match: str(values[match[1]]), text)

        turns = [
            {
                "role": turn.get("role") or "user",
                "parts": [
                    {**part, "text": filled(part["text"])} if part.get("text") else part
                    for part in turn.get("parts") or ()
                ],
            }
            for turn in self.contents
        ]
        return FilledPrompt(
            turns, {**({"system": filled(self.system)} if self.system else {}), **self.options}
        )

    def to_json(self) -> dict[str, Any]:
        """As a JSON object, without the raw metadata."""
        return {
            "id": self.id,
            "name": self.name,
            "version": self.version,
            "version_name": self.version_name,
            "model": self.model,
            "text": self.text,
            "system": self.system,
            "places": list(self.places),
            "examples": list(self.examples),
            "options": self.options,
            "updated": self.updated,
        }


# The form in which the service keeps them


def to_metadata(
    text: str, model: str, system: str, examples: Sequence[Mapping[str, str]], options: Mapping[str, Any]
) -> dict[str, Any]:
    """A prompt as `vertexai.Client().prompts` writes it, in the spelling of JSON."""
    faults = [
        Fault("VT362", f"a prompt needs a {what}", where=what)
        for what, value in (("text", text), ("model", model))
        if not value.strip()
    ]
    if len(faults) == 1:
        raise SpecError("VT362", faults[0].what, where=faults[0].where)
    if faults:
        raise SpecError("VT362", "there is no prompt to save", faults=faults)
    message: dict[str, Any] = {
        "contents": [{"role": "user", "parts": [{"text": text}]}],
        "model": model,
    }
    if system:
        message["systemInstruction"] = {"parts": [{"text": system}]}
    if options:
        message["generationConfig"] = _generation_config(options)
    schema: dict[str, Any] = {
        "apiSchemaVersion": "1.0.0",
        "multimodalPrompt": {"promptMessage": message},
    }
    if examples:
        schema["executions"] = [
            {"arguments": {name: {"partList": {"parts": [{"text": value}]}} for name, value in row.items()}}
            for row in examples
        ]
    return {
        "promptType": "multimodal_freeform",
        "hasPromptVariable": bool(examples),
        "promptApiSchema": schema,
    }


def _generation_config(options: Mapping[str, Any]) -> dict[str, Any]:
    from google.genai import types
    from pydantic import ValidationError

    try:
        found = types.GenerationConfig.model_validate(dict(options))
    except ValidationError as error:
        faults = [_option_fault(item, types.GenerationConfig.model_fields) for item in error.errors()]
        raise SpecError("VT363", "an option is not one of sampling", faults=faults) from error
    return dict(found.model_dump(mode="json", by_alias=True, exclude_none=True))


def _option_fault(item: Any, known: Iterable[str]) -> Fault:
    where = ".".join(map(str, item["loc"]))
    if item["type"] != "extra_forbidden":
        return Fault("VT363", item["msg"][:1].lower() + item["msg"][1:], where)
    near = difflib.get_close_matches(where, known, n=1)
    fix = f"do you mean {near[0]}?" if near else f"one of: {', '.join(known)}"
    return Fault("VT363", "there is no such option", where, fix=fix)


def of_resource(item: Any, dataset: Any) -> SavedPrompt:
    """A `Dataset`, or a `DatasetVersion` of it, as a prompt."""
    from google.protobuf.json_format import MessageToDict

    metadata = MessageToDict(type(item).pb(item).metadata)
    metadata = metadata if isinstance(metadata, dict) else {}
    schema = _get(metadata, "promptApiSchema") or {}
    message = _get(_get(schema, "multimodalPrompt") or {}, "promptMessage") or {}
    system = _get(message, "systemInstruction") or {}
    config = _get(message, "generationConfig") or {}
    is_version = item is not dataset
    return SavedPrompt(
        id=dataset.name.rsplit("/", 1)[1],
        name=dataset.display_name,
        model=_get(message, "model") or item.model_reference,
        contents=tuple(_get(message, "contents") or ()),
        system="\n".join(part.get("text") or "" for part in system.get("parts") or ()),
        examples=tuple(_example(run) for run in _get(schema, "executions") or ()),
        options={_snake(key): value for key, value in config.items()},
        version=item.name.rsplit("/", 1)[1] if is_version else "",
        version_name=item.display_name if is_version else "",
        updated=item.update_time.rfc3339() if item.update_time else "",
        metadata=metadata,
    )


def _example(run: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for name, value in (_get(run, "arguments") or {}).items():
        parts = (_get(value, "partList") or {}).get("parts") or ()
        found[name] = "".join(part.get("text") or "" for part in parts)
    return found


def _get(value: Mapping[str, Any], name: str) -> Any:
    """A member by either spelling: Google's new module writes snake_case, its older one camelCase."""
    return value.get(name, value.get(_snake(name)))


def _snake(name: str) -> str:
    return _WORD.sub(lambda match: f"_{match[0].lower()}", name)
