"""`calculate_output`: how the grades of several graders become one.

Source: OpenAI, "Graders" (2026-11-26): `+ - * / ^`, and `min max abs floor ceil exp sqrt log`.
"""

from __future__ import annotations

import ast
import copy
import keyword
import re
from collections.abc import Mapping

_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)
_FUNCTIONS = {
    "min": "min",
    "max": "max",
    "abs": "abs",
    "floor": "math.floor",
    "ceil": "math.ceil",
    "exp": "math.exp",
    "sqrt": "math.sqrt",
    "log": "math.log",
}
_SHOWN = 80
_KEYWORD = "_grade_"
"""Behind a grader's name that Python keeps for itself, while the formula is read."""


class FormulaError(ValueError):
    """Not a formula, or not over these graders; the message says why."""


class Formula:
    """A formula over the grades of some graders.

    Args:
        text: `0.5 * name + 0.5 * arguments`.
        graders: The names that it may use.

    Raises:
        FormulaError: It is none.
    """

    def __init__(self, text: str, graders: Mapping[str, object]) -> None:
        try:
            self._tree = ast.parse(_renamed(text, graders).strip().replace("^", "**"), mode="eval").body
        except (SyntaxError, ValueError, RecursionError) as error:
            words = error.msg if isinstance(error, SyntaxError) else error
            shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
            raise FormulaError(f"{shown!r} is no formula: {words}") from error
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Name):
                node.id = node.id.removesuffix(_KEYWORD)
        self.names: set[str] = set()
        self._check(self._tree, graders)

    def _check(self, node: ast.AST, graders: Mapping[str, object]) -> None:
        match node:
            case ast.BinOp(left, op, right) if isinstance(op, _OPERATORS):
                self._check(left, graders)
                self._check(right, graders)
            case ast.UnaryOp(ast.USub() | ast.UAdd(), operand):
                self._check(operand, graders)
            case ast.Constant(value) if isinstance(value, int | float) and not isinstance(value, bool):
                pass
            case ast.Name(id) if id in graders:
                self.names.add(id)
            case ast.Name(id):
                raise FormulaError(f"there is no grader {id}: {', '.join(graders)}")
            case ast.Call(ast.Name(id), args, []) if id in _FUNCTIONS:
                if not args or (len(args) > 1 and id not in ("min", "max")):
                    raise FormulaError(f"{ast.unparse(node)}: {id} takes one number")
                for one in args:
                    self._check(one, graders)
            case _:
                words = ast.unparse(node)
                known = f"numbers, grades, + - * / ^ and {', '.join(_FUNCTIONS)}"
                raise FormulaError(f"{words!r} in it is none of: {known}")

    def weights(self) -> dict[str, float] | None:
        """What each grade counts, where the result is a sum of them with positive weights; else None."""
        found = _linear(self._tree)
        if found is None or found.pop("", 0.0) or not found or min(found.values()) <= 0:
            return None
        return found

    def code(self, names: Mapping[str, str]) -> str:
        """As Python, with other words for the grades; `math` must be there."""
        renamed = copy.deepcopy(self._tree)
        functions = {id(node.func) for node in ast.walk(renamed) if isinstance(node, ast.Call)}
        for node in ast.walk(renamed):
            if isinstance(node, ast.Name):
                node.id = _FUNCTIONS[node.id] if id(node) in functions else names[node.id]
        return ast.unparse(renamed)


def _renamed(text: str, graders: Mapping[str, object]) -> str:
    """The formula, where graders have names that Python keeps for itself (`pass`)."""
    kept = "|".join(map(re.escape, filter(keyword.iskeyword, graders)))
    return re.sub(rf"\b({kept})\b", rf"\1{_KEYWORD}", text) if kept else text


def _linear(node: ast.expr) -> dict[str, float] | None:
    """Coefficients by name, the constant under ""; None where it is not linear."""
    match node:
        case ast.Constant(value) if isinstance(value, int | float):
            return {"": float(value)}
        case ast.Name(id):
            return {id: 1.0}
        case ast.UnaryOp(op, operand):
            return _times(_linear(operand), -1.0 if isinstance(op, ast.USub) else 1.0)
        case ast.BinOp(left, ast.Add() | ast.Sub() as op, right):
            one, other = _linear(left), _times(_linear(right), -1.0 if isinstance(op, ast.Sub) else 1.0)
            if one is None or other is None:
                return None
            return {name: one.get(name, 0.0) + other.get(name, 0.0) for name in {**one, **other}}
        case ast.BinOp(left, ast.Mult(), right):
            one, other = _linear(left), _linear(right)
            if one is not None and set(one) == {""}:
                one, other = other, one
            return _times(one, other[""]) if other is not None and set(other) == {""} else None
        case ast.BinOp(left, ast.Div(), right):
            by = _linear(right)
            return _times(_linear(left), 1 / by[""]) if by and set(by) == {""} and by[""] else None
        case _:
            return None


def _times(found: dict[str, float] | None, by: float) -> dict[str, float] | None:
    return None if found is None else {name: value * by for name, value in found.items()}
