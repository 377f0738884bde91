"""Terraform itself against our provider, at both ends of the range of Google's that terraform/ allows."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from scripts.terraform_schema import load
from tests.terraform import core
from tests.terraform.core import Workspace

# What a test may not inherit: settings of whoever runs it, such as a mirror of providers, or variables.
for _name in [name for name in os.environ if name.startswith("TF_")]:
    del os.environ[_name]


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
