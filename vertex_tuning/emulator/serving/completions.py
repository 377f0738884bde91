"""Chat completions in OpenAI's form, as `generateContent` and back.

What changes an answer and is not served is refused; of the rest, what Google's interface does not know is
passed over, as Google passes it over.
"""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

from vertex_tuning.emulator.serving.fields import Fields

RULE = "VT667"
_ROLES = {"user": "user", "assistant": "model"}
_SYSTEM = ("system", "developer")
_FINISH = {"STOP": "stop", "MAX_TOKENS": "length"}
_NOT_SERVED = {
    "tools": "functions and tools",
    "functions": "functions and tools",
    "audio": "audio",
    "logit_bias": "biases on tokens",
}
_NO_LIMIT = 1_000_000
"""As many choices for a token as there are."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A chat completion that is asked for."""

    body: dict[str, Any]
    """As a canonical `GenerateContentRequest`."""
    model: str
    """What the request calls the model."""
    stream: bool
    usage: bool
    """Whether a stream ends with the usage, in a chunk of its own."""


def read(fields: Fields, *, is_gemini: bool = False) -> Asked:
    """A request as `generateContent` takes it; faults are noted in `fields`, and not yet raised."""
    for name, what in _NOT_SERVED.items():
        if fields.given.get(name):
            fields.fault(name, f"The emulator does not serve {what}: its models read and write text only.")
    contents, system = _messages(fields)
    body: dict[str, Any] = {"contents": contents, "generationConfig": config(fields, is_gemini=is_gemini)}
    if system:
        body["systemInstruction"] = {"parts": [{"text": "\n\n".join(system)}]}
    options = fields.given.get("stream_options")
    usage = isinstance(options, dict) and bool(options.get("include_usage"))
    return Asked(body, fields.text("model") or "", fields.flag("stream"), usage)


def config(fields: Fields, *, is_gemini: bool = False) -> dict[str, Any]:
    """The `generationConfig` that parameters in OpenAI's or vLLM's form stand for.

    Where they say nothing, an open model samples as vLLM does, and Gemini by its own defaults.
    """
    found: dict[str, Any] = {} if is_gemini else {"temperature": 1.0, "topP": 1.0, "topK": _NO_LIMIT}
    for target, value in (
        ("temperature", fields.number("temperature")),
        ("topP", fields.number("top_p", "topP")),
        ("topK", fields.whole("top_k", "topK")),
        ("maxOutputTokens", fields.whole("max_tokens", "max_completion_tokens", "maxOutputTokens")),
        ("candidateCount", fields.whole("n", "candidateCount")),
        ("seed", fields.whole("seed")),
        ("presencePenalty", fields.number("presence_penalty", "presencePenalty")),
        ("frequencyPenalty", fields.number("frequency_penalty", "frequencyPenalty")),
    ):
        if value is not None:
            found[target] = value
    if found.get("topK", 1) in (-1, 0):
        found["topK"] = _NO_LIMIT
    if stops := [*fields.texts("stop"), *fields.texts("stopSequences")]:
        found["stopSequences"] = stops
    if fields.flag("logprobs"):
        found["responseLogprobs"] = True
        found["logprobs"] = fields.whole("top_logprobs") or 0
    found.update(_format(fields))
    return found


def _format(fields: Fields) -> dict[str, Any]:
    if "response_format" not in fields:
        return {}
    given = Fields(fields.given["response_format"], fields.path("response_format"), fields.faults)
    kind = given.text("type")
    if kind in (None, "text"):
        return {}
    if kind == "json_object":
        return {"responseMimeType": "application/json"}
    if kind != "json_schema":
        given.fault("type", f"'{kind}' is none of text, json_object and json_schema.")
        return {}
    outer = Fields(given.given.get("json_schema"), given.path("json_schema"), fields.faults)
    schema = outer.given.get("schema")
    if not isinstance(schema, dict):
        outer.fault("schema", "It must be a JSON Schema.")
    return {"responseMimeType": "application/json", "responseJsonSchema": schema}


