"""Files that are made, all whole under their names at the end, or none of them. Nothing is overwritten."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vertex_tuning.errors import DatasetError


@dataclass(frozen=True, slots=True)
class Taken:
    """What is said where a file is there already, or cannot be written."""

    rule: str
    option: str
    """By which another place is named: `--output FILE`."""


class NewFiles:
    """Files in the making."""

    def __init__(
        self, folder: Path, targets: Sequence[Path], stack: contextlib.ExitStack, taken: Taken
    ) -> None:
        self._targets, self._taken = targets, taken
        try:
            folder.mkdir(parents=True, exist_ok=True)
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix=".vertex-tuning-", dir=folder))
            self._paths = [Path(scratch) / path.name for path in targets]
            self._files = [stack.enter_context(path.open("wb")) for path in self._paths]
        except OSError as error:
            raise self._unwritable(error, folder) from error

    def write(self, index: int, line: bytes) -> None:
        """Add a line to one of them."""
        try:
            self._files[index].write(line if line.endswith(b"\n") else line + b"\n")
        except OSError as error:
            raise self._unwritable(error, self._targets[index]) from error

    def publish(self) -> None:
        """Give them their names."""
        done: list[Path] = []
        try:
            for file in self._files:
                file.close()
            for path, target in zip(self._paths, self._targets, strict=True):
                check_free([target], self._taken)
                path.rename(target)
                done.append(target)
        except BaseException as error:
            for target in done:
                target.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise self._unwritable(error, self._targets[0]) from error
            raise

    def _unwritable(self, error: OSError, path: Path) -> DatasetError:
        what = f"it cannot be written: {error.strerror or error}"
        fix = f"free some space, or write where you may: {self._taken.option}"
        return DatasetError(self._taken.rule, what, where=str(path), fix=fix)


def check_free(targets: Sequence[Path], taken: Taken) -> None:
    """Refuse to overwrite.

    Raises:
        DatasetError: One of them is there already.
    """
    for path in targets:
        if path.exists() or path.is_symlink():
            what = "it is there already, and is not overwritten"
            raise DatasetError(
                taken.rule, what, where=str(path), fix=f"remove it, or name another place: {taken.option}"
            )
