"""What steps leave, in Cloud Storage: below the job's output directory, `TASK_ID/NAME`, as on Vertex AI.

Steps read and write files of this machine. What was put into a bucket is noted in the run's folder, so that a later run that
takes a step from the cache tells of the same objects.
"""

from __future__ import annotations

import json
import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vertex_tuning.emulator.storage import Storage

Artifact = dict[str, Any]
_NOTE = "uris.jsonl"


class Outputs:
    """The outputs of one run.

    Args:
        storage: Where to.
        runs: The folder of all runs.
        run: The name of this one's folder in it.
        uri: The run's `gs://` folder.
    """

    def __init__(self, storage: Storage, runs: Path, run: str, uri: str) -> None:
        self._storage = storage
        self._runs = runs
        self._run = run
        self._uri = uri
        self._known: dict[str, dict[str, str]] = {}

    def put(self, task: str, artifacts: dict[str, list[Artifact]]) -> dict[str, list[Artifact]]:
        """Put a step's artifacts there; they come back with the URIs that they have then.

        Args:
            task: What the step is called among the objects: `train_42`.
            artifacts: By name, as the child tells them.
        """
        return {
            key: [self._put(f"{self._uri}/{task}/{key}", index, one) for index, one in enumerate(found)]
            for key, found in artifacts.items()
        }

    def seen(self, artifacts: dict[str, list[Artifact]]) -> dict[str, list[Artifact]]:
        """Artifacts that a step is given, with their URIs."""
        return {
            key: [{**one, "uri": self._find(one["uri"]) or one["uri"]} for one in found]
            for key, found in artifacts.items()
        }

    def _put(self, target: str, index: int, one: Artifact) -> Artifact:
        path = Path(one["uri"])
        if not path.is_absolute():  # a gs:// URI already, or one of another kind
            return one
        uri = self._find(one["uri"])
        if uri is None:
            uri = target if index == 0 else f"{target}-{index}"
            if path.is_dir():
                self._storage.copy_tree(path, uri)
            elif path.is_file() and not one.get("empty"):
                kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
                self._storage.write(uri, path, kind)
            self._note(one["uri"], uri)
        return {**one, "uri": uri}

    def _find(self, path: str) -> str | None:
        """The URI of a file of this run or of an earlier one."""
        try:
            run = Path(path).relative_to(self._runs).parts[0]
        except (ValueError, IndexError):
            return None
        if run not in self._known:
            note = self._runs / run / _NOTE
            lines = note.read_text(encoding="utf-8").splitlines() if note.is_file() else []
            self._known[run] = dict(json.loads(line) for line in lines)
        return self._known[run].get(path)

    def _note(self, path: str, uri: str) -> None:
        self._known.setdefault(self._run, {})[path] = uri
        with (self._runs / self._run / _NOTE).open("a", encoding="utf-8") as file:
            file.write(json.dumps([path, uri]) + "\n")
