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

from vertex_tuning.errors import ConfigurationError

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
    config = Config()
    for source in (_from_file(), _from_environment(), arguments):
        config = replace(config, **{name: value for name, value in source.items() if value})
    if config.target not in _TARGETS:
        raise ConfigurationError(
            "VT103", f'there is no target "{config.target}"', where="target", fix='"local" or "vertex"'
        )
    if config.bucket:
        config = replace(config, bucket=config.bucket.removeprefix("gs://").rstrip("/"))
    return config


def _from_environment() -> dict[str, Any]:
    return {
        name: next((os.environ[variable] for variable in variables if os.environ.get(variable)), None)
        for name, variables in _ENVIRONMENT.items()
    }


def _from_file() -> dict[str, Any]:
    here = Path.cwd()
    path = next((folder / FILE for folder in (here, *here.parents) if (folder / FILE).is_file()), None)
    if path is None:
        return {}
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            "VT101", f"the settings file cannot be read: {error}", where=str(path)
        ) from error
    known = {field.name for field in fields(Config)}
    for name, value in found.items():
        if name not in known or not isinstance(value, str):
            raise ConfigurationError(
                "VT102",
                f'"{name}" is not a setting, or not a string',
                where=str(path),
                fix=f"settings are: {', '.join(sorted(known))}",
            )
    return found
