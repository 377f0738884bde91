"""A spec that no service would take dies where it is written, with everything that is wrong with it."""

from __future__ import annotations

import copy
import pickle
import re
from datetime import date
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from vertex_tuning import PreferenceTuning, SpecError, SupervisedTuning, VertexTuningError, catalog, specs

GEMINI = "gemini-2.5-flash"
BOTH = "meta/llama3_1@llama-3.1-8b"
FULL_ONLY = "qwen/qwen3@qwen3-4b"
TUNED = "projects/p/locations/us-central1/models/7@1"
OUT = "gs://bucket/out"
KEY = "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"

GEMINI_FAULTS = [
    ("VT301", "base_model", "not a model that Vertex AI tunes", {"base_model": "gemini-2.5-flsh"}),
    ("VT301", "base_model", '""', {"base_model": ""}),
    ("VT302", "base_model", "gemini-3.1-pro does not take supervised tuning", {"base_model": "gemini-3.1-pro"}),
    ("VT303", "mode", "gemini-2.5-flash takes adapter tuning, not full", {"mode": "full"}),
    ("VT304", "adapter_size", "no adapter of size 32 for gemini-2.5-flash", {"adapter_size": 32}),
    ("VT304", "adapter_size", "no adapter of size 0", {"adapter_size": 0}),
    ("VT304", "adapter_size", "no adapter of size 16 for gemini-2.5-pro", {"base_model": "gemini-2.5-pro", "adapter_size": 16}),
    ("VT306", "checkpoint_id", "a base model has no checkpoints", {"checkpoint_id": "2"}),
    ("VT308", "display_name", "more than 128 bytes of UTF-8", {"display_name": "é" * 65}),
    ("VT315", "display_name", "is no text", {"display_name": "caf\udce9"}),
    ("VT315", "description", "is no text", {"description": "caf\udce9"}),
    ("VT309", "labels.team", '"A" is not a label', {"labels": {"team": "A"}}),
    ("VT309", "labels.Team", "is not a label", {"labels": {"Team": "a"}}),
    ("VT309", "labels.a b", "is not a label", {"labels": {"a b": "a"}}),
    ("VT309", "labels", "is not a label", {"labels": {"": "a"}}),
    ("VT309", f"labels.{'k' * 65}", "is not a label", {"labels": {"k" * 65: "a"}}),
    ("VT309", "labels.vertex-tuning-key", "this key is taken", {"labels": {"vertex-tuning-key": "a"}}),
    ("VT309", "labels", "64 labels", {"labels": {f"k{number}": "" for number in range(64)}}),
    ("VT311", "kms_key", "does not take customer-managed keys", {"base_model": "gemini-3.5-flash", "kms_key": KEY}),
    ("VT312", "batch_size", "only open models take it", {"batch_size": 4}),
    ("VT312", "learning_rate", "only open models take it", {"learning_rate": 1e-4}),
    ("VT312", "output_uri", "only open models take it", {"output_uri": OUT}),
    ("VT314", "epoch", "no such field", {"epoch": 3}),
    ("VT315", "epochs", "greater than or equal to 1", {"epochs": 0}),
    ("VT315", "epochs", "more than 100 passes", {"epochs": 101}),
    ("VT315", "epochs", "valid integer", {"epochs": "many"}),
    ("VT315", "learning_rate_multiplier", "greater than 0", {"learning_rate_multiplier": 0}),
    ("VT315", "learning_rate_multiplier", "finite number", {"learning_rate_multiplier": float("inf")}),
    ("VT315", "learning_rate_multiplier", "finite number", {"learning_rate_multiplier": float("nan")}),
    ("VT315", "mode", "'adapter' or 'full'", {"mode": "lora"}),
    ("VT315", "labels.a", "valid string", {"labels": {"a": 1}}),
    ("VT315", "kms_key", "is not the name of a key", {"kms_key": "my-key"}),
    ("VT315", "training", "an empty path", {"training": ""}),
    ("VT315", "training", "int is not a data set", {"training": 5}),
    ("VT315", "training", "NoneType is not a data set", {"training": None}),
    ("VT315", "training", "dict is not a data set", {"training": {"contents": []}}),
    ("VT315", "validation", "bytes is not a data set", {"validation": b"valid.jsonl"}),
    ("VT318", "training", "is not a JSONL object", {"training": "gs://bucket/folder/"}),
    ("VT318", "training", "is not a JSONL object", {"training": "gs://bucket/train.json"}),
    ("VT318", "validation", "is not a JSONL object", {"validation": "gs:///valid.jsonl"}),
]  # fmt: skip
OPEN_FAULTS = [
    ("VT303", "mode", "takes full tuning, not adapter", {"base_model": FULL_ONLY, "mode": "adapter"}),
    ("VT304", "adapter_size", "full tuning makes no adapter", {"base_model": FULL_ONLY, "adapter_size": 8}),
    ("VT304", "adapter_size", "full tuning makes no adapter", {"mode": "full", "adapter_size": 64}),
    ("VT304", "adapter_size", "no adapter of size 3", {"adapter_size": 3}),
    (
        "VT307",
        "learning_rate",
        "exclude each other",
        {"learning_rate": 1e-4, "learning_rate_multiplier": 2.0},
    ),
    ("VT310", "output_uri", "is not in Cloud Storage", {"output_uri": "/tmp/out"}),
    ("VT310", "output_uri", "is not in Cloud Storage", {"output_uri": "gs://"}),
    ("VT315", "batch_size", "greater than or equal to 1", {"batch_size": 0}),
    ("VT315", "learning_rate", "greater than 0", {"learning_rate": -1.0}),
]
TUNED_FAULTS = [
    ("VT304", "adapter_size", "no adapter of size 3", {"adapter_size": 3}),
    ("VT304", "adapter_size", "full tuning makes no adapter", {"mode": "full", "adapter_size": 4}),
    ("VT301", "base_model", "not a model", {"base_model": "projects/p/locations/us-central1/endpoints/7"}),
]


