"""A training set and a validation set that belong to one job."""

from __future__ import annotations

import json

import pytest

from tests.data.examples import OPEN, chat, row, rows, turn
from vertex_tuning import DataReport, DatasetError, catalog
from vertex_tuning.data import check_job, raise_for_faults


def held_out(count: int) -> list[dict[str, object]]:
    return rows(count, " held out")


def test_two_good_sets_have_no_fault_and_no_warning(tmp_path):
    training = tmp_path / "train.jsonl"
    training.write_text("".join(json.dumps(item) + "\n" for item in rows(100)), encoding="utf-8")
    reports = check_job(training, held_out(5))
    assert [report.source for report in reports] == ["train.jsonl", "validation rows"]
    assert [(report.faults, report.warnings) for report in reports] == [([], []), ([], [])]
    raise_for_faults(*reports)


def test_a_validation_set_may_be_left_out():
    [report] = check_job(rows(100))
    assert (report.source, report.ok) == ("training rows", True)


@pytest.mark.parametrize(
    ("training", "validation", "words"),
    [
        (10, 1_000, ""),
        (3_340, 1_002, ""),
        (3_336, 1_001, "1,001 validation rows: more than 30% of the 3,336 training rows"),
        (100, 1_001, "1,001 validation rows: more than 30% of the 100 training rows"),
        (16_700, 5_000, ""),
        (100, 5_001, "5,001 validation rows: more than the 5,000 that the service takes"),
    ],
)
def test_the_service_takes_only_so_many_validation_rows(training, validation, words):
    learnt, other = check_job(rows(training), held_out(validation))
    assert learnt.ok
    assert [(fault.rule, fault.what, fault.where) for fault in other.faults] == (
        [("VT225", words, "validation rows")] if words else []
    )
    if words:
        assert other.faults[0].fix in ("take a sample of them", "take 1,000 of them")


def test_the_number_to_take_is_one_that_the_service_takes():
    _, other = check_job(rows(4_000), held_out(1_500))
    assert other.faults[0].fix == "take 1,200 of them"
    assert check_job(rows(4_000), held_out(1_200))[1].ok


def test_validation_rows_that_are_learnt_too_are_named():
    training = rows(200)
    _, other = check_job(training, [*held_out(3), training[41], *held_out(2), training[7]])
    [copies, leak] = other.warnings
    assert (leak.rule, leak.what, leak.where) == (
        "VT226",
        "2 rows stand in the training set too",
        "validation rows",
    )
    assert leak.why.startswith("line 4 is line 42 there, line 7 is line 8 there.")
    assert copies.rule == "VT220"
    assert other.ok
    _, other = check_job(training, training[5:6])
    assert other.warnings[0].what == "1 row stands in the training set too"


def test_a_leak_is_found_however_the_row_is_written(tmp_path):
    path = tmp_path / "valid.jsonl"
    path.write_text(
        json.dumps(row(systemInstruction=turn("system", "s")), indent=None) + "\n", encoding="utf-8"
    )
    _, other = check_job([row(), row(system_instruction=turn("", "s"))] * 60, path)
    assert [(warning.rule, warning.where) for warning in other.warnings] == [("VT226", "valid.jsonl")]
    assert "line 1 is line 2 there" in other.warnings[0].why


def test_few_validation_rows_are_no_warning_but_none_are_a_fault():
    assert check_job(rows(100), held_out(1))[1].warnings == []
    [fault] = check_job(rows(100), [])[1].faults
    assert (fault.rule, fault.where) == ("VT217", "validation rows")


def test_the_faults_of_both_sets_are_told_at_once():
    with pytest.raises(DatasetError) as caught:
        raise_for_faults(*check_job([row(answer="")], [row(question=5), "x"]))
    assert caught.value.rule == "VT200"
    assert caught.value.fault.what == "the data sets have 3 faults"
    assert caught.value.fault.where == "training rows, validation rows"
    assert [fault.rule for fault in caught.value.faults] == ["VT212", "VT207", "VT224"]
    assert [fault.where.split(" line")[0] for fault in caught.value.faults] == [
        "training rows",
        "validation rows",
        "validation rows",
    ]


def test_one_fault_in_two_sets_is_raised_as_itself():
    with pytest.raises(DatasetError) as caught:
        raise_for_faults(*check_job(rows(100), ["x"]))
    assert (caught.value.rule, caught.value.fault.where) == ("VT224", "validation rows line 1")


@pytest.mark.parametrize("training", ["gs://bucket/train.jsonl", rows(100)])
@pytest.mark.parametrize("validation", ["gs://bucket/valid.jsonl", held_out(5_001)])
def test_what_lies_in_cloud_storage_is_passed_over(training, validation):
    reports = check_job(training, validation)
    assert len(reports) == isinstance(training, list) + isinstance(validation, list)
    if isinstance(validation, list):
        assert [fault.rule for fault in reports[-1].faults] == ["VT225"]


def test_both_sets_are_held_against_the_base_model():
    good = [chat(("user", str(number)), ("assistant", "b")) for number in range(100)]
    assert all(report.ok for report in check_job(good, [row()], base_model=OPEN))
    assert not any(report.ok for report in check_job(good, good[:5]))


def test_a_report_can_be_printed_and_written_as_json():
    _, other = check_job(rows(100), [*held_out(2), row(answer="")])
    assert isinstance(other, DataReport)
    assert json.loads(json.dumps(other.to_json()))["faults"][0]["lines"] == [3]
    assert str(other).splitlines()[-1] == "validation rows: 3 rows, 6 turns, about 17 tokens: 1 fault"


def test_the_limits_are_those_of_the_catalog(monkeypatch):
    lower = {**catalog.limits("supervised"), "max_validation_examples": 3, "validation_share_from": 1}
    monkeypatch.setattr(catalog, "limits", lambda _: lower)
    assert check_job(rows(7), held_out(2))[1].ok
    assert not check_job(rows(6), held_out(2))[1].ok
    assert not check_job(rows(100), held_out(4))[1].ok
