"""One pass over the rows of a data set: every fault with its place, in constant memory."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from vertex_tuning import catalog
from vertex_tuning.data import pairs, prompts, questions, rationales, rows
from vertex_tuning.data.contents import Figures
from vertex_tuning.data.marks import Copies, Marks
from vertex_tuning.data.plain import encoded, plain
from vertex_tuning.data.report import DataReport, Finding, fault_of
from vertex_tuning.data.words import counted, kind_of
from vertex_tuning.errors import DatasetError, Fault

_CHARACTERS_PER_TOKEN = 4
_MOST_CHARACTERS_PER_TOKEN = 8
"""No text has more on average: what is too long even so is certainly too long."""
_ANSWERS_COUNTED = 1_000
_COPIES_SHOWN = 5
_BUFFER = 1024 * 1024
_MAX_LINE = 64 * _BUFFER
_TAIL = 1024
"""Bytes at the end of a file among which its last sign is looked for."""
BOM = b"\xef\xbb\xbf"
_NOT_TEXT = {
    b"\x1f\x8b": ("VT202", "the file is compressed", "gunzip {}"),
    b"BZh": ("VT202", "the file is compressed", "bunzip2 {}"),
    b"\xfd7zXZ\x00": ("VT202", "the file is compressed", "unxz {}"),
    b"\x28\xb5\x2f\xfd": ("VT202", "the file is compressed", "unzstd {}"),
    b"PK\x03\x04": ("VT202", "this is an archive, or a spreadsheet", "take the .jsonl file out of it"),
    b"PAR1": ("VT202", "this is a Parquet file", "write its rows as JSON, one object per line"),
    b"\xff\xfe": ("VT213", "the file is UTF-16", "save it as UTF-8: iconv -f UTF-16 -t UTF-8 {}"),
    b"\xfe\xff": ("VT213", "the file is UTF-16", "save it as UTF-8: iconv -f UTF-16 -t UTF-8 {}"),
}
FORMS: dict[str, Any] = {
    "supervised": rows,
    "preference": pairs,
    "reinforcement": prompts,
    "distillation": questions,
    "step_by_step": rationales,
}
"""What rows look like, by method."""

Rows = str | os.PathLike[str] | Iterable[Mapping[str, Any]]


def is_path(dataset: Any) -> bool:
    """Whether a data set is given as a file."""
    return isinstance(dataset, str | os.PathLike)


def check(
    dataset: Rows,
    *,
    method: str = "supervised",
    base_model: str | None = "gemini-2.5-flash",
    name: str | None = None,
) -> DataReport:
    """Whether a data set would be taken; all its faults at once.

    Args:
        dataset: A JSONL file, or rows.
        method: What it is for: `supervised`, `preference` or `reinforcement` tuning, `distillation`, or `step_by_step` for
            what a teacher labelled.
        base_model: What is to be tuned: open models take other forms than Gemini, and shorter rows. None: any form.
        name: How to call the set in what is said about it; else the file's name.

    Returns:
        The report. Memory stays constant but for some 14 bytes a row, by which copies are found.

    Raises:
        DatasetError: VT201 there is no such file, VT202 it cannot be read as JSONL, VT213 it is UTF-16.
        SpecError: VT301, the base model is not in the catalog.
    """
    return _Check(dataset, method, base_model, name).report


def check_job(
    training: Rows,
    validation: Rows | None = None,
    *,
    method: str = "supervised",
    base_model: str | None = "gemini-2.5-flash",
    names: tuple[str | None, str | None] = (None, None),
) -> tuple[DataReport, ...]:
    """Whether the data sets of a job would be taken: each by itself, and the validation set beside the training set.

    Args:
        training: A JSONL file, or rows. A `gs://` URI is passed over: what lies there is not read.
        validation: Held-out rows, the same way.
        method: What they are for, as for `check`.
        base_model: What is to be tuned, as for `check`.
        names: How to call the two in what is said about them; else by their files' names.

    Returns:
        The reports of the sets that were read, in this order. `raise_for_faults(*reports)` raises all that is wrong with them.

    Raises:
        DatasetError: As `check`.
        SpecError: VT301, the base model is not in the catalog.
    """
    found = []
    learnt = None
    if not in_cloud_storage(training):
        name = names[0] or (None if is_path(training) else "training rows")
        learnt = _Check(training, method, base_model, name)
        found.append(learnt.report)
    if validation is not None and not in_cloud_storage(validation):
        name = names[1] or (None if is_path(validation) else "validation rows")
        held_out = _Check(validation, method, base_model, name, held_out=True)
        if learnt is not None:
            held_out.hold_against(learnt)
        found.append(held_out.report)
    return tuple(found)


def in_cloud_storage(dataset: Any) -> bool:
    """Whether a data set is given as a `gs://` URI."""
    return isinstance(dataset, str) and dataset.startswith("gs://")


class _Check:
    """A data set that is being checked."""

    def __init__(
        self,
        dataset: Rows,
        method: str,
        base_model: str | None,
        name: str | None = None,
        *,
        held_out: bool = False,
    ) -> None:
        base = catalog.base_model(base_model) if base_model else None
        self._held_out = held_out
        self._open_model = base.open if base else True
        self._forms = FORMS[method]
        self._limits = catalog.limits(method)
        self._as_lines = "one whole JSON object per line, not one list of them all"
        if is_path(dataset) and method in catalog.METHODS:
            self._as_lines += f": vertex-tuning data convert FILE --method {method}"
        most = int(self._limits["max_tokens_per_example"])
        self._longest = min(base.max_tokens, most) if base else most
        self._doubtful = Finding(
            "VT216", "", "", fix="count with the model's own tokenizer; shorten or split it"
        )
        self._media = False
        self.marks = Marks()
        if in_cloud_storage(dataset):
            fix = "copy the file here first: gcloud storage cp"
            raise DatasetError("VT201", "what lies in Cloud Storage is not read", where=str(dataset), fix=fix)
        if isinstance(dataset, str | os.PathLike):
            path = Path(os.fspath(dataset))
            self.report = DataReport(name or path.name)
            self._read(self._lines(path))
        elif isinstance(dataset, Iterable) and not isinstance(dataset, Mapping | bytes):
            self.report = DataReport(name or "rows")
            self._read(self._encoded(dataset))
        else:
            one = isinstance(dataset, Mapping)
            what = (
                "this is one row, not a list of them" if one else f"{type(dataset).__name__}: not a data set"
            )
            raise DatasetError("VT202", what, where=name or "rows", fix="give a path, or rows: [row, ...]")
        self._check_set()
        self._warn()

    # Lines

    def _lines(self, path: Path) -> Iterator[tuple[int, bytes]]:
        with opened(path) as file:
            try:
                start = file.peek(6)[:6]
                check_start(start, path)
                if start.startswith(BOM):
                    file.read(len(BOM))
                    fix = "save it as UTF-8 without one"
                    self.report.add(1, "VT222", "", "the file begins with a byte order mark", fix=fix)
                if is_one_list(file):
                    what = "this is one JSON list over several lines, not one object per line"
                    self.report.add(1, "VT204", "", what, fix=self._as_lines)
                    return
                yield from numbered(file, path, self.report)
            except OSError as error:
                raise _unreadable(error, path) from error

    def _encoded(self, dataset: Iterable[Any]) -> Iterator[tuple[int, bytes | _Unsayable]]:
        for number, row in enumerate(dataset, 1):
            try:
                line = encoded(row)
            except (TypeError, ValueError, RecursionError) as error:
                yield number, _Unsayable(row, error)
            else:
                self.report.bytes += len(line) + 1
                yield number, line

    # Rows

    def _read(self, lines: Iterable[tuple[int, bytes | _Unsayable]]) -> None:
        report, marks = self.report, self.marks
        answers: set[int] = set()
        form = ""
        usual = self._forms.form_of({}, open_model=False)
        reader, figures = self._forms.READERS[usual], self._forms.figures
        most = self._longest * _CHARACTERS_PER_TOKEN
        longest = 0
        for number, line in lines:
            if not form and (form := self._form(line)):
                report.form, reader = form, self._forms.READERS[form]
            try:
                found = figures(reader.decode(line))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError):
                found = None
            if found is None:
                if isinstance(line, bytes) and not line.strip():
                    continue
                found = self._thorough(number, line, form)
            report.rows += 1
            report.turns += found.turns
            report.characters += found.characters
            marks.add(found.mark, number)
            if len(answers) < _ANSWERS_COUNTED:
                answers.add(hash(found.answer))
            if found.characters > longest:
                longest = found.characters
                if longest > most:
                    self._overlong(number, found.characters)
            elif found.characters > most:
                self._overlong(number, found.characters)
        if not form and report.rows:
            report.form = usual
        report.answers = len(answers)
        report.longest_row_tokens = longest // _CHARACTERS_PER_TOKEN
        report.estimated_tokens = report.characters // _CHARACTERS_PER_TOKEN

    def _form(self, line: bytes | _Unsayable) -> str:
        """The form of the set, by its first row that can be read; every row must have it."""
        if isinstance(line, _Unsayable):
            first = line.copy
        else:
            try:
                first = msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                return ""
        return self._forms.form_of(first, open_model=self._open_model) if isinstance(first, dict) else ""

    def _thorough(self, number: int, line: bytes | _Unsayable, form: str) -> Figures:
        if isinstance(line, _Unsayable):
            return self._unsayable(number, line, form)
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            what = f"not UTF-8 at byte {error.start + 1} of the line"
            self.report.add(number, "VT213", "", what, fix="save the file as UTF-8")
            return Figures(mark=hash((number, line)))
        try:
            row = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            # What another reader takes may be JSON but for a value that JSON does not have.
            try:
                return self._unsayable(number, _Unsayable(json.loads(text), error, text), form)
            except (ValueError, RecursionError):
                return self._not_json(number, text, error)
        return self._walk(number, row, form, msgspec.json.encode(row, order="sorted"))

    def _unsayable(self, number: int, row: _Unsayable, form: str) -> Figures:
        if not row.faults:
            return self._not_json(number, row.text, row.error)
        for rule, path, what, fix in row.faults:
            self.report.add(number, rule, path, what, fix=fix)
        return self._walk(number, row.copy, form, row.text or encoded(row.copy))

    def _not_json(self, number: int, text: str, error: Exception) -> Figures:
        words = str(error).removeprefix("JSON is malformed: ")
        what = "nested too deeply" if isinstance(error, RecursionError) else f"not JSON: {words}"
        fix, said = "one whole JSON object per line", text.strip()
        if said.startswith("["):
            fix = self._as_lines
        elif said.startswith("{") and said.endswith("},"):
            fix += ", without a comma behind it"
        elif self.report.source.lower().endswith((".csv", ".tsv")):
            fix += ": make one of each line of the table"
        self.report.add(number, "VT204", "", what, fix=fix)
        return Figures(mark=hash((number, text)))  # what cannot be read is no copy of anything

    def _walk(self, number: int, row: Any, form: str, says: str | bytes) -> Figures:
        report = self.report
        if not isinstance(row, dict):
            is_list = isinstance(row, list)
            fix = self._as_lines if is_list else '{"contents": [...]}'
            report.add(number, "VT224", "", f"the row is {kind_of(row)}, not an object", fix=fix)
            return Figures(mark=hash(says))
        if (has := self._forms.form_of(row, open_model=self._open_model)) != form:
            if form:
                what, fix = f"a row in {has} form in a set in {form} form", "one form for the whole set"
                report.add(number, "VT218", "", what, fix=fix)
            form = has

        def note(rule: str, path: str, what: str, *, fix: str = "", why: str = "") -> None:
            report.add(number, rule, path, what, fix=fix, why=why)

        found: Figures = self._forms.walk(row, form, note, open_model=self._open_model)
        found.mark = hash(says)
        self._media |= found.media
        return found

    def _overlong(self, number: int, characters: int) -> None:
        tokens = f"about {characters // _CHARACTERS_PER_TOKEN:,} tokens"
        why = f"The limit is {self._longest:,} tokens."
        if characters > self._longest * _MOST_CHARACTERS_PER_TOKEN:
            what = f"{tokens}: more than an example may have"
            self.report.add(number, "VT216", "", what, why=why, fix="shorten or split it")
            return
        if not self._doubtful.count:
            self._doubtful.what = f"{tokens}, roughly counted: perhaps more than an example may have"
            self._doubtful.why = why
        self._doubtful.see(number)

    # The set

    def _check_set(self) -> None:
        report, limits = self.report, self._limits
        # One list of them all was told; it is not empty.
        if report.rows == 0 and "VT204" not in {rule for rule, _, _ in report.findings}:
            report.add(0, "VT217", "", "the data set is empty", fix="one JSON object per line")
        most = limits["max_file_bytes"]
        if report.bytes > most:
            self._too_many("VT215", f"{report.bytes:,} bytes", most, "split the set, or shorten the rows")
        if self._held_out:
            most = limits["max_validation_examples"]
            if report.rows > most:
                self._too_many("VT225", f"{report.rows:,} validation rows", most, "take a sample of them")
            return
        most = limits["max_examples_multimodal" if self._media else "max_examples"]
        if report.rows > most:
            media = ", some with files," if self._media else ""
            self._too_many("VT214", f"{report.rows:,} rows{media}", most, "take a sample of them")

    def _too_many(self, rule: str, what: str, most: int, fix: str) -> None:
        self.report.add(0, rule, "", f"{what}: more than the {most:,} that the service takes", fix=fix)

    def hold_against(self, training: _Check) -> None:
        """The limits and the copies of a validation set that depend on the training set."""
        limits, held_out, learnt = self._limits, self.report.rows, training.report.rows
        share, few = limits["max_validation_share"], limits["validation_share_from"]
        if few < held_out <= limits["max_validation_examples"] and held_out > share * learnt:
            what = f"{held_out:,} validation rows: more than {share:.0%} of the {learnt:,} training rows"
            why = f"Where there are more than {few:,}, the service takes no larger share."
            self.report.add(
                0, "VT225", "", what, why=why, fix=f"take {max(few, int(share * learnt)):,} of them"
            )
        copies = self.marks.shared(training.marks, show=_COPIES_SHOWN)
        if copies.count:
            what = f"{_counted(copies)} in the training set too"
            why = f"{_places(copies, 'there')}. What the model has learnt by heart flatters the result."
            fix = "keep each row in one of the sets alone"
            self.report.warnings.append(Fault("VT226", what, self.report.source, why, fix))

    def _warn(self) -> None:
        report = self.report
        if self._doubtful.count:
            report.warnings.append(fault_of(report.source, self._doubtful))
        copies = self.marks.repeated(show=_COPIES_SHOWN)
        report.duplicates = copies.count
        if copies.count:
            what = f"{_counted(copies)} in the set more than once"
            why = f"{_places(copies, 'again')}. They weigh more than others."
            fix = "remove the copies, unless they are meant"
            report.warnings.append(Fault("VT220", what, report.source, why, fix))
        fewest = self._limits["recommended_min_examples"]
        if 0 < report.rows < fewest and not self._held_out:
            what = f"{counted(report.rows, 'row')}: at least {fewest} are recommended"
            report.warnings.append(Fault("VT221", what, report.source))


class _Unsayable:
    """A row that JSON cannot say: a copy that it can, and what is wrong with it."""

    def __init__(self, row: Any, error: Exception, text: str = "") -> None:
        self.error = error
        self.text = text
        self.faults: list[tuple[str, str, str, str]] = []
        self.copy = plain(row, self._note)

    def _note(self, rule: str, path: str, what: str, *, fix: str = "") -> None:
        self.faults.append((rule, path, what, fix))


def opened(path: Path) -> BufferedReader:
    """A file for reading.

    Raises:
        DatasetError: VT201 there is none, VT202 it cannot be read.
    """
    if "\0" in str(path):
        raise DatasetError("VT201", "no file can have this name", where=repr(str(path)))
    try:
        if path.is_dir():
            raise DatasetError("VT202", "this is a folder", where=str(path), fix="name a .jsonl file")
        return BufferedReader(path.open("rb", buffering=0), _BUFFER)
    except FileNotFoundError as error:
        raise DatasetError("VT201", "there is no such file", where=str(path), fix=_meant(path)) from error
    except OSError as error:
        raise _unreadable(error, path) from error


def is_one_list(file: BufferedReader) -> bool:
    """Whether a file is one JSON list that was written over several lines, as programs do that make JSON to be read.

    It begins with a list that does not end on its line, and ends with the list's end. Of a pipe nobody can tell.
    """
    start = file.peek(_BUFFER)
    if not start.lstrip().startswith(b"[") or not file.seekable():
        return False
    here = file.tell()
    try:
        first = next((line for line in iter(lambda: file.readline(_MAX_LINE), b"") if line.strip()), b"")
        with contextlib.suppress(ValueError):
            json.loads(first)
            return False
        file.seek(max(here, file.seek(0, os.SEEK_END) - _TAIL))
        return file.read().rstrip().endswith(b"]")
    except RecursionError:
        return False
    finally:
        file.seek(here)


def numbered(file: BufferedReader, path: Path, report: DataReport) -> Iterator[tuple[int, bytes]]:
    """The lines of a file, with their numbers. One that is too long to be held in memory as a whole is a fault of the report.

    Raises:
        DatasetError: VT202 the file cannot be read.
    """
    number = 0
    try:
        while line := file.readline(_MAX_LINE):
            number += 1
            report.bytes += len(line)
            if len(line) == _MAX_LINE and not line.endswith(b"\n"):
                _skip(number, file, report)
            else:
                yield number, line
    except OSError as error:
        raise _unreadable(error, path) from error


def _skip(number: int, file: BinaryIO, report: DataReport) -> None:
    """The rest of a line that is not held in memory as a whole; the lines after it keep their numbers."""
    while rest := file.readline(_BUFFER):
        report.bytes += len(rest)
        if rest.endswith(b"\n"):
            break
    report.rows += 1
    what = f"a line of more than {_MAX_LINE // 1024**2} MiB"
    report.add(number, "VT216", "", what, fix="shorten or split it, one JSON object per line")


def _meant(path: Path) -> str:
    """A file beside it whose name is nearly the same."""
    if str(path) == "-":
        return "data check alone reads rows from standard input: write them to a file"
    with contextlib.suppress(OSError):
        near = difflib.get_close_matches(path.name, [one.name for one in path.parent.iterdir()], n=1)
        if near:
            return f"do you mean {path.with_name(near[0])}?"
    return "see that the path is right"


def _unreadable(error: OSError, path: Path) -> DatasetError:
    return DatasetError("VT202", f"the file cannot be read: {error.strerror or error}", where=str(path))


def check_start(start: bytes, path: Path) -> None:
    """Refuse a file that begins as no text does.

    Raises:
        DatasetError: VT202 it is compressed, or of another kind; VT213 it is UTF-16.
    """
    for magic, (rule, what, fix) in _NOT_TEXT.items():
        if start.startswith(magic):
            raise DatasetError(rule, what, where=str(path), fix=fix.format(path.name))


def _counted(copies: Copies) -> str:
    return f"{copies.count:,} rows stand" if copies.count > 1 else "1 row stands"


def _places(copies: Copies, word: str) -> str:
    shown = ", ".join(f"line {line} is line {before} {word}" for line, before in copies.first)
    return shown + (", ..." if copies.count > len(copies.first) else "")
