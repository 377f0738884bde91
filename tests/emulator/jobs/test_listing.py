"""Lists: pages that lose nothing and repeat nothing, and filters as Google's clients write them."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vertex_tuning.emulator.filters import MAX_LENGTH, parse_filter
from vertex_tuning.emulator.listing import page, page_of
from vertex_tuning.emulator.state import Database, Resource
from vertex_tuning.emulator.status import ApiError, Code

JOB = {
    "name": "projects/1/locations/us-central1/tuningJobs/7",
    "state": "JOB_STATE_SUCCEEDED",
    "createTime": "2026-11-23T10:00:00.000001Z",
    "tunedModelDisplayName": 'my "best" model',
    "labels": {"team": "red", "tune-type": "sft", "Key With Spaces": "x"},
    "tuningJobMetadata": {"completedStepCount": "12"},
    "tunedModel": {"checkpoints": [{"checkpointId": "1"}]},
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("", True),
        ('state="JOB_STATE_SUCCEEDED"', True),
        ("state=JOB_STATE_SUCCEEDED", True),
        ('state != "JOB_STATE_SUCCEEDED"', False),
        ("labels.tune-type:*", True),
        ("labels.nothing:*", False),
        ("labels:team", True),
        ('labels.team="red"', True),
        ("labels.team=red", True),
        ("labels.team:blue", False),
        ('labels."Key With Spaces"="x"', True),
        ('tuned_model_display_name="my \\"best\\" model"', True),
        ('tunedModelDisplayName="my*model"', True),
        ('tunedModelDisplayName:"BEST"', True),
        ('tunedModelDisplayName:"MY*"', True),
        ('tunedModelDisplayName:"best*"', False),
        ('create_time > "2026-11-23T09:59:59Z"', True),
        ('createTime>="2026-11-23T11:00:00.000001+01:00"', True),
        ('createTime="2026-11-23T10:00:00.000001000Z"', True),
        ('createTime < "2026-11-23"', False),
        ("tuningJobMetadata.completedStepCount > 9", True),
        ("NOT state=JOB_STATE_FAILED", True),
        ("-state=JOB_STATE_FAILED", True),
        ("state=JOB_STATE_FAILED OR labels.team=red", True),
        ("state=JOB_STATE_FAILED AND labels.team=red", False),
        ("labels.team=red labels.tune-type=sft", True),
        # OR binds tighter than AND.
        ("state=JOB_STATE_FAILED AND labels.team=blue OR labels.team=red", False),
        ("(state=JOB_STATE_FAILED AND labels.team=blue) OR labels.team=red", True),
        ("NOT (labels.team=red OR labels.team=blue)", False),
        # As google-genai puts a caller's filter and its own together.
        ('state="JOB_STATE_SUCCEEDED"&filter=labels.tune-type:*', True),
    ],
)
def test_a_filter_says_what_aip_160_says(text: str, holds: bool) -> None:
    assert parse_filter(text, JOB.keys())(JOB) is holds


@pytest.mark.parametrize(
    "text",
    [
        "state",
        "state=",
        "=x",
        "state==x",
        "(state=x",
        "state=x)",
        "AND",
        "state=x OR",
        '"x"',
        "nothing=x",
        "labels.=x",
        "(" * 60 + "state=x" + ")" * 60,
        'state="x',
        "state=" + "x" * MAX_LENGTH,
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse_filter(text, JOB.keys())
    assert caught.value.code is Code.INVALID_ARGUMENT


@given(st.text(max_size=60))
def test_no_filter_breaks_the_reader(text: str) -> None:
    with contextlib.suppress(ApiError):
        parse_filter(text)(JOB)


@pytest.fixture
def db(tmp_path: Path) -> Any:
    database = Database(tmp_path / "db.sqlite")
    yield database
    database.close()


def add(db: Database, number: int) -> None:
    db.put(
        Resource(f"p/things/{number}", "things", "p", {"name": f"p/things/{number}", "n": number}), "created"
    )


def walk(db: Database, query: dict[str, str]) -> list[list[int]]:
    pages, token = [], ""
    while True:
        found = page(db, "things", "p", {**query, "pageToken": token})
        pages.append([item["n"] for item in found.get("things", [])])
        token = found.get("nextPageToken", "")
        if not token:
            return pages


@pytest.mark.parametrize("size", [1, 2, 5, 6, 100])
def test_pages_are_the_list(db: Database, size: int) -> None:
    for number in range(5):
        add(db, number)
    pages = walk(db, {"pageSize": str(size)})
    assert list(itertools.chain(*pages)) == [4, 3, 2, 1, 0]
    assert all(len(part) == size for part in pages[:-1])
    assert pages[-1], "no empty page at the end"


def test_what_appears_meanwhile_shifts_nothing(db: Database) -> None:
    for number in range(450):  # more than is read at once
        add(db, number)
    first = page(db, "things", "p", {"pageSize": "3"})
    add(db, 1000)
    db.delete("p/things/447")  # the last row of the first page
    second = page(db, "things", "p", {"page_size": "3", "page_token": first["nextPageToken"]})
    assert [item["n"] for item in second["things"]] == [446, 445, 444]
    assert sum(len(part) for part in walk(db, {"filter": "n>=0"})) == 450


def test_filters_hold_across_pages(db: Database) -> None:
    for number in range(20):
        add(db, number)
    assert walk(db, {"pageSize": "2", "filter": "n<=4"}) == [[4, 3], [2, 1], [0]]


@pytest.mark.parametrize("token", ["x", "!!!", "WzEsMl0", "bnVsbA", "eyJhIjoxfQ", "ü"])
def test_a_token_that_was_not_given_is_refused(db: Database, token: str) -> None:
    with pytest.raises(ApiError) as caught:
        page(db, "things", "p", {"pageToken": token})
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_a_token_is_for_its_own_filter(db: Database) -> None:
    for number in range(3):
        add(db, number)
    token = page(db, "things", "p", {"pageSize": "1"})["nextPageToken"]
    with pytest.raises(ApiError, match="another request"):
        page(db, "things", "p", {"pageToken": token, "filter": "n=1"})


@pytest.mark.parametrize("size", ["-1", "x", "1.5"])
def test_a_page_size_is_a_number(db: Database, size: str) -> None:
    with pytest.raises(ApiError, match="page_size"):
        page(db, "things", "p", {"pageSize": size})


def test_lists_at_hand_are_paged_in_their_order() -> None:
    bodies = [{"n": number} for number in range(5)]
    first = page_of(bodies, {"pageSize": "2"}, "things")
    second = page_of(bodies, {"pageSize": "9", "pageToken": first["nextPageToken"]}, "things")
    assert first["things"] + second["things"] == bodies
    assert "nextPageToken" not in second
