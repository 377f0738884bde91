"""How many rows data sets may have. Counted when the job runs: a gigabyte takes a second."""

from __future__ import annotations

from pathlib import Path

from vertex_tuning import catalog
from vertex_tuning.emulator.jobs.files import JobFolder
from vertex_tuning.emulator.status import ApiError, Code

_CHUNK = 1 << 20


def check(folder: JobFolder) -> None:
    """Hold both data sets against the service's limits.

    Raises:
        ApiError: INVALID_ARGUMENT, which becomes the job's error.
    """
    limits = catalog.limits("supervised")
    rows = count(folder.training)
    if rows > limits["max_examples"]:
        raise _fault(
            f"The training data set has {rows:,} rows; up to {limits['max_examples']:,} are allowed."
        )
    if not folder.validation.exists():
        return
    held_out = count(folder.validation)
    if held_out > limits["max_validation_examples"]:
        raise _fault(
            f"The validation data set has {held_out:,} rows; up to {limits['max_validation_examples']:,} are "
            "allowed."
        )
    if held_out > limits["validation_share_from"] and held_out > limits["max_validation_share"] * rows:
        raise _fault(
            f"The validation data set has {held_out:,} rows. Where there are more than "
            f"{limits['validation_share_from']:,}, they may be at most "
            f"{limits['max_validation_share']:.0%} of the {rows:,} training rows."
        )


def count(path: Path) -> int:
    """Lines of a file, a last one without its newline too."""
    lines, last = 0, b"\n"
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            lines += chunk.count(b"\n")
            last = chunk[-1:]
    return lines + (last != b"\n")


def _fault(why: str) -> ApiError:
    return ApiError(Code.INVALID_ARGUMENT, why, rule="VT642")