def refused(**fields: object) -> SpecError:
    with pytest.raises(SpecError) as caught:
        SupervisedTuning(**fields)
    return caught.value


@pytest.mark.parametrize(
    ("base", "rule", "where", "words", "fields"),
    [({"base_model": GEMINI}, *fault) for fault in GEMINI_FAULTS]
    + [({"base_model": BOTH, "output_uri": OUT}, *fault) for fault in OPEN_FAULTS]
    + [({"base_model": TUNED}, *fault) for fault in TUNED_FAULTS],
)
def test_a_fault_is_told_alone_with_its_rule_its_field_and_a_way_out(base, rule, where, words, fields):
    error = refused(**{"training": "train.jsonl", **base, **fields})
    assert len(error.faults) == 1, error
    assert (error.rule, error.fault.where) == (rule, where)
    assert words in error.fault.what
    assert error.fault.fix or rule == "VT315"
    assert isinstance(error, ValueError)


def test_every_rule_that_a_spec_can_break_has_a_test():
    # What is a matter of model, mode and size is found by the catalog.
    files = [*Path(specs.__file__).parent.glob("*.py"), *Path(catalog.__file__).parent.glob("*.py")]
    given = set(re.findall(r'"(VT3[0-6]\d)"', "".join(path.read_text(encoding="utf-8") for path in files)))
    tested = {fault[0] for fault in (*GEMINI_FAULTS, *OPEN_FAULTS, *TUNED_FAULTS)}
    # VT319 belongs to distillation; VT322 is seen once it is known what a tuned model was tuned from.
    assert given == {*tested, "VT300", "VT305", "VT319", "VT322", "VT325"}


def test_all_faults_are_told_at_once_those_of_kind_and_those_of_the_catalog():
    error = refused(
        base_model=GEMINI,
        training=None,
        epochs=0,
        adapter_size=32,
        mode="lora",
        batch_size=4,
        colour="red",
        labels={"Team": "a"},
        checkpoint_id="1",
    )
    assert error.rule == "VT300"
    assert {(fault.rule, fault.where) for fault in error.faults} == {
        ("VT315", "epochs"),
        ("VT315", "mode"),
        ("VT314", "colour"),
        ("VT304", "adapter_size"),
        ("VT312", "batch_size"),
        ("VT306", "checkpoint_id"),
        ("VT315", "training"),
        ("VT309", "labels.Team"),
    }
    assert error.fault.what == "the spec has 8 faults"


def test_a_field_that_is_missing_hides_no_other_fault():
    error = refused(epochs=0)
    assert [(fault.rule, fault.where) for fault in error.faults] == [
        ("VT315", "base_model"),
        ("VT315", "training"),
        ("VT315", "epochs"),
    ]
    assert {fault.rule for fault in refused(training="t.jsonl", base_model=5, labels={"A": "b"}).faults} == {
        "VT315",
        "VT309",
    }


def test_a_misspelt_field_is_told_what_is_meant():
    assert (
        refused(base_model=GEMINI, training="t.jsonl", adaptersize=4).fault.fix == "do you mean adapter_size?"
    )
    assert "help(SupervisedTuning)" in refused(base_model=GEMINI, training="t.jsonl", zzz=4).fault.fix


def test_the_nearest_names_are_offered():
    assert "gemini-2.5-flash" in refused(base_model="gemini-2.5-flsh", training="t.jsonl").fault.fix


