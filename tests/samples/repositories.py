"""A user's repository with samples/ci in it, and a runner that starts shells as those of CI do."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

COMMIT = "4f1175566e0c9d1bd5e3f4b1a7c0d2e4f6a8b0c2"


@dataclass(frozen=True)
class Step:
    """A step that was run."""

    name: str
    status: int
    out: str


@dataclass(frozen=True)
class Repository:
    """A checked out repository, on a machine that has everything installed."""

    folder: Path

    def run(self, name: str, script: str, **variables: str) -> Step:
        """Run a script of a step in bash."""
        path = self.folder / "step.sh"
        path.write_text(script, encoding="utf-8")
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(path)],
            env={
                **os.environ,
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "PIP_NO_INDEX": "1",  # what is to be installed is there, and nothing may be fetched here
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
                "VERTEX_TUNING_HOME": str(self.home),
                **variables,
            },
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=380,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return Step(name, done.returncode, done.stdout + done.stderr)

    @property
    def home(self) -> Path:
        """Where the command keeps things on this machine."""
        return self.folder / ".home"

    def read(self, name: str) -> str:
        """A file of the repository's folder; nothing where it is not there."""
        path = self.folder / name
        return path.read_text(encoding="utf-8") if path.exists() else ""


def told(steps: list[Step]) -> str:
    """All that steps said."""
    return "\n".join(f"[{step.name}: {step.status}]\n{step.out}" for step in steps)
