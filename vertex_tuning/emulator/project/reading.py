"""`--config` and `--seed`: read and checked before anything is started."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vertex_tuning import config as settings_files
from vertex_tuning.emulator.project import terraform_state
from vertex_tuning.emulator.project.given import Given, Place, error_of, of_config, open_project
from vertex_tuning.emulator.project.seeds import Seed
from vertex_tuning.emulator.settings import Settings
from vertex_tuning.errors import EmulatorError, Fault

if TYPE_CHECKING:
    from vertex_tuning.config import Config


def configured(
    settings: Settings,
    config: Path | None,
    seeds: Sequence[Path],
    *,
    project: str | None,
    location: str | None,
) -> Settings:
    """Settings of an emulator that is the project of a settings file, as far as seeds do not say otherwise.

    Args:
        settings: Of an emulator that was told nothing.
        config: A settings file, or Terraform's output; None: any project exists.
        seeds: Applied one after the other.
        project: Goes before that of the file.
        location: Likewise.

    Raises:
        ConfigurationError: The settings file cannot be taken.
        EmulatorError: VT413 a seed cannot be read, VT414 an entry of one is unknown or misshapen, VT415 it names what is
            not there, VT417 a setting names nothing that there could be.
    """
    found = settings_files.read(config) if config else settings_files.Config()
    changed = replace(
        settings,
        project=project or found.project or settings.project,
        # The number is that of the file's project.
        project_number=(project in (None, found.project) and found.project_number) or settings.project_number,
        location=location or found.location or settings.location,
    )
    if config is None and not seeds:
        return changed
    place = Place(changed.project, changed.project_number, changed.location)
    return replace(changed, given=_given(found if config else None, seeds, place))


def _given(config: Config | None, seeds: Sequence[Path], place: Place) -> Given:
    files = [(path, _read(path)) for path in seeds]
    states = [terraform_state.is_state(data) for _, data in files]
    if any(states):
        # Then Terraform alone says what is there: of the settings, only the names are of use.
        given = of_config(config or settings_files.Config(), place, provisioned=False)
    else:
        given = of_config(config, place) if config else open_project(place)
    faults: list[Fault] = []
    for (path, data), is_state in zip(files, states, strict=True):
        if is_state:
            _apply_state(path, data, given)
        else:
            seed = Seed(data, str(path))
            seed.apply(given)
            faults += seed.faults
    if faults:
        raise error_of(faults, f"{len(faults)} entries of seeds cannot be taken", ", ".join(map(str, seeds)))
    return given


def _apply_state(path: Path, data: dict[str, Any], given: Given) -> None:
    try:
        terraform_state.apply(data, given)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"a resource in it is not of Google's provider: {type(error).__name__} {error}"
        raise _unreadable(path, what) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError) as error:
        words = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        raise _unreadable(path, f"the seed cannot be read: {words}") from error
    if not isinstance(data, dict):
        raise _unreadable(path, "the seed is not a table")
    if "planned_values" in data:
        raise _unreadable(path, "that is a plan: it tells what will be, and not what is")
    return data


def _unreadable(path: Path, what: str) -> EmulatorError:
    fix = "a .toml or JSON file of your own, or what `terraform show -json` prints after terraform apply"
    return EmulatorError("VT413", what, where=str(path), fix=fix)
