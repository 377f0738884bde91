"""A Python function as the code of a reward: its source alone is sent, and what it would miss there is said here."""

from __future__ import annotations

import ast
import builtins
import importlib.util
import inspect
import symtable
import sys
import textwrap
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from vertex_tuning import catalog
from vertex_tuning.errors import Fault

_SIGNATURE = "def evaluate(example, response): ..."
_GIVEN = {"__builtins__", "__doc__", "__file__", "__name__", "__package__", "__spec__", "__loader__"}
_FUTURE = "from __future__ import annotations\n\n"


def source_of(function: Callable[..., Any], faults: list[Fault]) -> str:
    """What is sent of a function; empty where nothing can be."""
    where = f"source, {getattr(function, '__qualname__', type(function).__name__)}"
    if not inspect.isfunction(function):
        what = f"it is {_kind(function)}, not a function written with def"
        faults.append(Fault("VT912", what, where, "Its source alone is sent.", _SIGNATURE))
        return ""
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        why = "It was written where nothing keeps it: in an interactive session, or by exec."
        fix = 'put it into a file, or give its source as a text: rewards.code("def evaluate(...")'
        faults.append(Fault("VT912", "the source of the function cannot be found", where, why, fix))
        return ""
    if not text.startswith("def "):
        what = (
            "it is a lambda"
            if function.__name__ == "<lambda>"
            else "it is a coroutine (async def)"
            if text.startswith("async ")
            else "it has a decorator"
            if text.startswith("@")
            else "it is not written as a plain def"
        )
        fix = "a plain def that imports and defines all that it needs"
        faults.append(Fault("VT912", what, where, "Its source alone is sent.", fix))
        return ""
    if function.__annotations__:
        text = _FUTURE + text  # what they name need not be there then
    return text if function.__name__ == "evaluate" else f"{text}\n\nevaluate = {function.__name__}\n"


def check(
    text: str,
    faults: list[Fault],
    function: Callable[..., Any] | None = None,
    *,
    here: bool = False,
    imports: bool = True,
) -> None:
    """Note what would keep code from running where it is sent to.

    Args:
        text: The code.
        faults: Get what is wrong.
        function: What it was taken from, to say what is left behind.
        here: It is sent nowhere: what is installed on this machine is there.
        imports: Look for what it imports, too.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        where = f"source line {error.lineno}" if isinstance(error, SyntaxError) else "source"
        words = error.msg if isinstance(error, SyntaxError) else error
        faults.append(Fault("VT912", f"not Python: {words}", where, fix=_SIGNATURE))
        return
    _check_evaluate(tree, faults)
    if imports:
        _check_imports(tree, faults, here)
    if any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(tree)):
        return  # nobody knows what is there then
    around = {} if function is None else _around(function)
    uses = _first_uses(tree)
    for name in _unbound(text):
        where = f"source line {uses[name]}" if name in uses and function is None else "source"
        faults.append(_missing(name, where, around, function))


def _check_evaluate(tree: ast.Module, faults: list[Fault]) -> None:
    """Whether there is an `evaluate` that takes an example and a response."""
    found: ast.stmt | None = None
    functions: dict[str, ast.FunctionDef] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            functions[node.name] = node
        names = [node.name] if isinstance(node, ast.FunctionDef | ast.ClassDef) else _assigned(node)
        if "evaluate" in names:
            found = node
        if isinstance(node, ast.AsyncFunctionDef) and node.name == "evaluate":
            what = "evaluate is a coroutine (async def), which nobody would await"
            faults.append(Fault("VT912", what, f"source line {node.lineno}", fix=_SIGNATURE))
            return
    if found is None:
        what = "it defines no function evaluate(example, response)"
        faults.append(Fault("VT912", what, "source", fix=_SIGNATURE))
        return
    value = getattr(found, "value", None)
    alias = functions.get(value.id) if isinstance(value, ast.Name) else None
    function = found if isinstance(found, ast.FunctionDef) else alias
    if function is None or function.decorator_list:
        return
    given = function.args
    positional = len(given.posonlyargs) + len(given.args)
    needed = positional - len(given.defaults)
    named = [
        name.arg for name, default in zip(given.kwonlyargs, given.kw_defaults, strict=True) if default is None
    ]
    if needed > 2 or named or (positional < 2 and given.vararg is None):
        what = f"{function.name}({ast.unparse(given)}) cannot be called with an example and a response"
        faults.append(Fault("VT912", what, f"source line {function.lineno}", fix=_SIGNATURE))


def _assigned(node: ast.stmt) -> list[str]:
    """Names that a statement gives a value to."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
    if isinstance(node, ast.If | ast.Try):
        return ["evaluate"]  # it depends; who knows
    targets = (
        node.targets
        if isinstance(node, ast.Assign)
        else [node.target]
        if isinstance(node, ast.AnnAssign)
        else []
    )
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _check_imports(tree: ast.Module, faults: list[Fault], here: bool) -> None:
    """Whether the service has what is imported."""
    why = f"It has Python's own modules and {', '.join(catalog.limits('reward_code')['modules'])}."
    for name, line in foreign(tree).items():
        if here and name and importlib.util.find_spec(name) is not None:
            continue
        what = f"it imports {name or 'relatively'}, which the service does not have"
        fix = "do without it, or let a service of yours score: rewards.cloud_run(...)"
        faults.append(Fault("VT912", what, f"source line {line}", why, fix))


