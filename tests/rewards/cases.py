"""What a reward pays, case by case, each with where the rule is from.

DOC      "Reward functions", Gemini Enterprise Agent Platform documentation (2026-09-25)
SCHEMA   the descriptions in Google's API reference of `TuningJob`, v1beta1
SQL      GoogleSQL's REGEXP_EXTRACT and REGEXP_CONTAINS, which the page names as what it is like
RE2      the syntax of RE2
OURS     not said by anybody: our choice, listed in docs/rewards.md
"""

from __future__ import annotations

from typing import Any, NamedTuple

NOTHING = object()
"""No reward: a failure."""


class Case(NamedTuple):
    source: str
    what: str
    match: dict[str, Any]
    """`op`, `expression`; and `key`, `extract`, `correct`, `wrong`."""
    response: Any
    reward: Any
    references: dict[str, str] = {}  # noqa: RUF012


EXACT, PARTIAL, REGEX = "EXACT_MATCH", "PARTIAL_MATCH", "REGEX_CONTAINS"
ANSWER = "{{references.answer}}"
TAG = r"<ans>(.*?)</ans>"


def exact(expression: str = ANSWER, **more: Any) -> dict[str, Any]:
    return {"op": EXACT, "expression": expression, **more}


def part(expression: str = ANSWER, **more: Any) -> dict[str, Any]:
    return {"op": PARTIAL, "expression": expression, **more}


def regex(expression: str, **more: Any) -> dict[str, Any]:
    return {"op": REGEX, "expression": expression, **more}


FOUR = {"answer": "4"}
FENCED = '```json\n{"answer": "4"}\n```'

EXACTLY = [
    Case("DOC", "the text itself", exact("yes"), "yes", 1.0),
    Case("DOC", "another text", exact("yes"), "no", 0.0),
    Case("DOC", "a part is not enough", exact("yes"), "yes, of course", 0.0),
    Case("DOC", "more is not asked for", exact("yes, of course"), "yes", 0.0),
    Case("OURS", "capitals count", exact("yes"), "Yes", 0.0),
    Case("OURS", "blanks before count", exact("yes"), " yes", 0.0),
    Case("OURS", "blanks behind count", exact("yes"), "yes ", 0.0),
    Case("OURS", "an end of line counts", exact("yes"), "yes\n", 0.0),
    Case("OURS", "letters are compared, not glyphs", exact("\u00e9"), "e\u0301", 0.0),
    Case("DOC", "letters beyond ASCII", exact("żółw"), "żółw", 1.0),
    Case("DOC", "beyond the basic plane", exact("\U0001f600"), "\U0001f600", 1.0),
    Case("DOC", "a reference", exact(), "4", 1.0, FOUR),
    Case("DOC", "a reference, wrong", exact(), "5", 0.0, FOUR),
    Case("DOC", "a reference among text", exact("it is {{references.answer}}"), "it is 4", 1.0, FOUR),
    Case("DOC", "two references", exact("{{references.a}}-{{references.b}}"), "1-2", 1.0, {"a": "1", "b": "2"}),
    Case("DOC", "a reference twice", exact("{{references.a}}{{references.a}}"), "11", 1.0, {"a": "1"}),
    Case("SCHEMA", "put in as text, and not looked at again", exact(), "{{references.b}}", 1.0, {"answer": "{{references.b}}"}),
    Case("OURS", "characters of expressions are letters here", exact(), "a.b", 1.0, {"answer": "a.b"}),
    Case("OURS", "and match themselves alone", exact(), "axb", 0.0, {"answer": "a.b"}),
    Case("OURS", "an empty reference", exact(), "", 1.0, {"answer": ""}),
    Case("OURS", "an empty reference is not anything", exact(), "x", 0.0, {"answer": ""}),
    Case("OURS", "a reference that there is not", exact(), "4", NOTHING, {"other": "4"}),
    Case("OURS", "no references at all", exact(), "4", NOTHING),
    Case("OURS", "names are case-sensitive", exact(), "4", NOTHING, {"Answer": "4"}),
    Case("OURS", "a name with a blank", exact("{{references.my answer}}"), "4", 1.0, {"my answer": "4"}),
    Case("OURS", "a name with a dot", exact("{{references.a.b}}"), "4", 1.0, {"a.b": "4"}),
    Case("DOC", "what a right answer is worth", exact(correct=0.5), "4", 0.5, FOUR),
    Case("DOC", "what a wrong answer is worth", exact(wrong=-0.25), "5", -0.25, FOUR),
    Case("DOC", "clipped above", exact(correct=7.0), "4", 1.0, FOUR),
    Case("DOC", "clipped below", exact(wrong=-100.0), "5", -1.0, FOUR),
    Case("DOC", "at the upper end", exact(correct=1.0), "4", 1.0, FOUR),
    Case("DOC", "at the lower end", exact(wrong=-1.0), "5", -1.0, FOUR),
    Case("SCHEMA", "left out, a right answer is worth nothing", exact(correct=None), "4", 0.0, FOUR),
    Case("SCHEMA", "left out, a wrong answer costs nothing", exact(wrong=None), "5", 0.0, FOUR),
    Case("OURS", "an empty answer", exact("yes"), "", 0.0),
    Case("DOC", "several lines", exact("a\nb"), "a\nb", 1.0),
    Case("OURS", "ends of line are not made alike", exact("a\nb"), "a\r\nb", 0.0),
    Case("OURS", "blanks of another kind", exact("a b"), "a\u00a0b", 0.0),
    Case("OURS", "a character that is not seen", exact("ab"), "a\u200bb", 0.0),
    Case("OURS", "a number is text", exact("4"), "4.0", 0.0),
]  # fmt: skip

