"""What runs on this machine leave: which there are, how big they are, and how they are removed.

In the home of this package:

    pipelines/runs/NAME/run.json     what is known of a run; its outputs lie beside it, unless it was given a folder of its own
    pipelines/runs/NAME/taken.jsonl  outputs of earlier runs that it took from the cache, a path each
    pipelines/runs/NAME/going-on     locked for as long as the run goes on
    pipelines/runs/NAME/.work-*/     what is needed meanwhile
    pipelines/runs/.removed/         runs that are being removed
    pipelines/cache/KEY.json         what a step once led to, its outputs by their paths (kfp's)
    pipelines/lock                   held alone by whoever removes, together by all others
    pipelines/looking, removing      held alone by whoever looks which runs go on, or removes some

A lock goes with the processes that hold it, so that a run that was killed is none that goes on, whatever it wrote last.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

from vertex_tuning.config import home
from vertex_tuning.errors import Fault, PipelineError

RUNNING, INTERRUPTED = "RUNNING", "INTERRUPTED"
_RECORD, _TAKEN, _LOCK = "run.json", "taken.jsonl", "going-on"
_REMOVED = ".removed"
_MADE_NAME = re.compile(r"(.+)-[0-9]{14}-[0-9a-f]{4}")
_BLOCK = 512
"""Bytes in which `st_blocks` counts, on every system."""


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run of a pipeline on this machine, as its folder tells of it."""

    name: str
    pipeline: str
    """Its name."""
    state: str
    """RUNNING, SUCCEEDED, FAILED, CANCELLED; INTERRUPTED: whoever ran it was gone before it had ended; empty: not known."""
    started: str
    """RFC 3339."""
    ended: str
    """RFC 3339; empty while it runs, and where nobody was there to see it."""
    root: Path
    """Where its steps left their outputs."""
    folder: Path
    """Its own, which is what is removed."""
    bytes: int = 0
    """That its folder takes on the disk."""
    taken: frozenset[Path] = field(default_factory=frozenset)
    """Outputs of earlier runs that it has from the cache."""

    @property
    def going_on(self) -> bool:
        """Whether it has a process."""
        return self.state == RUNNING

    @property
    def at(self) -> datetime:
        """When it was last heard of."""
        return datetime.fromisoformat(self.ended or self.started)

    def needs(self, other: StoredRun) -> bool:
        """Whether outputs of its own lie in another's folder."""
        place = other.folder.resolve()
        return any(path.is_relative_to(place) for path in (self.root, *self.taken))

    def to_json(self) -> dict[str, Any]:
        """What is known of it."""
        names = ("name", "pipeline", "state", "started", "ended", "bytes")
        return {name: getattr(self, name) for name in names} | {"root": str(self.root)}


@dataclass(frozen=True, slots=True)
class Pruning:
    """What goes, or has gone."""

    removed: list[StoredRun] = field(default_factory=list)
    kept: list[Fault] = field(default_factory=list)
    """Runs that were meant too, and why they stay."""
    cached_steps: int = 0
    """That later runs would have had for nothing, and have to do again."""
    leftover: int = 0
    """Bytes of what an earlier prune was kept from removing, which goes too."""

    @property
    def bytes(self) -> int:
        """That are freed on the disk."""
        return sum(run.bytes for run in self.removed) + self.leftover

    def to_json(self) -> dict[str, Any]:
        """The same, by name."""
        return {
            "removed": [run.to_json() for run in self.removed],
            "kept": [{"name": one.where, "why": one.what} for one in self.kept],
            "cached_steps": self.cached_steps,
            "bytes": self.bytes,
        }


def runs_folder() -> Path:
    """Of all runs of the user."""
    return home() / "pipelines" / "runs"


def cache_folder() -> Path:
    """Of what their steps once led to."""
    return home() / "pipelines" / "cache"


# While a run goes on


class Record:
    """What is kept of a run that begins; it counts as going on until this is closed and what `lock` was handed to has ended.

    Args:
        name: Of the run.
        pipeline: Its name.
        root: Where the outputs go; None: beside what is kept of it.
    """

    def __init__(self, name: str, pipeline: str, root: Path | None) -> None:
        self.folder = runs_folder() / name
        self.root = root or self.folder
        self._known = {"name": name, "pipeline": pipeline, "state": RUNNING, "started": _now(), "ended": ""}
        with undisturbed():
            for folder in (self.folder, self.root):
                folder.mkdir(parents=True, exist_ok=True)
            self.root = self.root.resolve()
            self.lock: IO[str] = (self.folder / _LOCK).open("w", encoding="ascii")
            fcntl.flock(self.lock, fcntl.LOCK_SH)  # a name that is given twice is of two runs in one folder
            self._write()

    @property
    def taken(self) -> Path:
        """Where it is noted what it takes from the cache."""
        return self.folder / _TAKEN

    def end(self, state: str) -> None:
        """Say how it ended. A disk that is full then leaves it as INTERRUPTED."""
        self._known |= {"state": state, "ended": _now()}
        with contextlib.suppress(OSError):
            self._write()
        fcntl.flock(self.lock, fcntl.LOCK_UN)  # for those too that this process has forked meanwhile
        self.lock.close()

    def _write(self) -> None:
        fresh = self.folder / f".{_RECORD}-{secrets.token_hex(4)}"
        fresh.write_text(json.dumps(self._known | {"root": str(self.root)}), encoding="utf-8")
        fresh.replace(self.folder / _RECORD)


