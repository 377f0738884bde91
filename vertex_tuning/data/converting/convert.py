"""One pass over the rows of another form: read, written for a method, checked; streaming."""

from __future__ import annotations

import contextlib
import os
import shlex
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from vertex_tuning import catalog
from vertex_tuning.data.check import FORMS, check, in_cloud_storage
from vertex_tuning.data.converting import forms, writing
from vertex_tuning.data.converting.chat import UNREADABLE, Remarks
from vertex_tuning.data.converting.conversion import Conversion
from vertex_tuning.data.converting.messages import RESERVED
from vertex_tuning.data.converting.sources import rows_of
from vertex_tuning.data.fresh import NewFiles, Taken, check_free
from vertex_tuning.data.plain import encoded, plain
from vertex_tuning.data.report import raise_for_faults
from vertex_tuning.data.words import kind_of
from vertex_tuning.errors import DatasetError

_TAKEN = Taken("VT260", "--output FILE")
_ENDINGS = (".jsonl", ".json", ".csv", ".tsv")
_BASE_MODEL = "gemini-2.5-flash"
"""Or the nearest to it that takes the method."""
_REGION = "us-central1"
"""For the advice alone: most models are tuned there."""


def convert(
    dataset: str | os.PathLike[str] | Iterable[Mapping[str, Any]],
    *,
    method: str | None = None,
    output: str | os.PathLike[str] | None = None,
    drop: bool = False,
) -> Conversion:
    """Write the rows of a data set of another form as rows for Vertex AI. The set itself stays as it is; nothing is overwritten.

    OpenAI's chats, pairs, and rows with what graders see; TRL's, Alpaca's, ShareGPT's and PaLM's; and rows of Vertex AI for
    another method. Which form a row has, it says itself.

    Args:
        dataset: A file: JSON by lines, one JSON list, or a table (.csv, .tsv) with a header. Or rows.
        method: What the rows are for: `supervised`, `preference`, `reinforcement` or `distillation`. None: by the first row:
            `preference` where it has two answers, else `supervised`.
        output: The file to write; None: `NAME-vertex.jsonl` beside the data set.
        drop: Leave rows out that have a fault, instead of writing nothing.

    Returns:
        What became of it, with the verdict of `check` on the file that was written. Memory stays constant where the rows stand
        one to a line, or in a table.

    Raises:
        DatasetError: VT201, VT202 the file cannot be read; VT2xx all that is wrong with the rows; VT217 there are none; VT260 the
            file is there already, or cannot be written.
        SpecError: VT370 there is no such method.
    """
    if method is not None:
        catalog.fit(_BASE_MODEL, method)  # there is no other way of tuning
    if in_cloud_storage(dataset):
        fix = "copy the file here first: gcloud storage cp"
        raise DatasetError("VT201", "what lies in Cloud Storage is not read", where=str(dataset), fix=fix)
    source = Path(os.fspath(dataset)) if isinstance(dataset, str | os.PathLike) else None
    if output is not None:
        target = Path(os.fspath(output))
    elif source is not None and source.name:
        stem = source.stem if source.suffix.lower() in _ENDINGS else source.name
        target = source.with_name(f"{stem}-vertex.jsonl")
    else:
        raise DatasetError("VT260", "nothing says where to", where="output", fix='output="train.jsonl"')
    check_free([target], _TAKEN)
    remarks = Remarks(source.name if source else "rows")
    given = rows_of(source, remarks) if source else _given(dataset, remarks)
    return _Converting(method, remarks, target, drop=drop).convert(given)


def _given(rows: Any, remarks: Remarks) -> Iterator[Any]:
    """Rows of Python; what JSON cannot say of them is remarked upon."""
    if isinstance(rows, Mapping | bytes) or not isinstance(rows, Iterable):
        raise DatasetError(
            "VT202", "this is no list of rows", where="rows", fix="give a path, or rows: [row, ...]"
        )
    for number, row in enumerate(rows, 1):
        remarks.begin(number)
        copy = plain(row, remarks.fault)
        yield UNREADABLE if remarks.bad else copy


