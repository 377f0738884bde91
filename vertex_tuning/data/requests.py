"""Rows of a batch: what is asked, in any of the forms that people have it in, as lines that the service takes.

    "a text"                                          a prompt
    [{"role": "user", "parts": [{"text": "..."}]}]    turns
    {"prompt": "a text", or turns, "id": "a"}         the same, with keys of one's own
    {"contents": [...], "generationConfig": {...}}    a GenerateContent request
    {"request": {"contents": [...]}, "id": "a"}       a line as the service takes it

Source: Vertex AI documentation, "Batch inference from Cloud Storage" (2026-11).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from vertex_tuning import catalog
from vertex_tuning.data.check import opened
from vertex_tuning.data.contents import Told, camel, fields_of, walk_content
from vertex_tuning.data.plain import encoded, plain
from vertex_tuning.data.report import DataReport
from vertex_tuning.data.words import kind_of, quoted
from vertex_tuning.errors import DatasetError

ID = "id"
"""The key by which an answer is told from the others."""
_FORM = "requests"
_CHARACTERS_PER_TOKEN = 4
_BOM = b"\xef\xbb\xbf"
_FORMS = 'a text, turns, {"prompt": ...}, {"contents": [...]} or {"request": {...}}'

_REQUEST_FIELDS = (
    *("contents", "systemInstruction", "generationConfig", "safetySettings", "tools", "toolConfig"),
    *("labels", "cachedContent", "modelArmorConfig"),
)
"""What of a row that is a request belongs to the request; the rest are keys of one's own."""

Request = dict[str, Any]


def prepare(dataset: Any, base: Request, target: BinaryIO, *, name: str | None = None) -> DataReport:
    """Check the rows of a batch, and write them as lines that the service takes.

    Args:
        dataset: A JSONL file, or rows.
        base: What every request has that does not say otherwise: `generationConfig`, `systemInstruction`...
        target: Where the lines go. What is there after a fault is of no use.
        name: How to call the set in what is said about it; else the file's name.

    Returns:
        The report; every fault is in it.

    Raises:
        DatasetError: VT201 there is no such file, VT202 it cannot be read, or is no set of rows.
    """
    if isinstance(dataset, str | os.PathLike):
        path = Path(os.fspath(dataset))
        report = DataReport(name or path.name, _FORM)
        rows = _parsed(path, report)
    elif isinstance(dataset, Iterable) and not isinstance(dataset, Mapping | bytes):
        report = DataReport(name or "rows", _FORM)
        rows = enumerate(dataset, 1)
    else:
        raise DatasetError(
            "VT202", f"{type(dataset).__name__}: not a list of rows", where=name or "rows", fix="[row, ...]"
        )
    check = _Rows(report, base)
    for number, row in rows:
        line = check.line(number, row)
        if line is not None:
            report.bytes += target.write(encoded(line) + b"\n")
    check.end()
    return report


def _parsed(path: Path, report: DataReport) -> Iterator[tuple[int, Any]]:
    with opened(path) as file:
        for number, text in enumerate(file, 1):
            line = text.removeprefix(_BOM) if number == 1 else text
            if not line.strip():
                continue
            try:
                yield number, json.loads(line)
            except UnicodeDecodeError as error:
                what = f"not UTF-8 at byte {error.start + 1} of the line"
                report.add(number, "VT213", "", what, fix="save the file as UTF-8")
            except (ValueError, RecursionError) as error:
                report.add(number, "VT204", "", f"not JSON: {error}", fix="one whole JSON value per line")


