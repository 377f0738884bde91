"""From the rows of a data set to the tensors of a batch; what is wrong with the data is one error with all its faults."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from vertex_tuning import catalog, data
from vertex_tuning.training import rows, sight
from vertex_tuning.training.chat import Encoded
from vertex_tuning.training.config import TrainingConfig

_TOO_LONG = "VT216"


class DataFaultError(ValueError):
    """The data cannot be trained on; the message says why."""


class TooLongError(Exception):
    """A row has more tokens than the model reads."""

    def __init__(self, tokens: int) -> None:
        super().__init__(tokens)
        self.tokens = tokens


def check(config: TrainingConfig, *, method: str = "") -> None:
    """Every fault of both sets at once, as the check before the upload has them. What is too long is dropped, and no fault.

    Args:
        config: Of the run.
        method: What the rows are like, where that is not what the run is for.

    Raises:
        DataFaultError: With the faults, up to twenty.
    """
    names = (config.training_name, config.validation_name)
    reports = data.check_job(
        config.training,
        config.validation,
        method=method or config.known_as,
        base_model=config.base_model,
        names=names,
    )
    if config.known_as != "preference":  # there the service itself takes nothing but text
        sight.note(reports, [Path(path) for path in (config.training, config.validation) if path])
    if words := data.refusal(reports, but=_TOO_LONG):
        raise DataFaultError(words)


def read(
    path: str,
    name: str | None,
    encode: Callable[[dict[str, Any]], None],
    *,
    config: TrainingConfig,
    dropped: list[tuple[int, str]],
    before: Sequence[tuple[int, str]] = (),
) -> None:
    """Give every row to `encode`.

    Args:
        path: JSONL file.
        name: How the user calls it; None: by its file name.
        encode: Takes a row; raises `TooLongError` where it is too long, `ValueError` where it makes no sense.
        config: Of the run.
        dropped: Gets the rows that are too long: (number from 1, reason); and, in their order, those of `before`.
        before: Rows that were left out already, and are not held against the set.

    Raises:
        DataFaultError: A row is not to be read, or too many are dropped.
    """
    name = name or Path(path).name
    gone = {row for row, _ in before}
    numbers = (number for number in itertools.count(1) if number not in gone)
    number = several = 0
    try:
        for _, row in rows.read(Path(path)):
            number, several = next(numbers), several + 1
            try:
                encode(row)
            except TooLongError as error:
                reason = f"{error.tokens} tokens: more than the {config.max_tokens} that the model reads"
                dropped.append((number, reason))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        words = str(error) if isinstance(error, ValueError) else f"not in a known format ({error!r})"
        raise DataFaultError(f"The data set {name} cannot be trained on: row {number}: {words}") from error
    share = catalog.limits(config.known_as)["max_dropped_share"]
    if dropped and len(dropped) >= share * several:
        first = "; ".join(f"row {row}: {reason}" for row, reason in dropped[:3])
        raise DataFaultError(
            f"{len(dropped)} of {several} rows of {name} would be dropped, which is {share:.0%} or more: {first}"
        )
    dropped[:] = sorted([*((row, reason) for row, reason in before), *dropped])


def check_references(asked: Sequence[Mapping[str, Any]], name: str) -> None:
    """See that every row has a reference of this name.

    Raises:
        DataFaultError: One has not.
    """
    for number, row in enumerate(asked, 1):
        if name not in (row.get("references") or {}):
            raise DataFaultError(
                f'Row {number} has no reference "{name}", which its answer is measured against'
            )


def tensors(
    batch: Sequence[Encoded], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token ids (batch, length), where an answer token comes next (batch, length), and these tokens (answers,)."""
    length = max(len(example.ids) for example in batch)
    ids = torch.zeros((len(batch), length), dtype=torch.long)
    before = torch.zeros((len(batch), length), dtype=torch.bool)
    for row, example in enumerate(batch):
        ids[row, : len(example.ids)] = torch.tensor(example.ids)
        before[row, : len(example.ids) - 1] = torch.tensor(example.learn[1:])
    answers = ids.roll(-1, dims=1)[before]
    return ids.to(device), before.to(device), answers.to(device)
