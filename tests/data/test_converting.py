"""Converting a data set: nothing is lost in silence, nothing is overwritten, and what comes out passes the check."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.examples import Row, chat, row, turn
from tests.data.test_converting_forms import CALLS, FORMS, PAIRS
from vertex_tuning import DatasetError, SpecError, data

U, A = ("user", "2 + 2?"), ("assistant", "4")
MADE = row("2 + 2?", "4")
METHODS = ("supervised", "preference", "reinforcement", "distillation")


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    return path


def read(path: str | Path) -> list[Any]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def faults_of(rows: list[Any], tmp_path: Path, method: str | None = None) -> list[tuple[str, str]]:
    """Rule and place of all that is wrong with them."""
    with pytest.raises(DatasetError) as caught:
        data.convert(rows, method=method, output=tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()
    assert all(fault.fix for fault in caught.value.faults), caught.value
    return [(fault.rule, fault.where) for fault in caught.value.faults]


def said_by(role: str, **more: Any) -> Row:
    return {"role": role, **more}


def asked(*messages: Row, **more: Any) -> Row:
    return {"messages": [said_by("user", content="?"), *messages], **more}


def image(url: Any) -> Row:
    piece = {"type": "image_url", "image_url": {"url": url}}
    return chat(("user", [{"type": "text", "text": "?"}, piece]), A)


def called(arguments: str) -> Row:
    return said_by("assistant", tool_calls=[{"id": "1", "function": {"name": "f", "arguments": arguments}}])


CALL = called("{}")
NO_TYPE = [{"function": {"name": "f", "parameters": {"type": "any"}}}]
PICTURED = image("gs://b/a.png")["messages"][:1]
TWO_LEVELS = {"contents": [turn("user", "?")], "references": {"level": "1"}, "level": "2"}

FAULTS: list[tuple[str, str, Any]] = [
    ("VT224", "", ["a"]),
    ("VT255", "", {}),
    ("VT255", "", {"foo": 1}),
    ("VT255", "", {"role": "user", "content": "?"}),
    ("VT255", "text", {"text": "2 + 2 is 4."}),
    ("VT255", "", {"prompt": "?", "completion": "a", "response": "b"}),
    ("VT255", "label", {"prompt": "?", "completion": "a", "label": False}),
    ("VT255", "chosen", {"chosen": "Human: ? Assistant: a", "rejected": "Human: ? Assistant: b"}),
    ("VT256", "images", {"prompt": "<image>?", "completion": "a", "images": ["a.png"]}),
    ("VT255", "prompt", {"prompt": "!", "chosen": chat(U, A)["messages"], "rejected": chat(U, U)["messages"]}),
    ("VT206", "messages", {"messages": []}),
    ("VT206", "conversations", {"conversations": []}),
    ("VT207", "messages[0]", {"messages": ["a"]}),
    ("VT203", "messages[0].role", {"messages": [said_by("critic", content="?"), said_by("assistant", content="a")]}),
    ("VT203", "messages[0].role", {"messages": [said_by(["user"], content="?")]}),  # type: ignore[arg-type]
    ("VT203", "conversations[0].from", {"conversations": [{"from": "bard", "value": "?"}]}),
    ("VT207", "conversations[0].value", {"conversations": [{"from": "human", "value": 1}]}),
    ("VT207", "messages[1].content", asked(said_by("assistant", content=None))),
    ("VT207", "messages[1].content", asked(said_by("assistant", content=1))),
    ("VT212", "messages[1].content", asked(said_by("assistant", content=""))),
    ("VT212", "messages[1].content[0].text", chat(U, ("assistant", [{"type": "text", "text": ""}]))),
    ("VT212", "contents[1].parts", chat(U, ("assistant", " "))),
    ("VT256", "messages[1].role", chat(U, ("system", "Be brief."), A)),
    ("VT256", "conversations[1].from", {"conversations": [{"from": "human", "value": "?"}, {"from": "system", "value": "!"}]}),
    ("VT256", "messages[0].content[0]", chat(("user", [{"type": "input_audio", "input_audio": {"data": ""}}]), A)),
    ("VT256", "messages[0].content[0]", chat(("user", [{"type": "smell"}]), A)),
    ("VT256", "messages[0].content[0]", chat(("user", [{"type": "file", "file": {"file_id": "file-1"}}]), A)),
    ("VT256", "messages[0].content", chat(("system", [{"type": "image_url", "image_url": {"url": "gs://b/a.png"}}]), U, A)),
    ("VT219", "messages[0].content[1].image_url.url", image("gs://bucket/cat")),
    ("VT219", "messages[0].content[1].image_url.url", image("http://example.com/cat.png")),
    ("VT219", "messages[0].content[1].image_url.url", image("data:image/png,abc")),
    ("VT219", "messages[0].content[1].image_url.url", image(None)),
    ("VT219", "messages[0].content[1].image_url.url", image("https://[")),
    ("VT219", "messages[0].content[1].image_url.url", image("gs://bucket")),
    ("VT257", "messages[1].tool_calls[0].function.arguments", asked(called("{"))),
    ("VT257", "messages[1].tool_calls[0].function.arguments", asked(called("[1]"))),
    ("VT257", "messages[1].tool_calls[0]", asked(said_by("assistant", tool_calls=["f"]))),
    ("VT257", "messages[1].tool_calls", asked(said_by("assistant", tool_calls="f"))),
    ("VT257", "messages[2]", asked(CALL, said_by("tool", tool_call_id="2", content="a"), said_by("assistant", content="b"))),
    ("VT257", "messages[1]", asked(said_by("tool", content="a"), said_by("assistant", content="b"))),
    ("VT257", "tools", chat(U, A, tools="no")),
    ("VT257", "tools[0]", chat(U, A, tools=[{}])),
    ("VT257", "tools[0].type", chat(U, A, tools=[{"type": "web_search"}])),
    ("VT257", "tools[0].function.parameters.type", chat(U, A, tools=NO_TYPE)),
    ("VT258", "", chat(A, U)),
    ("VT258", "", {"prompt": "?"}),
    ("VT259", "messages[1].weight", asked(said_by("assistant", content="a", weight=0))),
    ("VT207", "prompt", {"prompt": 1, "completion": "a"}),
    ("VT207", "instruction", {"instruction": 1, "output": "a"}),
    ("VT207", "history", {"instruction": "?", "output": "a", "history": "b"}),
    ("VT207", "history[0]", {"instruction": "?", "output": "a", "history": [["b"]]}),
    ("VT207", "system", {"instruction": "?", "output": "a", "system": 1}),
    ("VT228", "choice", {"input_text": "?", "candidate_0": "a", "candidate_1": "b", "choice": 2}),
    ("VT203", "messages[2].author", {"messages": [{"author": name, "content": name} for name in "abc"]}),
    ("VT207", "contents", {"contents": "?", "references": {}}),
    ("VT227", "completions", {"contents": [turn("user", "?")], "completions": [], "references": {}}),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "path", "bad"), FAULTS)
def test_what_cannot_be_carried_over_is_a_fault_of_its_row_and_nothing_is_written(tmp_path, rule, path, bad):
    found = faults_of(
        [chat(U, A), bad, chat(U, A)], tmp_path, "preference" if "references" in bad else "supervised"
    )
    assert (rule, f"rows line 2, {path}" if path else "rows line 2") in found


@pytest.mark.parametrize(
    ("method", "rule", "path", "bad"),
    [
        ("preference", "VT258", "", chat(U, A)),
        ("preference", "VT231", "completions", {"prompt": "?", "chosen": "a", "rejected": "a"}),
        ("preference", "VT256", "chosen", {"prompt": "?", "chosen": chat(U)["messages"][0], "rejected": "b"}),
        ("preference", "VT229", "", {"prompt": PICTURED, "chosen": "a", "rejected": "b"}),
        ("reinforcement", "VT258", "", {"messages": [*asked()["messages"], CALL]}),
        ("reinforcement", "VT261", "answer", chat(U, A, answer="5")),
        ("reinforcement", "VT261", "item_json", chat(U, item_json="{}", level=1)),
        ("reinforcement", "VT261", "item_json", chat(U, item_json="{}")),
        ("reinforcement", "VT255", "item", {"item": {"answer": "4"}}),
        ("reinforcement", "VT261", "references.level", TWO_LEVELS),
        ("reinforcement", "VT232", "references", {"contents": [turn("user", "?")], "references": ["1"], "level": "2"}),
        ("distillation", "VT206", "contents", {"messages": [said_by("assistant", content="a")]}),
    ],
)  # fmt: skip
def test_what_a_method_needs_and_a_row_does_not_have(tmp_path, method, rule, path, bad):
    found = faults_of([bad], tmp_path, method)
    assert (rule, f"rows line 1, {path}" if path else "rows line 1") in found


def test_a_set_is_for_what_its_first_row_is_for(tmp_path):
    pair = {"prompt": "?", "chosen": "a", "rejected": "b"}
    assert faults_of([chat(U, A), pair], tmp_path) == [("VT258", "rows line 2")]
    assert faults_of([pair, chat(U, A)], tmp_path) == [("VT258", "rows line 2")]


def test_all_faults_of_all_rows_are_told_at_once_each_kind_once(tmp_path):
    odd = [chat(U, ("system", "!"), A)] * 3 + [chat(U), {"foo": 1}]
    with pytest.raises(DatasetError) as caught:
        data.convert(odd, output=tmp_path / "out.jsonl")
    assert caught.value.rule == "VT200"
    assert [fault.rule for fault in caught.value.faults] == ["VT256", "VT258", "VT255"]
    assert "2 other rows have the same fault: lines 2, 3." in str(caught.value)


def test_rows_with_a_fault_are_dropped_where_that_was_asked_for(tmp_path):
    path = write(tmp_path / "a.jsonl", [chat(U, A), chat(U), chat(U, A), "no", chat(A)])
    done = data.convert(path, drop=True)
    assert read(done.output) == [MADE, MADE]
    assert (done.rows, done.written, done.left_out) == (5, 2, [2, 4, 5])
    assert "VT258  a.jsonl line 2" in str(done)
    assert "3 rows were dropped" in str(done)
    assert [fault["rule"] for fault in done.to_json()["faults"]] == ["VT258", "VT224", "VT209"]
    assert done.ok


def test_a_first_row_with_a_fault_does_not_say_what_the_set_is_for(tmp_path):
    pair = {"prompt": "?", "chosen": "a", "rejected": "b"}
    done = data.convert([{**pair, "chosen": 1}, pair], output=tmp_path / "out.jsonl", drop=True)
    assert (done.method, done.written, done.left_out) == ("preference", 1, [1])


def test_a_row_that_is_nested_too_deeply_is_a_fault_of_its_own(tmp_path):
    tools = json.dumps(chat(U, A, tools=[{"function": {"name": "f", "parameters": {"anyOf": ["?"]}}}]))
    deep = '{"anyOf": [{}, ' * 490 + "{}" + "]}" * 490
    lines = [
        tools.replace('"?"', deep),
        '{"messages": ' + "[" * 5000 + "]" * 5000 + "}",
        json.dumps(chat(U, A)),
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    done = data.convert(tmp_path / "a.jsonl", drop=True)
    assert (done.written, done.left_out) == (1, [1, 2])
    assert {fault.rule for fault in done.faults} == {"VT204"}


def test_a_line_that_is_too_long_to_be_read_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["vertex_tuning.data.check"], "_MAX_LINE", 200)
    path = write(tmp_path / "a.jsonl", [chat(U, ("assistant", "a" * 300)), chat(U, A)])
    done = data.convert(path, drop=True)
    assert (done.rows, done.written) == (2, 1)
    assert "VT216  a.jsonl line 1" in str(done)


def test_what_json_cannot_say_is_a_fault(tmp_path):
    (tmp_path / "a.json").write_text(
        '[{"prompt": "\\ud800", "completion": "a"}, {"prompt": "a", "n": 1e400}]'
    )
    with pytest.raises(DatasetError) as caught:
        data.convert(tmp_path / "a.json", method="distillation")
    assert [(one.rule, one.where) for one in caught.value.faults] == [
        ("VT223", "a.json line 1, prompt"),
        ("VT223", "a.json line 1, n"),
    ]


def test_what_lies_in_cloud_storage_is_not_read():
    with pytest.raises(DatasetError) as caught:
        data.convert("gs://bucket/a.jsonl")
    assert caught.value.rule == "VT201"


def test_where_no_row_is_left_nothing_is_written(tmp_path):
    with pytest.raises(DatasetError):
        data.convert(write(tmp_path / "a.jsonl", [chat(U)]), drop=True)
    (tmp_path / "b.jsonl").write_text("\n\n", encoding="utf-8")
    with pytest.raises(DatasetError) as caught:
        data.convert(tmp_path / "b.jsonl", drop=True)
    assert caught.value.rule == "VT217"
    assert {path.name for path in tmp_path.iterdir()} == {"a.jsonl", "b.jsonl"}


def test_nothing_is_overwritten_and_nothing_half_written_is_left(tmp_path):
    path = write(tmp_path / "a.jsonl", [chat(U, A)])
    done = data.convert(path)
    assert done.output == str(tmp_path / "a-vertex.jsonl")
    before = Path(done.output).read_bytes()
    for target in (None, path):
        with pytest.raises(DatasetError) as caught:
            data.convert(path, output=target)
        assert caught.value.rule == "VT260"
    with pytest.raises(DatasetError) as caught:
        data.convert(path, output=path / "below.jsonl")
    assert caught.value.rule == "VT260"
    with pytest.raises(DatasetError) as caught:
        data.convert([chat(U, A)])
    assert caught.value.rule == "VT260"
    assert Path(done.output).read_bytes() == before
    assert {entry.name for entry in tmp_path.iterdir()} == {"a.jsonl", "a-vertex.jsonl"}


def test_there_is_no_such_method_and_no_such_file(tmp_path):
    with pytest.raises(SpecError):
        data.convert([chat(U, A)], method="dpo", output=tmp_path / "a.jsonl")
    with pytest.raises(DatasetError) as caught:
        data.convert(tmp_path / "none.jsonl")
    assert caught.value.rule == "VT201"
    with pytest.raises(DatasetError) as caught:
        data.convert({"messages": []}, output=tmp_path / "a.jsonl")
    assert caught.value.rule == "VT202"


@pytest.mark.parametrize("method", METHODS)
def test_what_was_converted_stays_as_it_is(tmp_path, method):
    rows = [one for _, way, one, _ in FORMS if way == method] + [CALLS] * (method == "supervised")
    if method == "preference":
        rows = [one for _, one in PAIRS]
    once = data.convert(rows, method=method, output=tmp_path / "once.jsonl")
    again = data.convert(once.output, method=method)
    assert Path(again.output).read_bytes() == Path(once.output).read_bytes()
    assert (again.notes, again.forms) == ([], {"Vertex AI": len(rows)})


# Files


def test_a_list_of_rows_in_one_file(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([chat(U, A), chat(U, A)], indent=2), encoding="utf-8")
    done = data.convert(tmp_path / "a.json")
    assert done.output == str(tmp_path / "a-vertex.jsonl")
    assert read(done.output) == [MADE, MADE]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('[\n{"prompt": "?", "completion": "a"},\n{"prompt": "?"}\n]', ("VT258", 3)),
        ('[\n{"prompt": "?", "completion": "a"}\n{"prompt": "?"}\n]', ("VT204", 3)),
        ('[\n{"prompt": "?", "completion": NaN}\n]', ("VT204", 2)),
        ('\n[\n{"prompt": "?", "completion": "a"},\n]', ("VT204", 4)),
        ('[{"prompt": "?", "completion": "a"}', ("VT204", 1)),
        ('[{"prompt": "?", "completion": "a"}]\n[]', ("VT204", 1)),
        ('["a"]', ("VT224", 1)),
        ("[" * 100_000, ("VT204", 1)),
        ('{"prompt": "?", "completion": "a"}\n{"prompt": "?", "completion": "a"},', ("VT204", 2)),
        ('{"prompt": "?", "completion": NaN}', ("VT204", 1)),
        ('{"prompt": "?", "completion": "\xff"}', ("VT213", 1)),
        ('[\n"\xff"]', ("VT213", 2)),
        ("[" * 5 + "\n" + "{" * 100_000, ("VT204", 1)),
    ],
)
def test_what_is_no_row_is_told_with_its_line(tmp_path, text, found):
    (tmp_path / "a.jsonl").write_bytes(text.encode("latin-1"))
    with pytest.raises(DatasetError) as caught:
        data.convert(tmp_path / "a.jsonl")
    rule, line = found
    assert (rule, f"a.jsonl line {line}") in [
        (one.rule, one.where.partition(",")[0]) for one in caught.value.faults
    ]
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.jsonl"]


@pytest.mark.parametrize(("name", "comma"), [("a.csv", ","), ("a.TSV", "\t")])
def test_a_table_with_a_header(tmp_path, name, comma):
    lines = [["", "prompt", "completion"], ["1", '"2 + 2?"', '"4, or\nfour"'], [], ["2", "2 + 2?", "4"]]
    text = "\r\n".join(comma.join(cells) for cells in lines)
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
    done = data.convert(tmp_path / name)
    assert done.output == str(tmp_path / "a-vertex.jsonl")
    assert read(done.output) == [row("2 + 2?", "4, or\nfour"), MADE]


def test_a_cell_may_hold_messages_and_an_empty_one_is_left_out(tmp_path):
    messages = json.dumps(chat(U, A)["messages"]).replace('"', '""')
    (tmp_path / "a.csv").write_text(f'messages,text\n"{messages}",\n', encoding="utf-8")
    assert read(data.convert(tmp_path / "a.csv").output) == [MADE]


@pytest.mark.parametrize(
    ("text", "rule", "where"),
    [
        ("prompt,completion\n?,a\n?,a,b\n", "VT262", "a.csv line 3"),
        ('prompt,completion\n?,"a\n', "VT262", "a.csv line 2"),
        ("prompt,prompt\n?,a\n", "VT262", "a.csv line 1"),
        (",\n?,a\n", "VT262", "a.csv line 1"),
        ("", "VT262", "a.csv line 1"),
        ("prompt,completion\n", "VT217", "a.csv"),
        ("prompt,completion\n?,\n", "VT258", "a.csv line 2"),
        ("prompt,completion\n?,\xff\n", "VT213", "a.csv"),
    ],
)
def test_a_table_that_is_none(tmp_path, text, rule, where):
    (tmp_path / "a.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(DatasetError) as caught:
        data.convert(tmp_path / "a.csv")
    assert [(one.rule, Path(one.where).name) for one in caught.value.faults] == [(rule, where)]


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_a_file_of_another_kind_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x1f\x8b...")
    with pytest.raises(DatasetError) as caught:
        data.convert(tmp_path / name)
    assert caught.value.rule == "VT202"


PEAK = """
import re, sys
from vertex_tuning import data
done = data.convert(sys.argv[1])
peak = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]
print(done.written, len(done.notes), peak)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs a kernel that tells the peak")
def test_memory_stays_small_however_many_rows_there_are(tmp_path):
    """A row in ten has a member that no other has, and is noted."""

    def peak(count: int) -> int:
        path = tmp_path / f"{count}.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for number in range(count):
                extra = f', "f{number}": 1' if number % 10 == 9 else ""
                file.write(
                    f'{{"messages": [{{"role": "user", "content": "Number {number}?"}}, '
                    f'{{"role": "assistant", "content": "It is {number}."}}]{extra}}}\n'
                )
        done = subprocess.run(
            [sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, check=True
        )
        written, notes, kilobytes = map(int, done.stdout.split())
        assert written == count
        assert notes <= 101
        return kilobytes

    small, large = peak(3_000), peak(150_000)
    # What the check needs to find copies: 14 bytes a row, 2 MB.
    assert large - small < 8_000


# Whatever a row holds

FAST = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), database=None)
JUNK = [
    None,
    "",
    " ",
    "a",
    0,
    1,
    True,
    1.5,
    [],
    {},
    ["a"],
    [{}],
    {"text": "a"},
    "user",
    "assistant",
    "system",
    "tool",
]
NAMES = sorted(
    {name for _, _, one, _ in FORMS for name in one} | {"content", "role", "tool_calls", "weight", "x"}
)


