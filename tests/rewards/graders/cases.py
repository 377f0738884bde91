"""Graders, answers, and what OpenAI's documentation says that they are worth.

Source: OpenAI, "Graders" (developers.openai.com/api/docs/guides/graders, 2026-11-26).
"""

from __future__ import annotations

from typing import Any, NamedTuple

PYTHON = "def grade(sample, item):\n    return {}\n"


def check(operation: str, text: str = "{{sample.output_text}}", reference: str = "{{item.answer}}") -> Any:
    return {
        "type": "string_check",
        "name": "check",
        "operation": operation,
        "input": text,
        "reference": reference,
    }


def similar(metric: str, text: str = "{{ sample.output_text }}", reference: str = "{{ item.answer }}") -> Any:
    return {
        "type": "text_similarity",
        "name": "similar",
        "evaluation_metric": metric,
        "input": text,
        "reference": reference,
    }


def python(expression: str) -> Any:
    return {"type": "python", "name": "python", "source": PYTHON.format(expression)}


def multi(formula: str, **graders: Any) -> Any:
    return {"type": "multi", "name": "multi", "graders": graders, "calculate_output": formula}


class Case(NamedTuple):
    """What an answer is worth by a grader."""

    grader: Any
    item: dict[str, Any]
    answer: str
    paid: float
    by: str
    """Which scorer it becomes."""


PERSON = {"name": "John Doe", "email": "john@x.io", "at": {"city": "Köln", "zip": [5, 0]}}
TOOL = "sample.output_tools[0].function.name"
MATCH, CODE, SUM = "StringMatch", "Code", "CompositeReward"

