"""Whatever a row holds: the two readers agree, nothing is a traceback, and what is taken can be trained on."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.examples import GEMINI, OPEN
from vertex_tuning.data import check, rows
from vertex_tuning.data.marks import Marks
from vertex_tuning.data.plain import encoded, plain
from vertex_tuning.training import rows as trained

FAST = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)

words = st.sampled_from(["a", "b c", " d", "\n", " ", "é\U0001f600", "\x00", "user"])
JUNK = [None, "", " ", 0, 1.5, True, [], {}, ["a"], {"text": ""}, "user", "assistant", "system"]
junk = st.sampled_from(JUNK).map(copy.deepcopy)
NAMES = [
    *("contents", "role", "parts", "text", "systemInstruction", "system_instruction", "tools", "messages"),
    *("content", "prompt", "completion", "fileData", "file_data", "name", "labels", "x"),
]


def turns(role: str, text: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    parts = st.lists(st.fixed_dictionaries({"text": text}), min_size=1, max_size=2)
    return st.fixed_dictionaries({"role": st.just(role), "parts": parts})


def talk(user: st.SearchStrategy[Any], model: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    between = st.lists(user | model, max_size=2)
    return st.builds(lambda first, some, last: [first, *some, last], user, between, model)


def messages(role: str) -> st.SearchStrategy[Any]:
    pieces = st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": words}), min_size=1, max_size=2)
    return st.fixed_dictionaries({"role": st.just(role), "content": words | words | pieces})


right_contents = st.fixed_dictionaries(
    {"contents": talk(turns("user", words), turns("model", words))},
    optional={"systemInstruction": turns("system", words), "system_instruction": turns("", words)},
)
right_messages = st.fixed_dictionaries({"messages": talk(messages("user"), messages("assistant"))})
right_completion = st.fixed_dictionaries({"prompt": words, "completion": words})


@st.composite
def perhaps_spoilt(draw: st.DrawFn, right: st.SearchStrategy[Any]) -> Any:
    """A right row; or one in which a member or two were changed, removed or added."""
    row = draw(right)
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        places = list(members(row))
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        how = draw(st.sampled_from(["change", "remove", "add"]))
        if how == "change":
            holder[key] = draw(junk)
        elif how == "remove":
            del holder[key]
        elif isinstance(holder, dict):
            holder[draw(st.sampled_from(NAMES))] = draw(junk)
        else:
            holder.insert(key, draw(junk))
    return row


def members(value: Any) -> Iterator[tuple[Any, Any]]:
    for key, member in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, key
        if isinstance(member, dict | list):
            yield from members(member)


FORMS = [
    pytest.param(perhaps_spoilt(right_contents), rows.CONTENTS, rows.ContentsRow, GEMINI, id="contents"),
    pytest.param(perhaps_spoilt(right_messages), rows.MESSAGES, rows.MessagesRow, OPEN, id="messages"),
    pytest.param(
        perhaps_spoilt(right_completion), rows.COMPLETION, rows.CompletionRow, OPEN, id="completion"
    ),
]


@pytest.mark.parametrize(("some", "form", "kind", "model"), FORMS)
def test_the_quick_reader_and_the_thorough_one_agree(some, form, kind, model):
    reader = msgspec.json.Decoder(kind)
    seen = {"quick": 0, "faulty": 0}

    @settings(FAST, max_examples=400)
    @given(some)
    def agree(row: dict[str, Any]) -> None:
        faults: list[str] = []
        thorough = rows.walk(
            row,
            form,
            lambda rule, path, what, **_: faults.append(f"{rule} {path}: {what}"),
            open_model=model == OPEN,
        )
        try:
            quick = rows.figures(reader.decode(json.dumps(row)))
        except msgspec.DecodeError:
            quick = None
        if quick is None:
            seen["faulty"] += bool(faults)
            return
        seen["quick"] += 1
        assert faults == []
        assert (quick.turns, quick.characters, quick.answer) == (
            thorough.turns,
            thorough.characters,
            thorough.answer,
        )
        assert not thorough.media

    agree()
    # The rows are neither all right nor all wrong: otherwise nothing was tested.
    assert min(seen["quick"], seen["faulty"]) > 5, seen


@pytest.mark.parametrize(("some", "form", "kind", "model"), FORMS)
def test_what_is_taken_can_be_trained_on(some, form, kind, model):
    @FAST
    @given(some)
    def trainable(row: dict[str, Any]) -> None:
        if check([row], base_model=model).ok:
            try:
                chat = trained.messages(row)
            except trained.CannotSeeError:  # a file, or a call: the stand-in reads text only
                return
            assert chat[-1]["role"] == "assistant"

    trainable()


@pytest.mark.parametrize(("some", "form", "kind", "model"), FORMS)
def test_a_row_and_its_line_have_the_same_verdict(some, form, kind, model, tmp_path):
    path = tmp_path / "train.jsonl"

    @settings(FAST, max_examples=100)
    @given(st.lists(some, min_size=1, max_size=4))
    def same(made: list[dict[str, Any]]) -> None:
        path.write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")
        of_rows, of_file = check(made, base_model=model, name="x"), check(path, base_model=model, name="x")
        assert {**of_rows.to_json(), "bytes": 0} == {**of_file.to_json(), "bytes": 0}

    same()


@settings(FAST, max_examples=150)
@given(
    st.binary(max_size=60) | st.text(max_size=60).map(lambda text: json.dumps({"contents": text}).encode())
)
def test_no_line_is_a_traceback(tmp_path_factory, line):
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_bytes(b"x" + line)  # no kind of file begins with an x
    report = check(path)
    assert report.faults
    assert str(report)
    assert json.dumps(report.to_json())


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.characters() | st.binary(max_size=3)
keys = st.characters() | st.integers()
everything = st.recursive(
    leaves | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3) | st.tuples(inner),
    max_leaves=8,
)


@settings(FAST, max_examples=150)
@given(everything)
def test_a_row_of_python_is_json_or_its_every_fault_has_a_place(value):
    faults: list[str] = []
    said = plain(value, lambda rule, path, what, **_: faults.append(path))
    encoded(said)
    try:
        line = encoded(value)
    except (TypeError, ValueError):
        assert faults
    else:
        assert not faults
        # Keys become texts, tuples become lists; nothing else changes.
        assert json.loads(line) == json.loads(json.dumps(value)) == json.loads(json.dumps(said))
    report = check([value])
    assert report.rows == 1
    assert not report.ok


@FAST
@given(st.lists(st.integers(-5, 5)), st.lists(st.integers(-5, 5)))
def test_copies_are_counted_as_a_dictionary_would(first, second):
    def marks(values: list[int]) -> Marks:
        made = Marks()
        for line, value in enumerate(values, 1):
            made.add(value * 1_000_003 - 7, line)
        return made

    repeated = [(line, first.index(v) + 1) for line, v in enumerate(first, 1) if v in first[: line - 1]]
    assert marks(first).repeated(show=3).count == len(repeated)
    assert list(marks(first).repeated(show=3).first) == repeated[:3]
    shared = [(line, first.index(v) + 1) for line, v in enumerate(second, 1) if v in first]
    assert marks(second).shared(marks(first), show=99).count == len(shared)
    assert list(marks(second).shared(marks(first), show=99).first) == shared
