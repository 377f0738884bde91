"""What terraform/ makes is what doctor looks for: from `terraform apply` over the settings to a sound project."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.running import RunningEmulator
from tests.terraform import core
from vertex_tuning import Diagnosis, config, connect

EXAMPLE = "examples/complete"


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[core.Workspace]:
    """A copy of terraform/, and everything that there is switched on in it."""
    folder = tmp_path_factory.mktemp("terraform")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("TF_")]:
            patch.delenv(name)
        try:
            program = core.program(folder)
        except core.NoTerraformError as error:
            core.not_proved(str(error), os.environ)
        patch.setenv("PATH", str(program.parent), prepend=os.pathsep)
        schema = json.loads(core.newest().read_text(encoding="utf-8"))
        with core.workspace(folder / "copy", program, schema) as made:
            made.init(EXAMPLE)
            yield made


@pytest.fixture
def look(
    space: core.Workspace,
    start_emulator: Callable[..., RunningEmulator],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Diagnosis]:
    """Applies, takes the settings from the folder, and looks at an emulator that holds what Terraform made."""

    def look_(*variables: str, as_it_is: bool = True) -> Diagnosis:
        space.run("apply", "-auto-approve", "-input=false", *variables, at=EXAMPLE)
        settings = config.from_terraform(space.folder / EXAMPLE)
        monkeypatch.chdir(tmp_path)
        settings.write(force=True)
        state: dict[str, Any] = space.show(EXAMPLE)
        (tmp_path / "state.json").write_text(json.dumps(state), encoding="utf-8")
        seed = ["--seed", str(tmp_path / "state.json")] if as_it_is else []
        emulator = start_emulator("--config", config.FILE, *seed, data_dir=tmp_path / "-".join(variables))
        monkeypatch.setenv("VERTEX_TUNING_EMULATOR", emulator.address)
        with connect("local") as client:
            return client.doctor()

    return look_


def rules(found: Diagnosis) -> list[str]:
    return [str(finding) for finding in (*found.faults, *found.warnings, *found.unseen)]


def test_an_emulator_that_is_started_with_its_settings_is_sound(look):
    assert rules(look("-var=tuning_agents_exist=true", as_it_is=False)) == []


def test_what_it_grants_is_all_that_is_needed(look):
    """Not what the settings promise, but what is in Terraform's own state."""
    assert rules(look("-var=tuning_agents_exist=true")) == []


def test_until_the_agents_exist_that_is_all_that_is_missing_and_the_input_that_mends_it_does(look):
    found = look("-var=tuning_agents_exist=false")
    assert [(one.rule, one.check) for one in (*found.faults, *found.warnings)] == [("VT145", "Agents")] * 3
    assert found.commands() == ["vertex-tuning init --make-agents"]
    assert found.inputs() == ["tuning_agents = { exist = true }"]
    assert found.ok
    assert rules(look("-var=tuning_agents_exist=true")) == []