PARTLY = [
    Case("DOC", "the whole text", part("yes"), "yes", 1.0),
    Case("DOC", "somewhere in it", part("yes"), "well, yes, of course", 1.0),
    Case("DOC", "at its beginning", part("well"), "well, yes", 1.0),
    Case("DOC", "at its end", part("yes"), "well, yes", 1.0),
    Case("DOC", "not in it", part("yes"), "no", 0.0),
    Case("SCHEMA", "the expression in the text, not the other way round", part("well, yes"), "yes", 0.0),
    Case("OURS", "within a word", part("yes"), "yesterday", 1.0),
    Case("OURS", "capitals count", part("yes"), "Yes", 0.0),
    Case("DOC", "a reference", part(), "it is 4", 1.0, FOUR),
    Case("OURS", "a digit of another number", part(), "it is 14", 1.0, FOUR),
    Case("OURS", "characters of expressions are letters", part("a+b"), "is a+b so?", 1.0),
    Case("OURS", "and match themselves alone", part("a+b"), "is aab so?", 0.0),
    Case("OURS", "an empty reference is in everything", part(), "x", 1.0, {"answer": ""}),
    Case("DOC", "over an end of line", part("a\nb"), "x a\nb y", 1.0),
    Case("OURS", "a reference that there is not", part(), "4", NOTHING),
    Case("DOC", "an empty answer", part("yes"), "", 0.0),
    Case("DOC", "clipped", part("yes", correct=3.0), "yes", 1.0),
]  # fmt: skip

REGULARLY = [
    Case("DOC", "a match of the whole", regex("yes"), "yes", 1.0),
    Case("DOC", "a match somewhere", regex("y.s"), "well, yes!", 1.0),
    Case("DOC", "no match", regex("y.s"), "no", 0.0),
    Case("RE2", "anchors", regex("^yes$"), "well, yes", 0.0),
    Case("RE2", "anchors, met", regex("^yes$"), "yes", 1.0),
    Case("RE2", "^ is the beginning of the text, not of a line", regex("^b"), "a\nb", 0.0),
    Case("RE2", "unless it is asked for", regex("(?m)^b"), "a\nb", 1.0),
    Case("RE2", "$ is the end of the text, an end of line before it included not", regex("^yes$"), "yes\n", 0.0),
    Case("RE2", "a dot is no end of line", regex("a.b"), "a\nb", 0.0),
    Case("RE2", "unless it is asked for", regex("(?s)a.b"), "a\nb", 1.0),
    Case("RE2", "capitals count", regex("yes"), "YES", 0.0),
    Case("RE2", "unless it is asked for", regex("(?i)yes"), "YES", 1.0),
    Case("RE2", "digits", regex(r"\d{3}"), "in 1984", 1.0),
    Case("RE2", "words end", regex(r"\byes\b"), "yesterday", 0.0),
    Case("RE2", "words end, met", regex(r"\byes\b"), "oh yes.", 1.0),
    Case("RE2", "alternatives", regex("yes|no"), "no", 1.0),
    Case("RE2", "a class of Unicode", regex(r"\p{Greek}"), "α", 1.0),
    Case("RE2", "a class of Unicode, not met", regex(r"\p{Greek}"), "a", 0.0),
    Case("RE2", "\\d is ASCII's digits alone", regex(r"^\d$"), "٣", 0.0),
    Case("RE2", "\\w is ASCII's letters alone", regex(r"^\w$"), "é", 0.0),
    Case("RE2", "a dot is one character, however many bytes", regex("^.$"), "\U0001f600", 1.0),
    Case("RE2", "greedy", regex("^a+$"), "aaaa", 1.0),
    Case("RE2", "counted", regex("^a{2}$"), "aaa", 0.0),
    Case("RE2", "a negated class", regex("^[^0-9]+$"), "a1", 0.0),
    Case("RE2", "an empty match is a match", regex("a*"), "b", 1.0),
    Case("DOC", "a reference", regex("^{{references.answer}}$"), "4", 1.0, FOUR),
    Case("DOC", "a reference among an expression", regex(r"= *{{references.answer}}\b"), "2+2 =  4.", 1.0, FOUR),
    Case("OURS", "a reference is put in as an expression", regex("^{{references.answer}}$"), "axb", 1.0, {"answer": "a.b"}),
    Case("OURS", "and may be none then", regex("^{{references.answer}}$"), "(", NOTHING, {"answer": "("}),
    Case("OURS", "a reference written as one", regex("^{{references.answer}}$"), "2+2", 1.0, {"answer": r"2\+2"}),
    Case("OURS", "an empty reference", regex("^{{references.answer}}$"), "", 1.0, {"answer": ""}),
    Case("OURS", "a reference that there is not", regex("{{references.answer}}"), "4", NOTHING),
    Case("RE2", "time grows with the text alone", regex("^(a+)+$"), "a" * 5000 + "b", 0.0),
]  # fmt: skip

