"""A validation set, split off: no prompt on both sides, the same every time, and nothing lost or overwritten."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.examples import Row, chat, row, rows, turn
from vertex_tuning import DatasetError, data
from vertex_tuning.data import splitting


def write(path: Path, lines: list[Any]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def read(path: str) -> list[Any]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def test_every_line_is_on_one_side_as_it_is_and_in_its_order(tmp_path):
    lines = rows(200)
    done = data.split(write(tmp_path / "all.jsonl", lines), validation=0.1)
    assert (done.training_rows, done.validation_rows) == (180, 20)
    assert done.training == str(tmp_path / "all-train.jsonl")
    training, validation = read(done.training), read(done.validation)
    assert len(validation) == 20
    assert [line for line in lines if line in training] == training
    assert [line for line in lines if line in validation] == validation
    assert len(training) + len(validation) == 200
    assert read(str(tmp_path / "all.jsonl")) == lines
    report = data.check_job(done.training, done.validation)
    assert not [warning for one in report for warning in one.warnings if warning.rule == "VT226"]


def test_the_same_seed_splits_in_the_same_way_and_another_in_another(tmp_path):
    path = write(tmp_path / "all.jsonl", rows(100))
    first, again, other = (
        read(data.split(path, seed=seed, output_dir=tmp_path / str(number)).validation)
        for number, seed in enumerate((1, 1, 2))
    )
    assert first == again
    assert first != other
    # And not by chance of a process, or by the order of the rows.
    shuffled = rows(100)
    random.Random(0).shuffle(shuffled)
    moved = read(data.split(write(tmp_path / "moved.jsonl", shuffled), seed=1).validation)
    assert sorted(map(str, moved)) == sorted(map(str, first))
    assert splitting.rank_of(row(), 42) == 5250315425733783547


@pytest.mark.parametrize(
    ("method", "copies"),
    [
        ("supervised", [row("2 + 2?", "4"), row("2 + 2?", "four"), {"contents": [turn("user", "2 + 2?")]}]),
        ("supervised", [chat(("user", "2 + 2?"), ("assistant", answer)) for answer in ("4", "four")]),
        ("supervised", [{"prompt": "2 + 2?", "completion": answer} for answer in ("4", "four")]),
        (
            "reinforcement",
            [
                {"contents": [turn("user", "2 + 2?")], "references": {"answer": answer}}
                for answer in ("4", "four")
            ],
        ),
        (
            "supervised",
            [
                row("2 + 2?", "4", systemInstruction={"role": role, "parts": [{"text": "Count."}]})
                for role in ("system", "user")
            ],
        ),
    ],
)
def test_copies_of_a_prompt_stay_on_one_side_whatever_the_answer(tmp_path, method, copies):
    for seed in range(8):
        path = write(tmp_path / f"{seed}.jsonl", [*rows(10), *copies * 2, *rows(10, tag="!")])
        done = data.split(path, validation=0.4, seed=seed, method=method)
        assert {copy in read(done.validation) for copy in map(dict, json.loads(json.dumps(copies)))} in (
            {True},
            {False},
        )


def test_other_prompts_are_no_copies():
    different: list[Row] = [
        row("a", "x"),
        row("b", "x"),
        row("a", "x", systemInstruction={"parts": [{"text": "s"}]}),
        {"contents": [turn("user", "a"), turn("model", "x"), turn("user", "b"), turn("model", "y")]},
        {"prompt": "a", "completion": "x"},
    ]
    assert len({splitting.rank_of(one, 1) for one in different}) == len(different)


@settings(deadline=None, max_examples=200)
@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=60),
    wanted=st.integers(1, 500),
    seed=st.integers(0, 3),
)
def test_as_many_are_held_out_as_there_is_room_for(counts, wanted, seed):
    ranks = [
        splitting.rank_of({"prompt": str(number)}, seed)
        for number, count in enumerate(counts)
        for _ in range(count)
    ]
    chosen = splitting.held_out(ranks, wanted)
    held = sum(rank in chosen for rank in ranks)
    assert held <= wanted
    assert held < len(ranks), "something is left to learn from"
    left = min(wanted, len(ranks) - 1) - held
    others = [
        count
        for number, count in enumerate(counts)
        if splitting.rank_of({"prompt": str(number)}, seed) not in chosen
    ]
    assert left <= 0.01 * wanted or all(count > left for count in others)


def test_no_more_are_held_out_than_the_service_takes(tmp_path, monkeypatch):
    assert splitting.most_validation(100, "supervised") == 1000, "the half bounds it before"
    assert splitting.most_validation(100_000, "supervised") == 5000
    assert splitting.most_validation(6500, "supervised") == 1500
    for count in (900, 2000, 6500, 10_000, 10**6):
        held = splitting.most_validation(count, "supervised")
        assert held <= 1000 or held <= 0.3 * (count - held)
    done = data.split(write(tmp_path / "x.jsonl", rows(1200)), validation=0.5, method="reinforcement")
    assert (done.validation_rows, done.limit) == (500, 500)
    assert "no more than 500 rows" in str(done)


@pytest.mark.parametrize("share", [0, -0.1, 0.51, 1, 10, float("nan"), float("inf")])
def test_a_share_is_above_0_and_a_half_at_most(tmp_path, share):
    with pytest.raises(DatasetError) as caught:
        data.split(write(tmp_path / "x.jsonl", rows(10)), validation=share)
    assert caught.value.rule == "VT241"


@pytest.mark.parametrize("there", ["x-train.jsonl", "x-validation.jsonl"])
def test_nothing_is_overwritten(tmp_path, there):
    path = write(tmp_path / "x.jsonl", rows(10))
    (tmp_path / there).write_text("mine", encoding="utf-8")
    with pytest.raises(DatasetError) as caught:
        data.split(path)
    assert caught.value.rule == "VT240"
    assert there in caught.value.fault.where
    assert (tmp_path / there).read_text(encoding="utf-8") == "mine"
    assert {entry.name for entry in tmp_path.iterdir()} == {"x.jsonl", there}


def test_where_it_cannot_be_written_that_is_said(tmp_path):
    path = write(tmp_path / "x.jsonl", rows(10))
    with pytest.raises(DatasetError) as caught:
        data.split(path, output_dir=path / "below")
    assert caught.value.rule == "VT240"


@pytest.mark.parametrize("lines", [rows(1), rows(1) * 9, [row("a", answer) for answer in "abc"]])
def test_what_is_one_prompt_cannot_be_split(tmp_path, lines):
    with pytest.raises(DatasetError) as caught:
        data.split(write(tmp_path / "x.jsonl", lines))
    assert caught.value.rule == "VT242"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.jsonl"]


def test_rows_that_are_none_are_all_told_and_nothing_is_written(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"contents": [}\n[]\n' + json.dumps(row()) + "\n", encoding="utf-8")
    with pytest.raises(DatasetError) as caught:
        data.split(path)
    assert {fault.rule for fault in caught.value.faults} >= {"VT204", "VT224"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.jsonl"]


def test_empty_lines_a_mark_in_front_and_no_end_of_line_do_no_harm(tmp_path):
    path = tmp_path / "x.jsonl"
    text = "\n\n".join(json.dumps(line) for line in rows(10))
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    done = data.split(path, validation=0.5)
    assert len(read(done.training)) == len(read(done.validation)) == 5


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DatasetError) as caught:
        data.split(tmp_path / "none.jsonl")
    assert caught.value.rule == "VT201"


@pytest.mark.parametrize("content", ["", "\n\n"], ids=["no bytes", "blank lines"])
def test_a_file_without_rows_is_empty_as_every_other_command_says(tmp_path, content):
    (tmp_path / "x.jsonl").write_text(content, encoding="utf-8")
    with pytest.raises(DatasetError) as caught:
        data.split(tmp_path / "x.jsonl")
    assert caught.value.rule == "VT217"
