"""The pipelines that come with the package: what they take, and that their YAML is what their sources say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from kfp import components

from vertex_tuning.errors import PipelineError
from vertex_tuning.pipelines import compiled

ROOT = Path(__file__).parents[2]


def test_compiled_again_they_are_the_same():
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.compile", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_stale_file_is_noticed(tmp_path, monkeypatch, capsys):
    from pipelines import compile as compiling

    monkeypatch.setattr(compiling, "FOLDER", tmp_path / "compiled")
    monkeypatch.setattr(sys, "argv", ["compile"])
    assert compiling.main() == 0
    path = tmp_path / "compiled" / "vertex" / "supervised.yaml"
    path.write_text(path.read_text() + "# more\n")
    (path.parent / "gone.yaml").write_text("")
    monkeypatch.setattr(sys, "argv", ["compile", "--check"])
    assert compiling.main() == 1
    said = capsys.readouterr().out
    assert "vertex/supervised.yaml" in said
    assert "vertex/gone.yaml" in said
    assert "kubeflow" not in said


@pytest.mark.parametrize("target", compiled.TARGETS)
@pytest.mark.parametrize("name", compiled.names())
def test_kfp_loads_them(name, target):
    found = compiled.load(name, target=target)
    loaded = components.load_component_from_file(found.source)
    assert loaded.name == name
    assert set(loaded.component_spec.inputs) == set(found.parameters)


@pytest.mark.parametrize("name", compiled.names())
def test_what_they_take_is_told_in_words(name):
    found = compiled.load(name)
    assert found.description
    assert found.steps[-1] == "clean-up"
    for parameter in found.parameters.values():
        assert len(parameter.description) > 10, parameter.name


def test_each_of_them_is_on_the_page():
    page = (ROOT / "docs" / "pipelines.md").read_text(encoding="utf-8")
    assert [name for name in compiled.names() if f"| `{name}` |" not in page] == []


def test_their_targets_differ_in_machines_alone():
    def without(target):
        spec = compiled.load("supervised", target=target).spec
        for executor in spec["deploymentSpec"]["executors"].values():
            del executor["container"]["resources"]
        return spec

    assert without("vertex") == without("kubeflow")


# Parameters


@pytest.mark.parametrize(
    ("given", "typed"),
    [
        ({"epochs": "3", "deploy": "True", "margin": "-0.5"}, {"epochs": 3, "deploy": True, "margin": -0.5}),
        ({"epochs": 3.0, "margin": 1}, {"epochs": 3, "margin": 1.0}),
        ({"display_name": "7"}, {"display_name": "7"}),
    ],
)
def test_parameters_are_typed(given, typed):
    found = compiled.load("supervised").check({"training_data": "gs://b/a.jsonl", **given})
    assert found == {"training_data": "gs://b/a.jsonl", **typed}
    assert [type(found[name]) for name in typed] == [type(value) for value in typed.values()]


@pytest.mark.parametrize(
    ("given", "rule", "words"),
    [
        ({"trainng_data": "x"}, "VT732", "do you mean training_data"),
        ({"epochs": "many"}, "VT734", '"many" is not a whole number'),
        ({"epochs": 1.5}, "VT734", "1.5 is not a whole number"),
        ({"epochs": True}, "VT734", "true is not a whole number"),
        ({"margin": "NaN"}, "VT734", "not a finite number"),
        ({"deploy": "yes"}, "VT734", '"yes" is not true or false'),
        ({"display_name": 7}, "VT734", "7 is not a text"),
        ({"base_model": None}, "VT734", "null is not a text"),
    ],
)
def test_what_a_pipeline_does_not_take_is_refused(given, rule, words):
    with pytest.raises(PipelineError) as caught:
        compiled.load("supervised").check({"training_data": "x", **given})
    assert caught.value.rule == rule
    assert words in str(caught.value)


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(PipelineError) as caught:
        compiled.load("supervised").check({"epochs": "x", "nonsense": 1})
    assert caught.value.rule == "VT735"
    assert [fault.rule for fault in caught.value.faults] == ["VT734", "VT732", "VT733"]


def test_a_list_and_an_object_are_told_as_json():
    one = compiled.Parameter("a", "LIST")
    other = compiled.Parameter("b", "STRUCT")
    assert one.typed("[1, 2]") == [1, 2]
    assert other.typed('{"a": 1}') == {"a": 1}
    for parameter, value in ((one, "{}"), (other, "[]"), (one, "nonsense")):
        with pytest.raises(ValueError, match=r"a list|an object"):
            parameter.typed(value)


# Files


def test_a_name_that_is_nearly_one_is_understood():
    with pytest.raises(PipelineError, match="do you mean supervised") as caught:
        compiled.load("supervized")
    assert caught.value.rule == "VT730"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "there is no such file"),
        ("", "there is no object"),
        ("- a", "it is a list"),
        ("a: [", "not YAML"),
        ("\x00", "not YAML"),
        ("pipelineInfo: {name: x}", "root.dag is missing"),
        ("pipelineInfo: {}", "pipelineInfo.name is missing"),
        ("pipelineSpec: {}", "a whole job"),
    ],
)
def test_a_file_that_is_no_pipeline_is_told(tmp_path, text, words):
    path = tmp_path / "my.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(PipelineError) as caught:
        compiled.load(str(path))
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_pipeline_may_be_json(tmp_path):
    path = tmp_path / "my.json"
    path.write_text(json.dumps(compiled.load("supervised").spec))
    assert compiled.load(str(path)).name == "supervised"


def test_our_image_gets_the_name_that_it_has_there():
    found = compiled.load("supervised")
    spec = found.prepared(
        image="eu-docker.pkg.dev/p/r/own@sha256:1", environment={"VERTEX_TUNING_PROJECT": "p"}
    )
    for executor in spec["deploymentSpec"]["executors"].values():
        assert executor["container"]["image"] == "eu-docker.pkg.dev/p/r/own@sha256:1"
        assert executor["container"]["env"] == [{"name": "VERTEX_TUNING_PROJECT", "value": "p"}]
    assert "eu-docker" not in yaml.safe_dump(found.spec)


def test_an_image_of_somebody_else_stays():
    found = compiled.load("supervised")
    spec = json.loads(json.dumps(found.spec))
    spec["deploymentSpec"]["executors"]["exec-gate"]["container"] |= {"image": "mine:1", "env": []}
    other = compiled.Compiled(spec, "x").prepared(image="own:1", environment={"A": "b"})
    assert other["deploymentSpec"]["executors"]["exec-gate"]["container"]["image"] == "mine:1"
    assert not other["deploymentSpec"]["executors"]["exec-gate"]["container"]["env"]
