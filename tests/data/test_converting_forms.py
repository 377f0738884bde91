"""Rows of every form, and the rows for Vertex AI that they become, word for word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.data.examples import Row, chat, turn
from vertex_tuning import data
from vertex_tuning.data.converting import tools
from vertex_tuning.emulator.wire.schema import schema

U, A = ("user", "2 + 2?"), ("assistant", "4")
ASKED = [turn("user", "2 + 2?")]
ANSWERED = [*ASKED, turn("model", "4")]
BRIEF = {"parts": [{"text": "Be brief."}]}


def converted(row: Row | list[Row], tmp_path: Path, method: str | None = None) -> Any:
    rows = row if isinstance(row, list) else [row]
    done = data.convert(rows, method=method, output=tmp_path / "out.jsonl")
    assert done.ok, str(done)
    made = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    return (made if isinstance(row, list) else made[0]), done


def noted(done: data.Conversion) -> dict[str, str]:
    return {note.path: note.what for note in done.notes}


FORMS: list[tuple[str, str, Row, Row]] = [
    ("OpenAI chat", "supervised", chat(U, A), {"contents": ANSWERED}),
    (
        "OpenAI chat",
        "supervised",
        chat(("system", "Be brief."), U, A),
        {"systemInstruction": BRIEF, "contents": ANSWERED},
    ),
    (
        "OpenAI chat",
        "supervised",
        chat(("developer", "Be brief."), ("system", [{"type": "text", "text": "Be kind."}]), U, A),
        {"systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]}, "contents": ANSWERED},
    ),
    (
        "OpenAI chat",
        "supervised",
        chat(U, A, system="Be brief."),
        {"systemInstruction": BRIEF, "contents": ANSWERED},
    ),
    (
        "OpenAI chat",
        "supervised",
        chat(U, ("assistant", [{"type": "output_text", "text": "4"}])),
        {"contents": ANSWERED},
    ),
    (
        "OpenAI chat",
        "supervised",
        chat(("user", "Hello."), U, A, ("assistant", "Indeed.")),
        {"contents": [turn("user", "Hello.", "2 + 2?"), turn("model", "4", "Indeed.")]},
    ),
    (
        "OpenAI chat",
        "supervised",
        {"messages": [chat(U)["messages"][0], {"role": "assistant", "content": None, "refusal": "No."}]},
        {"contents": [*ASKED, turn("model", "No.")]},
    ),
    (
        "OpenAI chat",
        "supervised",
        chat(
            (
                "user",
                [
                    {"type": "text", "text": "What is it?"},
                    {"type": "image_url", "image_url": {"url": "gs://b/c/a#cat?.webp"}},
                    {
                        "type": "image_url",
                        "image_url": {"url": "data:image/png;base64,aGk=", "detail": "low"},
                    },
                    {"type": "input_image", "image_url": "https://example.com/a%20cat.JPG?x=1#y.png"},
                    {
                        "type": "file",
                        "file": {"file_data": "data:application/pdf;base64,aGk=", "filename": "a"},
                    },
                ],
            ),
            ("assistant", "A cat."),
        ),
        {
            "contents": [
                {
                    "role": "user",
                    "parts": [
                        {"text": "What is it?"},
                        {"fileData": {"mimeType": "image/webp", "fileUri": "gs://b/c/a#cat?.webp"}},
                        {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
                        {
                            "fileData": {
                                "mimeType": "image/jpeg",
                                "fileUri": "https://example.com/a%20cat.JPG?x=1#y.png",
                            }
                        },
                        {"inlineData": {"mimeType": "application/pdf", "data": "aGk="}},
                    ],
                },
                turn("model", "A cat."),
            ]
        },
    ),
    (
        "OpenAI preference",
        "preference",
        {
            "input": {"messages": chat(("system", "Be brief."), U)["messages"], "tools": []},
            "preferred_output": [{"role": "assistant", "content": "4"}],
            "non_preferred_output": [{"role": "assistant", "content": "It is 5."}],
        },
        {
            "systemInstruction": BRIEF,
            "contents": ASKED,
            "completions": [
                {"score": 1, "completion": turn("model", "4")},
                {"score": 0, "completion": turn("model", "It is 5.")},
            ],
        },
    ),
    (
        "OpenAI chat",
        "reinforcement",
        chat(U, answer="4", limits={"least": 1}),
        {
            "contents": ASKED,
            "references": {
                "answer": "4",
                "limits": '{"least": 1}',
                "limits_least": "1",
                "item_json": '{"limits": {"least": 1}}',
            },
        },
    ),
    ("OpenAI chat", "reinforcement", chat(U, A), {"contents": ASKED, "references": {"answer": "4"}}),
    ("OpenAI chat", "reinforcement", chat(U), {"contents": ASKED}),
    ("OpenAI chat", "distillation", chat(U, A), {"contents": ASKED}),
    ("OpenAI chat", "distillation", chat(U), {"contents": ASKED}),
    ("prompt and completion", "supervised", {"prompt": "2 + 2?", "completion": "4"}, {"contents": ANSWERED}),
    (
        "prompt and completion",
        "supervised",
        {"prompt": chat(("system", "Be brief."), U)["messages"], "completion": chat(A)["messages"]},
        {"systemInstruction": BRIEF, "contents": ANSWERED},
    ),
    ("prompt", "distillation", {"prompt": "2 + 2?"}, {"contents": ASKED}),
    (
        "prompt",
        "reinforcement",
        {"prompt": chat(U)["messages"], "solution": "4"},
        {"contents": ASKED, "references": {"solution": "4"}},
    ),
    ("prompt and response", "supervised", {"prompt": "2 + 2?", "response": "4"}, {"contents": ANSWERED}),
    ("question and answer", "supervised", {"question": "2 + 2?", "answer": "4"}, {"contents": ANSWERED}),
    (
        "question and answer",
        "reinforcement",
        {"question": "2 + 2?", "answer": "4", "system": "Be brief."},
        {"systemInstruction": BRIEF, "contents": ASKED, "references": {"answer": "4"}},
    ),
    ("input and output", "supervised", {"input": "2 + 2?", "output": "4"}, {"contents": ANSWERED}),
    (
        "Alpaca",
        "supervised",
        {
            "instruction": "Count.",
            "input": "2 + 2?",
            "output": "4",
            "system": "Be brief.",
            "history": [["a", "b"]],
        },
        {
            "systemInstruction": BRIEF,
            "contents": [
                turn("user", "a"),
                turn("model", "b"),
                turn("user", "Count.\n\n2 + 2?"),
                turn("model", "4"),
            ],
        },
    ),
    ("Alpaca", "supervised", {"instruction": "2 + 2?", "input": "", "output": "4"}, {"contents": ANSWERED}),
    (
        "ShareGPT",
        "supervised",
        {
            "conversations": [
                {"from": "system", "value": "Be brief."},
                {"from": "human", "value": "2 + 2?"},
                {"from": "gpt", "value": "4"},
            ]
        },
        {"systemInstruction": BRIEF, "contents": ANSWERED},
    ),
    (
        "ShareGPT",
        "supervised",
        {
            "conversations": [
                {"from": "human", "value": "2 + 2?"},
                {"from": "function_call", "value": '{"name": "add", "arguments": {"a": 2}}'},
                {"from": "observation", "value": '{"sum": 4}'},
                {"from": "gpt", "value": "4"},
            ],
            "system": "Be brief.",
            "tools": '[{"name": "add", "description": "Adds.", "parameters": {"type": "object", "properties": {}}}]',
        },
        {
            "systemInstruction": BRIEF,
            "contents": [
                *ASKED,
                {"role": "model", "parts": [{"functionCall": {"name": "add", "args": {"a": 2}}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "add", "response": {"sum": 4}}}]},
                turn("model", "4"),
            ],
            "tools": [
                {
                    "functionDeclarations": [
                        {
                            "name": "add",
                            "description": "Adds.",
                            "parameters": {"type": "OBJECT", "properties": {}},
                        }
                    ]
                }
            ],
        },
    ),
    ("PaLM text", "supervised", {"input_text": "2 + 2?", "output_text": "4"}, {"contents": ANSWERED}),
    (
        "PaLM chat",
        "supervised",
        {
            "context": "Be brief.",
            "messages": [{"author": "Ann", "content": "2 + 2?"}, {"author": "Bot", "content": "4"}],
        },
        {"systemInstruction": BRIEF, "contents": ANSWERED},
    ),
    (
        "Vertex AI",
        "supervised",
        {"contents": ANSWERED, "labels": {"a": "b"}},
        {"contents": ANSWERED, "labels": {"a": "b"}},
    ),
    (
        "Vertex AI",
        "distillation",
        {"contents": ANSWERED, "system_instruction": BRIEF},
        {"systemInstruction": BRIEF, "contents": ASKED},
    ),
    (
        "OpenAI chat",
        "reinforcement",
        {"messages": [{"role": "user", "content": "2 + 2?"}], "answer": None, "tools": None},
        {
            "contents": [{"role": "user", "parts": [{"text": "2 + 2?"}]}],
            "references": {"answer": "null", "item_json": '{"answer": null}'},
        },
    ),
    (
        "Vertex AI",
        "reinforcement",
        {"contents": ANSWERED},
        {"contents": ASKED, "references": {"answer": "4"}},
    ),
    (
        "Vertex AI",
        "reinforcement",
        {"contents": ASKED, "difficulty": 3},
        {"contents": ASKED, "references": {"difficulty": "3", "item_json": '{"difficulty": 3}'}},
    ),
]


@pytest.mark.parametrize(("form", "method", "row", "made"), FORMS)
def test_a_row_of_a_form_becomes_one_for_vertex_ai(tmp_path, form, method, row, made):
    found, done = converted(row, tmp_path, method)
    assert found == made
    assert done.forms == {form: 1}
    assert (done.rows, done.written, done.method) == (1, 1, method)


PAIR = {
    "contents": ASKED,
    "completions": [
        {"score": 1, "completion": turn("model", "4")},
        {"score": 0, "completion": turn("model", "5")},
    ],
}
FIVE = ("assistant", "5")
PAIRS: list[tuple[str, Row]] = [
    ("TRL preference", {"prompt": "2 + 2?", "chosen": "4", "rejected": "5"}),
    (
        "TRL preference",
        {
            "prompt": chat(U)["messages"],
            "chosen": chat(A)["messages"],
            "rejected": chat(FIVE)["messages"],
        },
    ),
    ("TRL preference", {"chosen": chat(U, A)["messages"], "rejected": chat(U, FIVE)["messages"]}),
    (
        "TRL preference",
        {
            "prompt": "2 + 2?",
            "chosen": chat(U, A)["messages"],
            "rejected": chat(U, FIVE)["messages"],
            "messages": chat(U, A)["messages"],
        },
    ),
    ("Alpaca preference", {"instruction": "2 + 2?", "chosen": "4", "rejected": "5"}),
    (
        "ShareGPT",
        {
            "conversations": [{"from": "human", "value": "2 + 2?"}],
            "chosen": {"from": "gpt", "value": "4"},
            "rejected": {"from": "gpt", "value": "5"},
        },
    ),
    ("PaLM preference", {"input_text": "2 + 2?", "candidate_0": "5", "candidate_1": "4", "choice": 1}),
    ("Vertex AI", PAIR),
]


@pytest.mark.parametrize(("form", "row"), PAIRS)
def test_two_answers_are_a_row_for_preference_tuning_without_asking(tmp_path, form, row):
    found, done = converted(row, tmp_path)
    assert found == PAIR
    assert (done.forms, done.method) == ({form: 1}, "preference")
    assert done.notes == []


def test_transcripts_are_taken_apart_where_a_speaker_begins(tmp_path):
    asked = "\n\nHuman: Hi.\n\nAssistant: Human: what?\n\nHuman: 2 + 2?\n\nAssistant:"
    found, done = converted({"chosen": f"{asked} 4", "rejected": f"{asked} 5"}, tmp_path)
    assert found["contents"] == [turn("user", "Hi."), turn("model", "Human: what?"), turn("user", "2 + 2?")]
    assert [one["completion"]["parts"][0]["text"] for one in found["completions"]] == ["4", "5"]
    assert "chosen" in noted(done)


@pytest.mark.parametrize(("form", "row"), PAIRS)
@pytest.mark.parametrize(
    ("method", "made"),
    [
        ("supervised", {"contents": ANSWERED}),
        ("reinforcement", {"contents": ASKED, "references": {"answer": "4"}}),
        ("distillation", {"contents": ASKED}),
    ],
)
def test_of_two_answers_the_preferred_one_is_kept_where_one_is_wanted(tmp_path, form, row, method, made):
    found, done = converted(row, tmp_path, method)
    assert found == made
    assert "the answer that was not preferred is left out" in [note.what for note in done.notes]


CALLS = {
    "messages": [
        {"role": "user", "content": "Bonn and Rome?"},
        {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Bonn"}'}},
                {"id": "2", "type": "function", "function": {"name": "time", "arguments": ""}},
            ],
        },
        {"role": "tool", "tool_call_id": "2", "content": "noon"},
        {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": '{"celsius": 3}'}]},
        {"role": "assistant", "content": None, "function_call": {"name": "weather", "arguments": {"city": "Rome"}}},
        {"role": "function", "name": "weather", "content": "[1, 2]"},
        {"role": "assistant", "content": "3 and 2."},
    ],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "The weather.",
                "strict": True,
                "parameters": {
                    "$schema": "https://json-schema.org/draft/2020-12/schema",
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["city"],
                    "properties": {
                        "city": {"type": "string", "minLength": 1},
                        "unit": {"type": ["string", "null"], "enum": ["C", "F", None]},
                        "days": {"type": "integer", "enum": [1, 7], "exclusiveMinimum": 0},
                        "where": {"anyOf": [{"$ref": "#/$defs/place"}, {"type": "null"}]},
                        "when": {"oneOf": [{"type": "string", "const": "now"}, {"type": "array", "items": {"type": "number"}}]},
                    },
                    "$defs": {"place": {"type": "object", "properties": {}}},
                },
            },
        }
    ],
    "functions": [{"name": "time"}],
    "parallel_tool_calls": False,
}  # fmt: skip


def test_tools_their_calls_and_their_answers(tmp_path):
    found, done = converted(CALLS, tmp_path)
    assert found["contents"] == [
        turn("user", "Bonn and Rome?"),
        {
            "role": "model",
            "parts": [
                {"text": "Let me see."},
                {"functionCall": {"name": "weather", "args": {"city": "Bonn"}}},
                {"functionCall": {"name": "time", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "weather", "response": {"celsius": 3}}},
                {"functionResponse": {"name": "time", "response": {"output": "noon"}}},
            ],
        },
        {"role": "model", "parts": [{"functionCall": {"name": "weather", "args": {"city": "Rome"}}}]},
        {
            "role": "user",
            "parts": [{"functionResponse": {"name": "weather", "response": {"output": "[1, 2]"}}}],
        },
        turn("model", "3 and 2."),
    ]
    assert found["tools"] == [
        {
            "functionDeclarations": [
                {
                    "name": "weather",
                    "description": "The weather.",
                    "parameters": {
                        "type": "OBJECT",
                        "additionalProperties": False,
                        "required": ["city"],
                        "properties": {
                            "city": {"type": "STRING", "minLength": 1},
                            "unit": {"type": "STRING", "nullable": True, "enum": ["C", "F"]},
                            "days": {"type": "INTEGER", "enum": ["1", "7"]},
                            "where": {"nullable": True, "ref": "#/defs/place"},
                            "when": {
                                "anyOf": [
                                    {"type": "STRING", "enum": ["now"]},
                                    {"type": "ARRAY", "items": {"type": "NUMBER"}},
                                ]
                            },
                        },
                        "defs": {"place": {"type": "OBJECT", "properties": {}}},
                    },
                },
                {"name": "time"},
            ]
        }
    ]
    assert noted(done) == {
        "parallel_tool_calls": "left out: a row has no such setting",
        "tools[].function.strict": "left out: Google's declaration of a function has no such field",
        "tools[]...oneOf": "written as anyOf: Google's Schema has no such word",
        "tools[]...$schema": "left out: Google's Schema has no such word",
        "tools[]...exclusiveMinimum": "left out: Google's Schema has no such word",
    }


def test_the_words_of_a_schema_are_those_that_google_has_published():
    made = {"type", "enum", "properties", "items", "anyOf", "defs", "ref", "additionalProperties"}
    assert set(tools.KEPT) | made == set(schema("v1").message("Schema").fields)


def test_what_is_left_out_is_told_with_the_rows_that_had_it(tmp_path):
    messages = chat(U, A, U, A)["messages"]
    odd = [
        {**messages[0], "name": "ann"},
        {**messages[1], "weight": 0},
        messages[2],
        {**messages[3], "weight": 1, "reasoning_content": "Easy."},
    ]
    _, done = converted([chat(U, A), {"messages": odd, "id": 7}, {"messages": odd}], tmp_path)
    assert {(note.path, note.what, note.count, note.lines[0]) for note in done.notes} == {
        ("messages[].name", "left out: a turn has no name", 2, 2),
        ("messages[].weight", "left out: Vertex AI learns every turn of the model's, this one too", 2, 2),
        ("messages[].reasoning_content", "left out: what was thought is not learnt", 2, 2),
        ("id", "left out: a row for supervised tuning has no such member", 1, 2),
    }
    assert "messages[].name: left out: a turn has no name (2 rows, the first in line 2)" in str(done)


def test_rows_of_several_forms_may_stand_in_one_set(tmp_path):
    found, done = converted(
        [chat(U, A), {"contents": ANSWERED}, {"prompt": "2 + 2?", "completion": "4"}], tmp_path
    )
    assert found == [{"contents": ANSWERED}] * 3
    assert done.forms == {"OpenAI chat": 1, "Vertex AI": 1, "prompt and completion": 1}
