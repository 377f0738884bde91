"""Tables of inputs and outputs for the READMEs under terraform/, read from the sources themselves.

Used by docs.py: between the markers `terraform-variables` and `terraform-outputs` of a README stands the table of the
`variables.tf` or `outputs.tf` beside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import hcl2

ROOT = Path(__file__).resolve().parent.parent / "terraform"


def readmes() -> list[Path]:
    """Every README under terraform/."""
    return [ROOT / "README.md", *sorted(ROOT.glob("*/**/README.md"))]


def blocks(folder: Path) -> dict[str, Callable[[], str]]:
    """What stands between markers in the README of a folder, by the markers' name."""
    return {
        "terraform-variables": lambda: variables(folder),
        "terraform-outputs": lambda: outputs(folder),
    }


def variables(folder: Path) -> str:
    """The inputs of a root or module."""
    rows = [
        [f"`{name}`", _type(block), _default(block), _text(block["description"])]
        for name, block in _blocks(folder / "variables.tf", "variable")
    ]
    return _table(["input", "type", "default", "what it is"], rows)


def outputs(folder: Path) -> str:
    """What a root or module tells."""
    rows = [
        [f"`{name}`", _text(block["description"])] for name, block in _blocks(folder / "outputs.tf", "output")
    ]
    return _table(["output", "what it is"], rows)


def _blocks(path: Path, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for found in hcl2.loads(path.read_text(encoding="utf-8")).get(kind, []):
        for name, block in found.items():
            yield _text(name), block


def _text(literal: str) -> str:
    """What a string in the source says; the parser leaves its quotes on."""
    return str(json.loads(literal))


def _type(block: dict[str, Any]) -> str:
    """As one line of code; an object as a line for each of its fields, and objects within it by that word alone."""
    source = block["type"].removeprefix("${").removesuffix("}")
    head, opening, rest = source.partition("object({")
    if not opening:
        return f"`{source}`"
    inside = re.sub(r"object\(\{.*?\}\)", "object", rest[: rest.rindex("}")])
    title = {"": "object:", "map(": "map of objects:"}[head]
    return "<br>".join([title, *(f"`{field}`" for field in _split(inside))])


def _split(text: str) -> Iterator[str]:
    """At the commas that are in no bracket."""
    depth, begin = 0, 0
    for place, letter in enumerate(text):
        depth += (letter in "{[(") - (letter in "}])")
        if letter == "," and not depth:
            yield text[begin:place].strip()
            begin = place + 1
    yield text[begin:].strip()


def _default(block: dict[str, Any]) -> str:
    if "default" not in block:
        return "required"
    value = block["default"]
    if isinstance(value, str):
        return f"`{value.removeprefix('${').removesuffix('}')}`"
    return f"`{json.dumps(value)}`"


def _table(columns: list[str], rows: Iterable[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
