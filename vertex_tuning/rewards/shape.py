"""The shape of a reward's JSON: what each of its parts may hold.

A misspelt member would be passed over in silence, and a reward learnt that pays for something else.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from vertex_tuning.errors import Fault

TEXT, NUMBER, WHOLE, SWITCH, OBJECT = "a text", "a number", "a whole number", "true or false", "an object"
_WHOLE = re.compile(r"-?\d+")

_MATCH = {"matchOperation": TEXT, "expression": TEXT}
_PARSE = {"parseType": TEXT, "regexExtractExpression": TEXT}
_PAID = {"correctAnswerReward": NUMBER, "wrongAnswerReward": NUMBER}
_RATER = {
    "autoraterPrompt": TEXT,
    "autoraterConfig": {
        "autoraterModel": TEXT,
        "samplingCount": WHOLE,
        "flipEnabled": SWITCH,
        "generationConfig": OBJECT,
    },
    "autoraterResponseParseConfig": _PARSE,
    "parsedResponseConversionScorer": OBJECT,
    "exactMatchScorer": {"expression": TEXT, **_PAID},
}
SINGLE = {
    "rewardName": TEXT,
    "parseResponseConfig": _PARSE,
    "stringMatchRewardScorer": {
        "stringMatchExpression": _MATCH,
        "jsonMatchExpression": {"keyName": TEXT, "valueStringMatchExpression": _MATCH},
        **_PAID,
    },
    "codeExecutionRewardScorer": {"pythonCodeSnippet": TEXT},
    "autoraterScorer": _RATER,
    "cloudRunRewardScorer": {"cloudRunUri": TEXT},
}
"""Of a `singleRewardConfig`. Source: the published schema of the API, v1beta1."""
COMPOSITE = {"weightedRewardConfigs": [{"rewardConfig": SINGLE, "weight": NUMBER}]}


def read(value: Any, form: Any, path: str, faults: list[Fault]) -> Any:
    """A part of a reward with its names as Google's JSON has them; its clients also send what Python calls them.

    Args:
        value: The part.
        form: What it should be: `SINGLE`, `COMPOSITE`.
        path: Where it stands.
        faults: Get the members that there are not, and what is of another kind than it should be.
    """
    if isinstance(form, list):
        if not isinstance(value, list | tuple):
            faults.append(_kind(value, "a list", path))
            return []
        return [read(item, form[0], f"{path}[{index}]", faults) for index, item in enumerate(value)]
    if isinstance(form, str):
        if not _fits(value, form):
            faults.append(_kind(value, form, path))
        return value  # what an object holds is not ours to read: its names may be the user's own
    if not isinstance(value, Mapping):
        faults.append(_kind(value, OBJECT, path))
        return {}
    found = {}
    for name, item in members(value).items():
        where = f"{path}.{snake(name)}" if path else snake(name)
        if name in form:
            found[name] = read(item, form[name], where, faults)
        else:
            near = difflib.get_close_matches(name, form, n=1)
            fix = f"do you mean {near[0]}?" if near else f"one of: {', '.join(form)}"
            why = "It would be passed over in silence."
            faults.append(Fault("VT917", f"there is no member {name}", where, why, fix))
    return found


def members(value: Mapping[str, Any]) -> dict[str, Any]:
    """What an object holds, by the names of Google's JSON; null is nothing."""
    return {_camel(str(name)): item for name, item in value.items() if item is not None}


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def snake(name: str) -> str:
    """As Google's messages name a field."""
    return re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", name)


def _fits(value: Any, kind: str) -> bool:
    if kind == SWITCH or isinstance(value, bool):
        return kind == SWITCH and isinstance(value, bool)
    if kind == TEXT:
        return isinstance(value, str)
    if kind == OBJECT:
        return isinstance(value, Mapping)
    if isinstance(value, str):  # in Google's JSON a number may stand in quotes
        return _is_number(value) if kind == NUMBER else _WHOLE.fullmatch(value) is not None
    return isinstance(value, int) or (isinstance(value, float) and (kind == NUMBER or value.is_integer()))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _kind(value: Any, kind: str, path: str) -> Fault:
    shown = repr(value)
    shown = f"{shown[:40]}..." if len(shown) > 43 else shown
    return Fault("VT917", f"{shown} is not {kind}", path or "reward", fix=kind)
