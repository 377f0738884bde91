"""What a grader sees of a row beside the chat, as the references of a row for reinforcement tuning: texts by name.

    {"answer": "4", "limits": {"least": 1}}
    -> {"answer": "4", "limits": '{"least": 1}', "limits_least": "1", "item_json": '{"limits": {"least": 1}}'}

Each member is a reference: a string as it is, anything else as JSON. What lies deeper has a name too, joined by `_`, for the
expressions of a reward; and `item_json` holds the members that were no strings, for code that wants their types back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

ITEM = "item_json"
"""The reference that keeps the types."""


def references_of(
    item: Mapping[str, Any], *, twice: Callable[[str], None] = lambda _name: None
) -> dict[str, str]:
    """The references that say what an item says.

    Args:
        item: Members of a row that are not the chat: JSON values.
        twice: Told each name that stands for two different values, as `a_b` and `b` in `a` do.

    Returns:
        Texts by name. Of two with one name a member of the item goes before what lies deeper, and the first before a later one.
    """
    references = {name: _text(value) for name, value in item.items()}
    for name, value in item.items():
        for path, below in _below(name, value):
            if references.setdefault(path, text := _text(below)) != text:
                twice(path)
    typed = {name: value for name, value in item.items() if not isinstance(value, str)}
    if typed:
        references.setdefault(ITEM, _text(typed))
    return references


def said_once(references: Mapping[str, Any]) -> dict[str, Any]:
    """References without those that only hold others, and without `item_json`: what a row says, each thing once."""
    try:
        typed = json.loads(references.get(ITEM, "{}"))
        places = [*typed.items(), *(place for name, value in typed.items() for place in _below(name, value))]
    except (TypeError, ValueError, AttributeError, RecursionError):
        return dict(references)  # the name is somebody else's
    holding = {name for name, value in places if isinstance(value, dict | list) and value}
    return {name: value for name, value in references.items() if name != ITEM and name not in holding}


def _below(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What lies in a value, at any depth, and its name."""
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, member in members:
        below = f"{path}_{name}"
        yield below, member
        yield from _below(below, member)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
