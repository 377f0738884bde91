"""One pass over the rows of a data set: every fault with its place, in constant memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from vertex_tuning import catalog
from vertex_tuning.data import rows
from vertex_tuning.data.report import DataReport
from vertex_tuning.errors import DatasetError, Fault

_CHARACTERS_PER_TOKEN = 4
_ANSWERS_COUNTED = 1_000
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_MAX_LINE = 64 * 1024 * 1024

Rows = str | os.PathLike[str] | Iterable[Mapping[str, Any]]


def is_path(dataset: Any) -> bool:
    """Whether a data set is given as a file."""
    return isinstance(dataset, str | os.PathLike)


def check(
    dataset: Rows, *, base_model: str | None = "gemini-2.5-flash", name: str | None = None
) -> DataReport:
    """Whether a data set for supervised tuning would be taken; all its faults at once.

    Args:
        dataset: A JSONL file, or rows.
        base_model: What is to be tuned: open models take other forms than Gemini. None: every form will do.
        name: How to call the set in what is said about it; else the file's name.

    Returns:
        The report. Memory stays constant but for 16 bytes a row, by which duplicates are found.

    Raises:
        DatasetError: VT201 there is no such file, VT202 it cannot be read as JSONL.
        SpecError: VT301, the base model is not in the catalog.
    """
    open_model = base_model is None or catalog.base_model(base_model).open
    if is_path(dataset):
        path = Path(os.fspath(dataset))  # type: ignore[arg-type]
        report = DataReport(name or path.name)
        report.bytes = _size(path)
        lines = _lines(path, report)
    else:
        report = DataReport(name or "rows")
        lines = ((number, _encoded(row)) for number, row in enumerate(dataset, 1))  # type: ignore[arg-type]
    _check_rows(lines, report, open_model=open_model)
    _check_set(report)
    return report


def _size(path: Path) -> int:
    try:
        if path.is_dir():
            raise DatasetError("VT202", "this is a folder", where=str(path), fix="name a .jsonl file")
        return path.stat().st_size
    except FileNotFoundError as error:
        raise DatasetError("VT201", "there is no such file", where=str(path)) from error
    except OSError as error:
        raise DatasetError("VT202", f"the file cannot be read: {error.strerror}", where=str(path)) from error


def _lines(path: Path, report: DataReport) -> Iterator[tuple[int, bytes]]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise DatasetError("VT202", f"the file cannot be read: {error.strerror}", where=str(path)) from error
    with file:
        start = file.read(3)
        if start.startswith(_GZIP):
            raise DatasetError("VT202", "the file is compressed", where=str(path), fix=f"gunzip {path.name}")
        if start == _BOM:
            report.add(
                1, "VT222", "", "the file begins with a byte order mark", fix="save it as UTF-8 without one"
            )
        else:
            file.seek(0)
        yield from enumerate(iter(lambda: file.readline(_MAX_LINE), b""), 1)


def _encoded(row: Any) -> bytes:
    try:
        return msgspec.json.encode(row)
    except (TypeError, ValueError):
        return b"\xff"  # what is not JSON is said of the row, as of a line


def _check_rows(lines: Iterable[tuple[int, bytes]], report: DataReport, *, open_model: bool) -> None:
    lines = iter(lines)
    form, decoder = "", msgspec.json.Decoder(rows.ContentsRow)
    seen: set[int] = set()
    answers: set[str] = set()
    longest = 0
    for number, line in lines:
        if not form:
            form, decoder = _form(line, open_model)
            report.form = form
        try:
            found = rows.figures(decoder.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError):
            found = None
        if found is None:
            if not line.strip():
                continue
            found = _thorough(number, line, report, form, open_model=open_model)
        report.rows += 1
        report.turns += found.turns
        report.characters += found.characters
        longest = max(longest, found.characters)
        mark = hash(line)
        if mark in seen:
            report.duplicates += 1
        else:
            seen.add(mark)
        if len(answers) < _ANSWERS_COUNTED:
            answers.add(found.answer)
        if found.characters > _most_characters():
            report.add(
                number,
                "VT216",
                "",
                f"about {found.characters // _CHARACTERS_PER_TOKEN:,} tokens: more than an example may have",
                why=f"The limit is {catalog.limits('supervised')['max_tokens_per_example']:,} tokens.",
                fix="shorten or split it",
            )
    report.answers = len(answers)
    report.longest_row_tokens = longest // _CHARACTERS_PER_TOKEN
    report.estimated_tokens = report.characters // _CHARACTERS_PER_TOKEN


def _most_characters() -> int:
    return int(catalog.limits("supervised")["max_tokens_per_example"]) * _CHARACTERS_PER_TOKEN


def _form(line: bytes, open_model: bool) -> tuple[str, Any]:
    """The form of the set, by its first row; every row must have it."""
    try:
        first = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        first = {}
    form = rows.form_of(first, open_model=open_model) if isinstance(first, dict) else rows.CONTENTS
    types: dict[str, Any] = {
        rows.CONTENTS: rows.ContentsRow,
        rows.MESSAGES: rows.MessagesRow,
        rows.COMPLETION: rows.CompletionRow,
    }
    return form, msgspec.json.Decoder(types[form])


def _thorough(number: int, line: bytes, report: DataReport, form: str, *, open_model: bool) -> rows.Figures:
    try:
        row = msgspec.json.decode(line)
    except UnicodeDecodeError as error:
        report.add(number, "VT213", "", f"not UTF-8 at byte {error.start}", fix="save the file as UTF-8")
        return rows.Figures(0, 0, "")
    except (msgspec.DecodeError, RecursionError) as error:
        if "utf-8" in str(error).lower():
            report.add(number, "VT213", "", "not UTF-8", fix="save the file as UTF-8")
        else:
            words = str(error).removeprefix("JSON is malformed: ")
            report.add(number, "VT204", "", f"not JSON: {words}", fix="one whole JSON object per line")
        return rows.Figures(0, 0, "")
    if isinstance(row, dict) and (has := rows.form_of(row, open_model=open_model)) != form:
        report.add(
            number,
            "VT218",
            "",
            f"a row in {has} form in a set in {form} form",
            fix="one form for the whole set",
        )
        form = has

    def note(rule: str, path: str, what: str, *, fix: str = "", why: str = "") -> None:
        report.add(number, rule, path, what, fix=fix, why=why)

    return rows.walk(row, form, note, open_model=open_model)


def _check_set(report: DataReport) -> None:
    limits = catalog.limits("supervised")
    if report.rows == 0:
        report.add(0, "VT217", "", "the data set is empty", fix="one JSON object per line")
    if report.rows > limits["max_examples"]:
        report.add(
            0,
            "VT214",
            "",
            f"{report.rows:,} rows: more than the {limits['max_examples']:,} that the service takes",
        )
    if report.bytes > limits["max_file_bytes"]:
        report.add(
            0,
            "VT215",
            "",
            f"{report.bytes:,} bytes: more than the {limits['max_file_bytes']:,} that the service takes",
        )
    if report.duplicates:
        report.warnings.append(
            Fault(
                "VT220",
                f"{report.duplicates:,} rows stand in the set more than once",
                report.source,
                "They weigh more than others.",
            )
        )
    fewest = limits["recommended_min_examples"]
    if 0 < report.rows < fewest:
        report.warnings.append(
            Fault("VT221", f"{report.rows} rows: at least {fewest} are recommended", report.source)
        )
