"""The key of a job, on disk before the job is asked for.

`tuningJobs.create` has no request id: asked twice, it trains twice. So every `tune()` labels its job with a fresh key that is
written here first. When the answer is lost, or the caller dies, the job is found by its label.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from vertex_tuning.errors import ConfigurationError

LABEL = "vertex-tuning-key"
KEPT_FOR = 90 * 24 * 3600.0
"""Seconds."""
_SCRATCH = ".writing-"


@dataclass(frozen=True, slots=True)
class Entry:
    """One `tune()`."""

    key: str
    """32 hexadecimal characters."""
    digest: str
    """Of the spec and its data: the same for an identical job."""
    place: str
    """Address, project and location that it was asked at."""
    job: str = ""
    """Resource name; empty as long as no answer came."""


class Journal:
    """A folder with a file per `tune()`; several processes may use it at once.

    A file is named by the digest first, so that to find identical jobs, no other entry is read; after `KEPT_FOR` it goes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, digest: str, place: str) -> Entry:
        """Write down that a job is about to be asked for.

        Raises:
            ConfigurationError: VT111, it cannot be written down: then nothing may be asked for.
        """
        entry = Entry(secrets.token_hex(16), digest, place)
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._prune()
            self._write(entry)
        except OSError as error:
            raise ConfigurationError(
                "VT111",
                f"the journal cannot be written: {error.strerror or error}",
                where=str(self._folder),
                why="Without it, a job whose answer is lost would be paid for twice.",
                fix="free some space, or point VERTEX_TUNING_HOME at a folder of yours",
            ) from error
        return entry

    def close(self, entry: Entry, job: str) -> None:
        """Write down its name. Where that fails, the job is found by its label as before."""
        with contextlib.suppress(OSError):
            self._write(Entry(entry.key, entry.digest, entry.place, job))

    def forget(self, entry: Entry) -> None:
        """The service refused it: there is no job."""
        with contextlib.suppress(OSError):
            self._path(entry).unlink()

    def find(self, digest: str, place: str) -> list[Entry]:
        """Identical jobs that were asked for at this place, newest first; a damaged entry is passed over."""
        found = []
        for path in self._folder.glob(f"{_prefix(digest)}-*.json"):
            with contextlib.suppress(OSError, ValueError, TypeError):
                entry = Entry(**json.loads(path.read_text(encoding="utf-8")))
                if (entry.digest, entry.place, self._path(entry)) == (digest, place, path):
                    found.append((path.stat().st_mtime_ns, entry))
        return [entry for _, entry in sorted(found, key=lambda item: item[0], reverse=True)]

    def _path(self, entry: Entry) -> Path:
        return self._folder / f"{_prefix(entry.digest)}-{entry.key}.json"

    def _prune(self) -> None:
        """No job runs for so long: nobody will ask for these again."""
        before = time.time() - KEPT_FOR
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.endswith(".json") or entry.name.startswith(_SCRATCH):
                    with contextlib.suppress(OSError):
                        if entry.stat().st_mtime < before:
                            Path(entry.path).unlink()

    def _write(self, entry: Entry) -> None:
        handle, name = tempfile.mkstemp(prefix=_SCRATCH, dir=self._folder)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(asdict(entry), file)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._path(entry))
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        # The new name, too, must outlive a power cut, where a folder can be told so.
        with contextlib.suppress(OSError):
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def _prefix(digest: str) -> str:
    return digest[:16]
