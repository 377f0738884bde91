"""Everything that CI holds this project to, in the order in which it fails fastest.

`python scripts/check.py` runs all of it, `python scripts/check.py lint` the part that needs no emulator.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

LINT: list[tuple[str, list[Path | str]]] = [
    ("style", [BIN / "ruff", "check", "."]),
    ("format", [BIN / "ruff", "format", "--check", "--quiet", "."]),
    ("types", [BIN / "mypy"]),
]
GENERATED: list[tuple[str, list[Path | str]]] = [
    ("wire schema is fresh", [sys.executable, "scripts/wire_schema.py", "--check"]),
    ("compiled pipelines are fresh", [sys.executable, "-m", "pipelines.compile", "--check"]),
    ("generated docs are fresh", [sys.executable, "scripts/docs.py", "--check"]),
]
TESTS: list[tuple[str, list[Path | str]]] = [
    ("tests", [sys.executable, "-m", "pytest", "-q", "--durations=15", "-n", "auto", "--dist", "loadfile"])
]


def main() -> int:
    """Run the steps; the first one that fails ends it with its exit status."""
    steps = LINT if sys.argv[1:] == ["lint"] else [*LINT, *GENERATED, *TESTS]
    for name, command in steps:
        started = time.monotonic()
        print(f"-- {name}", flush=True)
        status = subprocess.run([str(part) for part in command], cwd=ROOT, check=False).returncode
        if status:
            print(f"-- {name}: failed ({status})", flush=True)
            return status
        print(f"-- {name}: {time.monotonic() - started:.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
