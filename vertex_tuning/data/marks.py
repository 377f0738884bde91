"""What rows a set has: twelve bytes for each, whatever its size."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

_HEAPS = 256
"""Rows are looked for within their heap: one at a time is made into a dictionary."""


@dataclass(frozen=True, slots=True)
class Copies:
    """Rows that stand somewhere already."""

    count: int = 0
    first: tuple[tuple[int, int], ...] = ()
    """(line of the copy, line where it stands already), the first few by the line of the copy."""


class Marks:
    """A 64-bit mark and the line of every row; two rows with one mark are taken to be the same row.

    Marks are Python's hashes: they hold for one process. Among ten million different rows, the chance that any two are taken for
    one is three in a million.
    """

    __slots__ = ("_lines", "_marks")

    def __init__(self) -> None:
        self._marks = [array("q") for _ in range(_HEAPS)]
        self._lines = [array("I") for _ in range(_HEAPS)]

    def add(self, mark: int, line: int) -> None:
        """Note a row."""
        heap = mark & (_HEAPS - 1)
        self._marks[heap].append(mark)
        self._lines[heap].append(line)

    def repeated(self, *, show: int) -> Copies:
        """Rows that stand in the set before."""
        count = 0
        pairs: list[tuple[int, int]] = []
        for marks, lines in zip(self._marks, self._lines, strict=True):
            if len(set(marks)) == len(marks):
                continue
            first: dict[int, int] = {}
            for mark, line in zip(marks, lines, strict=True):
                before = first.setdefault(mark, line)
                if before != line:
                    count += 1
                    pairs.append((line, before))
            pairs = sorted(pairs)[:show]
        return Copies(count, tuple(pairs))

    def shared(self, other: Marks, *, show: int) -> Copies:
        """Rows of this set that stand in the other one."""
        count = 0
        pairs: list[tuple[int, int]] = []
        for mine, lines, theirs, places in zip(
            self._marks, self._lines, other._marks, other._lines, strict=True
        ):
            wanted = set(mine)
            if not wanted:
                continue
            there = {
                mark: place
                for mark, place in zip(reversed(theirs), reversed(places), strict=True)
                if mark in wanted
            }
            found = [(line, there[mark]) for mark, line in zip(mine, lines, strict=True) if mark in there]
            count += len(found)
            pairs = sorted([*pairs, *found])[:show]
        return Copies(count, tuple(pairs))
