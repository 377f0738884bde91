"""Model x method x region x mode x adapter size: each is on offer, or the nearest that is is named, and is."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

import pytest

import vertex_tuning
from vertex_tuning import PreferenceTuning, ReinforcementTuning, SpecError, SupervisedTuning, catalog, rewards
from vertex_tuning.catalog import Combination, fit
from vertex_tuning.specs import Spec

REGIONS = (
    None,
    "us-central1",
    "europe-west4",
    "asia-east1",
    "global",
    "us",
    "eu",
    "me-west1",
    "mars-north1",
    "",
)
SIZES = (None, 0, 1, 2, 4, 8, 16, 32, 64)
MODES = (None, "adapter", "full")


@cache
def spec(model: str, method: str, mode: str | None, size: int | None) -> Spec | tuple[str, ...]:
    """The spec of a combination, or the rules that it breaks."""
    base = catalog.base_model(model)
    fields: dict[str, Any] = {"base_model": model, "training": "t.jsonl", "adapter_size": size}
    kinds: dict[str, Any] = {
        "supervised": SupervisedTuning,
        "preference": PreferenceTuning,
        "reinforcement": ReinforcementTuning,
        "distillation": getattr(vertex_tuning, "Distillation", None),
    }
    if method in ("supervised", "distillation"):
        fields |= {"mode": mode} | ({"output_uri": "gs://b/o"} if base.open else {})
    if method == "distillation":
        fields["teacher"] = next(iter(base.teachers), "gemini-3.1-pro")
    if method == "reinforcement":
        fields["reward"] = rewards.exact_match("{{references.answer}}")
    try:
        return kinds[method](**fields)
    except SpecError as error:
        return tuple(sorted({fault.rule for fault in error.faults}))


def refusal(asked: Combination) -> tuple[str, ...]:
    """The rules that a combination breaks as a spec; none where it can be sent."""
    made = spec(asked.model, asked.method, asked.mode, asked.adapter_size)
    if isinstance(made, tuple):
        return made
    try:
        if asked.region is not None:
            made.check_location(asked.region)
    except SpecError as error:
        return (error.rule,)
    return ()


def expressible(method: str) -> bool:
    """Whether there is a spec for a method."""
    return method != "distillation" or hasattr(vertex_tuning, "Distillation")


@pytest.mark.parametrize("model", catalog.models())
def test_every_combination_passes_or_names_a_nearest_one_that_does(model):
    for method, region, mode, size in product(catalog.METHODS, REGIONS, MODES, SIZES):
        if mode == "full" and method in ("preference", "reinforcement"):
            continue  # These specs have no such field.
        found = fit(model, method, region=region, mode=mode, adapter_size=size)
        assert found.ok == (found.nearest == found.asked), found
        again = fit(
            found.nearest.model,
            found.nearest.method,
            region=found.nearest.region,
            mode=found.nearest.mode,
            adapter_size=found.nearest.adapter_size,
        )
        assert again.ok, found
        assert found.nearest.method == method
        # What was left out stays left out; what was wrong, and only that, has changed.
        wrong = {fault.where for fault in found.faults}
        if "base_model" not in wrong:
            assert found.nearest.model == model
            assert (found.nearest.region == region) == ("location" not in wrong)
            assert (found.nearest.mode == mode) == ("mode" not in wrong)
            assert (found.nearest.adapter_size == size) == ("adapter_size" not in wrong)
        if not expressible(method):
            continue
        assert refusal(found.nearest) == (), found
        # A spec and the catalog break the same rules; a spec meets its region last.
        rules = {fault.rule for fault in found.faults}
        assert set(refusal(found.asked)) == (rules - {"VT305"} or rules), found


@pytest.mark.parametrize("model", catalog.models())
def test_every_fault_says_what_to_do_and_who_says_so(model):
    for method, region, size in product(catalog.METHODS, ("mars-north1", "us"), (3, 64)):
        found = fit(model, method, region=region, mode="full", adapter_size=size)
        for fault in found.faults:
            assert fault.fix
            assert fault.why
            assert str(fault).startswith(fault.rule)
        named = " ".join(fault.fix for fault in found.faults)
        if found.nearest.model != model:
            assert found.nearest.model in named
        elif "location" in {fault.where for fault in found.faults}:
            assert f"location={found.nearest.region}" in named


def test_a_region_that_one_method_lacks_is_refused_for_it_alone():
    assert fit("gemini-3.5-flash", "supervised", region="europe-west4").ok
    found = fit("gemini-3.5-flash", "reinforcement", region="europe-west4")
    assert [fault.rule for fault in found.faults] == ["VT305"]
    assert found.nearest.region == "us-central1"
    assert not fit("gemini-2.5-flash", "distillation", region="europe-west4").ok


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [
        (("gemini-2.5-flash", "reinforcement"), "gemini-3.5-flash"),
        (("gemini-2.5-pro", "preference"), "gemini-2.5-flash"),
        (("gemini-2.5-flash-lite", "distillation"), "gemini-2.5-flash"),
        (("meta/llama3_1@llama-3.1-8b", "distillation"), "meta/llama3_1@llama-3.1-8b-instruct"),
        (("qwen/qwen3-5@qwen3.5-9b", "distillation"), "qwen/qwen3@qwen3-8b"),
        (("qwen/qwen3@qwen3-4b", "preference"), "gemini-2.5-flash-lite"),
        (("deepseek-ai/deepseek-v3.2-maas", "preference"), "gemini-2.5-flash"),
    ],
)
def test_the_nearest_model_takes_the_method_and_is_like_what_was_meant(asked, nearest):
    assert fit(*asked).nearest.model == nearest


def test_a_retired_model_is_the_nearest_to_nothing_but_itself():
    for model, method in product(catalog.models(), catalog.METHODS):
        nearest = fit(model, method).nearest.model
        assert nearest == model or not catalog.base_model(nearest).retired


@pytest.mark.parametrize(("written", "meant"), [("supervized", "supervised"), ("rlhf", ""), ("", "")])
def test_a_way_of_tuning_that_there_is_not_is_told_with_those_there_are(written, meant):
    with pytest.raises(SpecError) as caught:
        fit("gemini-2.5-flash", written)
    assert (caught.value.rule, caught.value.fault.where) == ("VT370", "method")
    assert caught.value.fault.fix.startswith(meant)
    assert all(method in caught.value.fault.fix for method in catalog.METHODS)


def test_a_model_that_is_not_known_is_an_error_with_the_nearest_name():
    with pytest.raises(SpecError, match="VT301"):
        fit("gemini-9", "supervised")


def test_a_combination_reads_as_a_sentence():
    full = Combination("gemini-2.5-flash", "supervised", "us-central1", "adapter", 8)
    assert str(full) == "gemini-2.5-flash, supervised tuning, in us-central1, mode adapter, adapter size 8"
    assert str(Combination("gemini-2.5-flash", "distillation")) == "gemini-2.5-flash, distillation"
    assert full.to_json()["adapter_size"] == 8
