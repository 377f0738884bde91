"""A validation set, split off a data set: what is held out is not learnt from, in any wording of the answer.

Copies of one prompt stay on one side, whatever their answers. Each prompt has a rank, by its text and the seed alone; the lowest
ones are held out. So the same file and seed split in the same way, on any machine, and few rows change sides when some are added.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from vertex_tuning import catalog
from vertex_tuning.data.check import check, opened
from vertex_tuning.data.fresh import NewFiles, Taken, check_free
from vertex_tuning.data.report import raise_for_faults
from vertex_tuning.data.words import counted
from vertex_tuning.errors import DatasetError

_BOM = b"\xef\xbb\xbf"
_HIGHEST = 2**64
_TAKEN = Taken("VT240", "--output-dir DIR")
_MOST_SHARE = 0.5
_NEAR_ENOUGH = 0.01


@dataclass(frozen=True, slots=True)
class Split:
    """What became of a data set. `str()` says it to people."""

    training: str
    """Path of the file to learn from."""
    validation: str
    """Path of the file that is held out."""
    training_rows: int
    validation_rows: int
    validation_prompts: int
    """Different ones among those that are held out."""
    seed: int
    limit: int
    """As many rows as the service takes for validation, where the share that was asked for is more; else 0."""

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)

    def __str__(self) -> str:
        width = max(len(self.training), len(self.validation))
        lines = [
            f"{self.training:<{width}}  {counted(self.training_rows, 'row')}",
            f"{self.validation:<{width}}  {counted(self.validation_rows, 'row')}, "
            f"{counted(self.validation_prompts, 'different prompt')}",
        ]
        if self.limit:
            lines.append(f"The service takes no more than {self.limit:,} rows for validation here.")
        return "\n".join(lines)


def split(
    dataset: str | os.PathLike[str],
    *,
    validation: float = 0.1,
    seed: int = 42,
    output_dir: str | os.PathLike[str] | None = None,
    method: str = "supervised",
) -> Split:
    """Split a validation set off a JSONL file. The file itself stays as it is; nothing is overwritten.

    `NAME-train.jsonl` and `NAME-validation.jsonl` hold its lines as they are, in their order. Memory: eight bytes a row.

    Args:
        dataset: A JSONL file. It is read twice.
        validation: Share of the rows that is held out, up to a half; fewer where the service takes fewer for validation.
        seed: Another one holds other prompts out.
        output_dir: Where the two files are written; None: beside the file. It is made where it is not there.
        method: What the set is for, which decides how many rows the service takes for validation.

    Raises:
        DatasetError: VT201, VT202 the file cannot be read; VT2xx every row that is none; VT240 a file is there already, or cannot
            be written; VT241 no such share; VT242 there is nothing to split.
    """
    source = Path(os.fspath(dataset))
    folder = source.parent if output_dir is None else Path(os.fspath(output_dir))
    if not 0 < validation <= _MOST_SHARE:
        why = "What is held out is not learnt from."
        raise DatasetError("VT241", f"{validation:g} is no share", where="validation", why=why, fix="0.1")
    stem = source.name.removesuffix(".jsonl")
    targets = (folder / f"{stem}-train.jsonl", folder / f"{stem}-validation.jsonl")
    check_free(targets, _TAKEN)
    ranks = _ranks(source, seed, method)
    if not ranks:
        raise DatasetError(
            "VT217", "the data set is empty", where=source.name, fix="one JSON object per line"
        )
    most, wanted = most_validation(len(ranks), method), max(1, round(validation * len(ranks)))
    chosen = held_out(ranks, min(wanted, most))
    if not chosen:
        what = f"{counted(len(ranks), 'row')} with {counted(len(set(ranks)), 'different prompt')}"
        why = "Copies of one prompt stay on one side: what is learnt by heart would flatter the result."
        fix = "more different prompts, or a larger share"
        raise DatasetError("VT242", f"there is nothing to split: {what}", where=str(source), why=why, fix=fix)
    with contextlib.ExitStack() as stack:
        files = NewFiles(folder, targets, stack, _TAKEN)
        with opened(source) as lines:
            try:
                for rank, line in zip(ranks, _lines(lines), strict=True):
                    files.write(rank in chosen, line)
            except ValueError as error:
                what = "it was changed while it was read"
                raise DatasetError("VT202", what, where=str(source), fix="once more") from error
        files.publish()
    held = sum(rank in chosen for rank in ranks)
    return Split(
        training=str(targets[0]),
        validation=str(targets[1]),
        training_rows=len(ranks) - held,
        validation_rows=held,
        validation_prompts=len(chosen),
        seed=seed,
        limit=most if wanted > most else 0,
    )


def most_validation(rows: int, method: str) -> int:
    """How many of so many rows may be held out, as the service takes them."""
    limits = catalog.limits(method)
    share, few = limits["max_validation_share"], limits["validation_share_from"]
    of_share = int(rows * share / (1 + share))  # at most this share of those that are left
    return int(min(limits["max_validation_examples"], max(few, of_share)))


def prompt_of(row: Mapping[str, Any]) -> bytes:
    """What is asked in a row, without the answer: rows with the same are copies of one prompt."""
    if isinstance(row.get("contents"), list):
        asked: Any = _without_answer(row["contents"])
        system = row.get("systemInstruction", row.get("system_instruction"))
        system = system.get("parts") if isinstance(system, dict) else system
        return msgspec.json.encode([system, [_turn(turn) for turn in asked]], order="sorted")
    if isinstance(row.get("messages"), list):
        return msgspec.json.encode(_without_answer(row["messages"]), order="sorted")
    return msgspec.json.encode(row.get("prompt", row), order="sorted")


def _turn(turn: Any) -> Any:
    return (turn.get("role") or "user", turn.get("parts")) if isinstance(turn, dict) else turn


def _without_answer(turns: list[Any]) -> list[Any]:
    end = len(turns)
    while end and isinstance(turns[end - 1], dict) and turns[end - 1].get("role") in ("model", "assistant"):
        end -= 1
    return turns[:end]


def rank_of(row: Mapping[str, Any], seed: int) -> int:
    """Where the prompt of a row stands among all prompts: 64 bits, the same on every machine."""
    key = str(seed).encode()[:64]
    return int.from_bytes(hashlib.blake2b(prompt_of(row), digest_size=8, key=key).digest())


def held_out(ranks: Sequence[int], rows: int) -> set[int]:
    """The ranks that are held out: from the lowest on, as many as have so many rows together.

    A prompt with more rows than are left is passed over. Of a large set, only the prompts that come into question are counted.
    """
    cut = _HIGHEST if not ranks else min(_HIGHEST, 2 * _HIGHEST * (rows + 16) // len(ranks))
    while True:
        counts = Counter(rank for rank in ranks if rank < cut)
        chosen, left = set(), min(rows, len(ranks) - 1)  # something is left to learn from
        for rank in sorted(counts):
            if counts[rank] <= left:
                chosen.add(rank)
                left -= counts[rank]
            if not left:
                break
        if left <= _NEAR_ENOUGH * rows or cut == _HIGHEST:
            return chosen
        cut = min(_HIGHEST, 4 * cut)


def _ranks(source: Path, seed: int, method: str) -> array[int]:
    ranks = array("Q")
    with opened(source) as lines:
        if not source.is_file():
            fix = "save it in a file"
            raise DatasetError(
                "VT202", "it is read twice, and this is no regular file", where=str(source), fix=fix
            )
        for line in _lines(lines):
            try:
                row = msgspec.json.decode(line)
                ranks.append(rank_of(row if isinstance(row, dict) else _refuse(source, method), seed))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                _refuse(source, method)
    return ranks


def _refuse(source: Path, method: str) -> dict[str, Any]:
    """Say what is wrong with the rows, as the check does."""
    raise_for_faults(check(source, method=method, base_model=None))
    raise DatasetError(
        "VT204", "a row is not JSON", where=str(source), fix="vertex-tuning data check FILE says which"
    )


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Those that are not empty, without the mark that some editors put in front."""
    for number, line in enumerate(file):
        text = line.removeprefix(_BOM) if number == 0 else line
        if text.strip():
            yield text
