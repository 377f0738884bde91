"""Compute Engine: network attachments, and nothing else of it."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.listing import page_of

routes = Routes("compute.googleapis.com")

_ATTACHMENTS = "compute/v1/projects/{project}/regions/{region}/networkAttachments"


@routes.get(f"{_ATTACHMENTS}/{{attachment}}")
async def get(call: Call) -> dict[str, Any] | JSONResponse:
    """An attachment; that there is none is said in Compute Engine's own way."""
    name = f"{_parent(call)}/networkAttachments/{call.path['attachment']}"
    found = call.emulator.db.get(name)
    if found is not None:
        return found.body
    message = f"The resource '{name}' was not found"
    errors = [{"message": message, "domain": "global", "reason": "notFound"}]
    return JSONResponse({"error": {"code": 404, "message": message, "errors": errors}}, 404)


@routes.get(_ATTACHMENTS)
async def list_attachments(call: Call) -> dict[str, Any]:
    """Of a region."""
    rows = call.emulator.db.list("networkAttachments", _parent(call), newest_first=False)
    size = {"pageSize": call.query["maxResults"]} if "maxResults" in call.query else {}
    found = page_of([row.body for row in rows], {**call.query, **size}, "items")
    return {"kind": "compute#networkAttachmentList", "id": f"{_parent(call)}/networkAttachments", **found}


def _parent(call: Call) -> str:
    return f"{call.emulator.project.name_of(call.path['project'])}/regions/{call.path['region']}"