class _Converting:
    """A data set that is being converted."""

    def __init__(self, method: str | None, remarks: Remarks, target: Path, *, drop: bool) -> None:
        self._method, self._asked = method, method is not None
        self._remarks, self._target, self._drop = remarks, target, drop
        self._forms: Counter[str] = Counter()
        self._written = 0
        self._dropped = array("Q")

    def convert(self, rows: Iterator[Any]) -> Conversion:
        """Write them."""
        remarks, target = self._remarks, self._target
        with contextlib.ExitStack() as stack:
            file = NewFiles(target.parent, [target], stack, _TAKEN)
            for line in self._lines(rows):
                file.write(0, line)
            report = remarks.report
            if report.findings and not (self._drop and self._written):
                raise_for_faults(report)
            if not self._written:
                raise DatasetError(
                    "VT217", "the data set is empty", where=report.source, fix="one JSON object per line"
                )
            file.publish()
        return self._done()

    def _lines(self, rows: Iterator[Any]) -> Iterator[bytes]:
        """The rows that can be written, as lines."""
        remarks = self._remarks
        for row in rows:
            try:
                line = None if row is UNREADABLE else self._line(row)
            except RecursionError:
                line = None
                remarks.fault("VT204", "", "nested too deeply", fix="flatten it")
            if line is None:
                self._dropped.append(remarks.line)
            else:
                remarks.keep()
                self._written += 1
                yield line

    def _line(self, row: Any) -> bytes | None:
        remarks = self._remarks
        if not isinstance(row, dict):
            remarks.fault("VT224", "", f"the row is {kind_of(row)}, not an object", fix='{"messages": [...]}')
            return None
        some = (
            {name: value for name, value in row.items() if value is not None} if None in row.values() else row
        )
        found = forms.form_of(some, remarks)
        if found is None:
            return None
        form, read = found
        self._forms[form] += 1
        if form == forms.VERTEX and self._method and writing.fits(some, self._method):
            made = row
        else:
            chat = read(some, remarks)
            if form == forms.OPENAI:  # a grader sees that a member is there, and null
                chat.others |= {name: None for name in row if name not in some and name not in RESERVED}
            if self._method is None and remarks.bad:
                return None  # what is wrong does not say what the set is for
            if self._method is None:
                self._method = "supervised" if chat.pair is None else "preference"
            made = row
            if form != forms.VERTEX or not writing.fits(some, self._method):
                made = writing.row_for(self._method, chat, remarks, asked=self._asked)
        return None if remarks.bad else self._checked(made)

    def _checked(self, row: dict[str, Any]) -> bytes | None:
        """A row as a line, unless the check finds a fault in it."""
        try:
            line = msgspec.json.encode(row)
        except (TypeError, ValueError, OverflowError):
            line = encoded(row)
        of = FORMS[self._method or ""]
        form = of.form_of({}, open_model=False)
        try:
            found = of.figures(of.READERS[form].decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            found = None
        if found is None:
            of.walk(row, form, self._fault, open_model=False)
        return None if self._remarks.bad else line

    def _fault(self, rule: str, path: str, what: str, *, fix: str = "", why: str = "") -> None:
        words = " ".join(filter(None, [why, "This is its place in the row for Vertex AI."]))
        self._remarks.fault(rule, path, what, fix=fix, why=words)

    def _done(self) -> Conversion:
        remarks, method = self._remarks, self._method or "supervised"
        model = catalog.fit(_BASE_MODEL, method).nearest.model
        newest = catalog.newest(catalog.base_model(model), method, _REGION)
        return Conversion(
            source=remarks.report.source,
            output=str(self._target),
            method=method,
            rows=self._written
            + len(self._dropped)
            + remarks.report.rows,  # the last: lines too long to be read
            written=self._written,
            forms=dict(self._forms),
            verdict=check(self._target, method=method, base_model=model),
            next=_next(method, newest.id, shlex.quote(str(self._target))),
            notes=list(remarks.notes.values()),
            left_out=list(self._dropped),
            faults=list(remarks.report.findings.values()),
        )


def _next(method: str, model: str, path: str) -> str:
    if method == "reinforcement":
        return f"vertex-tuning reward test reward.json {path}"
    words = f"vertex-tuning tune {method} {path} --base-model {model}"
    if method == "distillation":
        teachers = catalog.base_model(model).teachers
        words += f" --teacher {teachers[0] if teachers else 'MODEL'}"
    return words
