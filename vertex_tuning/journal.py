"""The key of a job, on disk before the job is asked for.

`tuningJobs.create` has no request id: asked twice, it trains twice. So every `tune()` labels its job with a fresh key that is
written here first. When the answer is lost, or the caller dies, the job is found by its label.
"""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

LABEL = "vertex-tuning-key"


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
    """A folder with a file per `tune()`; several processes may use it at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, digest: str, place: str) -> Entry:
        """Write down that a job is about to be asked for."""
        entry = Entry(secrets.token_hex(16), digest, place)
        self._write(entry)
        return entry

    def close(self, entry: Entry, job: str) -> None:
        """Write down its name."""
        self._write(Entry(entry.key, entry.digest, entry.place, job))

    def forget(self, entry: Entry) -> None:
        """The service refused it: there is no job."""
        (self._folder / f"{entry.key}.json").unlink(missing_ok=True)

    def find(self, digest: str, place: str) -> list[Entry]:
        """Identical jobs that were asked for at this place, newest first."""
        try:
            paths = sorted(self._folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        except OSError:
            return []
        entries = [Entry(**json.loads(path.read_text(encoding="utf-8"))) for path in paths]
        return [entry for entry in entries if entry.digest == digest and entry.place == place]

    def _write(self, entry: Entry) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile("w", dir=self._folder, delete=False, encoding="utf-8") as file:
            json.dump(asdict(entry), file)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(self._folder / f"{entry.key}.json")
