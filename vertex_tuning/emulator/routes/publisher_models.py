"""`publishers/*/models`: the base models. Google serves them without a project in the path, and so do we."""

from __future__ import annotations

from typing import Any

from vertex_tuning import catalog
from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.listing import page
from vertex_tuning.emulator.state import Resource
from vertex_tuning.emulator.status import not_found
from vertex_tuning.errors import SpecError

routes = Routes()

_PREFIXES = ("", "projects/{project}/locations/{location}/")


def _body(model: catalog.BaseModel) -> dict[str, Any]:
    short, _, version = model.id.rpartition("/")[2].partition("@")
    return {
        "name": f"publishers/{model.publisher}/models/{short}",
        "versionId": version or "default",
        "launchStage": "GA",
        "openSourceCategory": "GOOGLE_OWNED_OSS_WITH_GOOGLE_CHECKPOINT" if model.open else "PROPRIETARY",
        "supportedActions": {},
    }


async def _get(call: Call) -> dict[str, Any]:
    publisher, model = call.path["publisher"], call.path["model"]
    try:
        return _body(catalog.base_model(model if publisher == "google" else f"{publisher}/{model}"))
    except SpecError as error:
        raise not_found(f"Publisher Model `publishers/{publisher}/models/{model}`") from error


async def _list(call: Call) -> dict[str, Any]:
    publisher = call.path["publisher"]
    found = [
        Resource(body["name"] + "@" + body["versionId"], "publisherModels", "", body)
        for model in catalog.models().values()
        if model.publisher == publisher or publisher == "-"
        for body in [_body(model)]
    ]
    return page(found, call.query, "publisherModels")


for _prefix in _PREFIXES:
    routes.get(f"{_prefix}publishers/{{publisher}}/models/{{model}}", response="PublisherModel")(_get)
    routes.get(f"{_prefix}publishers/{{publisher}}/models", response="ListPublisherModelsResponse")(_list)