def foreign(tree: ast.Module) -> dict[str, int]:
    """Modules that the service does not have, and the line of their first import; what is tried for, the code can do without."""
    there = catalog.limits("reward_code")["modules"]
    tried = {inner for node in ast.walk(tree) if isinstance(node, ast.Try) for inner in ast.walk(node)}
    found: dict[str, int] = {}
    for node in ast.walk(tree):
        if node in tried or not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]
        for name in (name.partition(".")[0] for name in names):
            if name not in sys.stdlib_module_names and name not in there:
                found.setdefault(name, node.lineno)
    return found


def _unbound(text: str) -> list[str]:
    """Names that are used, and given a value nowhere."""
    module = symtable.symtable(text, "source", "exec")
    tables = list(_tables(module))
    bound = {
        symbol.get_name()
        for symbol in module.get_symbols()
        if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
    }
    bound |= {
        symbol.get_name()
        for table in tables
        for symbol in table.get_symbols()
        if symbol.is_declared_global() and symbol.is_assigned()
    }
    used = {
        symbol.get_name()
        for table in tables
        for symbol in table.get_symbols()
        if symbol.is_referenced() and (table is module or symbol.is_global())
    }
    return sorted(name for name in used - bound - _GIVEN if not hasattr(builtins, name))


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        if child.get_type() != "annotation":
            yield from _tables(child)


def _first_uses(tree: ast.Module) -> dict[str, int]:
    found: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found[node.id] = min(node.lineno, found.get(node.id, node.lineno))
    return found


def _around(function: Callable[..., Any]) -> Mapping[str, Any]:
    """What the function sees where it was written."""
    assert inspect.isfunction(function)
    cells: dict[str, Any] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            cells[name] = cell.cell_contents
        except ValueError:  # it has no value yet
            cells[name] = None
    return {**function.__globals__, **cells}


def _missing(name: str, where: str, around: Mapping[str, Any], function: Callable[..., Any] | None) -> Fault:
    why = "Its source alone is sent: it takes nothing along from round it." if function is not None else ""
    if name not in around:
        return Fault("VT912", f"{name} is not defined", where, why, f"define or import {name} in the code")
    value = around[name]
    inside = f"inside of {getattr(function, '__name__', 'the function')}"
    if isinstance(value, types.ModuleType):
        module = value.__name__
        fix = f"import {module}" if module == name else f"import {module} as {name}"
        return Fault(
            "VT912", f"it needs {name}, which is imported outside of it", where, why, f"{fix}, {inside}"
        )
    home = getattr(value, "__module__", None)
    if callable(value) and home and home != around.get("__name__") and home != "builtins":
        known = home.partition(".")[0] in sys.stdlib_module_names
        what = f"it needs {name}, which is imported outside of it"
        fix = f"from {home} import {name}, {inside}" if known else f"define or import {name} {inside}"
        return Fault("VT912", what, where, why, fix)
    kind = f"{_kind(value)} that is defined" if callable(value) else "a value that is set"
    fix = f"define {name} {inside}, or give the source of both as one text"
    return Fault("VT912", f"it needs {name}, {kind} outside of it", where, why, fix)


def _kind(value: Any) -> str:
    if inspect.isclass(value):
        return "a class"
    if inspect.ismethod(value):
        return "a method"
    if inspect.isfunction(value):
        return "a function"
    if inspect.isbuiltin(value):
        return "a function of Python's own"
    return f"an object of class {type(value).__name__}"
