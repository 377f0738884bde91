"""What a PATCH asks for."""

from __future__ import annotations

from typing import Any

from vertex_tuning import catalog
from vertex_tuning.emulator.api import Call
from vertex_tuning.emulator.filters import camel
from vertex_tuning.emulator.jobs.request import label_faults
from vertex_tuning.emulator.status import invalid


def read(call: Call, resource: str, changeable: tuple[str, ...]) -> dict[str, Any]:
    """The fields to change, with their new values.

    Without `updateMask` these are the fields of the body. A field that the mask names and the body lacks is
    emptied.

    Args:
        call: The request.
        resource: What its fields begin with in an error: `model`.
        changeable: Fields that may be changed, in camelCase.

    Raises:
        ApiError: 400, a field cannot be changed, or not to this.
    """
    mask = call.query.get("updateMask") or call.query.get("update_mask") or ""
    # `labels.team` means all labels here: they are replaced as a whole.
    named = [camel(part.strip().partition(".")[0]) for part in mask.split(",") if part.strip()]
    fields = list(changeable) if not named or named == ["*"] else named
    if unknown := [field for field in fields if field not in changeable]:
        raise invalid(("update_mask", f"These fields cannot be changed: {', '.join(unknown)}."))
    empty: dict[str, Any] = {"labels": {}}
    changes = {
        field: call.body.get(field, empty.get(field, ""))
        for field in fields
        if field in call.body or (named and named != ["*"])
    }
    faults = [(f"{resource}.labels", text) for text in label_faults(changes.get("labels", {}))]
    longest = catalog.limits("display_name")["max_bytes"]
    if "displayName" in changes and not 0 < len(changes["displayName"].encode()) <= longest:
        faults.append((f"{resource}.display_name", f"display_name must have 1 to {longest} bytes of UTF-8."))
    if faults:
        raise invalid(*faults, rule="VT640")
    return changes
