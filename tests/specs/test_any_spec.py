"""Whatever a field is given, what is wrong with it is told: by its name and by a rule, never by a library's own error."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from vertex_tuning import (
    Distillation,
    PreferenceTuning,
    ReinforcementTuning,
    SpecError,
    SupervisedTuning,
    catalog,
    rewards,
)

GOOD: dict[type[Any], dict[str, Any]] = {
    SupervisedTuning: {"base_model": "gemini-2.5-flash"},
    PreferenceTuning: {"base_model": "gemini-2.5-flash"},
    Distillation: {"base_model": "gemini-2.5-flash", "teacher": "gemini-3.1-pro"},
    ReinforcementTuning: {"base_model": "gemini-3.5-flash", "reward": rewards.contains("a")},
}
STRANGE = [
    None,
    "",
    0,
    -1,
    10**30,
    1.5,
    float("nan"),
    "x",
    [],
    [1],
    {},
    {"a": 1},
    object(),
    b"x",
    True,
    "\ud800",
]
SPECS = pytest.mark.parametrize("kind", GOOD, ids=lambda kind: kind.__name__)


@SPECS
def test_what_is_left_out_is_named(kind):
    good = {**GOOD[kind], "training": "t.jsonl"}
    kind(**good)
    for name in good:
        with pytest.raises(SpecError) as caught:
            kind(**{field: value for field, value in good.items() if field != name})
        assert (caught.value.rule, caught.value.fault.where) == ("VT315", name)
        assert kind.__name__ in caught.value.fault.fix
    with pytest.raises(SpecError) as caught:
        kind()
    assert {fault.where for fault in caught.value.faults} == good.keys()


@SPECS
def test_a_strange_value_is_taken_or_told(kind):
    good = {**GOOD[kind], "training": "t.jsonl"}
    for name in (*kind.model_fields, "nonsense"):
        for value in STRANGE:
            with contextlib.suppress(SpecError):
                kind(**{**good, name: value})


@SPECS
def test_a_model_that_there_is_not_is_told_the_nearest_that_takes_this_way_of_tuning(kind):
    """Whoever follows the cure is not refused again."""
    with pytest.raises(SpecError) as caught:
        kind(**{**GOOD[kind], "training": "t.jsonl", "base_model": "gemini-9"})
    assert caught.value.rule == "VT301"
    named = caught.value.fault.fix.removeprefix("use ").split(" or ")
    assert named
    for name in named:
        assert kind.method in catalog.base_model(name).methods