@contextlib.contextmanager
def undisturbed(*, alone: bool = False) -> Iterator[None]:
    """Nothing is removed meanwhile; `alone`: and no run begins, or takes anything from the cache."""
    with _locked("lock", alone=alone):
        yield


@contextlib.contextmanager
def _locked(name: str, *, alone: bool) -> Iterator[None]:
    path = home() / "pipelines" / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("a", encoding="ascii")
    except OSError as error:
        raise PipelineError(
            "VT711",
            f"runs cannot leave anything there: {error.strerror or error}",
            where=str(path.parent),
            fix="free some space, or point VERTEX_TUNING_HOME at a folder of yours",
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield


def take(note: Path, paths: Iterable[str]) -> None:
    """Note what a run takes from the cache; to be called while it is `undisturbed` since it was looked for."""
    lines = "".join(json.dumps(path) + "\n" for path in paths)
    with note.open("a", encoding="utf-8") as file:
        file.write(lines)


# Which there are


def stored_runs() -> list[StoredRun]:
    """The runs on this machine, newest first."""
    return [replace(run, bytes=size_of(run.folder)) for run in _found()]


def _found() -> list[StoredRun]:
    folder, runs = runs_folder(), []
    if not folder.is_dir():
        return []
    # To look whether a lock is held is to hold it for a moment: another one who looks would take that for the run.
    with _locked("looking", alone=True):
        for path in folder.iterdir():
            if path.is_dir() and path.name != _REMOVED:
                with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                    runs.append(_read(path))
    return sorted(runs, key=lambda run: (run.started, run.name), reverse=True)


def _read(folder: Path) -> StoredRun:
    going_on = _is_locked(folder / _LOCK)  # looked at first: the record is whole before the lock is let go
    try:
        known = json.loads((folder / _RECORD).read_bytes())
    except (
        FileNotFoundError,
        ValueError,
    ):  # of a version that kept none, or begun by a process that came no further
        made = _MADE_NAME.fullmatch(folder.name)
        known = {"pipeline": made[1] if made else "", "started": _time(folder.stat().st_mtime)}
    state = known.get("state", "")
    if going_on or state == RUNNING:
        state = RUNNING if going_on else INTERRUPTED
    return StoredRun(
        name=folder.name,
        pipeline=known["pipeline"],
        state=state,
        started=known["started"],
        ended="" if going_on else known.get("ended", ""),
        root=Path(known.get("root") or folder.resolve()),
        folder=folder,
        taken=frozenset(_lines(folder / _TAKEN)),
    )


def _is_locked(path: Path) -> bool:
    try:
        with path.open("r+", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def _lines(path: Path) -> Iterator[Path]:
    with contextlib.suppress(FileNotFoundError), path.open(encoding="utf-8") as file:
        for line in file:
            with contextlib.suppress(ValueError):  # cut off with its process, before anything was made of it
                yield Path(json.loads(line))


def size_of(folder: Path) -> int:
    """Bytes that a folder takes on the disk, whatever has several names there counted once."""
    found, seen, left = 0, set(), [folder]
    while left:
        with contextlib.suppress(OSError), os.scandir(left.pop()) as entries:
            for entry in entries:
                about = entry.stat(follow_symlinks=False)
                if (about.st_dev, about.st_ino) not in seen:
                    seen.add((about.st_dev, about.st_ino))
                    found += about.st_blocks * _BLOCK
                if entry.is_dir(follow_symlinks=False):
                    left.append(Path(entry.path))
    return found


# What is removed


def plan(
    names: Sequence[str] = (),
    *,
    older_than: timedelta | None = None,
    keep: int = 0,
    failed: bool = False,
) -> Pruning:
    """What `prune` would remove.

    Raises:
        PipelineError: As `prune`, but for what the disk refuses.
    """
    runs = stored_runs()
    chosen = _named(runs, names) if names else runs
    newest = {run.name for run in _newest(runs, keep)}
    now = datetime.now(UTC)
    chosen = [
        run
        for run in chosen
        if run.name not in newest
        and (older_than is None or now - run.at > older_than)
        and not (failed and run.state in ("SUCCEEDED", ""))
    ]
    removed, kept = _free(runs, chosen)
    if names and kept:
        raise _refused(kept)
    return Pruning(removed, kept, len(_entries_of(removed)), size_of(runs_folder() / _REMOVED))


def prune(
    names: Sequence[str] = (),
    *,
    older_than: timedelta | None = None,
    keep: int = 0,
    failed: bool = False,
    dry_run: bool = False,
) -> Pruning:
    """Remove what runs on this machine have left: those that are named, else all, as far as the rest allows.

    A run that goes on stays, and so does one of which another one that stays took outputs from the cache. What the cache knows of
    those that go is forgotten. Models, jobs and objects that a run made at the service are not touched.

    Args:
        names: Of the runs; if one of them cannot be removed, none is.
        older_than: Only those that ended longer ago.
        keep: So many of each pipeline stay, the newest.
        failed: Only those that did not succeed: failed, cancelled, interrupted.
        dry_run: Only say what would go.

    Raises:
        PipelineError: VT728, no run has this name; VT729, one that was named has to stay, or the disk refuses.
    """
    planned = plan(names, older_than=older_than, keep=keep, failed=failed)
    return planned if dry_run else carry_out(planned)


def carry_out(planned: Pruning) -> Pruning:
    """Do as planned, but for what is needed by now; interrupted, the next one ends it.

    Raises:
        PipelineError: VT729, the disk refuses; what could be removed is gone.
    """
    with _locked("removing", alone=True):
        done, refused = _set_aside(planned)
        refused += _empty()
    if refused:
        raise _refused(refused)
    return done


def _set_aside(planned: Pruning) -> tuple[Pruning, list[Fault]]:
    """Take the runs away from where others look; what was done of it, and what the disk refused."""
    sizes = {run.name: run.bytes for run in planned.removed}
    gone: list[StoredRun] = []
    refused: list[Fault] = []
    with undisturbed(alone=True):
        runs = _found()
        removed, kept = _free(runs, [run for run in runs if run.name in sizes])
        # The cache first: what it forgets too early is only done again.
        entries = _entries_of(removed)
        for entry in entries:
            entry.unlink(missing_ok=True)
        for run in removed:
            aside = runs_folder() / _REMOVED / f"{run.name}.{secrets.token_hex(4)}"
            try:
                aside.parent.mkdir(exist_ok=True)
                run.folder.rename(aside)
                gone.append(replace(run, bytes=sizes[run.name]))
            except OSError as error:
                words = error.strerror or str(error)
                refused.append(Fault("VT729", words, run.name, fix=f"remove it by hand: {run.folder}"))
    return Pruning(gone, [*planned.kept, *kept], len(entries), planned.leftover), refused


def _empty() -> Iterator[Fault]:
    """Remove what was set aside, now or by one that was cut off; what cannot be."""
    folder = runs_folder() / _REMOVED
    shutil.rmtree(folder, ignore_errors=True)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        name, fix = path.name.rpartition(".")[0], f"see whose it is, and remove it by hand: {path}"
        yield Fault("VT729", "not all of it could be removed", name, fix=fix)


def _named(runs: Sequence[StoredRun], names: Sequence[str]) -> list[StoredRun]:
    known = {run.name: run for run in runs}
    faults = [
        Fault(
            "VT728",
            "there is no such run on this machine",
            name,
            fix="`vertex-tuning pipeline runs --here` lists them",
        )
        for name in names
        if name not in known
    ]
    if faults:
        raise PipelineError("VT728", "nothing was removed: not all of these runs are there", faults=faults)
    return [run for name, run in known.items() if name in names]


def _newest(runs: Sequence[StoredRun], count: int) -> Iterator[StoredRun]:
    """So many of each pipeline."""
    seen: dict[str, int] = {}
    for run in runs:
        seen[run.pipeline] = seen.get(run.pipeline, 0) + 1
        if seen[run.pipeline] <= count:
            yield run


def _free(runs: Sequence[StoredRun], chosen: Sequence[StoredRun]) -> tuple[list[StoredRun], list[Fault]]:
    """Those of the chosen that nobody needs any more, and why the others stay."""
    kept: dict[str, Fault] = {}

    def keep(run: StoredRun, why: str, fix: str) -> None:
        kept[run.name] = Fault("VT729", why, run.name, fix=fix)

    for run in chosen:
        if run.going_on:
            keep(run, "it goes on", "wait for its end, or stop it where it was started")
        elif run.folder.is_symlink():
            keep(run, "it is a link to another place", "remove by hand what it leads to, and then the link")
    going: list[StoredRun] = []
    while len(going) != len(chosen) - len(kept):
        going = [run for run in chosen if run.name not in kept]
        names = {run.name for run in going}
        staying = [run for run in runs if run.name not in names]
        for run in going:
            if other := next((other for other in staying if other.needs(run)), None):
                keep(run, f"{other.name} has outputs there", "remove that one too, or leave this one out")
    return going, list(kept.values())


def _entries_of(runs: Sequence[StoredRun]) -> list[Path]:
    """What the cache knows that speaks of a file of these runs."""
    folder = cache_folder()
    places = [json.dumps(f"{run.folder.resolve()}/")[1:-1] for run in runs]
    found = []
    for path in folder.glob("*.json") if places and folder.is_dir() else ():
        with contextlib.suppress(OSError):
            text = path.read_text(encoding="utf-8")
            if any(place in text for place in places):
                found.append(path)
    return found


def _refused(faults: Sequence[Fault]) -> PipelineError:
    return PipelineError("VT729", "not all of these runs can be removed", faults=faults)


def _now() -> str:
    return _time(datetime.now(UTC).timestamp())


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