def places(value: Any) -> list[tuple[Any, Any]]:
    found = []
    for key, member in list(value.items() if isinstance(value, dict) else enumerate(value)):
        found.append((value, key))
        if isinstance(member, dict | list):
            found += places(member)
    return found


@st.composite
def perhaps_spoilt(draw: st.DrawFn) -> Any:
    """A row of some form, right or with a member or two changed, removed or added."""
    one = copy.deepcopy(
        draw(st.sampled_from([row for _, _, row, _ in FORMS] + [row for _, row in PAIRS] + [CALLS]))
    )
    for _ in range(draw(st.sampled_from([0, 1, 1, 2, 3]))):
        there = places(one)
        if not there:
            break
        holder, key = draw(st.sampled_from(there))
        how = draw(st.sampled_from(["change", "remove", "add"]))
        if how == "change":
            holder[key] = copy.deepcopy(draw(st.sampled_from(JUNK)))
        elif how == "remove":
            del holder[key]
        elif isinstance(holder, dict):
            holder[draw(st.sampled_from(NAMES))] = copy.deepcopy(draw(st.sampled_from(JUNK)))
        else:
            holder.insert(key, copy.deepcopy(draw(st.sampled_from(JUNK))))
    return one


@FAST
@given(row=perhaps_spoilt(), method=st.sampled_from([None, *METHODS]))
def test_a_row_is_converted_into_one_that_passes_the_check_or_is_reported(tmp_path_factory, row, method):
    folder = tmp_path_factory.mktemp("rows")
    given_row = copy.deepcopy(row)
    try:
        done = data.convert([row], method=method, output=folder / "out.jsonl")
    except DatasetError:
        assert list(folder.iterdir()) == []
    else:
        assert data.check(done.output, method=done.method, base_model=None).ok
        again = data.convert(done.output, method=done.method)
        assert Path(again.output).read_bytes() == Path(done.output).read_bytes()
        assert again.notes == []
    assert row == given_row
