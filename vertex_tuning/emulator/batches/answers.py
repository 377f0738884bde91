"""The answers so far, on disk.

    input.jsonl         the requests, as they were when the job was created
    predictions.jsonl   output lines, in the order in which they were answered
    done.jsonl          one line for each of them: its line in the input, where it ends, what was wrong with it

An output line is written first and then entered. After a crash, what stands behind the last entry is cut off:
so no line is lost that was counted, and none is there twice.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, BinaryIO

from vertex_tuning import catalog
from vertex_tuning.emulator.batches.lines import Outcome
from vertex_tuning.emulator.jobs import files

_CHUNK = 1024 * 1024


class Folder:
    """Paths in the folder of one job."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.input = path / "input.jsonl"
        self.predictions = path / "predictions.jsonl"
        self.done = path / "done.jsonl"
        self.copy = path / "copy.jsonl"

    def remove(self) -> None:
        """Remove it all."""
        files.remove(self.path)


class Answers:
    """Takes answers down, and knows which lines have one. Not for several threads, but for `copy`."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self.lines: set[int] = set()
        """Numbers of the lines that were answered or refused."""
        self.failed = 0
        """How many of them were refused."""
        self.failures: list[dict[str, Any]] = []
        """The first of the refusals: `google.rpc.Status`."""
        self.size = 0
        """Bytes of the output."""
        entered = self._recall()
        self._predictions = _appending(folder.predictions, self.size)
        self._done = _appending(folder.done, entered)

    def _recall(self) -> int:
        """Take up what a former process entered; how many bytes of entries are whole."""
        whole = 0
        try:
            entries = self._folder.done.read_bytes()
            there = self._folder.predictions.stat().st_size
        except FileNotFoundError:
            return 0
        for entry in entries.splitlines(keepends=True):
            try:
                found = json.loads(entry)
            except ValueError:
                break
            if not entry.endswith(b"\n") or found["end"] > there:
                break
            whole += len(entry)
            self.size = found["end"]
            self._count(found["line"], found.get("error"))
        return whole

    def add(self, line: int, outcome: Outcome) -> None:
        """Take an answer down."""
        self._predictions.write(outcome.output)
        entry: dict[str, Any] = {"line": line, "end": self.size + len(outcome.output)}
        if outcome.error is not None:
            entry["error"] = {key: outcome.error[key] for key in ("code", "message")}
        self._done.write(json.dumps(entry).encode() + b"\n")
        self.size = entry["end"]
        self._count(line, entry.get("error"))

    def _count(self, line: int, error: dict[str, Any] | None) -> None:
        self.lines.add(line)
        if error is not None:
            self.failed += 1
            if len(self.failures) < catalog.limits("batch")["max_partial_failures"]:
                self.failures.append({**error, "message": f"line {line}: {error['message']}"})

    def stats(self, total: int) -> dict[str, str]:
        """As `completionStats` shows it: what is zero is left out."""
        counts = {
            "successfulCount": len(self.lines) - self.failed,
            "failedCount": self.failed,
            "incompleteCount": total - len(self.lines),
        }
        return {name: str(value) for name, value in counts.items() if value}

    def copy(self, size: int) -> Path:
        """The first bytes of the output in a file of their own, which grows no more."""
        with self._folder.predictions.open("rb") as source, self._folder.copy.open("wb") as target:
            left = size
            while left > 0 and (data := source.read(min(left, _CHUNK))):
                target.write(data)
                left -= len(data)
        return self._folder.copy

    def close(self) -> None:
        """Close the files."""
        self._predictions.close()
        self._done.close()


def _appending(path: Path, size: int) -> BinaryIO:
    """A file to append to, cut to a size. Unbuffered: what was written outlives the process."""
    file = path.open("ab", buffering=0)
    os.truncate(path, size)
    return file
