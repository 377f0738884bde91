"""People's own preferences, taken apart for `rlhf`: pairs for the reward model, and prompts that it never sees.

One data set gives everything. A prompt belongs to one part alone, whatever the number of pairs that it has. What people preferred
is what is learnt by example, and, for the prompts that are kept back, what answers are measured against: nobody is paid by that.
"""

from __future__ import annotations

import json
import logging
import random
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from vertex_tuning import data
from vertex_tuning.errors import PipelineError
from vertex_tuning.pipelines import simulated
from vertex_tuning.pipelines.steps.data import fetch

log = logging.getLogger(__name__)

MEASURE = "token F1 of the answer against the one that people preferred, of prompts that the reward model has not seen"
_FEWEST = 40
"""Pairs to learn from."""


def take_apart(
    source: str, *, prompts: int, held_out: int, test: int, seed: int
) -> dict[str, list[dict[str, Any]]]:
    """Rows of each set, by its name: `demonstrations`, `pairs`, `held_out_pairs`, `prompts`, `held_out` and `test`.

    Args:
        source: `gs://` URI of JSONL, or a path: rows as for preference tuning.
        prompts: To be tried in reinforcement; fewer, where there are not so many.
        held_out: Prompts that are looked at while it goes on.
        test: Prompts that nothing is decided by before the end.
        seed: Another one takes them apart in another way.

    Raises:
        DatasetError: VT200 with every fault of the data; VT201, there is nothing.
        PipelineError: VT769, there are not so many.
    """
    by_prompt = _by_prompt(source)
    keys = list(by_prompt)
    random.Random(seed).shuffle(keys)
    learnt = keys[test + held_out :]
    pairs = [row for key in learnt for row in by_prompt[key]]
    if len(pairs) < _FEWEST:
        what = f"of {len(keys):,} prompts, {test + held_out:,} are kept back: {len(pairs)} pairs are left to learn from"
        fix = f"more pairs, or fewer prompts to test with and to look at; {_FEWEST} pairs are the least"
        raise PipelineError("VT769", what, where=source, fix=fix)
    judged = learnt[: max(1, len(learnt) // 6)]
    taught = learnt[len(judged) :]
    return {
        "demonstrations": [_demonstration(by_prompt[key][0]) for key in taught],
        "pairs": [row for key in taught for row in by_prompt[key]],
        "held_out_pairs": [row for key in judged for row in by_prompt[key]],
        "prompts": [_prompt(by_prompt[key][0]) for key in taught[:prompts]],
        "held_out": [_prompt(by_prompt[key][0]) for key in keys[test : test + held_out]],
        "test": [_prompt(by_prompt[key][0]) for key in keys[:test]],
    }


def _by_prompt(source: str) -> dict[str, list[dict[str, Any]]]:
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "preferences.jsonl"
        fetch(source, str(path))
        data.check(path, method="preference").raise_for_faults()
        for row in data.read(path):
            found[json.dumps(_asked(row), sort_keys=True)].append(row)
    log.info("%s prompts", len(found))
    return found


def _asked(row: dict[str, Any]) -> dict[str, Any]:
    """What is asked in a row, and how."""
    return {name: row[name] for name in ("systemInstruction", "contents") if name in row}


def _preferred(row: dict[str, Any]) -> dict[str, Any]:
    turn: dict[str, Any] = max(row["completions"], key=lambda one: float(one["score"]))["completion"]
    return turn


def _demonstration(row: dict[str, Any]) -> dict[str, Any]:
    asked = _asked(row)
    return {**asked, "contents": [*asked["contents"], {"role": "model", **_preferred(row)}]}


def _prompt(row: dict[str, Any]) -> dict[str, Any]:
    words = "".join(part.get("text", "") for part in _preferred(row)["parts"])
    return {**_asked(row), "references": {simulated.REFERENCE: words}}