CASES = [
    # string_check: eq, ne, like, ilike
    Case(check("eq"), {"answer": "4"}, "4", 1.0, MATCH),
    Case(check("eq"), {"answer": "4"}, " 4", 0.0, MATCH),
    Case(check("eq"), {"answer": "Yes"}, "yes", 0.0, MATCH),
    Case(check("eq", "{{item.answer}}", "{{sample.output_text}}"), {"answer": "4"}, "4", 1.0, MATCH),
    Case(check("eq", reference="It is {{item.answer}}."), {"answer": "4"}, "It is 4.", 1.0, MATCH),
    Case(check("eq", reference="plain"), {}, "plain", 1.0, MATCH),
    Case(check("eq", reference="a {b} c"), {}, "a {b} c", 1.0, CODE),
    Case(check("eq"), {"answer": 4}, "4", 1.0, MATCH),
    Case(check("eq"), {"answer": [1, "x"]}, '[1, "x"]', 1.0, MATCH),
    Case(check("eq", reference="{{item.at.city}}"), PERSON, "Köln", 1.0, MATCH),
    Case(check("eq", reference="{{ item.at.zip[0] }}"), PERSON, "5", 1.0, MATCH),
    Case(check("eq", reference="{{item['at'].city}}"), PERSON, "Köln", 1.0, MATCH),
    Case(check("eq", reference="{{ item.at.zip.0 }}"), PERSON, "5", 1.0, MATCH),
    Case(check("ne", reference="{{ item.at.zip.1 }}"), PERSON, "5", 1.0, CODE),
    Case(check("eq", reference="{{ item.at.zip }}"), PERSON, "[5, 0]", 1.0, MATCH),
    Case(check("eq", reference="{{ item['right answer'] }}"), {"right answer": "4"}, "4", 1.0, MATCH),
    Case(check("eq", reference="{{ item.right-answer }}"), {"right-answer": "4"}, "4", 1.0, MATCH),
    Case(check("eq", reference="{{ item.答え }}"), {"答え": "4"}, "4", 1.0, MATCH),
    Case(check("eq", reference="{{ item.2nd }}"), {"2nd": "4"}, "4", 1.0, MATCH),
    Case(check("eq", reference="{{ item['a}'] }}"), {"a}": "4"}, "4", 1.0, CODE),
    Case(check("eq"), {"answer": 'He: "{{x}}"\n'}, 'He: "{{x}}"\n', 1.0, MATCH),
    Case(check("eq", reference=""), {}, "", 1.0, CODE),
    Case(check("ne"), {"answer": "4"}, "5", 1.0, CODE),
    Case(check("ne"), {"answer": "4"}, "4", 0.0, CODE),
    Case(check("neq"), {"answer": "4"}, "5", 1.0, CODE),
    Case(check("like"), {"answer": "four"}, "It is four.", 1.0, MATCH),
    Case(check("like"), {"answer": "four"}, "It is Four.", 0.0, MATCH),
    Case(
        check("like", "{{item.answer}}", "{{sample.output_text}}"), {"answer": "forty-two"}, "two", 1.0, CODE
    ),
    Case(check("ilike"), {"answer": "four"}, "It is FOUR.", 1.0, CODE),
    Case(check("ilike"), {"answer": "a.c"}, "ABC", 0.0, CODE),
    # of a JSON answer
    Case(
        check("eq", "{{sample.output_json.email}}", "{{item.email}}"),
        PERSON,
        '{"email": "john@x.io"}',
        1.0,
        MATCH,
    ),
    Case(
        check("eq", "{{sample.output_json.email}}", "{{item.email}}"),
        PERSON,
        '{"mail": "john@x.io"}',
        0.0,
        MATCH,
    ),
    Case(check("eq", "{{sample.output_json.email}}", "{{item.email}}"), PERSON, "john@x.io", 0.0, MATCH),
    Case(check("like", "{{sample.output_json.email}}", "john"), PERSON, '{"email": "john@x.io"}', 1.0, MATCH),
    Case(check("eq", "{{sample.output_json.a.b}}", "1"), {}, '{"a": {"b": 1}}', 1.0, CODE),
    Case(check("eq", "{{sample.output_json.a.b}}", "1"), {}, '{"a": 3}', 0.0, CODE),
    Case(check("eq", f"{{{{{TOOL}}}}}", "search"), {}, "search", 0.0, CODE),
    # text_similarity
    Case(similar("fuzzy_match"), {"answer": "abcd"}, "abxd", 0.75, CODE),
    Case(similar("rouge_1"), {"answer": "the cat sat"}, "The cat, sat.", 1.0, CODE),
    Case(similar("rouge_2"), {"answer": "the cat sat down"}, "the cat sat", 0.8, CODE),
    Case(similar("rouge_3"), {"answer": "a b c"}, "a b c", 1.0, CODE),
    Case(similar("rouge_l"), {"answer": "a b c d"}, "a c", 2 / 3, CODE),
    Case(similar("gleu"), {"answer": "a b c d"}, "a b c d", 1.0, CODE),
    Case(similar("bleu"), {"answer": "a b c d"}, "a b c d", 1.0, CODE),
    Case(similar("bleu"), {"answer": "a b c d"}, "x y", 0.0, CODE),
    Case(similar("rouge_1", "{{sample.output_json.x}}"), {"answer": "a"}, "no JSON", 0.0, CODE),
    # python: two arguments to a float; anything else is invalid, and worth 0
    Case(python("1.0"), {}, "", 1.0, CODE),
    Case(python("float(sample['output_text'] == item['answer'])"), {"answer": "4"}, "4", 1.0, CODE),
    Case(
        python("item['limits']['most'] - item['limits']['least']"),
        {"limits": {"most": 1, "least": 0.5}},
        "",
        0.5,
        CODE,
    ),
    Case(python("sample['output_json']['score']"), {}, '{"score": 0.25}', 0.25, CODE),
    Case(python("sample['output_json']['score']"), {}, "none", 0.0, CODE),
    Case(python("item['nobody']"), {}, "", 0.0, CODE),
    Case(python("'many'"), {}, "", 0.0, CODE),
    Case(python("None"), {}, "", 0.0, CODE),
    Case(python("float('nan')"), {}, "", 0.0, CODE),
    Case(python("float('inf')"), {}, "", 0.0, CODE),
    Case(python("True"), {}, "", 1.0, CODE),
    Case(python("len(sample['choices'][0]['message']['content']) / 10"), {}, "12345", 0.5, CODE),
    Case(python("len(item['messages'])"), {}, "", 0.0, CODE),
    # multi
    Case(
        multi("0.5 * a + 0.5 * b", a=check("eq"), b=check("like", reference="4")),
        {"answer": "4"},
        "44",
        0.5,
        SUM,
    ),
    Case(
        multi("(a + b) / 2", a=check("eq"), b=similar("fuzzy_match")), {"answer": "abcd"}, "abxd", 0.375, SUM
    ),
    Case(multi("a", a=check("eq")), {"answer": "4"}, "4", 1.0, SUM),
    Case(multi("a + b", a=check("eq"), b=check("like")), {"answer": "4"}, "44", 1.0, CODE),
    Case(multi("a - 0.25", a=check("eq")), {"answer": "4"}, "4", 0.75, CODE),
    Case(
        multi("0.2 * a - 0.1 * b", a=check("eq"), b=check("like", reference="!")),
        {"answer": "4"},
        "5!",
        -0.1,
        CODE,
    ),
    Case(multi("min(a, b)", a=python("0.5"), b=python("0.25")), {}, "", 0.25, CODE),
    Case(multi("a * b ^ 2", a=python("0.5"), b=python("0.5")), {}, "", 0.125, CODE),
    Case(multi("-a ^ 2", a=python("0.5")), {}, "", -0.25, CODE),
    Case(multi("sqrt(a) * floor(1.5) - abs(-ceil(0.1) / 2)", a=python("0.25")), {}, "", 0.0, CODE),
    Case(multi("min(pass, max)", **{"pass": python("0.5"), "max": python("0.25")}), {}, "", 0.25, CODE),
    Case(multi("exp(log(a))", a=python("0.5")), {}, "", 0.5, CODE),
]
