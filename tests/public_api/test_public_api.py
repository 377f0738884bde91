"""The public names and their signatures, frozen: a change here is a change for users."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest

import vertex_tuning

FROZEN = Path(__file__).parent / "signatures.json"


def is_ours(member: object) -> bool:
    """Whether a member of a class is a method or property that was written here."""
    code = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
    return inspect.isfunction(code) and code.__module__.startswith("vertex_tuning")


def signatures() -> dict[str, str | dict[str, str]]:
    """Name to signature; of a class, its public methods."""
    found: dict[str, str | dict[str, str]] = {}
    for name in vertex_tuning.__all__:
        value = getattr(vertex_tuning, name)
        if inspect.isclass(value):
            members = {
                key: "property" if isinstance(member, property) else str(inspect.signature(member))
                for key, member in inspect.getmembers(value)
                if not key.startswith(("_", "model_")) and is_ours(member)
            }
            fields = getattr(value, "model_fields", None) or getattr(value, "__dataclass_fields__", {})
            found[name] = members | dict.fromkeys(fields, "field")
        else:
            found[name] = str(inspect.signature(value))
    return found


def test_the_public_names_are_these():
    frozen = json.loads(FROZEN.read_text(encoding="utf-8"))
    assert signatures() == frozen, "if this change is meant, write signatures() to signatures.json"


def test_every_public_name_is_there_and_listed():
    assert list(vertex_tuning.__all__) == sorted(vertex_tuning.__all__)
    for name in vertex_tuning.__all__:
        assert getattr(vertex_tuning, name) is not None
        assert name in dir(vertex_tuning)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError):
        vertex_tuning.nothing  # noqa: B018


@pytest.mark.parametrize("name", vertex_tuning.__all__)
def test_everything_public_says_what_it_is(name):
    value = getattr(vertex_tuning, name)
    assert inspect.getdoc(value)
    if inspect.isclass(value) and value.__module__.startswith("vertex_tuning"):
        for key, member in vars(value).items():
            if not key.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
                assert inspect.getdoc(member), f"{name}.{key}"


@pytest.mark.parametrize(
    ("twin", "original"),
    [
        ("AsyncTuningClient", "TuningClient"),
        ("AsyncTuningJob", "TuningJob"),
        ("AsyncBatchJob", "BatchJob"),
        ("AsyncTunedModel", "TunedModel"),
    ],
)
def test_every_public_method_has_an_asynchronous_twin(twin, original):
    known = {
        "progress",
        "events",
        "evaluations",
        "to_json",
        "how_to_call",
        "of_job",
        "resource",
    }  # nobody is waited for
    theirs = {
        key
        for key, member in inspect.getmembers(getattr(vertex_tuning, original), inspect.isfunction)
        if not key.startswith("_")
    }
    ours = {key for key, _ in inspect.getmembers(getattr(vertex_tuning, twin), inspect.isfunction)}
    assert theirs - ours - known == set()
