"""The files of Terraform, read: blocks and the lines they stand on, and what holds for every module without planning it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from hcl2.query import DocumentView

HASHICORP = "hashicorp/google"
"""The only provider."""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, and where."""

    rule: str
    words: str
    file: str
    """Below terraform/."""
    line: int
    address: str = ""
    """Of the resource, where there is one."""

    def __str__(self) -> str:
        subject = f"{self.address}: " if self.address else ""
        return f"{self.file}:{self.line}: {self.rule}: {subject}{self.words}"


@dataclass(frozen=True)
class Block:
    """A block at the top of a file."""

    kind: str
    labels: tuple[str, ...]
    path: Path
    line: int
    view: Any

    @property
    def attributes(self) -> dict[str, str]:
        """What is written behind each name; strings keep their quotes."""
        return {one.name: str(one.value) for one in self.view.attributes()}


def blocks(folder: Path) -> Iterator[Block]:
    """Of the files of one folder, in their order."""
    for path in sorted(folder.glob("*.tf")):
        yield from _blocks(path, path.read_text(encoding="utf-8"))


@lru_cache(maxsize=512)  # copies have the same text, and the parser is the slowest thing here
def _views(text: str) -> tuple[tuple[str, tuple[str, ...], int, Any], ...]:
    return tuple(
        (view.block_type, tuple(view.name_labels), view.raw.to_lark().meta.line, view)
        for view in DocumentView.parse(text).blocks()
    )


def _blocks(path: Path, text: str) -> Iterator[Block]:
    for kind, labels, line, view in _views(text):
        yield Block(kind, labels, path, line, view)


def modules(root: Path) -> list[Path]:
    """The folders that hold a module: the root, those below modules/, and the examples."""
    return sorted({path.parent for path in root.rglob("*.tf") if ".terraform" not in path.parts})


def locate(root: Path, at: Path, address: str) -> tuple[str, int]:
    """File below `root`, and line, of the block that an address of a plan belongs to.

    Args:
        root: terraform/, or a copy of it.
        at: The folder that was planned.
        address: Of a resource, such as `module.platform.module.storage.google_storage_bucket.this["datasets"]`.
    """
    *path, kind, name = re.sub(r"\[[^]]*]", "", address).split(".")
    folder = at.resolve()
    for called in path[1::2]:
        folder = (folder / _source(folder, called)).resolve()
    for block in blocks(folder):
        if block.kind == "resource" and block.labels == (kind, name):
            return str(block.path.relative_to(root.resolve())), block.line
    raise LookupError(f"{address} has no block below {folder}")


def _source(folder: Path, called: str) -> str:
    found = next(one for one in blocks(folder) if one.kind == "module" and one.labels == (called,))
    return found.attributes["source"].strip('"')


def findings(root: Path) -> list[Finding]:
    """What is wrong in the files themselves."""
    return [
        Finding(rule, words, str(block.path.relative_to(root)), line)
        for folder in modules(root)
        for rule, words, block, line in _faults(folder)
    ]


def _faults(folder: Path) -> Iterator[tuple[str, str, Block, int]]:
    is_example = folder.parent.name == "examples"
    named: dict[str, list[Block]] = {"variable": [], "output": []}
    for block in blocks(folder):
        if block.kind in named:
            named[block.kind].append(block)
            if len(block.attributes.get("description", "").strip('"')) < 2:
                yield "description", f"{block.kind} {block.labels[0]} is not described", block, block.line
        if block.kind == "provider" and not is_example:
            yield "no-provider", "a module leaves its provider to whoever calls it", block, block.line
        if block.kind == "terraform":
            yield from _requirements(block)
        if block.kind in ("resource", "data") and not block.labels[0].startswith("google_"):
            yield "one-provider", f"{block.labels[0]} is of another provider", block, block.line
    for kind, found in named.items():
        for before, after in itertools.pairwise(found):
            if before.path == after.path and before.labels > after.labels:
                words = f"{kind} {after.labels[0]} stands behind {before.labels[0]}"
                yield "alphabetical", words, after, after.line


def _requirements(block: Block) -> Iterator[tuple[str, str, Block, int]]:
    for required in block.view.blocks("required_providers"):
        for one in required.attributes():
            if HASHICORP not in str(one.value):
                line = one.raw.to_lark().meta.line
                yield "one-provider", f"{one.name} is not {HASHICORP}", block, line
