"""What a project costs at rest: every price has a source, what is unknown stays unknown, and the sums are right."""

from __future__ import annotations

import datetime
import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from vertex_tuning import catalog
from vertex_tuning.config import NAMES

FILE = tomllib.loads((Path(catalog.__file__).parent / "upkeep.toml").read_text(encoding="utf-8"))
TERRAFORM = Path(__file__).parents[2] / "terraform"
TEAM = {name: cell.value for name, cell in catalog.upkeep_sizes().items()}
ITEMS = {item.name: item for item in catalog.upkeep()}


@pytest.mark.parametrize("item", catalog.upkeep(), ids=lambda item: item.name)
def test_every_price_of_a_month_has_a_date_and_a_source_or_is_unknown(item):
    price = item.price
    assert datetime.date(2026, 1, 1) < price.date <= datetime.date.today()
    assert (price.value is None) == (price.source.kind == "nothing found")
    assert price.value is None or price.value >= 0
    # What is said to cost nothing, and what is taken to, is told apart from what was found on a price list.
    assert price.value == 0 or price.source.kind != "assumption"
    assert item.per >= 1
    assert set(item.sizes) <= set(TEAM)
    assert item.input or not item.setting
    assert not item.setting or item.setting in NAMES


def test_what_is_paid_for_by_an_input_is_an_input_of_terraform():
    variables = (TERRAFORM / "variables.tf").read_text(encoding="utf-8")
    inputs = {item.input for item in ITEMS.values() if item.input}
    assert inputs <= set(re.findall(r'^variable "(\w+)"', variables, re.MULTILINE))


def test_nothing_that_terraform_makes_is_left_out():
    sources = "".join(path.read_text(encoding="utf-8") for path in TERRAFORM.rglob("*.tf"))
    made = set(re.findall(r'^resource "(\w+)"', sources, re.MULTILINE))
    told = [*FILE["unpaid"]["of"], *(name for row in FILE["items"].values() for name in row.get("of", ()))]
    assert len(told) == len(set(told))
    assert made == set(told)


def test_every_size_is_of_something():
    assert {name for item in ITEMS.values() for name in item.sizes} == set(TEAM)


def test_nothing_in_the_file_is_passed_over():
    known = {"title", "unit", "usd", "per", "free", "sizes", "input", "setting", "of", "source", "note"}
    assert all(set(row) <= known for row in FILE["items"].values())
    assert all(set(row) <= known for row in FILE["machines"].values())
    assert known - {"of", "usd", "source", "note"} <= {field.name for field in fields(catalog.Upkeep)}


def test_what_is_free_is_taken_off_before_anything_is_paid_for():
    images, logs = ITEMS["images"], ITEMS["logs"]
    assert images.usd({"images_gb": 0.4}) == 0
    assert images.usd({"images_gb": 10.5}) == pytest.approx(10 * 0.10)
    assert logs.usd({"logs_gb": 50}) == 0
    assert logs.usd({"logs_gb": 70}) == pytest.approx(20 * 0.50)


def test_a_price_for_many_is_of_so_many():
    assert ITEMS["key_use"].usd({"key_operations": 1_000_000}) == pytest.approx(100 * 0.03)
    assert ITEMS["log_rows"].usd({"log_mb": 1_000}) == pytest.approx(5 * 0.01)


def test_what_lies_in_three_buckets_is_added_up():
    assert ITEMS["objects"].quantity(TEAM) == 80
    assert ITEMS["objects"].usd(TEAM) == pytest.approx(1.60)
    assert ITEMS["objects"].amount(TEAM) == "80 GB"


def test_an_unknown_price_is_not_nothing():
    assert ITEMS["alert"].usd(TEAM) is None


def test_a_project_pays_for_what_its_settings_say_it_has():
    bare = catalog.upkeep_of({})
    assert {item.input for item in bare} == {""}
    with_key = catalog.upkeep_of(
        {"kms_key": "projects/p/locations/l/keyRings/r/cryptoKeys/k", "reward_uri": None}
    )
    assert {item.name for item in with_key} - {item.name for item in bare} == {"key", "key_use"}


def test_an_hour_of_a_machine_has_a_source_too():
    for cell in catalog.machine_hours().values():
        assert (cell.value is None) == (cell.source.kind == "nothing found")
        assert cell.value is None or cell.value > 0