@pytest.mark.parametrize(
    ("fields", "nearest"),
    [
        ({"base_model": "gemini-3.1-pro"}, "gemini-2.5-pro"),
        ({"base_model": GEMINI, "adapter_size": 32}, "adapter_size=16; one of: 1, 2, 4, 8, 16"),
        ({"base_model": "gemini-2.5-pro", "adapter_size": 16}, "adapter_size=8;"),
        ({"base_model": "translation-llm-002", "adapter_size": 16}, "adapter_size=4"),
        ({"base_model": GEMINI, "mode": "full"}, 'mode="adapter"'),
        ({"base_model": "gemini-3.5-flash", "kms_key": KEY}, 'kms_key="" for none, or take gemini-2.5-flash'),
    ],
)
def test_what_is_nearest_stands_first(fields, nearest):
    error = refused(**fields, training="t.jsonl")
    assert nearest in error.fault.fix, error


def test_a_refusal_says_since_when_and_who_says_so():
    fault = refused(base_model="gemini-3.1-pro", training="t.jsonl").fault
    source = catalog.cell("gemini-3.1-pro", "supervised").source
    assert str(source.date) in fault.why
    assert source.title in fault.why


@pytest.mark.parametrize(
    ("model", "region", "nearest"),
    [
        ("gemini-3.5-flash", "europe-west1", "europe-west4"),
        ("gemini-3.5-flash", "us-east4", "us-central1"),
        ("gemini-3.5-flash", "eu", "europe-west4"),
        (GEMINI, "global", "us-central1"),
        (GEMINI, "asia-northeast2", "asia-northeast1"),
        (BOTH, "us-west4", "us-west1"),
    ],
)
def test_the_nearest_region_is_on_the_same_continent_where_there_is_one(model, region, nearest):
    output = {"output_uri": OUT} if "/" in model else {}
    with pytest.raises(SpecError) as caught:
        SupervisedTuning(base_model=model, training="t.jsonl", **output).check_location(region)
    assert caught.value.fault.fix.startswith(f"location={nearest}")


@pytest.mark.parametrize(
    "training",
    [
        "train.jsonl",
        "~/data/train.jsonl",
        Path("train.jsonl"),
        "gs://bucket/folder/train.jsonl",
        [{"contents": []}],
        ({"contents": []},),
        iter([]),
    ],
    ids=["name", "home", "path", "uri", "list", "tuple", "iterator"],
)
def test_a_data_set_is_a_path_an_object_in_cloud_storage_or_rows(training):
    spec = SupervisedTuning(base_model=GEMINI, training=training, validation=training)
    assert spec.training is training
    assert spec.validation is training


def test_rows_are_read_by_nobody_before_the_job():
    def never():
        raise AssertionError("read")
        yield

    rows = never()
    assert SupervisedTuning(base_model=GEMINI, training=rows).training is rows


def test_what_is_left_out_is_left_to_the_service():
    spec = SupervisedTuning(base_model=GEMINI, training="t.jsonl")
    left = spec.model_dump(exclude={"base_model", "training"})
    assert {value for name, value in left.items() if name not in ("labels", "last_checkpoint_only")} == {None}
    assert (spec.labels, spec.last_checkpoint_only) == ({}, False)


@pytest.mark.parametrize("model", catalog.models().values(), ids=lambda model: model.id)
def test_every_model_of_the_catalog_takes_what_it_offers_and_nothing_else(model):
    output = {"output_uri": OUT} if model.open else {}
    if "supervised" not in model.methods:
        assert refused(base_model=model.id, training="t.jsonl", **output).rule == "VT302"
        return
    for size in (1, 2, 4, 8, 16, 32, 64):
        if size in model.adapter_sizes:
            assert (
                SupervisedTuning(
                    base_model=model.id, training="t.jsonl", adapter_size=size, **output
                ).adapter_size
                == size
            )
        else:
            assert (
                refused(base_model=model.id, training="t.jsonl", adapter_size=size, **output).rule == "VT304"
            )
    for mode in ("adapter", "full"):
        if mode in model.modes:
            assert SupervisedTuning(base_model=model.id, training="t.jsonl", mode=mode, **output).mode == mode
        else:
            assert refused(base_model=model.id, training="t.jsonl", mode=mode, **output).rule == "VT303"
    spec = SupervisedTuning(base_model=model.id, training="t.jsonl", **output)
    for region in model.regions:
        spec.check_location(region)
    with pytest.raises(SpecError) as caught:
        spec.check_location("mars-north1")
    assert (caught.value.rule, caught.value.fault.where) == ("VT305", "location")
    assert model.regions[0] in caught.value.fault.fix


def test_open_models_take_what_is_theirs():
    spec = SupervisedTuning(
        base_model=BOTH,
        training="t.jsonl",
        output_uri="gs://bucket",
        mode="full",
        batch_size=8,
        learning_rate=1e-5,
    )
    assert not spec.continues


