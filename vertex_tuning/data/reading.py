"""The rows of a data set that was checked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from vertex_tuning.data.check import opened
from vertex_tuning.errors import DatasetError

_BOM = b"\xef\xbb\xbf"


def read(dataset: str | os.PathLike[str] | Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Row by row.

    Args:
        dataset: A JSONL file, or rows. It was checked before, which tells every fault: what is no JSON ends the reading.

    Raises:
        DatasetError: VT201 there is no such file, VT202 it cannot be read, VT204 a line is not JSON.
    """
    for _, row in numbered_rows(dataset):
        yield row


def numbered_rows(
    dataset: str | os.PathLike[str] | Iterable[Mapping[str, Any]],
) -> Iterator[tuple[int, dict[str, Any]]]:
    """As `read`, with the line of each row as an editor shows it; of rows that are no file, their number from 1."""
    if not isinstance(dataset, str | os.PathLike):
        yield from enumerate(map(dict, dataset), 1)
        return
    path = Path(os.fspath(dataset))
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            text = line.removeprefix(_BOM) if number == 1 else line
            if not text.strip():
                continue
            try:
                row = msgspec.json.decode(text)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise DatasetError(
                    "VT204",
                    f"not JSON: {error}",
                    where=f"{path.name} line {number}",
                    fix=f"vertex-tuning data check {path.name} tells every fault",
                ) from error
            yield number, row