class _Rows:
    """The rows of one batch."""

    def __init__(self, report: DataReport, base: Request) -> None:
        self._report = report
        self._base = base
        self._ids: dict[str, int] = {}

    def line(self, number: int, row: Any) -> dict[str, Any] | None:
        """A row as a line; None: it is wrong."""
        report = self._report
        report.rows += 1
        before = sum(finding.count for finding in report.findings.values())

        def note(rule: str, path: str, what: str, *, fix: str = "", why: str = "") -> None:
            report.add(number, rule, path, what, fix=fix, why=why)

        row = plain(row, note)
        found = _request(row, note)
        if found is None:
            return None
        request, path, kept = found
        report.turns += _walk(request, path, note, report)
        kept[ID] = self._id(kept.get(ID), number, note)
        if before != sum(finding.count for finding in report.findings.values()):
            return None
        return {**kept, "request": merged(self._base, request)}

    def _id(self, given: Any, number: int, note: Any) -> str:
        if given is None:
            found = str(self._report.rows)
        elif isinstance(given, str | int) and not isinstance(given, bool) and given != "":
            found = str(given)
        else:
            note("VT342", ID, f"{kind_of(given)}, not a text or a number", fix='"id": "a"')
            return ""
        first = self._ids.setdefault(found, number)
        if first != number:
            what = f"{quoted(found)} is the id of line {first} too"
            note("VT341", ID, what, fix="give each row an id of its own, or none any")
        return found

    def end(self) -> None:
        """What is wrong with the set as a whole."""
        report, limits = self._report, catalog.limits("batch")
        if report.rows == 0 and not report.findings:
            report.add(0, "VT217", "", "there are no rows", fix="one row per line")
        for value, most, what in (
            (report.rows, limits["max_requests"], "rows"),
            (report.bytes, limits["max_file_bytes"], "bytes"),
        ):
            if value > most:
                words = f"{value:,} {what}: a batch may have up to {most:,}"
                report.add(0, "VT343", "", words, fix="split it into several batches")
        report.estimated_tokens = report.characters // _CHARACTERS_PER_TOKEN


def _request(row: Any, note: Any) -> tuple[Request, str, dict[str, Any]] | None:
    """The request of a row, where in the row it stands, and what else the row has."""
    if isinstance(row, str):
        return {"contents": _turns(row)}, "", {}
    if isinstance(row, list):
        return {"contents": row}, "", {}
    if not isinstance(row, dict):
        note("VT340", "", f"the row is {kind_of(row)}", fix=f"a row is {_FORMS}")
        return None
    kept = {key: value for key, value in row.items() if key not in ("request", "prompt")}
    forms = [form for form in ("request", "prompt", "contents") if row.get(form) is not None]
    if len(forms) != 1:
        what = f"the row has {' and '.join(forms)}" if forms else "the row asks nothing"
        note("VT340", "", what, fix=f"a row is {_FORMS}")
        return None
    if forms == ["contents"]:
        own = {key: value for key, value in row.items() if camel(key) not in _REQUEST_FIELDS}
        return {key: value for key, value in row.items() if key not in own}, "", own
    value = row[forms[0]]
    if forms == ["prompt"] and isinstance(value, str | list):
        return {"contents": _turns(value) if isinstance(value, str) else value}, "", kept
    if forms == ["request"] and isinstance(value, dict):
        return value, "request.", kept
    note("VT340", forms[0], kind_of(value), fix=f"a row is {_FORMS}")
    return None


def _turns(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "parts": [{"text": text}]}]


def _walk(request: Request, path: str, note: Any, report: DataReport) -> int:
    """Note what is wrong with the turns; how many there are."""
    told = Told()
    fields = fields_of(request, path, note)
    contents = request.get("contents")
    if not isinstance(contents, list) or not contents:
        note(
            "VT206",
            f"{path}contents",
            f"contents is {kind_of(contents)}",
            fix='"contents": [{"role": "user", ...}]',
        )
        return 0
    for index, content in enumerate(contents):
        walk_content(content, f"{path}contents[{index}]", note, told, roles=("user", "model"))
    if request.get(fields.get("systemInstruction", "")) is not None:
        written = fields["systemInstruction"]
        walk_content(request[written], f"{path}{written}", note, told, roles=None)
    report.characters += told.characters
    longest = told.characters // _CHARACTERS_PER_TOKEN
    report.longest_row_tokens = max(report.longest_row_tokens, longest)
    return len(contents)


def merged(base: Request, own: Request) -> Request:
    """A request, with what it does not say itself from `base`; of `generationConfig` field by field."""
    named = {key.replace("_", "").lower(): key for key in own}
    found = dict(own)
    for key, value in base.items():
        written = named.get(key.lower())
        if written is None:
            found[key] = value
        elif isinstance(value, dict) and isinstance(own[written], dict) and key == "generationConfig":
            found[written] = merged(value, own[written])
    return found