EXTRACTED = [
    Case("DOC", "what stands in the group", exact(extract=TAG), "so <ans>4</ans>", 1.0, FOUR),
    Case("DOC", "what stands round it does not count", exact("so", extract=TAG), "so <ans>4</ans>", 0.0),
    Case("DOC", "the last of several matches", exact(extract=TAG), "<ans>5</ans> no, <ans>4</ans>", 1.0, FOUR),
    Case("DOC", "the last of several, wrong", exact(extract=TAG), "<ans>4</ans> no, <ans>5</ans>", 0.0, FOUR),
    Case("SQL", "the first of several groups", exact(extract=r"(\d)(\d)"), "45", 1.0, FOUR),
    Case("SQL", "without a group, all of the match", exact("x4", extract=r"x\d"), "a x4 b", 1.0),
    Case("SQL", "a group that is none", exact(extract=r"(?:is )(\d)"), "it is 4", 1.0, FOUR),
    Case("SQL", "a named group", exact(extract=r"(?P<n>\d)$"), "it is 4", 1.0, FOUR),
    Case("SQL", "a group that took no part is empty", exact(extract="a(x)?"), "a", 1.0, {"answer": ""}),
    Case("OURS", "no match: a wrong answer", exact(extract=TAG, wrong=-1.0), "4", -1.0, FOUR),
    Case("OURS", "no match is not an empty text", part(extract=TAG, wrong=-1.0), "4", -1.0, {"answer": ""}),
    Case("DOC", "an empty group", exact(extract=TAG), "<ans></ans>", 1.0, {"answer": ""}),
    Case("OURS", "blanks in the group count", exact(extract=TAG), "<ans> 4 </ans>", 0.0, FOUR),
    Case("RE2", "a dot is no end of line", exact(extract=TAG, wrong=-1.0), "<ans>4\n</ans>", -1.0, FOUR),
    Case("RE2", "unless it is asked for", exact("4\n", extract="(?s)<ans>(.*?)</ans>"), "<ans>4\n</ans>", 1.0),
    Case("RE2", "lazy", exact("a", extract="<(.*?)>"), "<a><b>", 0.0),
    Case("RE2", "greedy", exact("a><b", extract="<(.*)>"), "<a><b>", 1.0),
    Case("SQL", "matches do not overlap", exact("b", extract="a(.)"), "aab", 0.0),
    Case("RE2", "anchored to the end", exact(extract=r"(\d)$"), "5 and 4", 1.0, FOUR),
    Case("DOC", "then a part of it", part("4", extract=TAG), "<ans>it is 4</ans>", 1.0),
    Case("DOC", "then an expression", regex(r"^\d$", extract=TAG), "<ans>4</ans>", 1.0),
    Case("DOC", "digits, as in Google's tests", exact(extract=r"(\d+)", wrong=-1.0), "42", 1.0, {"answer": "42"}),
    Case("DOC", "the last number", exact(extract=r"(\d+)"), "6 times 7 is 42", 1.0, {"answer": "42"}),
]  # fmt: skip

