"""Every rule id is explained, every explanation is of a rule that there is, and every command that is named exists."""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import click
import pytest

import vertex_tuning
from vertex_tuning import catalog, cli, errors

PACKAGE = Path(vertex_tuning.__file__).parent
COMMAND = re.compile(r"vertex-tuning((?: [a-z][a-z-]*)+)((?: (?:[A-Z]+|--[a-z-]+))*)")

FAMILIES = {
    "ConfigurationError": "1",
    "DatasetError": "2",
    "SpecError": "3",
    "EmulatorError": "4",
    "ServiceError": "5",
    "JobError": "6",
    "JobFailedError": "6",
    "JobCancelledError": "6",
    "JobTimeoutError": "6",
    "WeightsError": "7",
    "PipelineError": "7",
    "HostError": "7",
    "UnknownPriceError": "7",
    "EvaluationError": "7",
    "LineageError": "7",
    "RewardError": "9",
}


@cache
def nodes() -> list[tuple[str, ast.AST]]:
    """Everything in the sources, and where it is."""
    return [
        (f"{path.relative_to(PACKAGE)}:{getattr(node, 'lineno', 0)}", node)
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call | ast.Constant)
    ]


@cache
def strings() -> list[tuple[str, str]]:
    """Every text in the sources, those of f-strings piece by piece, and where it is."""
    return [
        (where, node.value)
        for where, node in nodes()
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def name_of(call: ast.Call) -> str:
    """`DatasetError` of `errors.DatasetError(...)`."""
    return getattr(call.func, "attr", "") or getattr(call.func, "id", "")


def used(*, docstrings: bool = True) -> set[str]:
    texts = strings() if docstrings else [(where, text) for where, text in strings() if "\n" not in text]
    return {rule for _, text in texts for rule in re.findall(r"VT\d{3}", text)}


def test_every_rule_that_is_used_is_explained():
    assert used() - set(catalog.rules()) == set()


def test_every_rule_that_is_explained_is_used():
    """In code: to be spoken of in a docstring is not enough."""
    assert set(catalog.rules()) - used(docstrings=False) == set()


def test_rules_stand_in_order():
    names = list(tomllib.loads((PACKAGE / "catalog" / "rules.toml").read_text(encoding="utf-8")))
    assert names == sorted(names)


@pytest.mark.parametrize("name", catalog.rules())
def test_a_rule_says_what_why_and_what_to_do(name):
    rule = catalog.rules()[name]
    assert re.fullmatch(r"VT[1-9]\d\d", name)
    assert set(rule) == {"title", "why", "fix"}
    assert 3 < len(rule["title"]) < 80
    assert not rule["title"].endswith(".")
    assert rule["why"].endswith(".")
    assert rule["fix"][-1] in ".`"


def test_titles_tell_rules_apart():
    titles = [rule["title"] for rule in catalog.rules().values()]
    assert sorted(titles) == sorted(set(titles))


@pytest.mark.parametrize(("kind", "digit"), FAMILIES.items())
def test_an_error_has_a_rule_of_its_family(kind, digit):
    """`raise DatasetError("VT2..`: the class and the first digit say the same."""
    assert hasattr(errors, kind)
    wrong = [
        f"{where} {rule}"
        for where, node in nodes()
        if isinstance(node, ast.Call) and node.args and name_of(node) == kind
        for rule in re.findall(r"VT\d{3}", ast.unparse(node.args[0]))
        if rule[2] != digit
    ]
    assert wrong == []


def test_every_command_that_is_named_exists():
    """Whether in an explanation, a message or a docstring: it can be typed, options and all."""
    texts = [(name, text) for name, rule in catalog.rules().items() for text in rule.values()]
    wrong, seen = [], set()
    for where, text in texts + strings():
        for match in COMMAND.finditer(text):
            seen.add(match[0])
            if not exists(match[1].split(), re.findall(r"--[a-z-]+", match[2])):
                wrong.append(f"{where}: {match[0]}")
    assert wrong == []
    assert len(seen) > 20


def exists(words: list[str], options: list[str]) -> bool:
    command: click.Command = cli.root
    for word in words:
        if not isinstance(command, click.Group):
            break  # from here on, arguments
        found = command.get_command(click.Context(command), word)
        if found is None:
            return False
        command = found
    known = {name for parameter in command.params for name in parameter.opts + parameter.secondary_opts}
    return set(options) <= known
