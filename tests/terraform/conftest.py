"""Terraform itself against our provider, at both ends of the range of Google's that terraform/ allows."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scripts.terraform_schema import load
from tests.terraform import core, policy
from tests.terraform.core import Workspace
from vertex_tuning import config
from vertex_tuning.config import Config

# What a test may not inherit: settings of whoever runs it, such as a mirror of providers, or variables.
for _name in [name for name in os.environ if name.startswith("TF_")]:
    del os.environ[_name]


@dataclass(frozen=True)
class Made:
    """A project that has been made."""

    space: Workspace
    example: str

    def outputs(self) -> str:
        return self.space.run("output", "-json", at=self.example).out

    def resources(self) -> list[policy.Planned]:
        return policy.resources(self.space.show(self.example))

    def settings(self, folder: Path) -> Config:
        file = folder / "outputs.json"
        file.write_text(self.outputs(), encoding="utf-8")
        return config.from_terraform(file)


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program."""
    try:
        return core.program(tmp_path_factory.mktemp("bin"))
    except core.NoTerraformError as error:
        core.not_proved(str(error), os.environ)


@pytest.fixture(scope="session", params=sorted(core.SCHEMAS), ids="google-{}".format)
def schema(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The provider's, of one version after the other."""
    return load(core.SCHEMAS[request.param])


@pytest.fixture(scope="session")
def open_workspace(
    terraform: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Workspace]]:
    """Makes copies of terraform/, each with a project of its own: `open_workspace(schema)`."""
    with contextlib.ExitStack() as opened:

        def make(schema: Mapping[str, Any], source: Path = core.SOURCES) -> Workspace:
            folder = tmp_path_factory.mktemp("terraform") / "terraform"
            return opened.enter_context(core.workspace(folder, terraform, schema, source))

        yield make


@pytest.fixture
def space(open_workspace: Callable[..., Workspace], schema: Mapping[str, Any]) -> Workspace:
    """A copy of terraform/ of the test's own."""
    return open_workspace(schema)


@pytest.fixture(scope="session")
def shared(open_workspace: Callable[..., Workspace], schema: Mapping[str, Any]) -> Workspace:
    """A copy of terraform/ for tests that make nothing in it."""
    return open_workspace(schema)


@pytest.fixture(scope="session")
def made(open_workspace: Callable[..., Workspace], schema: Mapping[str, Any]) -> Callable[..., Made]:
    """Makes an example once, and gives the same again: `made(COMPLETE, "-var=...")`."""
    known: dict[tuple[str, ...], Made] = {}

    def make(example: str, *variables: str) -> Made:
        if (example, *variables) not in known:
            space = open_workspace(schema)
            space.init(example)
            space.run("apply", "-auto-approve", "-input=false", *variables, at=example)
            known[example, *variables] = Made(space, example)
        return known[example, *variables]

    return make
