"""What a pipeline may have that is to run everywhere: each trap is refused by its rule."""

from __future__ import annotations

import contextlib
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kfp import dsl

from tests.pipelines import authored
from vertex_tuning.errors import PipelineError
from vertex_tuning.pipelines import compiled
from vertex_tuning.pipelines.lint import check, lint

REFUSED = [
    (authored.a_container, "VT738", "container component"),
    (authored.packages, "VT738", "installs packages"),
    (authored.kfp_itself, "VT738", "installs packages"),
    (authored.latest, "VT739", "steps:latest"),
    (authored.no_tag, "VT739", "localhost:5000/steps"),
    (authored.artifact_into_a_group, "VT740", "into a group"),
    (authored.artifact_into_a_pipeline, "VT740", "into a group"),
    (authored.one_of_artifacts, "VT741", "one of several"),
    (authored.quotation, "VT742", "it's"),
    (authored.two_texts, "VT742", "too clever"),
    (authored.several_outputs, "VT742", "one output of several"),
    (authored.an_output_from_above, "VT742", "outside of its group"),
    (authored.loop_over_nothing, "VT743", "empty list"),
    (authored.importer_in_a_loop, "VT743", "importer"),
    (authored.loop_in_an_exit_handler, "VT744", "loop"),
    (authored.exit_handler_below, "VT744", "inside a group"),
    (authored.after_a_failure, "VT744", "inside a group"),
    (authored.no_default, "VT745", "word"),
    (authored.dynamic, "VT746", "is a parameter"),
    (authored.of_kubeflow, "VT746", "nvidia.com/gpu"),
    (authored.a_time, "VT747", "create_time"),
    (authored.a_resource_name, "VT747", "resource_name"),
    (authored.cache_key, "VT737", "cacheKey"),
    (authored.google_artifact, "VT737", "google.VertexModel"),
]


@pytest.mark.parametrize(("body", "rule", "words"), REFUSED, ids=[body.__name__ for body, _, _ in REFUSED])
def test_what_does_not_run_everywhere_is_refused(body, rule, words):
    faults = lint(authored.compile_(body))
    assert {fault.rule for fault in faults} >= {rule}, [str(fault) for fault in faults]
    assert any(words in fault.what for fault in faults if fault.rule == rule), [str(one) for one in faults]
    assert all(fault.fix or fault.why for fault in faults)


@pytest.mark.parametrize("body", [authored.portable, authored.looping], ids=lambda body: body.__name__)
@pytest.mark.parametrize("target", compiled.TARGETS)
def test_what_runs_everywhere_is_let_through(body, target):
    assert lint(authored.compile_(body), target=target) == []


def test_a_workspace_is_a_second_document():
    config = dsl.PipelineConfig(workspace=dsl.WorkspaceConfig(size="1Gi"))
    faults = lint(authored.compile_(authored.workspace, pipeline_config=config))
    assert [fault.rule for fault in faults] == ["VT736"]


def test_an_accelerator_has_the_name_of_its_target():
    found = authored.compile_(authored.of_vertex)
    assert lint(found) == []
    assert [fault.rule for fault in lint(found, target="kubeflow")] == ["VT746"]


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"schemaVersion": "2.2.0"}, "schemaVersion"),
        ({"customPath": "x"}, "customPath"),
    ],
)
def test_a_field_of_tomorrow_is_refused(fields, where):
    faults = lint(authored.changed(**fields))
    assert [fault.rule for fault in faults] == ["VT737"]
    assert where in faults[0].where


def test_all_faults_are_told_at_once():
    with pytest.raises(PipelineError) as caught:
        check(authored.compile_(authored.three_faults))
    assert caught.value.rule == "VT748"
    assert {fault.rule for fault in caught.value.faults} == {"VT739", "VT745", "VT747"}


@pytest.mark.parametrize("target", compiled.TARGETS)
@pytest.mark.parametrize("name", compiled.names())
def test_ours_run_everywhere(name, target):
    check(compiled.load(name, target=target), target=target)


@pytest.mark.parametrize("target", compiled.TARGETS)
@pytest.mark.parametrize("name", compiled.names())
def test_steps_of_ours_import_what_there_is(name, target):
    """A body is text to every tool: what it imports and calls must be there."""
    import importlib

    found = compiled.load(name, target=target)
    for executor in found.spec["deploymentSpec"]["executors"].values():
        source = executor["container"]["command"][-1]
        imports = r"from vertex_tuning\.pipelines\.steps import (\w+)(?: as (\w+))?"
        for module, alias in re.findall(imports, source):
            loaded = importlib.import_module(f"vertex_tuning.pipelines.steps.{module}")
            called = re.findall(rf"\b{alias or module}\.(\w+)\(", source)
            assert called, source
            assert all(callable(getattr(loaded, one)) for one in called)
    assert "vertex_tuning" in json.dumps(found.spec)


ODD = st.sampled_from([None, [], {}, "", "{{", 5, -1.5, True, ["x"], {"x": {}}])


def places(value, path=()):
    """Where something could be replaced."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


SPEC = compiled.load("preference").spec
PLACES = list(places(SPEC))


@settings(max_examples=300, deadline=None)
@given(place=st.sampled_from(PLACES), odd=ODD)
def test_whatever_stands_in_a_file_there_are_words_for_it(place, odd):
    spec = json.loads(json.dumps(SPEC))
    holder = spec
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = odd
    with contextlib.suppress(PipelineError):
        for fault in lint(compiled.compiled([spec], "odd.yaml")):
            assert fault.what


def test_a_pipeline_within_itself_is_told():
    spec = json.loads(json.dumps(SPEC))
    spec["components"]["comp-exit-handler-1"]["dag"]["tasks"]["check-data"]["componentRef"] = {
        "name": "comp-exit-handler-1"
    }
    with pytest.raises(PipelineError) as caught:
        compiled.compiled([spec], "odd.yaml")
    assert caught.value.rule == "VT731"
