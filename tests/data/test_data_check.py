"""Every fault of a row has its rule, its line, its JSON path and its count."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.data.examples import GEMINI, OPEN, chat, part, row, rows, turn
from vertex_tuning import DatasetError, SpecError, catalog, data
from vertex_tuning.data import check

FILE = {"mimeType": "image/png", "fileUri": "gs://bucket/file.png"}

ASK, TELL = turn("user", "a"), turn("model", "b")
U, A = ("user", "a"), ("assistant", "b")
SAID = {"role": "user", "content": "a"}
PART = "contents[0].parts[0]"


def picture(url: str) -> dict[str, object]:
    return {"type": "image_url", "image_url": {"url": url}}


# rule, JSON path, words, row
CONTENTS = [
    ("VT203", "contents[1].role", '"assistant"', {"contents": [ASK, turn("assistant", "b")]}),
    ("VT203", "contents[0].role", '"system"', {"contents": [turn("system", "s"), *row()["contents"]]}),
    ("VT203", "contents[0].role", "a list", {"contents": [{**ASK, "role": ["user"]}, TELL]}),
    ("VT205", "labelz", "a row has no field", row(labelz={})),
    ("VT205", '["a b\\n"]', "a row has no field", row(**{"a b\n": 1})),
    ("VT205", "contents[0].name", "a content has no field", {"contents": [{**ASK, "name": "x"}, TELL]}),
    ("VT205", "contents[0].text", "a content has no field", {"contents": [{"role": "user", "text": "a"}, TELL]}),
    ("VT205", f"{PART}.txt", "a part has no field", part(text="a", txt="b")),
    ("VT205", "system_instruction", "the same field as", row(systemInstruction=turn("", "a"), system_instruction=turn("", "b"))),
    ("VT206", "contents", "contents is missing", {}),
    ("VT206", "contents", "contents is missing", {"contents": None}),
    ("VT206", "contents", "a list, and empty", {"contents": []}),
    ("VT206", "contents", "a string", {"contents": "hello"}),
    ("VT207", "contents[0]", "a string, not an object", {"contents": ["hot", ASK, TELL]}),
    ("VT207", f"{PART}", "a string, not an object", {"contents": [{"role": "user", "parts": ["a"]}, TELL]}),
    ("VT207", f"{PART}.text", "a number, not a string", part(text=5)),
    ("VT207", f"{PART}.functionCall", "a string, not an object", part(functionCall="f")),
    ("VT207", "systemInstruction", "a string, not an object", row(systemInstruction="be brief")),
    ("VT207", "tools", "an object, not a list", row(tools={"functionDeclarations": []})),
    ("VT207", "tools[0]", "a string, not an object", row(tools=["search"])),
    ("VT207", "labels", "a list, not an object", row(labels=["a"])),
    ("VT207", "generation_config", "a number, not an object", row(generation_config=1)),
    ("VT208", "contents[2].role", "the last turn is the user's", {"contents": [*row()["contents"], turn("user", "and?")]}),
    ("VT208", "contents[0].role", "the last turn is the user's", {"contents": [ASK]}),
    ("VT209", "contents[0].role", "the first turn is the model's", {"contents": [turn("model", "hi"), *row()["contents"]]}),
    ("VT209", "contents", "there is no user turn", {"contents": [turn("model", "hi")]}),
    ("VT210", "contents[0].parts", "there are no parts", {"contents": [{"role": "user", "parts": []}, TELL]}),
    ("VT210", "contents[0].parts", "there are no parts", {"contents": [{"role": "user"}, TELL]}),
    ("VT210", "contents[1].parts", "a string, not a list", {"contents": [ASK, {"role": "model", "parts": "b"}]}),
    ("VT210", "system_instruction.parts", "there are no parts", row(system_instruction={"parts": []})),
    ("VT211", f"{PART}", "text and fileData", part(text="a", fileData=FILE)),
    ("VT211", f"{PART}", "the part is empty", part()),
    ("VT211", f"{PART}", "the part is empty", part(text=None, thought=True)),
    ("VT212", f"{PART}.text", "the text is empty", row(question="")),
    ("VT212", "contents[1].parts", "the answer is empty", row(answer=" \n")),
    ("VT212", "contents[1].parts[1].text", "the text is empty", {"contents": [ASK, turn("model", "b", "")]}),
    ("VT212", "systemInstruction.parts[0].text", "the text is empty", row(systemInstruction=turn("", ""))),
    ("VT218", "messages", "a row has no field", chat(U, A)),
    ("VT218", "prompt", "a row has no field", {"prompt": "a", "completion": "b"}),
    ("VT218", "completion", "a row has no field", row(completion="b")),
    ("VT218", "input_text", "a row has no field", {"input_text": "a", "output_text": "b"}),
    ("VT218", "chosen", "a row has no field", {"chosen": "a", "rejected": "b"}),
    ("VT218", "completions", "a row has no field", row(completions=[])),
    ("VT219", f"{PART}.fileData.fileUri", '"file.png" is not a file', part(fileData={**FILE, "fileUri": "file.png"})),
    ("VT219", f"{PART}.fileData.fileUri", "the URI of the file is missing", part(fileData={"mimeType": "image/png"})),
    ("VT219", f"{PART}.file_data.mimeType", "the type of the file is missing", part(file_data={"file_uri": "gs://b/f"})),
    ("VT219", f"{PART}.fileData.mime_type", "a number, not a type", part(fileData={"fileUri": "https://x.y/f", "mime_type": 5})),
    ("VT223", f"{PART}.text", "nan, which JSON does not have", row(question=float("nan"))),
    ("VT223", "labels.x", "-inf, which JSON does not have", row(labels={"x": float("-inf")})),
    ("VT223", "contents[1].parts[0].text", "half of a surrogate pair at character 1", row(answer="a\ud800b")),
    ("VT223", "labels", "a key that is no text: half of a surrogate pair", row(labels={"\udc00": 1})),
    ("VT224", "", "the row is a list, not an object", [row()]),
    ("VT224", "", "the row is a string, not an object", "hello"),
    ("VT224", "", "the row is missing, not an object", None),
]  # fmt: skip
MESSAGES = [
    ("VT203", "messages[0].role", '"model"', chat(("model", "s"), U, A)),
    ("VT203", "messages[0].role", "there is no role", {"messages": [{"content": "s"}, *chat(U, A)["messages"]]}),
    ("VT205", "weight", "a row has no field", chat(U, A, weight=1)),
    ("VT205", "messages[0].text", "a message has no field", {"messages": [{**SAID, "text": "b"}, *chat(A)["messages"]]}),
    ("VT206", "messages", "there are no messages", {"messages": []}),
    ("VT206", "messages", "messages is a string", {"messages": "a"}),
    ("VT207", "messages[0]", "a string, not an object", {"messages": ["a", *chat(U, A)["messages"]]}),
    ("VT207", "messages[1].content", "a number, not a text", chat(U, ("assistant", 5))),
    ("VT207", "messages[0].content", "missing, not a text", chat(("user", None), A)),
    ("VT207", "messages[0].content[0].text", "missing, not a string", chat(("user", [{"type": "text"}]), A)),
    ("VT208", "messages[0].role", "there is no answer to learn", chat(U)),
    ("VT209", "messages", "there is no message of the user", chat(("system", "s"), A)),
    ("VT211", "messages[0].content[0]", "neither a text nor an image", chat(("user", [{"type": "audio"}]), A)),
    ("VT211", "messages[0].content[0]", "neither a text nor an image", chat(("user", ["a"]), A)),
    ("VT212", "messages[1].content", "the text is empty", chat(U, ("assistant", " "))),
    ("VT212", "messages[0].content", "there is nothing in it", chat(("user", []), A)),
    ("VT212", "messages[1].content", "the text is empty", chat(U, ("assistant", [{"type": "text", "text": " "}]))),
    ("VT212", "messages[0].content[0].text", "the text is empty", chat(("user", [{"type": "text", "text": ""}]), A)),
    ("VT219", "messages[0].content[0].image_url", "is not an image's URL", chat(("user", [picture("a.png")]), A)),
    ("VT219", "messages[0].content[0].image_url", "is missing", chat(("user", [{"type": "image_url"}]), A)),
    ("VT218", "", "a row in prompt/completion form in a set in messages form", {"prompt": "a", "completion": "b"}),
    ("VT218", "", "a row in contents form in a set in messages form", row()),
]  # fmt: skip
COMPLETIONS = [
    ("VT205", "x", "a row has no field", {"prompt": "a", "completion": "b", "x": 1}),
    ("VT206", "completion", "completion is missing", {"prompt": "a"}),
    ("VT206", "prompt", "prompt is missing", {"prompt": None, "completion": "b"}),
    ("VT207", "prompt", "prompt is a list", {"prompt": ["a"], "completion": "b"}),
    ("VT212", "prompt", "the text is empty", {"prompt": " ", "completion": "b"}),
    ("VT212", "completion", "the text is empty", {"prompt": "a", "completion": ""}),
    ("VT218", "", "a row in messages form", chat(U, A)),
]


def case(model: str, good: object, faults: list[tuple[str, str, str, object]]) -> list[object]:
    return [
        pytest.param(model, good, *fault, id=f"{fault[0]}-{fault[1] or 'row'}-{number}")
        for number, fault in enumerate(faults)
    ]


@pytest.mark.parametrize(
    ("model", "good", "rule", "path", "words", "bad"),
    [
        *case(GEMINI, row(), CONTENTS),
        *case(OPEN, chat(("user", "a"), ("assistant", "b")), MESSAGES),
        *case(OPEN, {"prompt": "a", "completion": "b"}, COMPLETIONS),
    ],
)
def test_a_fault_is_told_with_its_rule_its_path_its_lines_and_nothing_else(
    model, good, rule, path, words, bad
):
    report = check([good, bad, good, bad], base_model=model)
    assert [(fault.rule, words in fault.what) for fault in report.faults] == [(rule, True)], report
    [finding] = report.findings.values()
    assert (finding.path, finding.count, finding.lines) == (path, 2, [2, 4])
    [fault] = report.faults
    assert fault.where == ("rows line 2" + (f", {path}" if path else ""))
    assert fault.fix
    assert "1 other row has the same fault: line 4." in fault.why
    assert report.rows == 4


def in_file(tmp_path: Path, *lines: bytes) -> Path:
    path = tmp_path / "train.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


GOOD = json.dumps(row()).encode()


@pytest.mark.parametrize(
    ("line", "rule", "path", "words"),
    [
        (b"hello", "VT204", "", "not JSON: invalid character"),
        (GOOD[:-1], "VT204", "", "not JSON"),
        (GOOD + b",", "VT204", "", "trailing characters"),
        (b"[" + GOOD + b",", "VT204", "", "not JSON"),
        (b"[" * 100_000, "VT204", "", "nested too deeply"),
        (b'{"contents": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "VT204", "", "nested too deeply"),
        (b'{"x": "\xff"}', "VT213", "", "not UTF-8 at byte 8 of the line"),
        (GOOD.replace(b"cold", b"k\xe4lt"), "VT213", "", "not UTF-8 at byte"),
        (GOOD.replace(b"cold", b"\xed\xa0\x80"), "VT213", "", "not UTF-8"),
        (GOOD.replace(b'"cold"', b"NaN"), "VT223", "contents[1].parts[0].text", "nan, which JSON"),
        (GOOD.replace(b'"cold"', b"1e999"), "VT223", "contents[1].parts[0].text", "inf, which JSON"),
        (GOOD.replace(b"cold", b"\\ud83d!"), "VT223", "contents[1].parts[0].text", "half of a surrogate"),
        (GOOD.replace(b"cold", b""), "VT212", "contents[1].parts[0].text", "the text is empty"),
        (b"[" + GOOD + b"]", "VT224", "", "the row is a list"),
        (b"null", "VT224", "", "the row is missing"),
        (b"\xef\xbb\xbf" + GOOD, "VT204", "", "not JSON"),
    ],
)  # fmt: skip
def test_a_line_that_is_not_a_row_is_named_with_its_number(tmp_path, line, rule, path, words):
    report = check(in_file(tmp_path, GOOD, line, GOOD, line))
    [fault] = report.faults
    assert fault.rule == rule
    assert words in fault.what
    [finding] = report.findings.values()
    assert (finding.path, finding.count, finding.lines) == (path, 2, [2, 4])
    assert fault.where.startswith("train.jsonl line 2")
    assert report.rows == 4


@pytest.mark.parametrize(
    ("name", "line", "words"),
    [
        ("train.jsonl", GOOD + b",", "without a comma behind it"),
        ("train.jsonl", b"[" + GOOD, "not one list of them all"),
        ("train.csv", b"hot,cold", "make one of each line of the table"),
    ],
)
def test_what_people_take_for_jsonl_is_told_what_makes_it_that(tmp_path, name, line, words):
    path = tmp_path / name
    path.write_bytes((line + b"\n") * 3)
    report = check(path)
    [fault] = report.faults
    assert words in fault.fix
    assert report.duplicates == 0, "what cannot be read is no copy of anything"


def test_every_rule_of_a_data_set_has_a_test():
    package, tests = Path(data.__file__).parents[1], Path(__file__).parents[1]
    given = {
        rule
        for room in ("data", "distill", "training")
        for path in (package / room).rglob("*.py")
        for rule in re.findall(r'"(VT2\d\d)\b', path.read_text(encoding="utf-8"))
    }
    tested = {
        rule
        for room in ("data", "distill", "sdk", "training")
        for path in (tests / room).glob("test_*.py")
        for rule in re.findall(r"VT2\d\d", path.read_text(encoding="utf-8"))
    }
    assert given == tested == {rule for rule in catalog.rules() if rule.startswith("VT2")}


def test_all_faults_are_told_at_once():
    bad = {
        "contents": [
            turn("system", "s"),
            {"role": "user", "parts": [{"text": 5}, {}], "x": 1},
            turn("user", ""),
        ],
        "y": 2,
    }
    with pytest.raises(DatasetError) as caught:
        check([row(), bad, "z"]).raise_for_faults()
    assert caught.value.rule == "VT200"
    assert [(fault.rule, fault.where.removeprefix("rows ")) for fault in caught.value.faults] == [
        ("VT205", "line 2, y"),
        ("VT203", "line 2, contents[0].role"),
        ("VT205", "line 2, contents[1].x"),
        ("VT207", "line 2, contents[1].parts[0].text"),
        ("VT211", "line 2, contents[1].parts[1]"),
        ("VT212", "line 2, contents[2].parts[0].text"),
        ("VT208", "line 2, contents[2].role"),
        ("VT224", "line 3"),
    ]


def test_one_fault_alone_is_raised_as_itself():
    with pytest.raises(DatasetError) as caught:
        check([row(), {"contents": [turn("user", "a")]}]).raise_for_faults()
    assert (caught.value.rule, caught.value.fault.where) == ("VT208", "rows line 2, contents[0].role")
    assert isinstance(caught.value, ValueError)


def test_a_row_counts_once_for_a_fault_however_often_it_has_it_and_only_the_first_lines_are_named():
    bad = {"contents": [turn(role, "a") for role in ("user", "assistant", "user", "assistant")]}
    report = check([row(), *[bad] * 40])
    [finding] = report.findings.values()
    assert (finding.count, finding.lines, finding.path) == (40, [2, 3, 4, 5, 6], "contents[1].role")
    [fault] = report.faults
    assert "39 other rows have the same fault: lines 3, 4, 5, 6, ..." in fault.why
    assert report.to_json()["faults"][0]["rows"] == 40


def test_faults_with_different_cures_are_told_apart():
    report = check([{"contents": [turn("system", "a"), turn("user", "b"), turn("assistant", "c")]}])
    assert [(fault.where.split(", ")[1], fault.fix) for fault in report.faults] == [
        ("contents[0].role", "put it into systemInstruction"),
        ("contents[2].role", 'write "model"'),
    ]


def test_faults_stay_few_however_many_kinds_there_are():
    """A file whose keys are data would have a fault of its own in every row."""
    report = check([row(**{f"id_{number}": 1}) for number in range(1_000)])
    assert len(report.findings) <= 101
    assert sum(finding.count for finding in report.findings.values()) == 1_000
    assert len(str(report)) < 100_000


def test_what_is_said_stays_on_its_line_and_is_short():
    nasty = "\x1b[31m\n" + "x" * 100_000
    report = check([{"contents": [turn(nasty, "a"), turn("model", "b")], nasty: 1}, row(**{"\u202eabc": 1})])
    assert "\x1b" not in str(report)
    assert "\u202e" not in str(report)
    assert len(str(report)) < 2_000


@pytest.mark.parametrize(
    "good",
    [
        row(),
        row(systemInstruction=turn("system", "Be brief.")),
        row(system_instruction={"parts": [{"text": "Be"}, {"text": " brief."}]}),
        row(systemInstruction=None, tools=None, labels=None),
        row(tools=[{"functionDeclarations": [{"name": "f"}]}], tool_config={}, labels={"a": "b"}),
        row(generationConfig={"mediaResolution": "MEDIA_RESOLUTION_LOW"}),
        {"contents": [turn("user", "a"), turn("model", "b"), turn("user", "c"), turn("model", "d")]},
        {"contents": [turn("user", "a"), turn("user", "b"), turn("model", "c"), turn("model", "d")]},
        {"contents": [{"parts": [{"text": "a"}]}, turn("model", "b")]},
        {"contents": [{"role": None, "parts": [{"text": "a", "fileData": None}]}, turn("model", "b")]},
        {"contents": [turn("user", "a", "b"), turn("model", "c", "d")]},
        {"contents": [turn("user", " "), turn("model", "c", " ")]},
        part(fileData=FILE),
        part(file_data={"mime_type": "image/png", "file_uri": "https://x.y/z.png"}, video_metadata={}),
        part(inlineData={"mimeType": "image/png", "data": "AAAA"}, thought=True, thoughtSignature="x"),
        {"contents": [turn("user", "a"), {"role": "model", "parts": [{"functionCall": {"name": "f"}}]}]},
        {
            "contents": [
                turn("user", "a"),
                {"role": "model", "parts": [{"function_call": {"name": "f"}}]},
                {"role": "user", "parts": [{"function_response": {"name": "f", "response": {}}}]},
                turn("model", "b"),
            ]
        },
        {"contents": ({"role": "user", "parts": ({"text": "a"},)}, turn("model", "b"))},
        MappingProxyType(row()),
    ],
    ids=str,
)
def test_what_gemini_takes_has_no_fault(good):
    assert check([good]).faults == []
    report = check([row(), good, row()])
    assert (report.faults, report.rows, report.form) == ([], 3, "contents")


@pytest.mark.parametrize(
    ("good", "form"),
    [
        (row(), "contents"),
        ({"contents": [turn("user", "a"), turn("assistant", "b")]}, "contents"),
        (chat(("user", "a"), ("assistant", "b")), "messages"),
        (chat(("system", "s"), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")), "messages"),
        (chat(("user", "a"), ("assistant", "b"), tools=[]), "messages"),
        (
            chat(
                ("user", [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "gs://b/f"}}]),
                ("assistant", [{"type": "text", "text": "b"}]),
            ),
            "messages",
        ),
        (chat(("user", [picture("data:image/png;base64,AA")]), A), "messages"),
        ({"messages": [*chat(U)["messages"], {"role": "assistant", "tool_calls": [{}], "content": None}]}, "messages"),
        ({"prompt": "a", "completion": "b"}, "prompt/completion"),
    ],
    ids=str,
)  # fmt: skip
def test_an_open_model_takes_three_forms(good, form):
    report = check([good, good], base_model=OPEN)
    assert (report.faults, report.form, report.rows) == ([], form, 2)
    assert check([good], base_model=None).faults == []


def test_the_form_is_that_of_the_first_row_that_can_be_read(tmp_path):
    good = json.dumps(chat(("user", "a"), ("assistant", "b"))).encode()
    report = check(in_file(tmp_path, b"", b"broken", good, good), base_model=OPEN)
    assert report.form == "messages"
    assert [(fault.rule, fault.where) for fault in report.faults] == [("VT204", "train.jsonl line 2")]
    report = check(
        [chat(("user", float("nan")), ("assistant", "b")), chat(("user", "a"), ("assistant", "b"))],
        base_model=OPEN,
    )
    assert [fault.rule for fault in report.faults] == ["VT223"]


def test_a_model_that_nobody_knows_is_named_before_anything_is_read():
    with pytest.raises(SpecError) as caught:
        check("there-is-no-such-file.jsonl", base_model="gemini-9")
    assert caught.value.rule == "VT301"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (datetime.datetime(2026, 11, 25), "a datetime, which JSON does not have"),
        ({"a"}, "a set, which JSON does not have"),
        (b"abc", "a bytes, which JSON does not have"),
        (object(), "a object, which JSON does not have"),
    ],
)
def test_a_row_of_python_that_json_cannot_say_is_never_turned_into_something_similar(value, words):
    report = check([row(), row(question=value, labels={"deep": [1, {"er": value}]}), row()])
    assert [(fault.rule, fault.where, fault.what) for fault in report.faults] == [
        ("VT223", "rows line 2, contents[0].parts[0].text", words),
        ("VT223", "rows line 2, labels.deep[1].er", words),
    ]
    assert report.rows == 3


def test_a_row_that_json_cannot_say_has_its_other_faults_told_too():
    bad = {"contents": [turn("user", {1, 2}), turn("assistant", "b")]}
    assert [fault.rule for fault in check([bad]).faults] == ["VT223", "VT203"]


def test_a_row_that_holds_itself_is_told():
    endless = row()
    endless["labels"] = {"self": endless}
    report = check([endless])
    assert {fault.rule for fault in report.faults} == {"VT223"}
    assert "nested too deeply" in str(report)


def test_rows_that_json_cannot_say_are_no_copies_of_each_other():
    nan, huge = float("nan"), 10**5_000
    report = check(
        [
            row(answer=nan),
            row("Why?", nan),
            row("Why?", nan),
            row(labels={"n": huge}),
            row(labels={"n": -huge}),
        ]
    )
    assert (report.rows, report.duplicates) == (5, 1)
    assert [fault.rule for fault in report.faults] == ["VT223", "VT204"]
    assert "integer" in report.faults[1].what


def test_keys_must_be_texts():
    report = check([row(labels={(1, 2): "a"})])
    assert [(fault.rule, fault.what) for fault in report.faults] == [
        ("VT223", "a key that is no text: of type tuple")
    ]


def test_rows_may_come_from_a_generator_and_count_as_a_file_of_them_would(tmp_path):
    made = [*rows(150), row(question="Größe?", systemInstruction=turn("system", "Kurz."))]
    path = tmp_path / "train.jsonl"
    path.write_bytes(
        b"".join(
            json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode() + b"\n" for item in made
        )
    )
    of_rows, of_file = check(item for item in made), check(path)
    assert (of_rows.source, of_file.source) == ("rows", "train.jsonl")
    assert {**of_rows.to_json(), "source": ""} == {**of_file.to_json(), "source": ""}
    assert of_rows.bytes == path.stat().st_size
    assert of_rows.ok
    assert of_rows.warnings == []


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        (row(), "this is one row, not a list of them"),
        (5, "int: not a data set"),
        (b"train.jsonl", "bytes: not a data set"),
        (None, "NoneType: not a data set"),
    ],
    ids=["row", "int", "bytes", "None"],
)
def test_what_is_no_data_set_is_refused_with_help(dataset, words):
    with pytest.raises(DatasetError) as caught:
        check(dataset)
    assert (caught.value.rule, caught.value.fault.what) == ("VT202", words)


def test_an_error_of_the_callers_own_generator_is_the_callers():
    def broken():
        yield row()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        check(broken())


def test_the_figures_are_right():
    report = check(
        [
            row("four", "five5", systemInstruction=turn("", "sys")),
            {
                "contents": [
                    turn("user", "a"),
                    turn("model", "b"),
                    turn("user", "c"),
                    turn("model", "five", "5"),
                ]
            },
            part(fileData=FILE),
        ]
    )
    assert (report.rows, report.turns, report.characters) == (3, 8, 4 + 5 + 3 + 8 + 4)
    assert (report.answers, report.estimated_tokens, report.longest_row_tokens) == (2, 6, 3)
    assert report.to_json()["different_answers"] == 2
    assert "3 rows, 8 turns, about 6 tokens: ready to tune" in str(report)


def test_an_empty_set_is_a_fault():
    for nothing in ([], iter(())):
        [fault] = check(nothing).faults
        assert (fault.rule, fault.where) == ("VT217", "rows")


def test_few_rows_are_a_warning():
    [warning] = check(rows(99)).warnings
    assert (warning.rule, warning.what) == ("VT221", "99 rows: at least 100 are recommended")
    assert check(rows(100)).warnings == []
    assert "warning VT221" in str(check(rows(99)))


def test_copies_are_named_with_what_they_are_copies_of():
    made = rows(200)
    report = check([*made, made[7], *rows(5, " more"), made[7], made[0]])
    [warning] = report.warnings
    assert report.ok
    assert report.duplicates == 3
    assert (warning.rule, warning.what) == ("VT220", "3 rows stand in the set more than once")
    assert warning.why.startswith(
        "line 201 is line 8 again, line 207 is line 8 again, line 208 is line 1 again."
    )
    assert ", ..." in check([*made, *made]).warnings[0].why


def test_a_copy_is_a_row_that_says_the_same_however_it_is_written(tmp_path):
    lines = [
        json.dumps(row()).encode(),
        json.dumps(row(), indent=None, separators=(",", ":")).encode() + b"  ",
        json.dumps(part(fileData=FILE)).encode(),
        json.dumps(part(fileData=dict(reversed(FILE.items())))).encode(),
        json.dumps(row(), separators=(", ", ":")).encode(),
    ]
    path = tmp_path / "train.jsonl"
    path.write_bytes(b"\n".join(lines))  # the last line has no end
    assert check(path).duplicates == 3
    assert check([row(), row(systemInstruction=turn("", "a")), row(answer="cold.")]).duplicates == 0


@pytest.mark.parametrize(
    ("model", "limit"), [(GEMINI, 131_072), (OPEN, 8_192), ("google/gemma3@gemma-3-1b-it", 8_192)]
)
def test_a_row_that_may_be_too_long_is_a_warning_and_one_that_certainly_is_a_fault(model, limit):
    fits, doubtful, certain = (
        row("a", "b" * (limit * 4 - 1)),
        row("a", "b" * limit * 4),
        row("a", "b" * limit * 8),
    )
    assert not [w for w in check([fits], base_model=model).warnings if w.rule == "VT216"]
    report = check([fits, doubtful, fits, doubtful], base_model=model)
    assert report.ok
    [warning] = [warning for warning in report.warnings if warning.rule == "VT216"]
    assert f"about {limit:,} tokens" in warning.what
    assert warning.where == "rows line 2"
    assert f"The limit is {limit:,} tokens. 1 other row has the same fault: line 4." in warning.why
    [fault] = check([fits, certain], base_model=model).faults
    assert (fault.rule, fault.where) == ("VT216", "rows line 2")
    assert report.longest_row_tokens == limit


def test_too_many_rows_are_a_fault(monkeypatch):
    """The limits are ten million, and less where there are files: lowered here, for a test cannot wait so long."""
    lower = {**catalog.limits("supervised"), "max_examples": 20, "max_examples_multimodal": 10}
    monkeypatch.setattr(catalog, "limits", lambda _: lower)
    assert check(rows(20)).ok
    [fault] = check(rows(21)).faults
    assert (fault.rule, fault.where) == ("VT214", "rows")
    assert fault.what == "21 rows: more than the 20 that the service takes"
    [fault] = check([*rows(10), part(fileData=FILE)]).faults
    assert fault.what == "11 rows, some with files,: more than the 10 that the service takes"
