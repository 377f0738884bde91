"""The catalog is dated data with sources, and everything in it leads somewhere."""

from __future__ import annotations

import datetime
import re
import tomllib
from pathlib import Path

import pytest

import vertex_tuning
from vertex_tuning import SpecError, WeightsError, catalog

FOLDER = Path(catalog.__file__).parent
CELLS = [
    *("models.toml", "limits.toml", "prices.toml", "hosts.toml", "tokens.toml", "upkeep.toml", "sources.toml")
]
"""Every cell of these has a source of its own (test_cells.py)."""
DATED = [*CELLS, "stand_ins.toml", "datasets.toml"]
TINY = Path(vertex_tuning.__file__).parent / "training" / "tiny"


def read(name: str) -> dict[str, object]:
    return tomllib.loads((FOLDER / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", DATED)
def test_what_is_said_of_the_world_has_a_date_and_a_source(name):
    found = read(name)
    assert datetime.date(2026, 1, 1) < found["checked"] <= datetime.date.today()
    assert name in CELLS or len(found["source"]) > 20


def test_there_is_no_other_data():
    assert {path.name for path in FOLDER.glob("*.toml")} == {*DATED, "project.toml", "rules.toml"}


@pytest.mark.parametrize("model", catalog.models().values(), ids=lambda model: model.id)
def test_a_model_is_whole(model):
    assert model.title
    assert set(model.methods) <= set(catalog.METHODS)
    assert model.methods or model.teaches
    assert bool(model.teachers) == ("distillation" in model.methods)
    assert model.modes
    assert set(model.modes) <= {"adapter", "full"}
    assert set(model.adapter_sizes) <= {1, 2, 4, 8, 16, 32}
    assert list(model.adapter_sizes) == sorted(model.adapter_sizes)
    if "supervised" in model.methods:
        assert bool(model.adapter_sizes) == ("adapter" in model.modes)
    assert model.regions
    assert all(re.fullmatch(r"global|[a-z]+-[a-z]+\d+", region) for region in model.regions)
    assert len(set(model.regions)) == len(model.regions)
    assert ("global" in model.regions) == model.open  # `global` cannot tune Gemini
    assert set(model.method_regions) <= set(model.methods)
    assert all(set(model.regions_for(method)) <= set(model.regions) for method in model.methods)
    assert 1_000 <= model.max_tokens <= catalog.limits("supervised")["max_tokens_per_example"]
    assert model.publisher == (model.id.split("/")[0] if model.open else "google")
    assert all(model.serving_location(region) for region in model.regions)


def test_a_family_stands_newest_first():
    families: dict[str, list[float]] = {}
    for model in catalog.models().values():
        assert not (model.family and model.open)
        if model.family:
            version = re.fullmatch(
                rf"gemini-(\d\.\d)-{model.family.removeprefix('gemini-')}(-\d+)?", model.id
            )
            assert version, "of a family are those whose names differ in the version alone"
            families.setdefault(model.family, []).append(float(version[1]))
    assert families
    assert all(versions == sorted(versions, reverse=True) for versions in families.values())


@pytest.mark.parametrize(
    ("model", "region", "served"),
    [
        ("gemini-3.5-flash", "us-central1", "us"),
        ("gemini-3.5-flash", "europe-west4", "eu"),
        ("gemini-2.5-flash", "europe-west4", "europe-west4"),
    ],
)
def test_gemini_3_is_served_in_the_multi_region(model, region, served):
    assert catalog.base_model(model).serving_location(region) == served


def test_who_teaches_whom_is_known_from_both_sides():
    teachers = {name for model in catalog.models().values() for name in model.teachers}
    assert teachers == {model.id for model in catalog.models().values() if model.teaches}
    for name in teachers:
        assert all(
            name in catalog.base_model(student).teachers for student in catalog.base_model(name).teaches
        )
        # Gemini teaches Gemini, open models teach open ones.
        assert {catalog.base_model(student).open for student in catalog.base_model(name).teaches} == {
            catalog.base_model(name).open
        }
    assert catalog.base_model("gemini-2.5-flash").teachers == ("gemini-3.1-pro",)


def test_an_early_method_is_offered_in_fewer_regions():
    assert catalog.base_model("gemini-2.5-flash").regions_for("distillation") == ("us-central1",)
    assert catalog.base_model("gemini-3.5-flash").regions_for("reinforcement") == ("us-central1",)
    assert "europe-west4" in catalog.base_model("gemini-3.5-flash").regions_for("supervised")


@pytest.mark.parametrize("model", catalog.models())
def test_a_model_is_found_by_every_way_of_writing_its_name(model):
    publisher, _, name = model.rpartition("/")
    for written in (
        model,
        f"models/{model}",
        f"publishers/{publisher or 'google'}/models/{name}",
        f"google/{model}" if not publisher else model,
    ):
        assert catalog.base_model(written).id == model


@pytest.mark.parametrize(
    ("written", "near"),
    [
        ("gemini-2.5-flsh", "gemini-2.5-flash"),
        ("Gemini 2.5 Pro", "gemini-2.5-pro"),
        ("gemini-3.5-flash-001", "gemini-3.5-flash"),
        ("llama-3.1-8b", "meta/llama3_1@llama-3.1-8b"),
        ("qwen3-4b", "qwen/qwen3@qwen3-4b"),
        ("publishers/google/models/gemini-2.5-flash-lit", "gemini-2.5-flash-lite"),
    ],
)
def test_a_name_that_is_not_known_is_told_with_the_nearest(written, near):
    with pytest.raises(SpecError) as caught:
        catalog.base_model(written)
    error = caught.value
    assert (error.rule, error.fault.where) == ("VT301", "base_model")
    assert f'"{written}"' in error.fault.what
    assert str(read("models.toml")["checked"]) in error.fault.why
    assert near in error.fault.fix.removeprefix("use ").split(" or ")


@pytest.mark.parametrize("written", ["", "zzz", "projects/p/locations/l/models/7", "/", "publishers/"])
def test_a_name_that_is_like_none_leads_to_the_list(written):
    with pytest.raises(SpecError) as caught:
        catalog.base_model(written)
    assert caught.value.rule == "VT301"
    assert caught.value.fault.fix


def test_every_size_class_has_a_stand_in():
    assert set(read("stand_ins.toml")["sizes"]) == {model.size for model in catalog.models().values()}


@pytest.mark.parametrize("item", catalog.stand_ins().values(), ids=lambda item: item.name)
def test_a_stand_in_has_a_licence_and_weights_that_can_be_told_from_others(item):
    assert item.licence
    assert item.parameters > 100_000
    assert item.max_tokens >= 512
    assert 0 < item.learning_rate_full <= item.learning_rate_adapter < 0.1
    assert catalog.stand_in(item.name) is item
    if item.kind == "builtin":
        assert (item.licence, item.packages) == ("Apache-2.0", ())
        assert (TINY / item.name / "model.safetensors").is_file()
        return
    assert item.kind == "package"
    assert item.licence_url.startswith("https://")
    # What is neither Apache nor MIT must be agreed to.
    assert item.accept_terms == (item.licence not in ("Apache-2.0", "MIT"))
    assert item.packages
    for package in item.packages:
        assert re.fullmatch(r"[0-9a-f]{64}", package.sha256)
        assert package.version
        assert "*" in package.file


def test_the_tiny_models_that_are_shipped_are_in_the_catalog():
    shipped = {folder.name for folder in TINY.iterdir() if folder.is_dir()}
    assert shipped == {item.name for item in catalog.stand_ins().values() if item.kind == "builtin"}


def test_a_stand_in_that_there_is_not_is_told_with_those_there_are():
    with pytest.raises(WeightsError) as caught:
        catalog.stand_in("gpt")
    assert caught.value.rule == "VT701"
    assert all(name in caught.value.fault.fix for name in catalog.stand_ins())


@pytest.mark.parametrize("name", read("datasets.toml")["datasets"])
def test_labelled_data_has_a_licence_of_the_package_and_one_of_the_corpus(name):
    found = catalog.labelled_data(name)
    assert "package:" in found.licence
    assert "corpus:" in found.licence
    assert found.source
    assert found.title
    assert len(found.labels) >= 2
    assert re.fullmatch(r"[0-9a-f]{64}", found.package.sha256)


def test_every_limit_is_held_somewhere():
    """A limit that nobody reads is a promise that nobody keeps."""
    package = Path(vertex_tuning.__file__).parent
    code = "\n".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py"))
    names = [name for cells in catalog.limit_cells().values() for name in cells]
    assert [name for name in names if f'"{name}"' not in code] == []
    assert len(names) > 10


def test_limits_are_numbers_that_make_sense():
    limits = catalog.limits("supervised")
    assert "source" not in limits
    assert limits["max_examples_multimodal"] < limits["max_examples"]
    assert limits["validation_share_from"] < limits["max_validation_examples"]
    assert 0 < limits["max_dropped_share"] < limits["max_validation_share"] < 1
    assert limits["recommended_min_examples"] < limits["max_examples"]
