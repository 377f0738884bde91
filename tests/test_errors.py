"""An error says what, where, why and what to do; to people, to programs, and in another process."""

from __future__ import annotations

import copy
import json
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import pytest

from vertex_tuning import errors
from vertex_tuning.errors import Fault, JobTimeoutError, ServiceError, VertexTuningError

EVERY = [
    value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, VertexTuningError)
]
EXTRAS = {"ServiceError": {"code": 404, "status": "NOT_FOUND"}} | {
    kind.__name__: {"code": 8, "job": "projects/1/locations/l/tuningJobs/2"}
    for kind in EVERY
    if issubclass(kind, errors.JobError)
}
FULL = {
    "where": "train.jsonl line 41, contents[2].role",
    "why": "It must be user or model.",
    "fix": 'write "model"',
}


def made(kind: type[VertexTuningError], **more: object) -> VertexTuningError:
    return kind("VT203", '"assistant"', **FULL, **EXTRAS.get(kind.__name__, {}), **more)


def fail(kind: type[VertexTuningError]) -> None:
    raise made(kind)


@pytest.mark.parametrize("kind", EVERY)
def test_an_error_reads_like_a_piece_of_help(kind):
    error = made(kind)
    assert str(error) == (
        'VT203  train.jsonl line 41, contents[2].role: "assistant"\n'
        "       It must be user or model.\n"
        '       Fix: write "model"'
    )
    assert error.args == (str(error),)
    assert error.rule == "VT203"
    assert error.faults == (error.fault,)
    assert str(kind("VT999", "it broke")) == "VT999  it broke"


@pytest.mark.parametrize("kind", EVERY)
def test_an_error_is_what_it_was_after_a_copy_or_a_pickle(kind):
    faults = [Fault("VT201", "a"), Fault("VT202", "b", "c", "d", "e")]
    for error in (made(kind), made(kind, faults=faults)):
        error.add_note("seen by a test")
        for same in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
            assert type(same) is kind
            assert same.__dict__ == error.__dict__
            assert (str(same), repr(same), same.args) == (str(error), repr(error), error.args)


def test_an_error_comes_home_from_another_process():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        for kind in (ServiceError, JobTimeoutError):
            with pytest.raises(kind) as caught:
                pool.submit(fail, kind).result()
            assert str(caught.value) == str(made(kind))
            assert caught.value.code == EXTRAS[kind.__name__]["code"]


def test_several_faults_stand_below_each_other():
    faults = [Fault("VT203", "a", "line 1", fix="x"), Fault("VT205", "b", "line 2")]
    error = errors.DatasetError("VT200", "the data set has 2 faults", where="train.jsonl", faults=faults)
    assert str(error).splitlines() == [
        "VT200  train.jsonl: the data set has 2 faults",
        "VT203  line 1: a",
        "       Fix: x",
        "VT205  line 2: b",
    ]
    assert error.faults == tuple(faults)
    assert error.fault.rule == "VT200"


def test_a_program_reads_an_error_as_json():
    faults = [Fault("VT203", "a", "line 1", "why", "fix"), Fault("VT205", "b")]
    error = errors.DatasetError("VT200", "two", faults=faults)
    assert json.loads(json.dumps(error.to_json())) == {
        "error": {"rule": "VT200", "what": "two", "where": "", "why": "", "fix": ""},
        "faults": [
            {"rule": "VT203", "what": "a", "where": "line 1", "why": "why", "fix": "fix"},
            {"rule": "VT205", "what": "b", "where": "", "why": "", "fix": ""},
        ],
    }
    alone = made(errors.SpecError).to_json()
    assert alone["faults"] == [alone["error"]]


def test_a_fault_does_not_change():
    with pytest.raises(AttributeError):
        Fault("VT203", "a").what = "b"


def test_all_errors_are_caught_by_their_root_and_by_what_python_programs_expect():
    for kind in EVERY:
        assert issubclass(kind, VertexTuningError)
    for kind in (errors.ConfigurationError, errors.DatasetError, errors.SpecError):
        assert issubclass(kind, ValueError)
    assert issubclass(JobTimeoutError, TimeoutError)
    assert not issubclass(ServiceError, OSError)


def test_the_tree_that_is_drawn_is_the_tree_that_there_is():
    drawn = errors.__doc__ or ""
    assert {kind.__name__ for kind in EVERY} | {"Fault"} == set(errors.__all__)
    for kind in EVERY:
        [line] = [line for line in drawn.splitlines() if kind.__name__ in line.replace("(", " ").split()]
        assert ("ValueError" in line) == (issubclass(kind, ValueError))
        depth = line.index(kind.__name__) // 4
        assert depth == len([above for above in kind.__mro__ if issubclass(above, VertexTuningError)])


def test_what_failed_below_is_kept():
    def fails() -> None:
        try:
            raise KeyError("x")
        except KeyError as error:
            raise made(ServiceError) from error

    with pytest.raises(ServiceError) as caught:
        fails()
    assert isinstance(caught.value.__cause__, KeyError)
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")
    assert (ServiceError("VT502", "no answer").code, ServiceError("VT502", "no answer").status) == (0, "")
