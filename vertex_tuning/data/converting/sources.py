"""The rows of a file that is to be converted: JSON by lines, one JSON list, or a table; each with the line that it begins in."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from vertex_tuning.data.check import BOM, check_start, numbered, opened
from vertex_tuning.data.converting.chat import UNREADABLE, Remarks
from vertex_tuning.data.plain import plain
from vertex_tuning.errors import DatasetError

_TABLES = {".csv": ",", ".tsv": "\t"}
_LONGEST_CELL = 64 * 1024**2
_SPACE = re.compile(r"\s*")
_STRUCTURED = ("messages", "conversations", "contents", "tools")
"""Columns of a table that may hold JSON; another text that looks like it is a text."""


def rows_of(path: Path, remarks: Remarks) -> Iterator[Any]:
    """The rows of a file; `remarks.begin` is told before each where it begins. What is no row is remarked upon, and `UNREADABLE`.

    Raises:
        DatasetError: VT201 there is no such file, VT202 it cannot be read, VT213 it is UTF-16, VT262 the header of a table.
    """
    with opened(path) as file:
        start = file.peek(6)[:6]
        check_start(start, path)
        if path.suffix.lower() in _TABLES:
            yield from _table(file, path, remarks)
            return
        if start.startswith(BOM):
            file.read(len(BOM))
        if file.peek(1).lstrip()[:1] == b"[":
            yield from _listed(file.read(), remarks)
            return
        for number, line in numbered(file, path, remarks.report):
            if line.strip():
                remarks.begin(number)
                yield _row(line, remarks)


def _row(line: bytes, remarks: Remarks) -> Any:
    try:
        return msgspec.json.decode(line)
    except UnicodeDecodeError:
        remarks.fault("VT213", "", "not UTF-8", fix="save the file as UTF-8")
    except RecursionError:
        remarks.fault("VT204", "", "nested too deeply", fix="one whole JSON object per line")
    except msgspec.DecodeError as error:
        words = str(error).removeprefix("JSON is malformed: ")
        fix = "one whole JSON object per line, or one JSON list of them all"
        remarks.fault("VT204", "", f"not JSON: {words}", fix=fix)
    return UNREADABLE


# One list


def _listed(data: bytes, remarks: Remarks) -> Iterator[Any]:
    remarks.begin(1)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        remarks.begin(data.count(b"\n", 0, error.start) + 1)
        remarks.fault("VT213", "", "not UTF-8", fix="save the file as UTF-8")
        yield UNREADABLE
        return
    decoder = json.JSONDecoder(parse_constant=_refuse)
    line, counted = 1, 0
    place = text.index("[")
    first = _after_space(text, place + 1)
    empty = text[first : first + 1] == "]"
    while not empty:
        place = _after_space(text, place + 1)
        line, counted = line + text.count("\n", counted, place), place
        remarks.begin(line)
        try:
            row, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError) as error:
            what = "nested too deeply" if isinstance(error, RecursionError) else f"not JSON: {_words(error)}"
            remarks.fault("VT204", "", what, fix="a list of objects: [{...}, {...}]")
            yield UNREADABLE
            return
        copy = plain(row, remarks.fault)
        yield UNREADABLE if remarks.bad else copy
        place = _after_space(text, place)
        if text[place : place + 1] != ",":
            break
    place = first if empty else place
    remarks.begin(line + text.count("\n", counted, place))
    if text[place : place + 1] != "]":
        what, fix = "not JSON: the list neither ends here nor goes on with a comma", "[{...}, {...}]"
        remarks.fault("VT204", "", what, fix=fix)
        yield UNREADABLE
    elif _after_space(text, place + 1) < len(text):
        fix = "one list of all rows, or one object per line"
        remarks.fault("VT204", "", "there is more behind the end of the list", fix=fix)
        yield UNREADABLE


def _after_space(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place


def _words(error: Exception) -> str:
    return error.msg.lower() if isinstance(error, json.JSONDecodeError) else str(error)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name}, which JSON does not have")


# A table


def _table(file: io.BufferedReader, path: Path, remarks: Remarks) -> Iterator[Any]:
    """The rows of a table: its header has the names of the members; an empty cell is a member that was left out."""
    before = csv.field_size_limit(_LONGEST_CELL)
    remarks.begin(1)
    try:
        with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
            reader = csv.reader(text, delimiter=_TABLES[path.suffix.lower()], strict=True)
            yield from _cells(reader, _header(next(reader, []), path), remarks)
    except UnicodeDecodeError:
        raise DatasetError("VT213", "not UTF-8", where=str(path), fix="save the file as UTF-8") from None
    except csv.Error as error:
        fix = 'quotes in a text are doubled: "He said ""no""."'
        remarks.fault("VT262", "", str(error), fix=fix)
        yield UNREADABLE
    finally:
        csv.field_size_limit(before)


def _cells(reader: Any, header: list[str], remarks: Remarks) -> Iterator[Any]:
    remarks.begin(reader.line_num + 1)
    for cells in reader:
        if len(cells) == len(header):
            yield {name: _cell(name, cell) for name, cell in zip(header, cells, strict=True) if name and cell}
        elif cells:
            fix = 'a text with a comma, a quote or a line break in it stands in quotes: "..."'
            what = f"{len(cells)} cells under a header of {len(header)}"
            remarks.fault("VT262", "", what, fix=fix)
            yield UNREADABLE
        remarks.begin(reader.line_num + 1)


def _header(cells: list[str], path: Path) -> list[str]:
    names = [cell.strip() for cell in cells]
    named = [name for name in names if name]
    if not named or len(set(named)) < len(named):
        what = "a name stands twice in the header" if named else "there is no header"
        raise DatasetError("VT262", what, where=f"{path.name} line 1", fix="prompt,completion")
    return names


def _cell(name: str, cell: str) -> Any:
    if name in _STRUCTURED and cell[:1] in ("[", "{"):
        try:
            return msgspec.json.decode(cell)
        except (msgspec.DecodeError, RecursionError):
            return cell
    return cell