@pytest.mark.parametrize("name", [TUNED, TUNED.removesuffix("@1"), TUNED.replace("@1", "@default")])
def test_a_tuned_model_is_tuned_on(name):
    spec = SupervisedTuning(base_model=name, training="t.jsonl", checkpoint_id="2", adapter_size=32)
    assert spec.continues
    spec.check_location("us-central1")


def test_a_tuned_model_is_held_against_what_it_was_tuned_from():
    gemini, region = catalog.base_model(GEMINI), "us-central1"
    spec = SupervisedTuning(base_model=TUNED, training="t.jsonl")
    spec.check_tuned_from(gemini, "supervised", region)
    for other, base, made_by, where, rule in (
        (spec, gemini, "preference", region, "VT322"),
        (spec, gemini, "distillation", region, "VT322"),
        (spec, gemini, "supervised", "mars-central1", "VT305"),
        (spec.model_copy(update={"adapter_size": 32}), gemini, "supervised", region, "VT304"),
        (spec, catalog.base_model("gemini-3.1-pro"), "supervised", region, "VT302"),
    ):
        with pytest.raises(SpecError) as caught:
            other.check_tuned_from(base, made_by, where)
        assert caught.value.rule == rule
        assert caught.value.fault.fix


@pytest.mark.parametrize(
    ("model", "job", "fits"),
    [
        ("us-central1", "us-central1", True),
        ("us", "us-central1", True),
        ("eu", "europe-west4", True),
        ("us-central1", "europe-west4", False),
        ("us", "europe-west4", False),
        ("eu", "us-central1", False),
    ],
)
def test_a_tuned_model_is_tuned_on_in_its_own_region(model, job, fits):
    spec = SupervisedTuning(base_model=f"projects/p/locations/{model}/models/7", training="t.jsonl")
    if fits:
        spec.check_location(job)
        return
    with pytest.raises(SpecError) as caught:
        spec.check_location(job)
    assert (caught.value.rule, caught.value.fault.fix) == ("VT305", f"location={model}")


def test_labels_are_those_that_vertex_ai_takes():
    labels = {"team": "a", "a_b-9": "", "größe": "ä", "k" * 64: "v" * 64} | {
        f"k{number}": "" for number in range(59)
    }
    assert SupervisedTuning(base_model=GEMINI, training="t.jsonl", labels=labels).labels == labels


def test_a_spec_does_not_change():
    given = {"team": "a"}
    spec = SupervisedTuning(base_model=GEMINI, training="t.jsonl", labels=given)
    with pytest.raises(ValidationError, match="frozen"):
        spec.epochs = 3
    with pytest.raises(ValidationError, match="frozen"):
        del spec.epochs
    given["team"] = "B"
    assert spec.labels == {"team": "a"}


def test_a_spec_can_be_copied_compared_and_sent_to_another_process():
    spec = SupervisedTuning(base_model=GEMINI, training="t.jsonl", epochs=3, labels={"team": "a"})
    assert copy.deepcopy(spec) == pickle.loads(pickle.dumps(spec)) == spec
    assert spec != SupervisedTuning(base_model=GEMINI, training="t.jsonl", epochs=4, labels={"team": "a"})


def test_inside_another_pydantic_model_its_faults_are_pydantics():
    class Plan(BaseModel):
        spec: SupervisedTuning

    assert Plan(spec={"base_model": GEMINI, "training": "t.jsonl", "epochs": "3"}).spec.epochs == 3
    with pytest.raises(ValidationError, match="VT304"):
        Plan(spec={"base_model": GEMINI, "training": "t.jsonl", "adapter_size": 3})


def test_an_error_of_a_spec_is_one_of_ours():
    assert isinstance(refused(base_model=GEMINI), VertexTuningError)


@pytest.mark.parametrize(
    ("made", "instead"),
    [
        (lambda: SupervisedTuning(base_model=GEMINI, training=()), 'base_model="gemini-3.5-flash"'),
        (lambda: PreferenceTuning(base_model=GEMINI, training=()), "--method preference"),
    ],
)
def test_a_model_whose_last_day_has_come_is_told_and_taken(made, instead):
    day = catalog.models()[GEMINI].retires
    assert made().warnings("us-central1", day.replace(day=day.day - 1)) == []
    [warning] = made().warnings("us-central1", day)
    assert (warning.rule, instead in warning.fix) == ("VT325", True)
    assert str(day) in warning.what
    assert SupervisedTuning(base_model=BOTH, training=()).warnings("us-central1", date(2099, 1, 1)) == []
    assert SupervisedTuning(base_model=TUNED, training=()).warnings("us-central1", date(2099, 1, 1)) == []
