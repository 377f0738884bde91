"""A Python function as a reward: what its source would miss where it is sent is said where it is written, all of it."""

from __future__ import annotations

import functools
import json
import math as mathematics
import re
from collections import Counter
from typing import Any

import pytest

from vertex_tuning import RewardError, rewards

LIMIT = 100


def helper(text: str) -> str:
    return text.strip()


def whole(example: dict[str, Any], response: dict[str, Any]) -> float:
    """All that it needs it has: imports, functions, constants, comprehensions; annotations are not looked at."""
    import re
    from math import sqrt

    words = {"four": 4}

    def number(text: str) -> float:
        found = re.search(r"\d+", text)
        return float(found[0]) if found else float(words.get(text, 0))

    texts = [part["text"] for part in response["parts"] if "text" in part]
    return 1.0 if any(sqrt(number(text)) == 2 for text in texts) else 0.0


def careless(example, response):
    text = helper(response["parts"][0]["text"])
    found = Counter(re.findall(r"\w+", text))
    return mathematics.tanh(len(found) / LIMIT) + len(json.dumps(example)) * undefined  # noqa: F821


def faults_of(source: Any) -> dict[str, str]:
    with pytest.raises(RewardError) as caught:
        rewards.code(source)
    assert {fault.rule for fault in caught.value.faults} <= {"VT912"}
    assert all(fault.fix for fault in caught.value.faults)
    return {fault.what: fault.fix for fault in caught.value.faults}


def test_a_function_that_has_all_it_needs_is_paid_as_it_pays():
    reward = rewards.code(whole, name="whole")
    for answer, paid in (("4", 1.0), ("four", 1.0), ("5", 0.0)):
        row = {"contents": []}
        assert reward.score(row, answer).reward == whole(row, {"parts": [{"text": answer}]}) == paid


def test_everything_that_is_left_behind_is_named_with_its_cure():
    assert faults_of(careless) == {
        "it needs Counter, which is imported outside of it": "from collections import Counter, inside of careless",
        "it needs LIMIT, a value that is set outside of it": (
            "define LIMIT inside of careless, or give the source of both as one text"
        ),
        "it needs helper, a function that is defined outside of it": (
            "define helper inside of careless, or give the source of both as one text"
        ),
        "it needs json, which is imported outside of it": "import json, inside of careless",
        "it needs mathematics, which is imported outside of it": "import math as mathematics, inside of careless",
        "it needs re, which is imported outside of it": "import re, inside of careless",
        "undefined is not defined": "define or import undefined in the code",
    }


def test_so_is_what_a_closure_holds_and_what_a_default_names():
    bonus = 0.5

    def closed(example, response, most=LIMIT):
        return bonus + most

    assert set(faults_of(closed)) == {
        "it needs bonus, a value that is set outside of it",
        "it needs LIMIT, a value that is set outside of it",
    }


class Scorer:
    def method(self, example, response):
        return 1.0

    def __call__(self, example, response):
        return 1.0


async def later(example, response):
    return 1.0


@functools.cache
def decorated(example, response):
    return 1.0


@functools.wraps(whole)
def wrapped(example, response):
    return 1.0


def narrow(example):
    return 1.0


def wide(example, response, more):
    return 1.0


def keyed(example, response, *, more):
    return 1.0


def heavy(example, response):
    import numpy
    import torch
    import transformers.models

    return float(numpy.mean(torch.ones(1))) + len(transformers.models)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (lambda example, response: 1.0, "a lambda"),
        (Scorer().method, "a method"),
        (Scorer(), "an object of class Scorer"),
        (Scorer, "a class"),
        (len, "a function of Python's own"),
        (functools.partial(whole), "an object of class partial"),
        (decorated, "an object of class"),
        (later, "async def"),
        (narrow, "narrow(example) cannot be called with an example and a response"),
        (wide, "wide(example, response, more) cannot be called"),
        (keyed, "keyed(example, response, *, more) cannot be called"),
        (eval("lambda e, r: 1.0"), "cannot be found"),
        ("", "it defines no function evaluate"),
        ("async def evaluate(e, r): return 1", "nobody would await"),
        ("def evaluate(e): return 1", "cannot be called"),
        ("def evaluate(e, r): return re.search('a', 'a')", "re is not defined"),
        ("def evaluate(e, r):\nreturn 1", "not Python"),
    ],
)
def test_what_cannot_be_sent_is_refused_in_its_own_words(source, words):
    assert any(words in what for what in faults_of(source)), faults_of(source)


def test_what_the_service_does_not_have_is_told_before_a_job_is_paid_for():
    assert set(faults_of(heavy)) == {
        "it imports torch, which the service does not have",
        "it imports transformers, which the service does not have",
    }


@pytest.mark.parametrize(
    "source",
    [
        "import re\nLIMIT = 3\ndef helper(x): return x\ndef evaluate(e, r): return len(helper(re.findall('a', 'aa'))) / LIMIT",
        "def evaluate(e, r):\n    global seen\n    seen = 1\n    return seen",
        "from math import *\ndef evaluate(e, r): return sqrt(1)",
        "try:\n    import not_there\nexcept ImportError:\n    not_there = None\ndef evaluate(e, r): return 1",
        "def score(e, r, more=1): return more\nevaluate = score",
        "evaluate = lambda e, r: 1.0",
        "def evaluate(*both): return 1.0",
        "class Evaluate:\n    def __call__(self, e, r): return 1\nevaluate = Evaluate()",
        "from functools import partial\ndef score(x, e, r): return x\nevaluate = partial(score, 1)",
        "if True:\n    def evaluate(e, r): return 1\nelse:\n    evaluate = None",
        "def evaluate(example: dict, response: dict) -> float:\n    return sum(1 for x in 'a' if x) + len(__name__)",
    ],
)
def test_what_would_run_is_let_through(source):
    assert rewards.code(source).score({"contents": []}, "4").failure is None
