"""`publishers/*/models`: the base models. Google serves them without a project in the path, and so do we."""

from __future__ import annotations

from typing import Any

from vertex_tuning import catalog
from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.listing import page_of
from vertex_tuning.emulator.status import not_found

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
    name = model if publisher == "google" else f"{publisher}/{model}"
    for base in catalog.models().values():
        # Without a version: the first that there is.
        if name in (base.id, base.id.partition("@")[0], base.id.removeprefix("google/")):
            return _body(base)
    raise not_found(f"Publisher Model `publishers/{publisher}/models/{model}`")


async def _list(call: Call) -> dict[str, Any]:
    publisher = call.path["publisher"]
    found = [_body(model) for model in catalog.models().values() if publisher in (model.publisher, "-", "*")]
    return page_of(found, call.query, "publisherModels")


for _prefix in _PREFIXES:
    routes.get(f"{_prefix}publishers/{{publisher}}/models/{{model}}", response="PublisherModel")(_get)
    routes.get(f"{_prefix}publishers/{{publisher}}/models", response="ListPublisherModelsResponse")(_list)
