"""Asking a deployed model as one asks a container: `:predict`, `:rawPredict`, and chat completions in OpenAI's form."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import Response, StreamingResponse

from vertex_tuning.emulator.api import Call, Routes, read
from vertex_tuning.emulator.jobs import ServedModel
from vertex_tuning.emulator.routes.generation import generation_of, served_by
from vertex_tuning.emulator.routes.streams import while_connected
from vertex_tuning.emulator.serving import completions, instances
from vertex_tuning.emulator.serving.fields import Fields
from vertex_tuning.emulator.status import ApiError
from vertex_tuning.emulator.wire import parse_json
from vertex_tuning.emulator.wire.values import Bad, read_bytes

routes = Routes()

_L = "projects/{project}/locations/{location}"
_ENDPOINT = f"{_L}/endpoints/{{endpoint}}"
_TARGETS = (_ENDPOINT, f"{_L}/publishers/{{publisher}}/models/{{model}}")
_OPENAPI = "openapi"
"""The endpoint that stands for every publisher's model: the request's `model` says which."""


async def _predict(call: Call) -> dict[str, Any] | Response:
    served = served_by(call)
    found = await while_connected(call, _predictions(call, served, call.body))
    answer = {**found, **_who(served)}
    return _json(answer) if call.is_dedicated else answer


async def _predictions(call: Call, served: ServedModel, body: dict[str, Any]) -> dict[str, Any]:
    found = await instances.predict(generation_of(call), served, body)
    # An endpoint's own host passes on what the container says, and of one chat that is no list.
    whole = call.is_dedicated and len(found) == 1 and isinstance(found[0], dict)
    return {"predictions": found[0] if whole else found}


def _who(served: ServedModel) -> dict[str, Any]:
    """Which deployed model answered, in the fields of a `PredictResponse`."""
    chosen = served.deployed
    if chosen is None:
        return {}
    return {
        "deployedModelId": chosen.id,
        "model": chosen.version.parent,
        "modelVersionId": chosen.version.body["versionId"],
        "modelDisplayName": chosen.version.body.get("displayName", ""),
    }


async def _raw_predict(call: Call) -> Response:
    """Whatever the container takes: `instances`, a chat, or a prompt."""
    data = await read(call.request)
    body = parse_json(data) if data.strip() else {}
    wrapped = isinstance(body, dict) and set(body) == {"httpBody"}
    if wrapped:
        body = _unwrapped(body["httpBody"])  # as the generated clients send it over REST
    fields = Fields(body, "")
    fields.check(instances.RULE)
    served = served_by(call)
    instances.refuse_gemini(served)
    if "messages" in fields and "instances" not in fields:
        response = await _complete(call, fields, served, served.name)
    else:
        given = body if "instances" in fields else {"instances": [body]}
        found = await while_connected(call, _predictions(call, served, given))
        response = _json(_http_body(found) if wrapped else found)
    who = _who(served)
    if who:
        response.headers["x-vertex-ai-endpoint-id"] = call.path["endpoint"]
        response.headers["x-vertex-ai-deployed-model-id"] = who["deployedModelId"]
        response.headers["x-vertex-ai-model"] = who["model"]
        response.headers["x-vertex-ai-model-version-id"] = who["modelVersionId"]
    return response


async def _chat(call: Call) -> Response:
    data = await read(call.request)
    body = parse_json(data) if data.strip() else {}
    fields = Fields(body, "")
    if call.path["endpoint"] != _OPENAPI:
        served = served_by(call)
        return await _complete(call, fields, served, served.name)
    publisher, _, model = (fields.text("model") or "").partition("/")
    if not model or "/" in model:
        fields.fault("model", "model is required, as PUBLISHER/MODEL: google/gemini-2.5-flash.")
        completions.read(fields)
    fields.check(completions.RULE)
    served = call.emulator.jobs.served(f"{call.parent}/publishers/{publisher}/models/{model}")
    return await _complete(call, fields, served, f"{publisher}/{model}")


async def _complete(call: Call, fields: Fields, served: ServedModel, model: str) -> Response:
    asked = completions.read(fields, is_gemini=served.is_gemini)
    fields.check(completions.RULE)
    generation = generation_of(call)
    if not asked.stream:
        answer = await while_connected(call, generation.generate(served, asked.body))
        return _json(completions.completion(answer, model))
    chunks = completions.chunks(generation.stream(served, asked.body), model, usage=asked.usage)
    # What is wrong with the request shows before the first chunk, and is an ordinary error.
    first = await while_connected(call, anext(chunks))
    return StreamingResponse(_events(first, chunks), media_type="text/event-stream")


async def _events(first: dict[str, Any], rest: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    yield completions.event(first)
    try:
        async for chunk in rest:
            yield completions.event(chunk)
        yield completions.DONE
    except ApiError as error:
        # The status line is long gone: clients look for an error among the chunks.
        yield completions.event(error.body())


def _unwrapped(given: Any) -> Any:
    fields = Fields(given, "http_body")
    try:
        data = base64.b64decode(read_bytes(fields.text("data") or ""))
    except Bad:
        fields.fault("data", "It must be base64.")
    fields.check(instances.RULE)
    return parse_json(data)


def _http_body(found: dict[str, Any]) -> dict[str, Any]:
    data = json.dumps(found, ensure_ascii=False).encode()
    return {"contentType": "application/json", "data": base64.b64encode(data).decode()}


def _json(body: dict[str, Any]) -> Response:
    return Response(
        json.dumps(body, ensure_ascii=False).encode(), media_type="application/json; charset=UTF-8"
    )


for _target in _TARGETS:
    routes.post(f"{_target}:predict", request="PredictRequest", response="PredictResponse")(_predict)
    routes.post(f"{_target}:rawPredict")(_raw_predict)
    routes.post(f"{_target}:streamRawPredict")(_raw_predict)
routes.post(f"{_ENDPOINT}/chat/completions")(_chat)
