"""The folder of a job: what it reads, what it makes.

    training.jsonl, validation.jsonl   the data sets, as they were when the job was created
    initial/                           the adapter that is tuned on
    base/                              weights given by the user (`customBaseModel`)
    teacher/                           the adapter of the teacher, in distillation
    labelled.jsonl, ...                what the teacher has said
    output/                            what the trainer writes: checkpoints/ID/, metrics, where to resume

Files are taken in as hard links where the file system allows: a link is instant, needs no room, and keeps the
bytes when the original is deleted.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from vertex_tuning.emulator.status import ApiError, Code


class JobFolder:
    """Paths in the folder of one job."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.training = path / "training.jsonl"
        self.validation = path / "validation.jsonl"
        self.initial = path / "initial"
        self.base = path / "base"
        self.teacher = path / "teacher"
        self.labelled = path / "labelled.jsonl"
        self.labelled_validation = path / "labelled_validation.jsonl"
        self.output = path / "output"

    def checkpoint(self, identifier: str) -> Path:
        """Folder of a checkpoint."""
        return self.output / "checkpoints" / identifier

    def keep_checkpoints(self) -> None:
        """Remove all but the checkpoints: the job has succeeded."""
        for entry in [*self.path.iterdir(), *self.output.iterdir()]:
            if entry not in (self.output, self.output / "checkpoints"):
                remove(entry)

    def remove(self) -> None:
        """Remove it all."""
        remove(self.path)


def take(source: Path, target: Path) -> None:
    """Link a file, or copy it where links cannot be."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
            raise
        shutil.copyfile(source, target)


def take_tree(source: Path, target: Path) -> None:
    """Link every file of a folder."""
    for path in sorted(source.rglob("*")):
        if path.is_file():
            made = target / path.relative_to(source)
            made.parent.mkdir(parents=True, exist_ok=True)
            take(path, made)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def is_full(error: BaseException) -> bool:
    """Whether an error says that the disk has no room left."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return "database or disk is full" in str(error)


def disk_full() -> ApiError:
    """What a caller hears then."""
    return ApiError(
        Code.RESOURCE_EXHAUSTED,
        "The disk of the emulator's data folder is full. Make room and try again.",
        rule="VT643",
    )