def _messages(fields: Fields) -> tuple[list[dict[str, Any]], list[str]]:
    """Turns, and the texts of system messages."""
    contents: list[dict[str, Any]] = []
    system: list[str] = []
    given = fields.objects("messages")
    if not given:
        fields.fault("messages", "messages is required: at least one, with role and content.")
    for index, item in enumerate(given):
        message = Fields(item, fields.path(f"messages[{index}]"), fields.faults)
        role, text = message.text("role") or "", _text(message)
        if role in _SYSTEM:
            system.append(text)
        elif role not in _ROLES:
            message.fault("role", f"'{role}' is none of system, developer, user and assistant.")
        elif contents and contents[-1]["role"] == _ROLES[role]:
            contents[-1]["parts"].append({"text": text})
        else:
            contents.append({"role": _ROLES[role], "parts": [{"text": text}]})
    return contents, system


def _text(message: Fields) -> str:
    content = message.given.get("content")
    if isinstance(content, str) and content:
        return content
    if not isinstance(content, list) or not content:
        message.fault("content", "It must be a text that is not empty, or a list of parts.")
        return ""
    texts = []
    for index, item in enumerate(content):
        part = Fields(item, message.path(f"content[{index}]"), message.faults)
        kind = part.text("type")
        if kind != "text":
            part.fault("type", f"{kind or 'No type'}: the emulator's models read text only.")
        texts.append(part.text("text") or "")
    return "".join(texts)


# Answers


def completion(answer: dict[str, Any], model: str) -> dict[str, Any]:
    """A `GenerateContentResponse` as a chat completion."""
    choices = [
        {
            "index": candidate.get("index", 0),
            "message": {"role": "assistant", "content": text_of(candidate)},
            "logprobs": _logprobs(candidate),
            "finish_reason": _FINISH.get(candidate["finishReason"], "stop"),
        }
        for candidate in answer["candidates"]
    ]
    return {**_head("chat.completion", model), "choices": choices, "usage": usage_of(answer)}


async def chunks(
    answers: AsyncGenerator[dict[str, Any]], model: str, *, usage: bool
) -> AsyncIterator[dict[str, Any]]:
    """The pieces of a streamed answer as chunks of a chat completion."""
    head = _head("chat.completion.chunk", model)
    begun: set[int] = set()
    last: dict[str, Any] = {}
    async with contextlib.aclosing(answers):
        async for answer in answers:
            for candidate in answer["candidates"]:
                index = candidate.get("index", 0)
                delta: dict[str, Any] = {} if index in begun else {"role": "assistant"}
                begun.add(index)
                if (text := text_of(candidate)) or "role" in delta:
                    delta["content"] = text
                finish = candidate.get("finishReason")
                choice = {
                    "index": index,
                    "delta": delta,
                    "logprobs": _logprobs(candidate),
                    "finish_reason": _FINISH.get(finish, "stop") if finish else None,
                }
                yield {**head, "choices": [choice]}
            last = answer
    if usage:
        yield {**head, "choices": [], "usage": usage_of(last)}


def text_of(candidate: dict[str, Any]) -> str:
    """What a candidate says."""
    return "".join(part["text"] for part in candidate.get("content", {}).get("parts", ()))


def usage_of(answer: dict[str, Any]) -> dict[str, int]:
    """Tokens, as OpenAI counts them out."""
    usage = answer["usageMetadata"]
    return {
        "prompt_tokens": usage["promptTokenCount"],
        "completion_tokens": usage.get("candidatesTokenCount", 0),
        "total_tokens": usage["totalTokenCount"],
    }


def event(data: dict[str, Any]) -> bytes:
    """A chunk as a server-sent event."""
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


DONE = b"data: [DONE]\n\n"


def _head(kind: str, model: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": model}


def _logprobs(candidate: dict[str, Any]) -> dict[str, Any] | None:
    result = candidate.get("logprobsResult")
    if result is None:
        return None
    tops = result.get("topCandidates", ())
    return {
        "content": [
            {
                **_token(chosen),
                "top_logprobs": [_token(top) for top in (tops[index]["candidates"] if tops else ())],
            }
            for index, chosen in enumerate(result["chosenCandidates"])
        ]
    }


def _token(candidate: dict[str, Any]) -> dict[str, Any]:
    text = candidate["token"]
    return {"token": text, "logprob": candidate["logProbability"], "bytes": list(text.encode())}
