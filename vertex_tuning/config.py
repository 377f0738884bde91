"""Settings of a project: arguments, then the environment, then a file.

The file is the nearest `vertex-tuning.toml` upwards of the working folder:

    target = "vertex"
    project = "my-project"
    location = "us-central1"
    bucket = "my-bucket"
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from vertex_tuning.errors import ConfigurationError, Fault

FILE = "vertex-tuning.toml"
_TARGETS = ("local", "vertex")
_ENVIRONMENT = {
    "target": ("VERTEX_TUNING_TARGET",),
    "project": ("VERTEX_TUNING_PROJECT", "GOOGLE_CLOUD_PROJECT"),
    "location": ("VERTEX_TUNING_LOCATION", "GOOGLE_CLOUD_LOCATION"),
    "bucket": ("VERTEX_TUNING_BUCKET",),
}


def home() -> Path:
    """Where this package keeps things: `VERTEX_TUNING_HOME`, else the XDG data folder."""
    if given := os.environ.get("VERTEX_TUNING_HOME"):
        return Path(given).expanduser()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "vertex-tuning"


@dataclass(frozen=True, slots=True)
class Config:
    """Where to work."""

    target: str = "local"
    """`local` (the emulator) or `vertex`."""
    project: str | None = None
    """Project id."""
    location: str | None = None
    """Region, such as `us-central1`."""
    bucket: str | None = None
    """Bucket for data sets, without `gs://`."""


def load(**arguments: str | None) -> Config:
    """The settings: what is given here first, then the environment, then the file.

    Raises:
        ConfigurationError: VT101 the file cannot be read, VT102 it has an unknown or misshapen setting, VT103 no such target.
    """
    config, where = Config(), "target"
    path = _find_file()
    sources = (
        (f"target in {path}", _from_file(path) if path else {}),
        (_ENVIRONMENT["target"][0], _from_environment()),
        ("target", arguments),
    )
    for place, source in sources:
        config = replace(config, **{name: value for name, value in source.items() if value})
        where = place if source.get("target") else where
    if config.target not in _TARGETS:
        raise ConfigurationError(
            "VT103", f'there is no target "{config.target}"', where=where, fix='"local" or "vertex"'
        )
    if config.bucket:
        config = replace(config, bucket=config.bucket.removeprefix("gs://").rstrip("/"))
    return config


def _from_environment() -> dict[str, Any]:
    return {
        name: next((os.environ[variable] for variable in variables if os.environ.get(variable)), None)
        for name, variables in _ENVIRONMENT.items()
    }


def _find_file() -> Path | None:
    try:
        here = Path.cwd()
        return next((folder / FILE for folder in (here, *here.parents) if (folder / FILE).is_file()), None)
    except OSError:  # the working folder is gone, or one above it is closed to us
        return None


def _from_file(path: Path) -> dict[str, Any]:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            "VT101", f"the settings file cannot be read: {error}", where=str(path)
        ) from error
    known = [field.name for field in fields(Config)]
    fix = f"settings are: {', '.join(known)}"
    faults = [
        Fault("VT102", f'"{name}" is not a setting, or not a string', str(path), fix=fix)
        for name, value in found.items()
        if name not in known or not isinstance(value, str)
    ]
    if len(faults) == 1:
        raise ConfigurationError("VT102", faults[0].what, where=str(path), fix=fix)
    if faults:
        what = f"{len(faults)} settings cannot be taken"
        raise ConfigurationError("VT102", what, where=str(path), faults=faults)
    return found
