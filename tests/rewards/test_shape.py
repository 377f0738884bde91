"""Whatever a part of a reward's JSON holds, it is taken or told: never an error of a library's own."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import pytest

from vertex_tuning import RewardError, rewards

SAID = {"matchOperation": "EXACT_MATCH", "expression": "{{references.answer}}"}
STRING = {"stringMatchRewardScorer": {"correctAnswerReward": 1, "stringMatchExpression": SAID}}
JUDGE = {
    "autoraterPrompt": "{{response}}",
    "autoraterConfig": {
        "autoraterModel": "projects/p/locations/us-central1/publishers/google/models/gemini-2.5-flash",
        "samplingCount": 2,
        "generationConfig": {"temperature": 0},
    },
    "exactMatchScorer": {"expression": "a", "correctAnswerReward": 1},
}
PARSE = {"parseType": "REGEX_EXTRACT", "regexExtractExpression": "a(.)"}
GOOD: list[dict[str, Any]] = [
    {"singleRewardConfig": {"rewardName": "x", "parseResponseConfig": PARSE, **STRING}},
    {
        "singleRewardConfig": {
            "codeExecutionRewardScorer": {"pythonCodeSnippet": "def evaluate(e, r): return 1"}
        }
    },
    {"singleRewardConfig": {"cloudRunRewardScorer": {"cloudRunUri": "https://x.a.run.app"}}},
    {
        "compositeRewardConfig": {
            "weightedRewardConfigs": [{"weight": 1, "rewardConfig": {"autoraterScorer": JUDGE}}]
        }
    },
]
STRANGE = [
    None,
    "",
    0,
    -1,
    1.5,
    True,
    [],
    {},
    [1],
    {"a": 1},
    10**40,
    float("nan"),
    "NaN",
    "\ud800",
    b"x",
    object(),
]
DEEP = ["(" * 300, "-" * 100_000 + "1"]


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from places(item, (*at, key))


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("good", GOOD)
def test_any_part_may_hold_anything(good, strict):
    read = rewards.from_json(good, strict=strict)
    assert rewards.from_json(read.request()) == read
    for at in places(good):
        for strange in (*STRANGE, *DEEP):
            config = copy.deepcopy(good)
            part: Any = config
            for key in at[:-1]:
                part = part[key]
            if at:
                part[at[-1]] = strange
            with contextlib.suppress(RewardError):
                rewards.from_json(config if at else strange, strict=strict)