JSON = [
    Case("DOC", "a member", exact(key="answer"), '{"answer": "4"}', 1.0, FOUR),
    Case("DOC", "a member, wrong", exact(key="answer"), '{"answer": "5"}', 0.0, FOUR),
    Case("DOC", "among others", exact(key="answer"), '{"why": "2+2", "answer": "4"}', 1.0, FOUR),
    Case("OURS", "a member that there is not", exact(key="answer", wrong=-1.0), '{"result": "4"}', -1.0, FOUR),
    Case("OURS", "names are case-sensitive", exact(key="answer", wrong=-1.0), '{"Answer": "4"}', -1.0, FOUR),
    Case("SCHEMA", "of the object itself alone", exact(key="answer", wrong=-1.0), '{"a": {"answer": "4"}}', -1.0, FOUR),
    Case("SCHEMA", "a dot is a letter of the name", exact(key="a.b"), '{"a.b": "4"}', 1.0, FOUR),
    Case("SCHEMA", "and no way into an object", exact(key="a.b", wrong=-1.0), '{"a": {"b": "4"}}', -1.0, FOUR),
    Case("OURS", "no JSON: a wrong answer", exact(key="answer", wrong=-1.0), "answer: 4", -1.0, FOUR),
    Case("OURS", "nearly JSON", exact(key="answer", wrong=-1.0), "{'answer': '4'}", -1.0, FOUR),
    Case("OURS", "JSON among text", exact(key="answer", wrong=-1.0), 'So: {"answer": "4"}', -1.0, FOUR),
    Case("DOC", "which is what parsing is for", exact(key="answer", extract="(?s)({.*})"), 'So: {"answer": "4"}.', 1.0, FOUR),
    Case("OURS", "a fence round it", exact(key="answer", wrong=-1.0), FENCED, -1.0, FOUR),
    Case("DOC", "which is parsed away", exact(key="answer", extract="(?s)```json\n(.*?)\n```"), FENCED, 1.0, FOUR),
    Case("OURS", "a list", exact(key="answer", wrong=-1.0), '["4"]', -1.0, FOUR),
    Case("OURS", "a text", exact(key="answer", wrong=-1.0), '"4"', -1.0, FOUR),
    Case("OURS", "a number", exact(key="answer", wrong=-1.0), "4", -1.0, FOUR),
    Case("OURS", "null", exact(key="answer", wrong=-1.0), "null", -1.0, FOUR),
    Case("OURS", "nothing", exact(key="answer", wrong=-1.0), "", -1.0, FOUR),
    Case("OURS", "a number as its JSON", exact(key="answer"), '{"answer": 4}', 1.0, FOUR),
    Case("OURS", "a number with a point", exact(key="answer"), '{"answer": 4.0}', 0.0, FOUR),
    Case("OURS", "true as its JSON", exact("true", key="ok"), '{"ok": true}', 1.0),
    Case("OURS", "null as its JSON", exact("null", key="ok"), '{"ok": null}', 1.0),
    Case("OURS", "a list as its JSON", exact("[1, 2]", key="all"), '{"all": [1,2]}', 1.0),
    Case("OURS", "letters as they are", exact('["ż"]', key="all"), '{"all": ["\\u017c"]}', 1.0),
    Case("OURS", "blanks round the object", exact(key="answer"), ' \n{"answer": "4"}\n', 1.0, FOUR),
    Case("OURS", "a member twice: the last", exact(key="answer"), '{"answer": "5", "answer": "4"}', 1.0, FOUR),
    Case("DOC", "an escape", exact(key="answer"), '{"answer": "\\u0034"}', 1.0, FOUR),
    Case("DOC", "a part of the value", part(key="answer"), '{"answer": "it is 4"}', 1.0, FOUR),
    Case("DOC", "an expression", regex(r"^\d$", key="answer"), '{"answer": "4"}', 1.0),
    Case("DOC", "an expression, not met", regex(r"^\d$", key="answer"), '{"answer": "44"}', 0.0),
    Case("OURS", "an empty value", exact(key="answer"), '{"answer": ""}', 1.0, {"answer": ""}),
    Case("OURS", "a reference that there is not", exact(key="answer"), '{"answer": "4"}', NOTHING),
    Case("OURS", "nested too deeply to be read", exact(key="answer", wrong=-1.0), '{"answer":' + "[" * 100_000, -1.0, FOUR),
    Case("DOC", "clipped", exact(key="answer", correct=5.0), '{"answer": "4"}', 1.0, FOUR),
]  # fmt: skip

SAID = [
    Case("SCHEMA", "a turn", exact("4"), {"role": "model", "parts": [{"text": "4"}]}, 1.0),
    Case("SCHEMA", "a turn without a role", exact("4"), {"parts": [{"text": "4"}]}, 1.0),
    Case("OURS", "parts follow each other", exact("it is 4"), {"parts": [{"text": "it is"}, {"text": " 4"}]}, 1.0),
    Case("OURS", "thoughts are not looked at", exact("4"), {"parts": [{"text": "2+2", "thought": True}, {"text": "4"}]}, 1.0),
    Case("OURS", "nor does a thought count as an answer", exact("4"), {"parts": [{"text": "4", "thought": True}]}, 0.0),
    Case("OURS", "what is no text is passed over", exact("4"), {"parts": [{"functionCall": {"name": "f"}}, {"text": "4"}]}, 1.0),
    Case("OURS", "a turn without parts", exact("4"), {"role": "model"}, 0.0),
]  # fmt: skip

ALL = [*EXACTLY, *PARTLY, *REGULARLY, *EXTRACTED, *JSON, *SAID]
