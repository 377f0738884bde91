"""Graders as code: `evaluate(example, response)`, with all that it needs."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vertex_tuning.rewards.graders import runtime
from vertex_tuning.rewards.graders.formulas import Formula
from vertex_tuning.rewards.graders.templates import Template

_SOURCES = {function.__name__: inspect.getsource(function).rstrip() for function in runtime.FUNCTIONS}
_OURS = {*_SOURCES, "evaluate"}
_SIMILARITY = {
    "fuzzy_match": "fuzzy_match(text, reference)",
    "bleu": "bleu(text, reference)",
    "gleu": "gleu(text, reference)",
    **{f"rouge_{size}": f"rouge(text, reference, {size})" for size in range(1, 6)},
    "rouge_l": "rouge(text, reference, 0)",
}
METRICS = tuple(_SIMILARITY)


class SourceError(ValueError):
    """Not the source of a grader; the message says why."""


@dataclass(frozen=True, slots=True)
class Snippet:
    """What computes one grade."""

    function: str
    """Source of `NAME(sample, item)`, with what comes before it."""
    name: str = "graded"
    whole: str = ""
    """The source of a Python grader as its author wrote it, where it can be sent so."""


def checked(operation: str, text: Template, reference: Template, name: str) -> Snippet:
    """A `string_check`."""
    call = f"string_check({operation!r}, {_filled(text)}, {_filled(reference)})"
    return Snippet(f"def {name}(sample, item):\n    return {call}", name)


def similar(metric: str, text: Template, reference: Template, name: str) -> Snippet:
    """A `text_similarity`, of one of `METRICS`."""
    lines = [
        f"def {name}(sample, item):",
        f"    text, reference = {_filled(text)}, {_filled(reference)}",
        f"    return 0.0 if text is None or reference is None else {_SIMILARITY[metric]}",
    ]
    return Snippet("\n".join(lines), name)


def _filled(template: Template) -> str:
    pieces = [piece if isinstance(piece, str) else list(piece) for piece in template.pieces]
    return f"filled({pieces!r}, sample, item)"


def python(source: str, name: str) -> Snippet:
    """A Python grader. It keeps its names to itself; what it imports and sets up is done once.

    Raises:
        SourceError: It is no Python, or has no `grade(sample, item)`.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError) as error:
        words = f"{error.msg} (line {error.lineno})" if isinstance(error, SyntaxError) else error
        raise SourceError(f"it is not Python: {words}") from error
    bound = {name for node in tree.body for name in _bound(node)}
    if "grade" not in bound:
        raise SourceError("it defines no function grade(sample, item)")
    if any(isinstance(node, ast.AsyncFunctionDef) and node.name == "grade" for node in tree.body):
        raise SourceError("grade is a coroutine (async def), which nobody would await")
    whole = "" if bound & {*_OURS, name} else f"{source.rstrip()}\n\n\n{_graded('grade', name)}"
    enclosed = _enclosed(tree, name)
    return Snippet(f"{enclosed}\n\n\n{_graded(f'_of_{name}', name)}" if enclosed else "", name, whole)


def _bound(node: ast.stmt) -> set[str]:
    """Names that a statement of a module gives a value to, or more."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)} | {
        one.name for one in ast.walk(node) if isinstance(one, ast.FunctionDef)
    }


def _graded(grade: str, name: str) -> str:
    lines = [
        f"def {name}(sample, item):",
        "    import math",
        "",
        "    try:  # what is no number is worth 0, as it was at OpenAI",
        f"        value = float({grade}(sample, item))",
        "    except (ImportError, OSError):  # what is not there, or not allowed here, is not the answer's fault",
        "        raise",
        "    except Exception:",
        "        return 0.0",
        "    return value if math.isfinite(value) else 0.0",
    ]
    return "\n".join(lines)


def _enclosed(tree: ast.Module, name: str) -> str:
    """A module as a function that makes its `grade`, called once; empty where it cannot be one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Global) or (isinstance(node, ast.Name) and node.id == "globals"):
            return ""
        if isinstance(node, ast.ImportFrom) and (node.module == "__future__" or node.names[0].name == "*"):
            return ""
    around = ast.parse(f"def _make_{name}():\n    return grade\n_of_{name} = _make_{name}()")
    made = around.body[0]
    assert isinstance(made, ast.FunctionDef)
    made.body[:0] = tree.body
    return ast.unparse(around)


def alone(snippet: Snippet) -> str:
    """The code of a reward that is one grader."""
    function = snippet.whole or snippet.function
    return _together([function], f"{snippet.name}(sample, item)")


def together(parts: dict[str, Snippet], formula: Formula) -> str:
    """The code of a reward that is a formula over several graders, by their names in it."""
    names = {name: f"{snippet.name}(sample, item)" for name, snippet in parts.items()}
    return _together([snippet.function for snippet in parts.values()], formula.code(names))


def _together(functions: Sequence[str], result: str) -> str:
    lines = [
        "def evaluate(example, response):",
        "    sample, item = sample_of(response), item_of(example)",
        f"    return float({result})",
    ]
    evaluate = "\n".join(lines)
    needed = _needed([*functions, evaluate])
    head = ["import math"] if "math." in result else []
    return "\n\n\n".join([*head, *functions, *(_SOURCES[name] for name in needed), evaluate]) + "\n"


def _needed(texts: Iterable[str]) -> list[str]:
    """The functions of `runtime` that are named, and those that these name."""
    found: set[str] = set()
    left = list(texts)
    while left:
        names = {node.id for node in ast.walk(ast.parse(left.pop())) if isinstance(node, ast.Name)}
        more = (names & set(_SOURCES)) - found
        found |= more
        left += [_SOURCES[name] for name in more]
    return [name for name in _SOURCES if name in found]
