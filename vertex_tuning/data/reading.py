"""The rows of a data set that was checked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from vertex_tuning.data.check import opened

_BOM = b"\xef\xbb\xbf"


def read(dataset: str | os.PathLike[str] | Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Row by row.

    Args:
        dataset: A JSONL file, or rows. It was checked before: what is no row of JSON ends the reading.

    Raises:
        DatasetError: VT201 there is no such file, VT202 it cannot be read.
    """
    if not isinstance(dataset, str | os.PathLike):
        yield from map(dict, dataset)
        return
    with opened(Path(os.fspath(dataset))) as file:
        for number, line in enumerate(file):
            text = line.removeprefix(_BOM) if number == 0 else line
            if text.strip():
                yield msgspec.json.decode(text)
