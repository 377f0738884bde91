"""A `GenerateContentRequest` as an order: every check that needs no weights, in Google's words."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from vertex_tuning.emulator.serving import schema
from vertex_tuning.emulator.serving.protocol import (
    DEFAULT_TEMPERATURE,
    DEFAULT_TOP_K,
    DEFAULT_TOP_P,
    Order,
    Sampling,
)
from vertex_tuning.emulator.status import ApiError, Code

if TYPE_CHECKING:
    from vertex_tuning.emulator.jobs import ServedModel

_ROLES = ("user", "model")
_NO_KIND = frozenset(
    {"text", "thought", "thoughtSignature", "mediaProcessing", "mediaResolution", "videoMetadata"}
)
"""Fields that stand beside what a part is."""
_MAX_STOPS = 5
_MAX_LABELS = 1000
_MAX_LOGPROBS = 20
_TEXT, _JSON, _ENUM = "text/plain", "application/json", "text/x.enum"
# What nobody here can do. To accept it and do nothing would hide that until the program runs in the cloud.
_NOT_SERVED = {
    "cachedContent": "context caching",
    "continuationToken": "continuation of an interrupted response",
    "modelArmorConfig": "Model Armor",
    "outputConfig": "writing responses to Cloud Storage",
}


def order(served: ServedModel, body: dict[str, Any], *, stream: bool, text: str | None = None) -> Order:
    """A canonical `GenerateContentRequest`, checked; with `text`, that is gone on with instead of its contents.

    Raises:
        ApiError: 400.
    """
    for field, what in _NOT_SERVED.items():
        if field in body:
            raise _refused(f"{field}: the emulator does not serve {what}.", "VT803")
    if body.get("tools"):
        kinds = ", ".join(sorted({kind for tool in body["tools"] for kind in tool}))
        raise _refused(
            f"tools ({kinds}): {_stand_in(served)}, which cannot call functions or tools. Ask for "
            "JSON with a responseSchema instead.",
            "VT802",
        )
    contents, system = prompt(served, body) if text is None else ([], None)
    config = body.get("generationConfig", {})
    _check_modalities(served, config)
    json_schema, labels = _format(config)
    return Order(
        id=uuid.uuid4().hex,
        model=str(served.model),
        adapter=str(served.adapter) if served.adapter else None,
        context=served.stand_in.max_tokens,
        contents=contents,
        system=system,
        text=text,
        sampling=_sampling(config),
        candidates=_candidates(config),
        max_tokens=_whole(_within(config, "maxOutputTokens", 1, 65537)),
        stops=_stops(config),
        logprobs=_logprobs(config),
        json_schema=json_schema,
        labels=labels,
        stream=stream,
    )


def prompt(served: ServedModel, body: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """`contents` and `systemInstruction`, checked: text, and roles that there are.

    Raises:
        ApiError: 400.
    """
    given = body.get("contents", [])
    if not given:
        raise _refused("Unable to submit request because at least one contents field is required.")
    contents = [_content(served, content, f"contents[{index}]") for index, content in enumerate(given)]
    if len(contents) == 1:
        contents[0]["role"] = contents[0]["role"] or "user"
    if any(content["role"] not in _ROLES for content in contents):
        raise _refused("Please use a valid role: user, model.")
    instruction = body.get("systemInstruction")
    return contents, _content(served, instruction, "systemInstruction") if instruction else None


def _content(served: ServedModel, content: dict[str, Any], where: str) -> dict[str, Any]:
    parts = []
    for index, part in enumerate(content.get("parts", ())):
        if part.get("thought"):
            continue  # what a thinking model thought in an earlier turn is no part of the talk
        kind = next((key for key in part if key not in _NO_KIND), None)
        if kind is not None:
            found = part[kind].get("mimeType", "") if isinstance(part[kind], dict) else ""
            raise _refused(
                f"{where}.parts[{index}] is {kind}{f' ({found})' if found else ''}: {_stand_in(served)}, "
                "which reads text only.",
                "VT801",
            )
        if "text" not in part:
            raise _refused(
                "Unable to submit request because it must have a text parameter. Add one and try again. "
                f"({where}.parts[{index}])"
            )
        parts.append({"text": part["text"]})
    if not parts:
        raise _refused(
            "Unable to submit request because it must include at least one parts field, which describes the "
            f"prompt input. ({where})"
        )
    return {"role": content.get("role", ""), "parts": parts}


def _stand_in(served: ServedModel) -> str:
    return f"the emulator serves {served.name} by {served.stand_in.title}"


def _check_modalities(served: ServedModel, config: dict[str, Any]) -> None:
    others = [
        name for name in config.get("responseModalities", ()) if name not in ("TEXT", "MODALITY_UNSPECIFIED")
    ]
    others += [name for name in ("speechConfig", "imageConfig") if name in config]
    if others:
        raise _refused(f"{', '.join(others)}: {_stand_in(served)}, which answers with text only.", "VT801")


def _sampling(config: dict[str, Any]) -> Sampling:
    temperature = _within(config, "temperature", 0, 2.0001)
    top_p = _within(config, "topP", 0, 1.0001)
    top_k = _within(config, "topK", 1, 1_000_001)
    return Sampling(
        temperature=DEFAULT_TEMPERATURE if temperature is None else temperature,
        top_p=DEFAULT_TOP_P if top_p is None else min(top_p, 1.0),
        top_k=DEFAULT_TOP_K if top_k is None else int(top_k),
        seed=config.get("seed"),
        presence_penalty=_within(config, "presencePenalty", -2.0, 2.0) or 0.0,
        frequency_penalty=_within(config, "frequencyPenalty", -2.0, 2.0) or 0.0,
    )


def _candidates(config: dict[str, Any]) -> int:
    # 0 is as good as nothing here, and nowhere else: Google's own tests hold Vertex AI to it.
    return int(_within(config, "candidateCount", 1, 9) or 1) if config.get("candidateCount") != 0 else 1


def _stops(config: dict[str, Any]) -> tuple[str, ...]:
    stops = config.get("stopSequences", [])
    if len(stops) > _MAX_STOPS:
        raise _refused(
            f"Unable to submit request because it has {len(stops)} stopSequences but at most {_MAX_STOPS} "
            "are supported. Update the value and try again."
        )
    if not all(stops):
        raise _refused("Unable to submit request because a stop sequence is empty.")
    return tuple(stops)


def _logprobs(config: dict[str, Any]) -> int | None:
    wanted = _within(config, "logprobs", 0, _MAX_LOGPROBS + 1)
    if config.get("responseLogprobs"):
        return int(wanted or 0)
    if wanted is not None:
        raise _refused(
            "Unable to submit request because logprobs is set, which takes setting response_logprobs to be "
            "true. Set responseLogprobs to true, or leave logprobs out, and try again."
        )
    return None


def _format(config: dict[str, Any]) -> tuple[Any, tuple[str, ...]]:
    """What the answer must look like: a JSON Schema, or labels to choose from."""
    mime, json_schema, google_schema = _asked_format(config)
    if mime not in (_TEXT, _JSON, _ENUM):
        raise _refused(
            f"Unable to submit request because responseMimeType '{mime}' is not supported. Use one of: "
            f"{_TEXT}, {_JSON}, {_ENUM}."
        )
    if mime == _TEXT:
        if google_schema is not None or json_schema is not None:
            raise _refused(
                "Unable to submit request because a response schema is set and responseMimeType is "
                f"'{_TEXT}'. Set it to '{_JSON}' (or '{_ENUM}') and try again."
            )
        return None, ()
    if mime == _ENUM:
        labels = schema.labels_of(google_schema or {}) or list((json_schema or {}).get("enum", ()))
        if (
            not labels
            or len(set(labels)) != len(labels)
            or not all(isinstance(label, str) and label for label in labels)
        ):
            raise _refused(
                f"Unable to submit request because responseMimeType '{_ENUM}' needs a responseSchema of type "
                "STRING whose enum lists the values, each once."
            )
        if len(labels) > _MAX_LABELS:
            raise _refused(f"The enum has {len(labels)} values; the emulator scores at most {_MAX_LABELS}.")
        return None, tuple(labels)
    if google_schema is not None:
        return schema.to_json_schema(google_schema), ()
    if json_schema is not None:
        return schema.without_what_cannot_be_held(json_schema), ()
    return {"type": ["object", "array"]}, ()


def _asked_format(config: dict[str, Any]) -> tuple[str, Any, dict[str, Any] | None]:
    """(MIME type, JSON Schema, Google's `Schema`), from the fields of today and those of `responseFormat`."""
    texts = [entry["text"] for entry in config.get("responseFormat", ()) if "text" in entry]
    if len(texts) < len(config.get("responseFormat", ())):
        raise _refused("responseFormat: the emulator answers with text only.", "VT801")
    if texts:
        named = texts[-1].get("mimeType", "")
        return (
            _JSON if named.endswith("JSON") or "schema" in texts[-1] else _TEXT,
            texts[-1].get("schema"),
            None,
        )
    json_schema, google_schema = config.get("responseJsonSchema"), config.get("responseSchema")
    if json_schema is not None and google_schema is not None:
        raise _refused(
            "Unable to submit request because both responseSchema and responseJsonSchema are set. Set one of "
            "them and try again."
        )
    return config.get("responseMimeType") or _TEXT, json_schema, google_schema


def _within(config: dict[str, Any], field: str, low: float, high: float) -> float | None:
    value = config.get(field)
    if value is None:
        return None
    if not low <= value < high:
        raise _refused(
            f"Unable to submit request because it has a {field} value of {value:g} but the supported range "
            f"is from {low:g} (inclusive) to {high:g} (exclusive). Update the value and try again."
        )
    return float(value)


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _refused(message: str, rule: str = "") -> ApiError:
    return ApiError(Code.INVALID_ARGUMENT, message, rule=rule)
