"""Resources that a project was provisioned with: looked up and listed by the same names that Google gives them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vertex_tuning.emulator.api import Call
from vertex_tuning.emulator.listing import page_of
from vertex_tuning.emulator.status import ApiError, Code


def name_of(call: Call, path: str) -> str:
    """The full name of what a path names, with the project by its id, whatever the caller used."""
    project = call.emulator.project.id_of(call.path["project"])
    return path.format(**{**call.path, "project": project})


def found(call: Call, path: str, words: Callable[[str], str]) -> dict[str, Any]:
    """The body of a resource.

    Args:
        call: The request.
        path: Of the resource, with the variables of the route.
        words: What is said of a name that is not there.

    Raises:
        ApiError: 404.
    """
    name = name_of(call, path)
    row = call.emulator.db.get(name)
    if row is None:
        raise ApiError(Code.NOT_FOUND, words(name))
    return row.body


def listed(call: Call, key: str, path: str, *, kind: str = "", total: bool = False) -> dict[str, Any]:
    """A page of a collection, the oldest first.

    Args:
        call: The request.
        key: The list's field in the answer.
        path: Of the collection.
        kind: Under which it is kept; as `key` where nobody says.
        total: Whether the answer counts all of them.
    """
    parent = name_of(call, path).rpartition("/")[0]
    bodies = [row.body for row in call.emulator.db.list(kind or key, parent, newest_first=False)]
    query = {name: value for name, value in call.query.items() if name in ("pageSize", "pageToken")}
    answer = page_of(bodies, query, key)
    return {**answer, "totalSize": len(bodies)} if total else answer
